"""Target updates inside torch.func's transformations."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from softstep.adapters.torch import Target, soft_update
from softstep.target import TargetUpdate


class Pair(nn.Module):
    """A target and its online network, updated in the forward pass."""

    def __init__(self, tau: float) -> None:
        super().__init__()
        self.target = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3)).requires_grad_(False)
        self.online = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
        self.online[1].running_mean.normal_()
        self.tau = tau

    def forward(self, x: Tensor) -> Tensor:
        soft_update(self.target, self.online, self.tau)
        return x


def check_updated(before: dict[str, Tensor], after: dict[str, Tensor], tau: float) -> None:
    """Check the target's tensors among those of a `Pair`."""
    for name in [name for name in before if name.startswith("target.")]:
        online = before[name.replace("target.", "online.")]
        is_copied = "running" in name or "batches" in name
        expected = online if is_copied else torch.lerp(before[name], online, tau)
        torch.testing.assert_close(after[name], expected, msg=name)


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_a_functional_call_blends_what_the_modules_register_as_parameters(tau: float) -> None:
    pair = Pair(tau)
    own = {name: tensor.clone() for name, tensor in pair.state_dict().items()}
    tensors = {name: tensor.detach() + 1 for name, tensor in own.items()}  # not of the class nn.Parameter
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    functional_call(pair, tensors, (torch.ones(1, 2),))
    check_updated(before, tensors, tau)
    for name, tensor in pair.state_dict().items():
        assert torch.equal(tensor, own[name]), name


@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_a_target_follows_a_network_that_was_called_functionally(tau: float) -> None:
    online = nn.Linear(2, 3)
    target = Target(online, TargetUpdate(tau))
    start = target.module.weight.clone()
    other = {name: parameter.detach() + 1 for name, parameter in online.named_parameters()}

    class Step(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.online = online

        def forward(self) -> None:
            target.step()

    functional_call(Step(), {f"online.{name}": tensor for name, tensor in other.items()}, ())
    torch.testing.assert_close(target.module.weight, torch.lerp(start, other["weight"], tau))
    target.step()
    expected = torch.lerp(torch.lerp(start, other["weight"], tau), online.weight, tau)
    torch.testing.assert_close(target.module.weight.detach(), expected.detach())


@pytest.mark.filterwarnings("ignore:There is a performance drop")  # torch loops over the ensemble
@pytest.mark.parametrize("tau", [0.25, 1.0])
def test_an_ensemble_is_updated_under_vmap(tau: float) -> None:
    pairs = [Pair(tau) for _ in range(4)]
    parameters, buffers = stack_module_state(pairs)
    tensors = {name: tensor.detach().clone() for name, tensor in (parameters | buffers).items()}
    before = {name: tensor.clone() for name, tensor in tensors.items()}
    vmap(lambda state: functional_call(pairs[0], state, (torch.ones(1, 2),)))(tensors)
    check_updated(before, tensors, tau)


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_tensors_are_updated_under_vmap() -> None:
    target, online = torch.zeros(5, 3), torch.rand(5, 3)

    def update(old: Tensor, new: Tensor) -> Tensor:
        soft_update([old], [new], 0.25)
        return old

    torch.testing.assert_close(vmap(update)(target, online), 0.25 * online)
