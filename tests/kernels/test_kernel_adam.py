"""Adam's step and the target's update in one pass: optax's numbers, exact copies, and the check for finite numbers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from softstep.config import Config
from softstep.kernels import support
from softstep.kernels.adam import Constants, adam_step
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, Learner, LearnerState
from softstep.learner.networks import from_builder
from softstep.learner.q_learning import build_learner
from softstep.learner.target_update import update_target
from softstep.settings import Arm
from softstep.transition import Transition

SHAPES = ((33, 5), (33,), (3, 33), (16,), (2, 8, 4), (1,), ())
RATE = 0.01
OPTIONS: tuple[dict[str, float], ...] = (
    {},
    {"b1": 0.5, "b2": 0.9},
    {"b1": 0.0},
    {"eps": 1e-2},
    {"eps_root": 1e-3},
    {"b1": 0.8, "b2": 0.99, "eps": 1e-4, "eps_root": 1e-5},
)

Arrays = tuple[jax.Array, ...]


class AdamState(NamedTuple):
    """What a step reads and returns."""

    online: Arrays
    target: Arrays
    mu: Arrays
    nu: Arrays


def random_arrays(seed: int) -> Arrays:
    """Draw one array of each of `SHAPES`."""
    rng = np.random.default_rng(seed)
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in SHAPES)


def start(seed: int = 0) -> AdamState:
    """Return random networks with zero moments."""
    mu, nu = (tuple(jnp.zeros(shape) for shape in SHAPES) for _ in range(2))
    return AdamState(random_arrays(seed), random_arrays(seed + 100), mu, nu)


def stepped(
    state: AdamState, gradient: Arrays, tau: Any, fire: Any, *, rate: Any = RATE, count: Any = 1, options: Any = None
) -> tuple[AdamState, jax.Array]:
    """Take one step; return the state, and whether the online parameters are finite."""
    *new, finite = adam_step(
        Constants(**options or {}), *state, gradient, rate, jnp.asarray(count, jnp.int32), tau, fire
    )
    return AdamState(*new), finite


def by_optax(options: dict[str, float], gradients: list[Arrays], tau: float, fires: list[bool]) -> Iterator[AdamState]:
    """Yield the state after every step."""
    adam = optax.adam(RATE, **options)
    online, target, *_ = start()
    state = adam.init(online)
    for gradient, fire in zip(gradients, fires, strict=True):
        change, state = adam.update(gradient, state)
        online = optax.apply_updates(online, change)
        target = update_target(target, online, tau, fire)
        yield AdamState(online, target, state[0].mu, state[0].nu)


def stack(*trees: Any) -> Any:
    return jax.tree.map(lambda *arrays: jnp.stack(arrays), *trees)


def bits(arrays: Any) -> list[bytes]:
    return [np.asarray(array).tobytes() for array in jax.tree.leaves(arrays)]


def with_number(arrays: Arrays, array: int, index: int, number: float) -> Arrays:
    """Replace one number of one array."""
    changed = arrays[array].ravel().at[index].set(number).reshape(SHAPES[array])
    return (*arrays[:array], changed, *arrays[array + 1 :])


def assert_close(ours: Any, theirs: Any, rtol: float = 1e-5, atol: float = 1e-6) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=rtol, atol=atol), ours, theirs)


# ---- numbers ----


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("tau", [1.0, 0.5, 0.005])
def test_steps_equal_optax_and_update_target(options: dict[str, float], tau: float) -> None:
    fires = [False, True, True, False]
    gradients = [jax.tree.map(lambda g, n=n: g * 10.0 ** (n - 2), random_arrays(seed=n)) for n in range(4)]
    ours = start()
    for n, theirs in enumerate(by_optax(options, gradients, tau, fires)):
        ours, finite = stepped(ours, gradients[n], tau, fires[n], count=n + 1, options=options)
        assert_close(ours, theirs)
        assert finite


@pytest.mark.parametrize("factor", [0.0, 1e-12, 1e-6, 1e18])
def test_tiny_and_huge_gradients_equal_optax(factor: float) -> None:
    """The squares of the largest gradients are just representable in float32."""
    gradient = jax.tree.map(lambda g: g * factor, random_arrays(7))
    (theirs,) = by_optax({}, [gradient], 0.5, [True])
    ours, _ = stepped(start(), gradient, 0.5, True)
    assert_close(ours, theirs)


AGENTS = 8


def one_agent(state: AdamState, gradient: Arrays, settings: dict[str, Any]) -> tuple[AdamState, jax.Array]:
    return stepped(state, gradient, settings["tau"], settings["fire"], rate=settings["rate"], count=settings["count"])


def many_agents() -> tuple[AdamState, Arrays, dict[str, Any]]:
    """Return arguments of `one_agent` for several agents that differ in everything."""
    settings = {
        "tau": jnp.array([1, 0.3, 0.5, 1, 0.005, 1, 0.1, 0.9], jnp.float32),
        "fire": jnp.array([True, False, True, False, True, True, True, False]),
        "rate": jnp.geomspace(1e-4, 1e-1, AGENTS),
        "count": jnp.array([1, 9, 4, 10_000, 2, 300, 1, 77]),
    }
    return stack(*map(start, range(AGENTS))), stack(*map(random_arrays, range(50, 50 + AGENTS))), settings


def chosen(arrays: Any, agents: Any) -> Any:
    return jax.tree.map(lambda array: array[agents], arrays)


def test_agents_in_a_block_equal_the_same_agents_alone() -> None:
    together = jax.jit(jax.vmap(one_agent))(*many_agents())
    for n in range(AGENTS):
        assert_close(chosen(together, n), one_agent(*chosen(many_agents(), n)))


@pytest.mark.parametrize("slots", [[0], [5], [0, 1, 2], [7, 5, 2], [7, 6, 5, 4, 3, 2, 1, 0]], ids=str)
def test_an_agents_bits_do_not_depend_on_its_slot_or_the_number_of_agents(slots: list[int]) -> None:
    block, agents = jax.jit(jax.vmap(one_agent)), np.array(slots)
    assert bits(block(*chosen(many_agents(), agents))) == bits(chosen(block(*many_agents()), agents))


def test_inputs_are_not_modified() -> None:
    """The kernel writes in place, on copies if the caller still holds the arrays."""
    state, gradient = start(), random_arrays(1)
    before = bits((state, gradient))
    after = jax.jit(stepped)(state, gradient, 0.5, True)
    assert bits((state, gradient)) == before
    donating = jax.jit(stepped, donate_argnums=0)
    assert bits(donating(state, gradient, 0.5, True)) == bits(after)


# ---- the target ----


def test_tau_one_copies_the_new_online_parameters_bit_for_bit() -> None:
    state = start()
    state = state._replace(target=jax.tree.map(lambda t: t * 1e4, state.target))  # τ·(Q − T) + T would miss Q
    after, _ = stepped(state, random_arrays(1), 1.0, True)
    assert bits(after.target) == bits(after.online) != bits(state.online)


@pytest.mark.parametrize("tau", [1.0, 0.5, 0.005])
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_without_firing_the_target_keeps_its_bits_even_if_the_online_parameters_diverge(
    tau: float, number: float
) -> None:
    state = start()
    after, finite = stepped(state, tuple(jnp.full(shape, number) for shape in SHAPES), tau, False)
    assert bits(after.target) == bits(state.target)
    assert not finite
    for array in after.online:
        assert np.isnan(array).all()


@pytest.mark.parametrize("tau", [1.0, 0.5])
def test_nan_spreads_to_the_same_element_of_an_updated_target_only(tau: float) -> None:
    gradient = with_number(random_arrays(1), 2, 40, np.nan)
    after, _ = stepped(start(), gradient, tau, True)
    for name in ("online", "target"):
        poisoned = np.concatenate([np.isnan(array).ravel() for array in getattr(after, name)])
        assert np.flatnonzero(poisoned).tolist() == [33 * 5 + 33 + 40]


# ---- the check for finite numbers ----

ENDS = [(n, index) for n, shape in enumerate(SHAPES) for index in sorted({0, int(np.prod(shape)) - 1})]
"""First and last element of every array."""


@pytest.mark.parametrize(("array", "index"), ENDS)
@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_one_non_finite_number_is_detected_wherever_it_is(array: int, index: int, number: float) -> None:
    state, zeros = start(), tuple(jnp.zeros(shape) for shape in SHAPES)
    bad = state._replace(online=with_number(state.online, array, index, number))
    for fire in (True, False):
        assert not stepped(bad, zeros, 0.5, fire)[1]


@pytest.mark.parametrize("part", ["target", "mu", "nu"])
def test_only_the_online_parameters_must_be_finite(part: str) -> None:
    """An infinite ν gives a step of 0; a NaN in μ makes the parameter NaN."""
    state = start()
    bad = state._replace(**{part: with_number(getattr(state, part), 4, 11, np.nan if part == "mu" else np.inf)})
    after, finite = stepped(bad, random_arrays(1), 0.5, True)
    assert bool(finite) == all(np.isfinite(array).all() for array in after.online) == (part != "mu")


def test_the_largest_float_is_finite_and_a_step_beyond_it_is_not() -> None:
    largest = float(np.finfo(np.float32).max)
    state = start()._replace(online=tuple(jnp.full(shape, largest) for shape in SHAPES))
    upwards = tuple(jnp.full(shape, -1.0) for shape in SHAPES)
    assert stepped(state, upwards, 0.005, False, rate=0.0)[1]
    after, finite = stepped(state, upwards, 0.005, False, rate=np.float32(1e36))
    assert np.isposinf(after.online[0]).all()
    assert not finite


def test_each_agent_is_checked_on_its_own() -> None:
    states = [start(n) for n in range(3)]
    states[1] = states[1]._replace(online=with_number(states[1].online, 3, 15, np.inf))
    _, finite = jax.vmap(lambda state, gradient: stepped(state, gradient, 0.5, True))(
        stack(*states), stack(*map(random_arrays, range(3)))
    )
    assert finite.tolist() == [True, False, True]


# ---- in the learner ----

OBSERVATION, ACTIONS, BATCH = 5, 3, 24


def learner(**changes: Any) -> Learner:
    return make_learner(Config(hidden=(17, 33), batch_size=BATCH, **changes), OBSERVATION, ACTIONS)


def minibatch(seed: int) -> Transition:
    rng = np.random.default_rng(seed)
    observation, following = rng.standard_normal((2, BATCH, OBSERVATION)).astype(np.float32)
    reward, discount = rng.standard_normal(BATCH).astype(np.float32), rng.choice([0, 1], BATCH).astype(np.float32)
    return Transition(observation, rng.integers(ACTIONS, size=BATCH).astype(np.int32), reward, discount, following)


def hyper(blended: bool) -> Hyper:
    return Hyper(jnp.float32(1e-2), jnp.float32(0.3), jnp.int32(2), jnp.float32(0.9), blended or None)


def trajectory(learner: Learner, hyper: Hyper, state: LearnerState) -> Iterator[tuple[LearnerState, jax.Array]]:
    update = jax.jit(learner.update)
    for seed in range(6):
        state, loss = update(state, minibatch(seed), hyper)
        yield state, loss


def program(learner: Learner, dtype: Any = jnp.float32) -> str:
    """Return the text of an update's program."""
    arguments = jax.tree.map(
        lambda array: array.astype(dtype) if jnp.issubdtype(array.dtype, jnp.floating) else array,
        (learner.init(jax.random.key(0)), jax.tree.map(jnp.asarray, minibatch(0))),
    )
    return str(jax.make_jaxpr(learner.update)(*arguments, hyper(blended=False)))


@pytest.mark.parametrize(
    "changes",
    [
        {"loss": "mse"},
        {"loss": "huber"},
        {"loss": "mse", "double_q": True},
        {"loss": "huber", "double_q": True},
        {"optimizer_options": {"b1": 0.8, "eps": 1e-3}},
        {"arms": (Arm("blended", blended=True),)},
    ],
    ids=str,
)
def test_a_learner_learns_the_same_with_and_without_kernels(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    settings, initial = hyper("arms" in changes), learner(**changes).init(jax.random.key(0))
    other = learner(**changes).init(jax.random.key(1)).online  # far from Q, so that double Q's two argmaxes differ
    initial = initial._replace(target=other)
    ours = list(trajectory(learner(**changes), settings, initial))
    monkeypatch.setattr(support, "kernels_supported", lambda: False)
    theirs = list(trajectory(learner(**changes), settings, initial))
    assert_close(ours, theirs, rtol=1e-4)
    for one, other in zip(jax.tree.leaves(ours), jax.tree.leaves(theirs), strict=True):
        assert (one.shape, one.dtype) == (other.shape, other.dtype)


SEPARATE = ("softstep_forward", "softstep_backward", "softstep_adam")


def test_a_plain_update_is_one_kernel() -> None:
    text = program(learner())
    assert text.count("softstep_") == text.count("softstep_q_step") == 1


@pytest.mark.parametrize(
    "changes", [{"arms": (Arm("blended", blended=True),)}, {"target_scope": "last-layer"}], ids=str
)
def test_an_update_of_another_kind_uses_three_kernels_if_they_are_supported(
    changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with_kernels = program(learner(**changes))
    monkeypatch.setattr(support, "kernels_supported", lambda: False)
    without = program(learner(**changes))
    for name in SEPARATE:
        assert name in with_kernels
        assert name not in without
    assert "softstep_q_step" not in with_kernels


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "sgd"},
        {"optimizer": "adamw"},
        {"optimizer": "nadam"},
        {"optimizer_options": {"nesterov": 1.0}},
        {"max_grad_norm": 0.5},
    ],
    ids=str,
)
def test_any_other_optimizer_step_is_left_to_optax(changes: dict[str, Any]) -> None:
    text = program(learner(**changes))
    assert "softstep_adam" not in text
    assert "softstep_backward" in text


def test_a_learner_in_float64_does_not_use_kernels() -> None:
    with jax.enable_x64(True):
        assert "softstep" not in program(learner(), jnp.float64)


def test_an_agent_whose_parameters_overflow_has_diverged_even_if_its_loss_is_finite() -> None:
    ours, settings = learner(), hyper(blended=False)
    state = jax.vmap(ours.init)(jax.random.split(jax.random.key(0), 3))
    update, marks = jax.jit(jax.vmap(ours.update, in_axes=(0, None, Hyper(0, None, None, None)))), []
    for step in range(1, 5):
        rates = jnp.array([1e-2, np.inf if step == 3 else 1e-2, 1e-2])
        state, loss = update(state, minibatch(step), settings._replace(learning_rate=rates))
        marks.append(state.diverged_at.tolist())
        assert np.isfinite(loss).all() or step == 4
    assert marks == [[0, 0, 0], [0, 0, 0], [0, 3, 0], [0, 3, 0]]


class WithEmpty(eqx.Module):
    """A custom network with an empty array."""

    empty: jax.Array
    weight: jax.Array

    def __call__(self, observation: jax.Array) -> jax.Array:
        return self.weight @ observation


def test_a_network_with_an_empty_array_learns() -> None:
    """A kernel derives the number of agents from the size of its first array, so an empty one is left to XLA."""
    network = from_builder(lambda key: WithEmpty(jnp.zeros((0, 3)), jax.random.normal(key, (2, 3))))
    built = build_learner(network, optax.adam, adam=Constants())
    state = built.init(jax.random.key(0))
    ones = Transition(jnp.ones((16, 3)), jnp.zeros(16, int), jnp.ones(16), jnp.ones(16), jnp.ones((16, 3)))
    after, _ = built.update(state, ones, Hyper(learning_rate=RATE, tau=0.5, period=1, gamma=0.9))
    assert int(after.diverged_at) == 0
    assert float(jnp.max(jnp.abs(after.online[1] - state.online[1]))) == pytest.approx(RATE, rel=1e-3)
