"""A PyTorch target has noise of its own: the buffers that noisy layers draw anew are not copied."""

from __future__ import annotations

import random
from collections.abc import Iterable

import numpy as np
import pytest
import torch
from torch import nn
from torchrl.modules import NoisyLinear

from softstep.adapters.torch import Target
from softstep.random_streams import random_streams_restored
from softstep.target import TargetUpdate

QUARTER = TargetUpdate(0.25)


class Noisy(nn.Module):
    """A layer with noise, a statistic and a counter in buffers."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = nn.Parameter(torch.zeros(3))
        self.register_buffer("noise", torch.zeros(3))
        self.register_buffer("statistic", torch.zeros(3))
        self.register_buffer("draws", torch.tensor(0))
        self.reset_noise()

    def reset_noise(self) -> None:
        self.noise.normal_()
        self.draws += 1

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + self.mean + self.noise


class Replacing(Noisy):
    """Draws in NumPy and with Python, into a new tensor, under the other usual name."""

    def sample_noise(self) -> None:
        self.noise = torch.tensor(np.random.normal(size=3) + random.random(), dtype=torch.float32)  # noqa: NPY002

    reset_noise = sample_noise


class Network(nn.Module):
    """A network whose `reset_noise` calls that of its layers, as in most implementations of Rainbow."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.norm, self.noisy = nn.BatchNorm1d(3), layer

    def reset_noise(self) -> None:
        self.noisy.reset_noise()


def fill_statistics(network: nn.Module, value: float) -> None:
    for name, buffer in network.named_buffers():
        if any(part in name for part in ("running", "statistic")):
            buffer.fill_(value)


@pytest.mark.parametrize("layer", [Noisy(), Replacing(), NoisyLinear(3, 3)], ids=lambda layer: type(layer).__name__)
@pytest.mark.parametrize("update", [QUARTER, TargetUpdate.none()], ids=["soft", "hard"])
def test_the_target_keeps_its_noise_and_copies_every_other_buffer(layer: nn.Module, update: TargetUpdate) -> None:
    online = Network(layer)
    target = Target(online, update)
    target.module.reset_noise()
    noise = {n: b.clone() for n, b in target.module.named_buffers() if "noise" in n or "eps" in n}
    assert noise
    fill_statistics(online, 7)
    online.reset_noise()
    target.step()
    for name, buffer in target.module.named_buffers():
        if name in noise:
            assert torch.equal(buffer, noise[name]), name
            assert not torch.equal(buffer, online.get_buffer(name)), name
        else:
            assert torch.equal(buffer, online.get_buffer(name)), name


@pytest.mark.parametrize("own_buffers", [[], ["statistic"]])
def test_own_buffers_replace_the_default(own_buffers: Iterable[str]) -> None:
    online = Noisy()
    target = Target(online, QUARTER, own_buffers=own_buffers)
    online.reset_noise()
    fill_statistics(online, 7)
    target.step()
    assert torch.equal(target.module.noise, online.noise)
    assert torch.equal(target.module.statistic, online.statistic) == (not own_buffers)


class NeedsAScale(Noisy):
    def reset_noise(self, scale: float = 1.0) -> None:
        self.noise.normal_(std=scale)

    def sample_noise(self, scale: float) -> None:
        self.statistic.fill_(scale)


def test_a_method_that_needs_arguments_is_not_tried() -> None:
    online = NeedsAScale()
    target = Target(online, QUARTER)
    fill_statistics(online, 7)
    target.step()
    assert torch.all(target.module.statistic == 7)


def test_statistics_that_are_not_numbers_are_copied() -> None:
    online = Network(Noisy())
    fill_statistics(online, float("nan"))
    target = Target(online, QUARTER)
    fill_statistics(online, 7)
    target.step()
    assert torch.all(target.module.norm.running_mean == 7)


@pytest.mark.parametrize("layer_class", [Noisy, Replacing])
def test_a_target_starts_as_a_copy_and_leaves_the_run_s_random_numbers_alone(layer_class: type[Noisy]) -> None:
    online = Network(layer_class())
    before = {name: buffer.clone() for name, buffer in online.named_buffers()}
    states = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    target = Target(online, QUARTER)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
    for name, buffer in before.items():
        assert torch.equal(online.get_buffer(name), buffer)
        assert torch.equal(target.module.get_buffer(name), buffer)


def test_random_numbers_are_restored_after_an_error_too() -> None:
    states = random.getstate(), np.random.get_state()[1].copy()  # noqa: NPY002

    def draw_and_fail() -> None:
        random.random()
        np.random.random()  # noqa: NPY002
        raise KeyError

    with pytest.raises(KeyError), random_streams_restored():
        draw_and_fail()
    assert random.getstate() == states[0]
    assert np.array_equal(np.random.get_state()[1], states[1])  # noqa: NPY002
