"""Which tensors of a PyTorch network are blended, copied or kept, and in which forms they can be passed."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import nn

from softstep.adapters.torch import Target, soft_update
from softstep.target import TargetUpdate


def filled(value: float) -> nn.Linear:
    network = nn.Linear(2, 2)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def with_weights_as_buffers(network: nn.Module) -> nn.Module:
    network = copy.deepcopy(network)
    for name, parameter in list(network._parameters.items()):
        del network._parameters[name]
        network.register_buffer(name, parameter.detach().clone())
    return network


def test_the_online_network_decides_what_is_blended() -> None:
    target = with_weights_as_buffers(filled(0))
    soft_update(target, filled(1), 0.25)
    assert torch.all(target.weight == 0.25)
    copied = filled(0)
    soft_update(copied, with_weights_as_buffers(filled(1)), 0.25)
    assert torch.all(copied.weight == 1)


def test_a_target_of_its_own_may_hold_the_weights_as_buffers() -> None:
    online = filled(0)
    target = Target(online, TargetUpdate(0.25), module=with_weights_as_buffers(online))
    with torch.no_grad():
        online.weight.fill_(1)
    target.step()
    assert torch.all(target.module.weight == 0.25)
    assert not list(target.module.parameters())


def test_frozen_parameters_are_blended() -> None:
    online = filled(1).requires_grad_(False)
    target = filled(0)
    soft_update(target, online, 0.25)
    assert torch.all(target.weight == 0.25)


def test_tensors_by_name_are_updated_like_modules() -> None:
    target, online = filled(0), filled(1)
    soft_update(dict(target.named_parameters()), dict(reversed([*online.named_parameters()])), 0.25)
    assert torch.all(target.weight == 0.25)
    stacked, _ = torch.func.stack_module_state([filled(0), filled(4)])
    soft_update(stacked, {name: tensor.detach() + 4 for name, tensor in stacked.items()}, 0.25)
    assert stacked["bias"].tolist() == [[1, 1], [5, 5]]
    with pytest.raises(ValueError, match="the target has 'bias'"):
        soft_update(dict(target.named_parameters()), {"weight": online.weight}, 0.25)


def test_a_state_dict_raises_because_it_mixes_parameters_and_buffers() -> None:
    with pytest.raises(ValueError, match=r"state dict.*named_parameters"):
        soft_update(filled(0).state_dict(), filled(1).state_dict(), 0.25)


def test_nothing_to_update_raises() -> None:
    exhausted = iter(())
    with pytest.raises(ValueError, match="nothing to follow"):
        soft_update(exhausted, exhausted, 0.25)


class Biased(nn.Module):
    """A network with a cache that grows with the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(2, 2)
        self.register_buffer("bias", torch.zeros(1), persistent=False)
        self.register_buffer("later", None, persistent=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if len(x) > len(self.bias):
            self.bias = torch.arange(len(x), dtype=torch.float32)
            self.later = self.bias + 1
        return self.layer(x) + self.bias[: len(x), None]


def test_caches_may_grow_be_filled_and_be_emptied() -> None:
    online = Biased()
    target = Target(online, TargetUpdate(0.5))
    for batch in (3, 5):
        online(torch.ones(batch, 2))
        target.step()
        assert torch.equal(target.module.bias, online.bias)
        assert torch.equal(target.module.later, online.later)
        assert target.module.bias.data_ptr() != online.bias.data_ptr()
    target(torch.ones(9, 2))
    online.later = None
    target.step()
    assert target.module.bias.shape == (5,)
    assert target.module.later is None


def test_saved_buffers_keep_their_shape() -> None:
    online = nn.BatchNorm1d(2)
    target = Target(online, TargetUpdate(0.5))
    online.running_mean = torch.zeros(3)
    with pytest.raises(ValueError, match=r"'running_mean': shape \(2,\) against \(3,\)"):
        target.step()


@pytest.mark.filterwarnings("ignore:Sparse CS")
@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_sparse_buffers_are_copied(layout: torch.layout) -> None:
    online = filled(1)
    online.register_buffer("edges", torch.eye(3).to_sparse(layout=layout))
    target = Target(online, TargetUpdate(0.25))
    target.step()
    for edges in (torch.eye(3) * 2, torch.ones(3, 3)):
        online.edges = edges.to_sparse(layout=layout)
        target.step()
        assert torch.equal(target.module.edges.to_dense(), edges)


class Noisy(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(3))
        self.register_buffer("noise", torch.zeros(3))
        self.register_buffer("count", torch.tensor(0))


@pytest.mark.parametrize("own_buffers", [["noise"], ["1.noise"]])
def test_own_buffers_are_kept(own_buffers: list[str]) -> None:
    online = nn.Sequential(nn.Linear(2, 3), Noisy())
    target = Target(online, TargetUpdate(0.25), own_buffers=own_buffers)
    target.module[1].noise.fill_(5)
    online[1].noise.fill_(7)
    online[1].count.fill_(9)
    target.step()
    assert torch.all(target.module[1].noise == 5)
    assert target.module[1].count == 9
    restored = Target(online, TargetUpdate(0.25), own_buffers=own_buffers)
    restored.load_state_dict(target.state_dict())
    assert torch.all(restored.module[1].noise == 5)


@pytest.mark.parametrize("unknown", ["nois", "mean"])
def test_an_unknown_own_buffer_raises(unknown: str) -> None:
    with pytest.raises(ValueError, match=rf"'{unknown}' is not a buffer.*its buffers are count, noise"):
        Target(Noisy(), TargetUpdate(0.25), own_buffers=[unknown])


@pytest.mark.parametrize("changed", ["target", "online"])
@pytest.mark.parametrize("change", [lambda m: m.register_parameter("extra", m.weight), lambda m: delattr(m, "bias")])
def test_a_parameter_more_or_less_is_noticed_after_the_first_update(changed: str, change: Callable) -> None:
    networks = {"target": filled(0), "online": filled(1)}
    soft_update(networks["target"], networks["online"], 0.5)
    change(networks[changed])
    with pytest.raises(ValueError, match=r"has '(extra|bias)', the"):
        soft_update(networks["target"], networks["online"], 0.5)
