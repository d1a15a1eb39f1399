"""Target updates observed in libraries that need their own virtual environments."""

from __future__ import annotations

import itertools
import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from observing import assert_agrees, moved_fractions

from benchmarks import peers
from softstep import conventions
from softstep.conventions import Meaning
from softstep.conventions.libraries.ema_with_warmup import calls_until_decay
from softstep.conventions.reading import complete

PROGRAMS = Path(__file__).parent / "peers"

pytestmark = pytest.mark.heavy


def observe(peer: str, *arguments: str) -> dict[str, list[np.ndarray]]:
    """Run the program of a library in its environment and return the parameter vectors it prints."""
    (program,) = PROGRAMS.glob(f"{peer}_*.py")
    command = [str(peers.python(peer)), str(program), *arguments]
    result = subprocess.run(command, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    printed = json.loads(result.stdout.splitlines()[-1])  # after what the library logs
    return {name: [np.array(vector) for vector in vectors] for name, vectors in printed.items()}


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("DQN", {"polyak": 0.9}),
        ("DQN", {"polyak": 0.0, "target_update_freq": 30}),
        ("DQN", {"polyak": 0.5, "num_envs": 4}),
        ("DQN", {"polyak": 0.5, "num_envs": 4, "target_update_freq": 10}),
        ("DQN", {"polyak": 0.8, "num_epochs": 3, "target_update_freq": 2}),
        ("SAC", {"polyak": 0.9, "num_envs": 2, "target_update_freq": 6}),
        ("TD3", {"polyak": 0.9}),
        ("TD3", {"polyak": 0.8, "policy_delay": 3, "num_envs": 2, "num_epochs": 2, "target_update_freq": 9}),
    ],
    ids=str,
)
def test_rejax_weighs_the_old_and_counts_environment_steps(algorithm: str, settings: dict[str, Any]) -> None:
    observed = observe("rejax", algorithm, json.dumps(settings), "160")
    name = {"DQN": "rejax"}.get(algorithm, f"rejax-{algorithm.lower()}")
    meaning, values = conventions.read(name, settings), complete(name, settings)
    # there is one entry per iteration: num_epochs gradient steps after each of policy_delay steps of the environments
    gradient_steps = meaning.gradient_steps * int(values.get("policy_delay", 1))
    per_iteration = Meaning(meaning.tau, meaning.period / gradient_steps)
    assert_agrees(moved_fractions(observed["online"], observed["target"]), per_iteration)
    if algorithm == "TD3":
        assert_agrees(moved_fractions(observed["actor"], observed["actor_target"]), per_iteration)


def test_the_target_of_rejax_never_moves_at_a_frequency_of_zero() -> None:
    observed = observe("rejax", "DQN", json.dumps({"polyak": 0.5, "target_update_freq": 0}), "100")
    assert not any(moved_fractions(observed["online"], observed["target"]))


@pytest.mark.parametrize(
    ("algorithm", "settings"),
    [
        ("SAC", {"tau": 0.1, "policy_delay": 3}),
        ("TD3", {"tau": 0.1, "policy_delay": 3}),
        ("DDPG", {"tau": 0.2, "train_freq": 2, "gradient_steps": 4, "n_envs": 2}),
    ],
    ids=str,
)
def test_the_targets_of_sbx_do_not_wait_for_its_delayed_actor(algorithm: str, settings: dict[str, Any]) -> None:
    observed = observe("sbx", algorithm, json.dumps(settings), "60")
    delay = settings.pop("policy_delay", 1)
    name = f"sbx-{algorithm.lower()}"
    meaning = conventions.read(name, settings)
    assert_agrees(moved_fractions(observed["online"], observed["target"]), meaning)
    actor_stood_still = [bool(np.array_equal(a, b)) for a, b in itertools.pairwise(observed["actor"])]
    assert actor_stood_still == [k % delay != 0 for k in range(1, len(actor_stood_still) + 1)]
    if algorithm != "SAC":  # "actor" holds the actor before its own step, towards which its target moves
        fractions = moved_fractions(observed["actor"], observed["actor_target"])
        assert not any(fractions[:delay])  # both were still equal
        assert_agrees(fractions[delay:], meaning)


@pytest.mark.parametrize("frequency", [1, 3, 7])
def test_tianshou_copies_on_the_clock_of_gradient_steps_one_step_late(frequency: int) -> None:
    observed = observe("tianshou", str(frequency), "30")
    meaning = conventions.read("tianshou", {"target_update_freq": frequency})
    start = observed["target"][0]
    for k in range(1, 30):
        last_copy = frequency * ((k - 1) // frequency)  # according to its source
        expected = observed["online"][last_copy - 1] if last_copy else start
        np.testing.assert_allclose(observed["used"][k], expected, atol=1e-7)
    assert float(meaning.period) == frequency


@pytest.mark.parametrize(
    "settings",
    [{}, {"polyak": 0.1, "target_update_interval": 3},
     {"polyak": 0.2, "target_update_interval": 4, "gradient_steps": 3},
     {"polyak": 1, "target_update_interval": 5, "update_interval": 2}],
    ids=str,
)  # fmt: skip
def test_skrl_weighs_the_new_and_counts_gradient_steps(settings: dict[str, Any]) -> None:
    observed = observe("skrl", json.dumps(settings), "60")
    meaning = conventions.read("skrl", settings)
    assert len(observed["online"]) == 60 * meaning.gradient_steps
    assert_agrees(moved_fractions(observed["online"], observed["target"]), meaning)


@pytest.mark.parametrize("interval", [1, 3, 7])
def test_d3rlpy_copies_on_the_clock_of_gradient_steps_beginning_with_the_first(interval: int) -> None:
    observed = observe("d3rlpy", "DQN", json.dumps({"target_update_interval": interval}), "30")
    fractions = moved_fractions(observed["online"], observed["target"])
    assert_agrees(fractions, conventions.read("d3rlpy", {"target_update_interval": interval}))
    assert [k for k, fraction in enumerate(fractions) if fraction] == list(range(0, 30, interval))


def test_the_sac_of_d3rlpy_weighs_the_new_at_every_gradient_step() -> None:
    observed = observe("d3rlpy", "SAC", json.dumps({"tau": 0.1}), "20")
    assert_agrees(moved_fractions(observed["online"], observed["target"]), conventions.read("d3rlpy-sac", {"tau": 0.1}))


@pytest.mark.parametrize(
    "settings",
    [{"decay": 0.8}, {"decay": 0.8, "use_ema_warmup": True}, {"decay": 0.5, "update_after_step": 3}],
    ids=str,
)
def test_the_average_of_diffusers_starts_low_and_then_weighs_the_old(settings: dict[str, Any]) -> None:
    given = settings | {"use_ema_warmup": str(settings.get("use_ema_warmup", False))}
    observed = observe("diffusers", json.dumps(settings), "60")
    fractions = moved_fractions(observed["online"], observed["target"])
    complete_settings = complete("diffusers", given)
    start = int(calls_until_decay(complete_settings) + complete_settings["update_after_step"]) + 2
    assert fractions[0] == pytest.approx(1)
    assert all(fraction > 1.001 * (1 - settings["decay"]) for fraction in fractions[: start - 2])
    assert_agrees(fractions[start:], conventions.read("diffusers", given))


@pytest.mark.parametrize(
    ("algorithm", "name", "settings"),
    [
        ("QRDQN", "sb3-qrdqn", {"tau": 0.1, "target_update_interval": 8, "train_freq": 4}),
        ("QRDQN", "sb3-qrdqn", {"tau": 0.2, "target_update_interval": 2, "train_freq": 8, "gradient_steps": 4}),
        ("QRDQN", "sb3-qrdqn", {"tau": 0.1, "target_update_interval": 12, "train_freq": 2, "n_envs": 2}),
        ("TQC", "sb3-tqc", {"tau": 0.1, "gradient_steps": 4, "target_update_interval": 3}),
    ],
    ids=str,
)
def test_sb3_contrib_moves_as_stable_baselines3_does(algorithm: str, name: str, settings: dict[str, Any]) -> None:
    observed = observe("sb3_contrib", algorithm, json.dumps(settings), "160")
    assert_agrees(moved_fractions(observed["online"], observed["target"]), conventions.read(name, settings))
