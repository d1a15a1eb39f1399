"""Learning on the host by one kernel: the bits of XLA's program, and only where the kernel makes the whole update."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax
import numpy as np
import pytest
from support import advance, agent_bits, make_driver, small

from softstep.config import Config
from softstep.errors import EnvironmentFailed
from softstep.settings import Agent, Exploration
from softstep.target import TargetUpdate
from softstep.training import host_learning
from softstep.training.host_driver import HostDriver
from softstep.training.host_learning import KernelLearning, XlaLearning

PLAIN = {"batch_size": 32, "hidden": (16, 16), "block_width": 4}
TARGETS = (TargetUpdate(0.01), TargetUpdate.hard(5), TargetUpdate.harmonic(0.99))
AGENTS = tuple(
    Agent("arm", seed, rate, target, gamma, Exploration(end=0.2, steps=100))
    for seed, (rate, target, gamma) in enumerate(zip((1e-3, 3e-3, 1e-2), TARGETS, (0.99, 0.9, 0.95), strict=True))
)

VARIETIES: dict[str, dict[str, Any]] = {
    "plain": {},
    "Huber, double": {"loss": "huber", "double_q": True},
    "several updates": {"train_every": 4, "gradient_steps": 3},
    "several environments, a decaying rate": {
        "num_envs": 4, "train_every": 4, "learning_rate_decay": 0.1, "learning_rate_decay_steps": 150,
    },
    "other constants of Adam": {"optimizer_options": {"b1": 0.8, "b2": 0.95, "eps": 1e-5}},
}  # fmt: skip


def trained(config: Config, kind: str = "host") -> Any:
    """Run 600 iterations."""
    driver = make_driver(config, AGENTS, kind)
    advance(driver, config, 600)
    return driver


@pytest.mark.parametrize("name", VARIETIES)
def test_both_ways_and_the_compiled_loop_give_equal_bits(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    config = small(**PLAIN | VARIETIES[name])
    by_kernel = trained(config)
    assert isinstance(by_kernel._learning, KernelLearning)
    monkeypatch.setattr(host_learning, "overlaps", lambda: False)
    in_one_thread = trained(config)
    assert isinstance(in_one_thread._learning, KernelLearning)
    monkeypatch.setattr(host_learning, "KernelLearning", lambda _config, *rest: XlaLearning(rest[0], *rest[1:]))
    by_xla = trained(config)
    assert isinstance(by_xla._learning, XlaLearning)
    for other in (in_one_thread, by_xla, trained(config, "default")):
        for slot in range(len(AGENTS)):
            assert agent_bits(by_kernel, slot) == agent_bits(other, slot)


def test_a_long_run_of_units_that_are_never_active_gives_equal_bits() -> None:
    """Their μ shrinks below the smallest normal number, after some 830 gradient steps."""
    config = small(**PLAIN | {"hidden": (64,), "train_every": 1, "total_steps": 3000})
    drivers = [make_driver(config, AGENTS, kind) for kind in ("host", "default")]
    for driver in drivers:
        advance(driver, config, 2000)
    tiny = np.concatenate([np.ravel(np.asarray(mu)) for mu in drivers[0].state.learner.opt_state[0].mu])
    assert (tiny == 0).any()
    for slot in range(len(AGENTS)):
        assert agent_bits(drivers[0], slot) == agent_bits(drivers[1], slot)


def test_divergence_is_dated_as_by_xla() -> None:
    config = small(**PLAIN)
    agents = (AGENTS[0], dataclasses.replace(AGENTS[1], learning_rate=1e30), AGENTS[2])
    drivers = [make_driver(config, agents, kind) for kind in ("host", "default")]
    for driver in drivers:
        advance(driver, config, 60)
    dates = [np.asarray(driver.state.learner.diverged_at)[:3].tolist() for driver in drivers]
    assert dates[0] == dates[1]
    assert [date > 0 for date in dates[0]] == [False, True, False]


def test_a_state_is_a_copy_and_can_be_set() -> None:
    config = small(**PLAIN)
    driver, other = make_driver(config, AGENTS, "host"), make_driver(config, AGENTS, "host")
    advance(driver, config, 40)
    bits, state = agent_bits(driver, 0), driver.state
    other.state = state
    advance(driver, config, 10)
    assert agent_bits(driver, 0) != bits
    assert agent_bits(other, 0)[:-5] == bits[:-5]  # all but statistics and rows


def test_steps_that_were_begun_are_in_a_state_that_is_read_when_the_environment_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise EnvironmentFailed("")

    config = small(**PLAIN)
    driver, other = make_driver(config, AGENTS, "host"), make_driver(config, AGENTS, "host")
    advance(driver, config, 40)
    advance(other, config, 41)
    monkeypatch.setattr(driver, "_collect", fail)
    with pytest.raises(EnvironmentFailed):
        advance(driver, config, 1)
    for one, same in zip(*(jax.tree.leaves(each.state) for each in (driver, other)), strict=True):
        np.testing.assert_array_equal(one, same)


@pytest.mark.parametrize(
    "changes",
    [
        {"n_step": 3}, {"batch_size": 8}, {"max_grad_norm": 1.0}, {"optimizer": "sgd"}, {"target_scope": "last-layer"},
        {"normalization": "layer"},
    ],
    ids=str,
)  # fmt: skip
def test_what_the_kernel_does_not_know_is_left_to_xla(changes: dict[str, Any]) -> None:
    driver = make_driver(small(env="CartPole-v1", **PLAIN | changes))
    assert isinstance(driver, HostDriver)
    assert isinstance(driver._learning, XlaLearning)
    driver.close()


def test_without_kernels_xla_learns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOFTSTEP_KERNELS", "0")
    driver = make_driver(small(env="CartPole-v1", **PLAIN))
    assert isinstance(driver, HostDriver)
    assert isinstance(driver._learning, XlaLearning)
    driver.close()
