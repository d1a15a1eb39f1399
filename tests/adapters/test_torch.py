"""PyTorch in particular: replaced parameters, tied weights, half precision, torch.compile, BatchNorm, sharing."""

from __future__ import annotations

import copy
import gc
import subprocess
import sys
import weakref

import pytest
import torch
from torch import nn

from softstep.adapters.torch import Target, hard_update, soft_update
from softstep.target import TargetUpdate


def mlp(seed: int = 0, width: int = 8) -> nn.Sequential:
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(4, width), nn.ReLU(), nn.Linear(width, 2))


def equal(one: nn.Module, other: nn.Module) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


def test_a_parameter_replaced_between_two_calls_is_detected() -> None:
    target, online = mlp(0), mlp(1)
    soft_update(target, online, 0.5)
    online[2].weight = nn.Parameter(torch.full_like(online[2].weight, 7.0))
    hard_update(target, online)
    assert torch.all(target[2].weight == 7)
    target[0].bias = nn.Parameter(torch.zeros(8))
    hard_update(target, online)
    assert torch.equal(target[0].bias, online[0].bias)


@pytest.mark.parametrize("changed", ["target", "online"])
def test_a_replaced_or_added_layer_is_detected(changed: str) -> None:
    nets = {"target": mlp(0), "online": mlp(1)}
    hard_update(nets["target"], nets["online"])
    nets[changed][0] = nn.Linear(4, 8)
    hard_update(nets["target"], nets["online"])
    assert equal(nets["target"], nets["online"])
    nets[changed][1].extra = nn.Parameter(torch.zeros(1))
    with pytest.raises(ValueError, match=r"1\.extra"):
        soft_update(nets["target"], nets["online"], 0.5)


class Scaled(nn.Module):
    """A module of one number, equal to any other of its kind."""

    def __init__(self, value: float) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(value))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Scaled)

    __hash__ = nn.Module.__hash__


@pytest.mark.parametrize("changed", ["target", "online"])
@pytest.mark.parametrize("part", ["parameter", "layer"])
def test_a_replacement_that_equals_what_it_replaces_is_detected(changed: str, part: str) -> None:
    nets = {"target": nn.Sequential(Scaled(1.0)), "online": nn.Sequential(Scaled(1.0))}
    hard_update(nets["target"], nets["online"])
    if part == "layer":
        nets[changed][0] = Scaled(1.0)
    else:
        nets[changed][0].scale = nn.Parameter(torch.tensor(1.0))
    nets["online"][0].scale.data.fill_(3.0)
    soft_update(nets["target"], nets["online"], 0.5)
    assert nets["target"][0].scale.item() == 2.0


def test_new_data_in_an_existing_parameter_is_detected() -> None:
    target, online = mlp(0), mlp(1)
    hard_update(target, online)
    online[0].weight.data = torch.ones(8, 4)
    hard_update(target, online)
    assert torch.all(target[0].weight == 1)


def test_tied_weights_are_updated_once() -> None:
    online = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    online[1].weight = online[0].weight
    target = copy.deepcopy(online)
    with torch.no_grad():
        for parameter in target.parameters():
            parameter.zero_()
    soft_update(target, online, 0.25)
    assert target[1].weight is target[0].weight
    torch.testing.assert_close(target[0].weight, 0.25 * online[0].weight)
    with pytest.raises(ValueError, match=r"shares '1\.weight'"):
        soft_update(target, nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4)), 0.25)


def test_a_target_that_shares_a_parameter_with_its_network_raises() -> None:
    online = mlp()
    with pytest.raises(ValueError, match=r"share '0\.weight'.*deepcopy"):
        soft_update(online, online, 0.1)
    target = mlp(1)
    target[0].weight = online[0].weight
    with pytest.raises(ValueError, match=r"share '0\.weight'"):
        soft_update(target, online, 0.1)


def test_batch_norm_statistics_are_copied_from_a_training_network() -> None:
    online = nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2))
    target = Target(online, TargetUpdate(0.1))
    before = target.module[0].weight.clone()
    for _ in range(5):
        online(torch.randn(32, 4))
    target.step()
    norm = target.module[1]
    assert torch.equal(norm.running_mean, online[1].running_mean)
    assert norm.num_batches_tracked == 5
    torch.testing.assert_close(target.module[0].weight, before)  # unchanged, because the network did not learn


def test_a_target_has_no_gradients_and_its_network_keeps_its_own() -> None:
    online = mlp()
    online(torch.ones(1, 4)).sum().backward()
    target = Target(online, TargetUpdate(0.1))
    assert all(not p.requires_grad and p.grad is None for p in target.module.parameters())
    assert all(p.requires_grad and p.grad is not None for p in online.parameters())
    target.step()
    assert not target(torch.ones(1, 4)).requires_grad
    assert all(p.is_leaf for p in target.module.parameters())


def test_a_loop_with_an_optimizer_matches_the_textbook() -> None:
    online = mlp(3)
    textbook = copy.deepcopy(online)
    target = Target(online, TargetUpdate(0.05))
    optimizer = torch.optim.Adam(online.parameters(), 1e-2)
    for _ in range(20):
        optimizer.zero_grad()
        (online(torch.ones(2, 4)) - target(torch.ones(2, 4)) - 1).square().mean().backward()
        optimizer.step()
        target.step()
        with torch.no_grad():
            for t, q in zip(textbook.parameters(), online.parameters(), strict=True):
                t.mul_(0.95).add_(q, alpha=0.05)
    for actual, expected in zip(target.module.parameters(), textbook.parameters(), strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_narrow_target_that_would_stall_causes_a_warning(dtype: torch.dtype) -> None:
    target, online = mlp(0).to(dtype), mlp(1).to(dtype)
    with pytest.warns(RuntimeWarning, match="which follows in float32"):
        soft_update(target, online, 0.001)


def test_double_precision_keeps_its_digits() -> None:
    target, online = mlp(0).double(), mlp(1).double()
    blended = [t + 0.1 * (q - t) for t, q in zip(target.parameters(), online.parameters(), strict=True)]
    soft_update(target, online, 0.1)
    for actual, expected in zip(target.parameters(), blended, strict=True):
        torch.testing.assert_close(actual, expected, rtol=1e-15, atol=0)


COMPILED = """
import copy, torch
from torch import nn
from softstep.adapters.torch import Target, soft_update
from softstep.target import TargetUpdate
target, online = (nn.Sequential(nn.Linear(4, 8), nn.BatchNorm1d(8), nn.Linear(8, 2)) for _ in range(2))
reference = copy.deepcopy(target)

@torch.compile(backend="aot_eager", fullgraph=True)
def step():
    soft_update(target, online, 0.2)

for _ in range(3):
    step()
    soft_update(reference, online, 0.2)

for dtype in (torch.float32, torch.bfloat16):
    online.to(dtype)
    compiled, plain = (Target(online, TargetUpdate(0.1, period=3)) for _ in range(2))
    compiled_step = torch.compile(compiled.step, backend="eager")
    for _ in range(9):
        with torch.no_grad():
            online[0].weight.add_(1)
        compiled_step()
        plain.step()
        torch.testing.assert_close(compiled.module.state_dict(), plain.module.state_dict())
    assert compiled.gradient_steps == plain.gradient_steps == 9
online.float()
for actual, expected in zip(target.state_dict().values(), reference.state_dict().values(), strict=True):
    torch.testing.assert_close(actual, expected)
"""


def test_a_compiled_function_can_contain_the_update() -> None:
    """A separate process is needed because the argument checks that the tests add cannot be compiled."""
    result = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_a_compiled_network_is_followed() -> None:
    online = mlp()
    compiled = torch.compile(online, backend="eager")
    target = Target(compiled, TargetUpdate(0.5))
    with torch.no_grad():
        online[0].weight.zero_()
    before = target.module[0].weight.clone()
    target.step()
    torch.testing.assert_close(target.module[0].weight, before / 2)


def test_tensors_in_order_are_updated_like_modules() -> None:
    target, online = mlp(0), mlp(1)
    expected = copy.deepcopy(target)
    soft_update(expected, online, 0.3)
    soft_update(target.parameters(), online.parameters(), 0.3)
    assert equal(target, expected)
    with pytest.raises(ValueError, match="online network has '4'"):
        soft_update(mlp().parameters(), [*online.parameters(), torch.zeros(1)], 0.3)


@pytest.mark.parametrize("state", [{}, {"gradient_steps": 1, "module": {}, "wide": {}}])
def test_an_invalid_state_raises(state: dict) -> None:
    with pytest.raises(ValueError, match="state"):
        Target(mlp(), TargetUpdate(0.1)).load_state_dict(state)


def test_the_state_of_another_network_raises_and_changes_nothing() -> None:
    target, other = Target(mlp(0), TargetUpdate(0.1)), Target(mlp(1, width=16), TargetUpdate(0.1))
    before = copy.deepcopy(target.module)
    for wrong in (other.state_dict(), other.state_dict() | {"module": {"0.weight": torch.ones(8, 4)}}):
        with pytest.raises(ValueError, match=r"another network: (only one of them has '0.bias'|'0.weight' has shape)"):
            target.load_state_dict(wrong)
        assert equal(target.module, before)


def test_a_dropped_target_is_freed() -> None:
    target, online = mlp(0), mlp(1)
    soft_update(target, online, 0.1)
    reference = weakref.ref(target)
    del target
    gc.collect()
    assert reference() is None
