"""A PyTorch target has weights of its own, answers with them, and can be made for networks that are hard to copy."""

from __future__ import annotations

import copy
import functools
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import nn
from torch.distributed.algorithms._checkpoint.checkpoint_wrapper import checkpoint_wrapper
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn.utils import prune

from softstep.adapters.torch import Target, hard_update, soft_update
from softstep.target import TargetUpdate

HALF = TargetUpdate(0.5)


def mlp() -> nn.Sequential:
    return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def check_gaps(target: nn.Module, online: nn.Module) -> None:
    """Move the online parameters by 1, update with τ = ½, and check that every gap is ½ of what it was."""
    before = {name: p.clone() for name, p in target.named_parameters()}
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.add_(1)
    expected = {name: (p + q) / 2 for (name, p), q in zip(before.items(), online.parameters(), strict=True)}
    soft_update(target, online, 0.5)
    for name, parameter in target.named_parameters():
        torch.testing.assert_close(parameter, expected[name], msg=name)


# ---- answers ----


def compile_forward(online: nn.Module) -> None:
    online.forward = torch.compile(online.forward, backend="eager")


def compile_forward_of_a_layer(online: nn.Module) -> None:
    online[0].forward = torch.compile(online[0].forward, backend="eager")


def wrap_forward(online: nn.Module) -> None:
    inner = online.forward

    @functools.wraps(inner)
    def forward(x: torch.Tensor) -> torch.Tensor:
        return 2 * inner(x)

    online.forward = forward


def decorate_forward(online: nn.Module) -> None:
    """Turn gradients off with torch's own decorator, which closes over the bound method."""
    online.forward = torch.no_grad()(online.forward)


def close_over_a_weight(online: nn.Module) -> None:
    weight = online[0].weight
    online.forward = lambda x: x @ weight.T


def add_by_a_hook(online: nn.Module) -> None:
    online.adapter = nn.Linear(2, 1)
    adapter = online.adapter
    online.register_forward_hook(lambda module, arguments, answer: answer + adapter(arguments[0]))


def hide_in_a_default(online: nn.Module) -> None:
    online.forward = lambda x, layers=[*online]: layers[0](x)


class AppliesFunctions(nn.Sequential):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.functions[0](x)


@pytest.mark.parametrize("container", [list, tuple, lambda functions: dict(enumerate(functions))])
def test_functions_in_a_container_are_looked_at(container: Callable[[list], Any]) -> None:
    online = AppliesFunctions(nn.Linear(2, 3))
    online.functions = container([lambda x, layer=online[0]: layer(x)])
    with pytest.raises(ValueError, match="'functions' of the target refers to the online network"):
        Target(online, HALF)


@pytest.mark.parametrize(
    "wrap",
    [
        compile_forward, compile_forward_of_a_layer, wrap_forward, decorate_forward, close_over_a_weight,
        add_by_a_hook, hide_in_a_default,
    ],
)  # fmt: skip
def test_a_copy_that_would_answer_with_the_online_weights_raises(wrap: Callable[[nn.Module], None]) -> None:
    online = mlp()
    wrap(online)
    expected = r"'(0\.)?(forward|_forward_hooks)' of the target refers to the online network"
    with pytest.raises(ValueError, match=expected):
        Target(online, HALF)
    with pytest.raises(ValueError, match=expected):
        soft_update(copy.deepcopy(online), online, 0.5)


def compile_whole(online: nn.Module) -> nn.Module:
    return torch.compile(online, backend="eager")


def compile_in_place(online: nn.Module) -> nn.Module:
    online.compile(backend="eager")
    return online


def compile_a_block(online: nn.Module) -> nn.Module:
    online[0] = torch.compile(online[0], backend="eager")
    return online


def collect_activations(online: nn.Module) -> nn.Module:
    collected: list = []
    online.register_forward_hook(lambda module, arguments, answer: collected.append(answer))
    return online


def bind_an_attribute(online: nn.Module) -> nn.Module:
    online.answer = online.forward
    online.scaled = functools.partial(online.forward)
    return online


@pytest.mark.parametrize(
    "wrap", [compile_whole, compile_in_place, compile_a_block, collect_activations, bind_an_attribute]
)
def test_other_wrappers_leave_the_target_its_own_answers(wrap: Callable[[nn.Module], nn.Module]) -> None:
    online = wrap(mlp())
    x = torch.ones(4, 2)
    target = Target(online, HALF)
    before = target(x).clone()
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.add_(1)
    torch.testing.assert_close(target(x), before)
    target.step()
    assert not torch.allclose(target(x), before)


@pytest.mark.parametrize("wrap", [lambda block: torch.compile(block, backend="eager"), checkpoint_wrapper])
def test_a_block_wrapped_later_is_followed(wrap: Callable[[nn.Module], nn.Module]) -> None:
    online = mlp()
    target = Target(online, HALF)
    target.step()
    for network in (online, target.module):
        network[0] = wrap(network[0])
        with torch.no_grad():
            online[0].weight.fill_(8)
        gap = (online[0].weight - target.module[0].weight).abs()
        target.step()
        torch.testing.assert_close((online[0].weight - target.module[0].weight).abs(), gap / 2)


# ---- memory ----


@pytest.mark.parametrize("steps", [0, 1, 2])
def test_memory_shared_later_raises(steps: int) -> None:
    online = mlp()
    target = Target(online, HALF)
    for _ in range(steps):
        target.step()
    target.module[2].bias.data = online[2].bias.data
    with pytest.raises(ValueError, match=r"share '2\.bias'"):
        target.step()


def test_overlapping_views_raise_and_slices_of_a_stack_do_not() -> None:
    online, target = nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False)
    flat = torch.arange(8.0)
    online.weight.data, target.weight.data = flat[:4].view(2, 2), flat[3:7].view(2, 2)
    with pytest.raises(ValueError, match="share 'weight'"):
        soft_update(target, online, 0.5)
    target.weight.data = flat[4:].view(2, 2)
    soft_update(target, online, 0.5)
    assert flat.tolist() == [0, 1, 2, 3, 2, 3, 4, 5]
    columns = torch.arange(8.0).view(4, 2)
    online.weight.data, target.weight.data = columns[:, 0].view(2, 2), columns[:, 1].view(2, 2)
    soft_update(target, online, 0.5)
    assert columns[:, 1].tolist() == [0.5, 2.5, 4.5, 6.5]


def test_memory_that_a_network_has_left_is_freed() -> None:
    online = mlp()
    target = Target(online, HALF)
    target.step()
    left = [StorageWeakRef(network[0].weight.untyped_storage()) for network in (online, target.module)]
    online.double(), target.module.double()
    assert all(memory.expired() for memory in left)


def test_memory_shared_under_another_name_raises() -> None:
    online = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2))
    target = copy.deepcopy(online)
    target[0].weight.data = online[1].weight.data
    with pytest.raises(ValueError, match=r"share '0\.weight'"):
        hard_update(target, online)


# ---- networks that are hard to copy ----


class Keeping(nn.Module):
    def __init__(self, kept: Callable) -> None:
        super().__init__()
        self.layer, self._keep = nn.Linear(2, 2), kept

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        answer = self.layer(x)
        self.features = self._keep(answer)
        return answer


def pruned() -> nn.Module:
    layer = nn.Linear(2, 2)
    prune.l1_unstructured(layer, "weight", 0.5)
    return layer


@pytest.mark.filterwarnings("ignore:.*weight_norm.*deprecated:FutureWarning")
@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.utils.weight_norm(nn.Linear(2, 2)),
        lambda: nn.utils.spectral_norm(nn.Linear(2, 2)),
        pruned,
        lambda: Keeping(lambda answer: answer),
    ],
)  # fmt: skip
def test_results_kept_in_a_layer_do_not_prevent_a_copy(make: Callable[[], nn.Module]) -> None:
    online = nn.Sequential(make())
    x = torch.ones(1, 2)
    online(x).sum().backward()
    target = Target(online.eval(), HALF)
    torch.testing.assert_close(target(x), online(x))
    assert not target(x).requires_grad
    check_gaps(target.module, online)
    answer = target(x)
    with torch.no_grad():
        for parameter in online.parameters():
            parameter.add_(1)
    torch.testing.assert_close(target(x), answer)


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_traced_network_is_followed() -> None:
    online = torch.jit.trace(mlp(), torch.ones(1, 2))
    check_gaps(Target(online, HALF).module, online)


def test_a_network_without_a_copy_raises_and_names_the_layer_and_the_way_out() -> None:
    def make() -> nn.Module:
        return nn.Sequential(nn.Linear(2, 2), Keeping(lambda answer: [answer]))

    online = make()
    online(torch.ones(1, 2))
    with pytest.raises(ValueError, match=r"cannot copy '1' \(Keeping\).*module=network.*soft_update") as error:
        Target(online, HALF)
    assert "\n" not in str(error.value)
    check_gaps(Target(online, HALF, module=make()).module, online)


def test_a_network_of_ones_own_begins_as_a_copy_and_follows() -> None:
    online, own = mlp(), mlp()
    target = Target(online, HALF, module=own)
    assert target.module is own
    assert all(torch.equal(t, q) for t, q in zip(own.parameters(), online.parameters(), strict=True))
    assert not any(parameter.requires_grad for parameter in own.parameters())
    assert all(parameter.requires_grad for parameter in online.parameters())
    check_gaps(own, online)
    with pytest.raises(ValueError, match=r"share '0\.weight'"):
        Target(online, HALF, module=online)
    with pytest.raises(ValueError, match=r"has '1\.weight'|has '2\.weight'"):
        Target(online, HALF, module=nn.Sequential(nn.Linear(2, 3)))


@pytest.mark.filterwarnings("ignore:Lazy modules")
def test_a_lazy_layer_raises_until_it_has_run() -> None:
    online, own = (nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d()) for _ in range(2))
    for make in (lambda: Target(online, HALF), lambda: soft_update(own, online, 0.5)):
        with pytest.raises(ValueError, match=r"'0\.weight' has no shape yet.*run the online network once"):
            make()
    online(torch.ones(4, 2))
    check_gaps(Target(online, HALF).module, online)


@pytest.mark.parametrize("online", [nn.Sequential(nn.ReLU()), nn.BatchNorm1d(2, affine=False)])
def test_a_network_that_learns_nothing_raises(online: nn.Module) -> None:
    with pytest.raises(ValueError, match="nothing to follow"):
        Target(online, HALF)


SHARDED = """
import copy, sys, torch
import torch.distributed as dist
from torch import nn
from torch.distributed.fsdp import fully_shard
from softstep.adapters.torch import Target, soft_update
from softstep.target import TargetUpdate

dist.init_process_group("gloo", rank=0, world_size=1, store=dist.HashStore())
online = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2))
own = copy.deepcopy(online)
fully_shard(online), fully_shard(own)
try:
    Target(online, TargetUpdate(0.25))
    raise AssertionError("FSDP allows a copy")
except ValueError as error:
    assert "module=network" in str(error) and "soft_update" in str(error), error
target = Target(online, TargetUpdate(0.25), module=own)
for expected in (0.75, 0.75 * 1.75):
    with torch.no_grad():
        online[0].weight.add_(1)
    target.step()
    gap = online[0].weight.full_tensor() - own[0].weight.full_tensor()
    torch.testing.assert_close(gap, torch.full_like(gap, expected))
try:
    soft_update(own, nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)), 0.25)
    raise AssertionError("a sharded target follows a network that is not sharded")
except ValueError as error:
    assert "'0.weight': placements" in str(error), error
dist.destroy_process_group()
"""


def test_sharded_networks_are_followed() -> None:
    result = subprocess.run(
        [sys.executable, "-c", SHARDED], capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"}
    )
    assert result.returncode == 0, result.stderr


class Named(nn.Module):
    """A network whose layer has the name that its user's variable may have, too."""

    def __init__(self) -> None:
        super().__init__()
        self.online = nn.Linear(2, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.online(x)


def test_an_attribute_with_the_name_of_a_global_network_is_not_that_network(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Named()
    monkeypatch.setitem(globals(), "online", network)
    target = Target(network, TargetUpdate(0.5))
    with torch.no_grad():
        network.online.weight += 1
    assert not torch.equal(target.module.online.weight, network.online.weight)


def test_a_forward_that_reads_the_network_from_a_global_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    network = Named()
    monkeypatch.setitem(globals(), "everywhere", network)
    network.forward = lambda x: everywhere.online(x)  # noqa: F821 (a global of this module)
    with pytest.raises(ValueError, match="refers to the online network"):
        Target(network, TargetUpdate(0.5))
