"""The float32 values behind a narrow PyTorch target: it neither stalls nor jumps back, whatever happens to it."""

from __future__ import annotations

import copy
import io
import warnings
from collections.abc import Callable

import pytest
import torch
from torch import nn

from softstep.adapters.torch import Target, hard_update, soft_update
from softstep.adapters.torch_tensors import are_equal
from softstep.target import TargetUpdate

STEPS, TAU = 700, 0.005
"""In bfloat16 a step of τ·1 from 8 rounds to nothing; in float32 the target moves 1 − .995**700 = .97 of the way."""


def online_at(value: float, dtype: torch.dtype = torch.bfloat16) -> nn.Linear:
    online = nn.Linear(2, 2).to(dtype)
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.fill_(value)
    return online


def fill(online: nn.Module, value: float) -> None:
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.fill_(value)


def check_that_it_follows(target: Target, online: nn.Module) -> None:
    """Move the online network from 8 to 9, and compare the target with the closed form 9 − c^k."""
    fill(online, 9)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(STEPS):
            target.step()
    expected = 9 - (1 - TAU) ** STEPS
    for parameter in target.module.parameters():
        torch.testing.assert_close(parameter.float(), torch.full_like(parameter, expected).float(), rtol=2**-8, atol=0)
    for wide in target.state_dict()["wide"].values():
        torch.testing.assert_close(wide, torch.full_like(wide, expected), rtol=1e-4, atol=0)


def pickled(target: Target) -> Target:
    file = io.BytesIO()
    torch.save(target, file)
    file.seek(0)
    copied: Target = torch.load(file, weights_only=False)
    return copied


def restored(target: Target) -> Target:
    other = Target(target._online, target.update)
    other.load_state_dict(target.state_dict())
    return other


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("copied", [copy.deepcopy, copy.copy, pickled, restored])
def test_a_copied_pickled_or_restored_target_follows_in_float32(copied: Callable[[Target], Target], steps: int) -> None:
    original = Target(online_at(8), TargetUpdate(TAU))
    for _ in range(steps):
        original.step()
    target = copied(original)
    assert target.state_dict()["wide"].keys() == {"weight", "bias"}
    check_that_it_follows(target, target._online)


def test_a_copied_target_does_not_move_the_original() -> None:
    original = Target(online_at(8), TargetUpdate(TAU))
    original.step()
    check_that_it_follows(copied := copy.deepcopy(original), copied._online)
    assert torch.all(original.module.weight == 8)
    check_that_it_follows(original, original._online)


def load(target: Target, online: nn.Module) -> None:
    target.module.load_state_dict(online.state_dict())


def load_by_assignment(target: Target, online: nn.Module) -> None:
    target.module.load_state_dict(copy.deepcopy(online.state_dict()), assign=True)


def copy_data(target: Target, online: nn.Module) -> None:
    for old, new in zip(target.module.parameters(), online.parameters(), strict=True):
        old.data.copy_(new.data)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize(
    "synchronize", [lambda t, q: hard_update(t.module, q), load, load_by_assignment, copy_data]
)  # fmt: skip
def test_a_copy_by_hand_is_where_the_target_goes_on(synchronize: Callable, dtype: torch.dtype) -> None:
    online = online_at(0, dtype)
    target = Target(online, TargetUpdate(TAU))
    target.step()
    fill(online, 8)
    synchronize(target, online)
    target.step()
    assert all(torch.all(parameter == 8) for parameter in target.module.parameters())
    check_that_it_follows(target, online)


@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_precision_changed_later_is_followed_in_float32(dtype: torch.dtype, steps: int) -> None:
    online = online_at(8, torch.float32)
    target = Target(online, TargetUpdate(TAU))
    for _ in range(steps):
        target.step()
    online.to(dtype), target.module.to(dtype)
    other = Target(online, TargetUpdate(TAU))
    other.load_state_dict(target.state_dict())
    check_that_it_follows(target, online)
    online.float(), target.module.float()
    target.step()
    assert not target.state_dict()["wide"]


@pytest.mark.parametrize("tau", [1.0, 0.1])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize("changed", ["online", "target"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_one_network_in_another_precision_raises(dtype: torch.dtype, changed: str, steps: int, tau: float) -> None:
    online = online_at(8, torch.float32)
    target = Target(online, TargetUpdate(tau))
    for _ in range(steps):
        target.step()
    {"online": online, "target": target.module}[changed].to(dtype)
    with pytest.raises(ValueError, match=rf"'weight': dtype .*({dtype} against|against {dtype})"):
        target.step()


def test_shared_narrow_weights_have_one_float32_value() -> None:
    online = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)).bfloat16()
    online[1].weight = online[0].weight
    fill(online, 8)
    target = Target(online, TargetUpdate(TAU))
    assert target.state_dict()["wide"].keys() == {"0.weight", "0.bias", "1.bias"}
    check_that_it_follows(target, online)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_buffers_are_copied_and_cause_no_warning(dtype: torch.dtype) -> None:
    online = nn.Linear(2, 2)
    online.register_buffer("cache", torch.zeros(2, dtype=dtype))
    target = copy.deepcopy(online)
    online.cache.fill_(3)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Target(online, TargetUpdate(0.001)).step()
        soft_update(target, online, 0.001)
    assert torch.equal(target.cache, online.cache)


@pytest.mark.parametrize("as_tensors", [lambda m: m, lambda m: m.parameters(), lambda m: dict(m.named_parameters())])
def test_every_form_of_a_narrow_network_warns_when_it_would_stall(as_tensors: Callable) -> None:
    target, online = online_at(8), online_at(9)
    with pytest.warns(RuntimeWarning, match="follows in float32"):
        soft_update(as_tensors(target), as_tensors(online), 0.001)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32, torch.float64])
@pytest.mark.parametrize("shape", [(), (3,), (4,), (16, 2), (5, 3), (0, 4)], ids=str)
@pytest.mark.parametrize("offset", [0, 1], ids=["aligned", "slice"])
def test_tensors_are_compared_in_every_place(dtype: torch.dtype, shape: tuple[int, ...], offset: int) -> None:
    count = torch.Size(shape).numel()
    old = torch.randn(count + offset).to(dtype)[offset:].view(shape)
    assert are_equal(old, old.clone())
    for changed in range(count):
        new = old.clone()
        new.view(-1)[changed] += 1
        assert not are_equal(old, new)
    transposed = torch.randn(4, 2).to(dtype).T
    assert are_equal(transposed, transposed.clone())
    assert not are_equal(transposed, transposed + 1)
