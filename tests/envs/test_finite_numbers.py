"""Numbers that are none, and those that float32 cannot hold, end a run where they occur; nothing learns from them."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pytest
from counting import Counting, named
from gymnasium.spaces import Box
from hypothesis import given
from hypothesis import strategies as st
from support import Tape, advance, make_driver, small

from softstep import envs
from softstep.comparison.run_comparison import compare
from softstep.config import Config
from softstep.envs.checks import LARGEST, check_finite, finite_check, reward_number
from softstep.errors import BadValue, EnvironmentFailed, NotFinite
from softstep.training.evaluation import play_on_host
from softstep.worker.in_process import run_blocks_here

NAN = float("nan")

# ---- the checks ----


@given(st.floats() | st.floats(width=32) | st.integers(-(10**40), 10**40))
def test_a_reward_is_taken_if_and_only_if_float32_can_hold_it(reward: float) -> None:
    if abs(reward) <= LARGEST:
        assert reward_number(reward) == float(reward)
        assert reward_number(np.float64(reward)) == float(reward)
        assert reward_number(np.array([reward])) == float(np.array([reward], float)[0])
    else:
        with pytest.raises(NotFinite, match="its reward is"):
            reward_number(reward)


@pytest.mark.parametrize("reward", [True, np.True_, 2, np.int8(2), np.float32(0.1), np.array(0.5), "1.5", jnp.ones(1)])
def test_numbers_of_other_types_are_rewards(reward: Any) -> None:
    number = reward_number(reward)
    assert type(number) is float
    assert np.float32(number) == np.float32(np.asarray(reward).item())


@pytest.mark.parametrize("shape", [(0,), (2,), (1, 1), (1, 0), (3, 1)])
def test_a_reward_of_another_shape_is_named(shape: tuple[int, ...]) -> None:
    with pytest.raises(BadValue, match=r"shape \(" + str(shape[0])):
        reward_number(np.zeros(shape))


@pytest.mark.filterwarnings("error")
@given(st.lists(st.floats(width=32), min_size=1, max_size=9))
def test_rows_are_refused_if_and_only_if_a_number_is_not_finite(numbers: list[float]) -> None:
    values = np.zeros(len(numbers), np.float32)
    faster = finite_check(values)
    faster()
    values[:] = numbers
    for check in (faster, partial(check_finite, values)):
        if np.isfinite(values).all():
            check()
        else:
            with pytest.raises(NotFinite, match=r"its observation holds (nan|inf|-inf)"):
                check()


# ---- environments ----


class Bad(Counting):
    """Behaves until the fourth step of the second episode."""

    @property
    def now(self) -> bool:
        return self.episodes == 2 and self.t == 4


BAD_NUMBERS: dict[str, Any] = {"NaN": NAN, "Inf": float("-inf"), "None": None, "Beyond": 1e39}


for label, number in BAD_NUMBERS.items():

    @named(f"Reward{label}")
    class BadReward(Bad):
        number = number

        def pay(self, action: Any) -> Any:
            return self.number if self.now else 1.0

    if number is not None:

        @named(f"Observation{label}")
        class BadObservation(Bad):
            space = Box(-np.inf, np.inf, (3,), np.float64)
            number = number

            def look(self) -> Any:
                return np.array([self.t, self.number if self.now else 0, 0])


@named("ResetNaN")
class ResetNaN(Counting):
    def look(self) -> Any:
        return np.array([self.t, NAN if self.episodes == 2 and self.t == 0 else 0, 0], np.float32)


@named("FirstNaN")
class FirstNaN(Counting):
    def look(self) -> Any:
        return np.full(3, NAN, np.float32)


BAD = {f"Reward{label}": r"its reward is (nan|-inf|None|1e\+39)" for label in BAD_NUMBERS}
BAD |= {f"Observation{label}": "its observation holds" for label in BAD_NUMBERS if label != "None"}

# A reward comes from the fourth step's beginning, an observation from its end.
STEP = {name: 7 + (5 if name.startswith("Reward") else 4) for name in BAD} | {"ResetNaN": 7}


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("name", STEP)
def test_stepping_ends_at_the_number(name: str) -> None:
    spec = envs.describe(Config(env=f"{name}-v0"))
    host = envs.make_host(spec, [0, 1], 1)
    for _ in range(STEP[name] - 1):
        host.step(np.zeros((2, 1), int))
    with pytest.raises(NotFinite, match=BAD.get(name, "its observation holds nan")):
        host.step(np.zeros((2, 1), int))


def test_a_first_reset_that_is_not_finite_ends_the_run() -> None:
    spec = envs.describe(Config(env="FirstNaN-v0"))
    with pytest.raises(
        EnvironmentFailed, match="FirstNaN-v0 failed at environment step 0, its first reset: its observation holds nan"
    ):
        envs.make_host(spec, [0], 1)


@pytest.mark.filterwarnings("ignore:(overflow|invalid value) encountered:RuntimeWarning")
@pytest.mark.parametrize("name", ["RewardNone", "ObservationBeyond", "FirstNaN"])
def test_an_evaluation_ends_at_the_number(name: str) -> None:
    spec = envs.describe(Config(env=f"{name}-v0"))
    cls: Any = Bad
    before, cls.now = cls.now, property(lambda self: self.t == 4)  # an evaluation plays one episode
    try:
        with pytest.raises(EnvironmentFailed, match=rf"^{name}-v0 .*evaluation.*: its (reward|observation)"):
            play_on_host(spec, lambda o: np.zeros(o.shape[:2], int), 2, [1, 2], 100)
    finally:
        cls.now = before


def test_training_names_the_step_and_saves_nothing_of_it() -> None:
    tape = Tape(small(env="RewardNaN-v0", learning_starts=4, checkpoint_every=4))
    with pytest.raises(EnvironmentFailed, match=r"^RewardNaN-v0 failed at environment step 12: its reward is nan"):
        tape.run()
    assert [snapshot.env_steps for snapshot in tape.snapshots] == [4, 8]
    assert all(np.isfinite(rows).all() for snapshot in tape.snapshots for rows in snapshot.new_rows)


@named("Rich")
class Rich(Counting):
    def pay(self, action: Any) -> Any:
        return 1e30


@pytest.mark.filterwarnings("ignore:overflow encountered:RuntimeWarning")
def test_a_reward_that_its_factor_makes_too_large_ends_the_run() -> None:
    tape = Tape(small(env="Rich-v0", reward_scale=1e10, learning_starts=4, record_every=50, memory_size=400))
    with pytest.raises(EnvironmentFailed, match=r"its reward times reward_scale = 10000000000.0 is beyond float32"):
        tape.run()
    assert not tape.records


def spoil_step_3(quantity: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the third step of every compiled CartPole's episode return NaN."""
    env = envs.make_compiled("CartPole-v1")

    def step(randomness: Any, state: Any, action: Any) -> Any:
        result = env.step(randomness, state, action)
        bad = jnp.where(result.state.time == 3, jnp.nan, 0)
        if quantity == "reward":
            return result._replace(reward=result.reward + bad)
        return result._replace(next_observation=result.next_observation + bad)

    monkeypatch.setattr(envs, "make_compiled", lambda name: env._replace(step=step))


def test_a_compiled_loop_overwrites_no_unchecked_row(monkeypatch: pytest.MonkeyPatch) -> None:
    spoil_step_3("reward", monkeypatch)
    config = small(memory_size=8)
    driver = make_driver(config)
    with pytest.raises(EnvironmentFailed, match="at environment step 3:"):
        advance(driver, config, 8)  # 16 rows


@pytest.mark.parametrize("quantity", ["reward", "observation"])
def test_a_compiled_environment_is_checked_before_anything_is_recorded(
    quantity: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    spoil_step_3(quantity, monkeypatch)
    config = small(memory_size=400)
    driver = make_driver(config)
    driver.check()
    advance(driver, config, 5)
    with pytest.raises(EnvironmentFailed, match=rf"CartPole-v1 failed at environment step 3: its {quantity} is nan"):
        driver.check()
    tape = Tape(config)
    with pytest.raises(EnvironmentFailed, match="at environment step 3"):
        tape.run()
    assert not tape.records
    assert not tape.snapshots


def test_a_comparison_with_such_a_number_has_no_verdict(tmp_path: Path) -> None:
    config = small(env="RewardNaN-v0", total_steps=40, eval_every=20, learning_starts=4, seeds=2)
    with pytest.raises(EnvironmentFailed, match="its reward is nan"):
        compare(config, tmp_path / "c", arms=("soft", "same-alpha"), margin=1, floor=0, execute=run_blocks_here)
    assert not list(tmp_path.rglob("verdict.json"))
