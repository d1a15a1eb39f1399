"""One learner: its update against an independent implementation, its clock, optimizers and divergence."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, Learner, LearnerState, target_gap
from softstep.learner.optimizers import optimizer_by_name
from softstep.settings import Arm
from softstep.target import TargetUpdate
from softstep.transition import Transition

O, A, B = 3, 2, 8  # noqa: E741


def learner(**changes: Any) -> Learner:
    return make_learner(Config(hidden=(4,), **changes), O, A)


def batch(seed: int, dtype: Any = np.float32, scale: float = 1.0) -> Transition:
    rng = np.random.default_rng(seed)
    return Transition(
        rng.standard_normal((B, O)).astype(dtype),
        rng.integers(A, size=B).astype(np.int32),
        (scale * rng.standard_normal(B)).astype(dtype),
        rng.choice([0, 1], B).astype(dtype),
        rng.standard_normal((B, O)).astype(dtype),
    )


def hyper(learning_rate: float = 1e-2, target: TargetUpdate | None = None, gamma: float = 0.9) -> Hyper:
    target = target or TargetUpdate(0.1)
    return Hyper(learning_rate, target.tau, target.period, gamma)


def run(learner: Learner, updates: int, hyper: Hyper, seed: int = 0) -> Iterator[LearnerState]:
    state, update = learner.init(jax.random.key(seed)), jax.jit(learner.update)
    for step in range(updates):
        state, _ = update(state, batch(step), hyper)
        yield state


def assert_equal(a: Any, b: Any) -> None:
    jax.tree.map(lambda x, y: np.testing.assert_array_equal(np.asarray(x), np.asarray(y)), a, b)


# ---- independent implementation: NumPy, float64, gradients from finite differences ----


class ReferenceLearner:
    """The same agent, written independently from the papers."""

    def __init__(self, params: Any, loss: str, double_q: bool, clip: float | None) -> None:
        self.shapes = [np.shape(p) for p in params]
        self.online = np.concatenate([np.ravel(p) for p in params]).astype(np.float64)
        self.target = self.online.copy()
        self.first, self.second, self.count = np.zeros_like(self.online), np.zeros_like(self.online), 0
        self.loss, self.double_q, self.clip = loss, double_q, clip

    def q(self, vector: np.ndarray, observations: np.ndarray) -> np.ndarray:
        ends = np.cumsum([np.prod(s, dtype=int) for s in self.shapes])
        w0, b0, w1, b1 = (p.reshape(s) for p, s in zip(np.split(vector, ends[:-1]), self.shapes, strict=True))
        return np.array([w1 @ np.clip(w0 @ o + b0, 0, None) + b1 for o in observations])

    def mean_loss(self, vector: np.ndarray, data: Transition, gamma: float) -> float:
        total = 0.0
        target_next = self.q(self.target, data.next_observation)
        online_next = self.q(self.online, data.next_observation)
        for i, values in enumerate(self.q(vector, data.observation)):
            best = int(np.argmax(online_next[i] if self.double_q else target_next[i]))
            y = data.reward[i] + (gamma * target_next[i, best] if data.discount[i] else 0.0)
            error = y - values[data.action[i]]
            if self.loss == "mse":
                total += error**2
            else:
                total += error**2 / 2 if abs(error) < 1 else abs(error) - 1 / 2
        return total / len(data.reward)

    def update(self, data: Transition, learning_rate: float, target: TargetUpdate, gamma: float) -> float:
        before, h = self.mean_loss(self.online, data, gamma), 1e-6
        perturbations = h * np.eye(self.online.size)
        gradient = np.array(
            [
                self.mean_loss(self.online + n, data, gamma) - self.mean_loss(self.online - n, data, gamma)
                for n in perturbations
            ]
        ) / (2 * h)
        if self.clip is not None and (norm := np.sqrt(gradient @ gradient)) > self.clip:
            gradient = gradient * self.clip / norm
        self.count += 1  # Adam: Kingma & Ba 2015, algorithm 1
        self.first = 0.9 * self.first + 0.1 * gradient
        self.second = 0.999 * self.second + 0.001 * gradient**2
        m, v = self.first / (1 - 0.9**self.count), self.second / (1 - 0.999**self.count)
        self.online = self.online - learning_rate * m / (np.sqrt(v) + 1e-8)
        if self.count % target.period == 0:
            self.target = (1 - target.tau) * self.target + target.tau * self.online
        return before


CASES = list(
    itertools.product(["mse", "huber"], [False, True], [TargetUpdate(0.1), TargetUpdate.hard(2)], [None, 0.05])
)


@pytest.mark.parametrize(("loss", "double_q", "target", "clip"), CASES)
def test_updates_equal_those_of_an_independent_implementation(
    loss: Any, double_q: bool, target: TargetUpdate, clip: float | None
) -> None:
    with jax.enable_x64(True):
        ours = learner(loss=loss, double_q=double_q, max_grad_norm=clip)
        state = ours.init(jax.random.key(0))
        assert state.online[0].dtype == jnp.float64
        state = state._replace(
            target=ours.init(jax.random.key(1)).online
        )  # far from Q, so that the two argmaxes differ
        reference, update = ReferenceLearner(state.online, loss, double_q, clip), jax.jit(ours.update)
        reference.target = np.concatenate([np.ravel(p) for p in state.target])
        for step in range(3):
            data = batch(step, np.float64, scale=2)
            state, value = update(state, data, hyper(target=target))
            expected = reference.update(data, 1e-2, target, 0.9)
            np.testing.assert_allclose(value, expected, rtol=1e-9)
            for name in ("online", "target"):
                vector = np.concatenate([np.ravel(p) for p in getattr(state, name)])
                np.testing.assert_allclose(vector, getattr(reference, name), rtol=0, atol=1e-8)


# ---- the clock ----


def test_hard_copies_fire_at_every_nth_gradient_step_counting_from_one() -> None:
    equal = [float(target_gap(s)) == 0 for s in run(learner(), 9, hyper(target=TargetUpdate.hard(3)))]
    assert equal == [False, False, True] * 3


def test_no_target_network_keeps_the_target_equal_to_the_online_network_bit_for_bit() -> None:
    for state in run(learner(), 20, hyper(target=TargetUpdate.none())):
        assert_equal(state.target, state.online)


def test_a_soft_target_with_a_period_is_constant_between_its_updates() -> None:
    states = list(run(learner(), 8, hyper(target=TargetUpdate(0.5, period=4))))
    moved = [not np.array_equal(a.target[0], b.target[0]) for a, b in itertools.pairwise(states)]
    assert moved == [False, False, True, False, False, False, True]  # at steps 4 and 8


def test_the_blend_uses_the_new_online_parameters() -> None:
    ours = learner()
    before = ours.init(jax.random.key(0))
    after, _ = jax.jit(ours.update)(before, batch(0), hyper(target=TargetUpdate(0.25)))
    expected = jax.tree.map(lambda old, new: 0.75 * old + 0.25 * new, before.target, after.online)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), after.target, expected)
    assert not np.array_equal(before.online[0], after.online[0])


def test_the_target_starts_as_a_copy_in_separate_memory() -> None:
    state = learner().init(jax.random.key(0))
    assert_equal(state.target, state.online)
    jax.jit(lambda s: jax.tree.map(lambda x: x + 1, s), donate_argnums=0)(
        state
    )  # raises if one buffer is donated twice
    fresh = jax.jit(learner().init)(jax.random.key(0))
    addresses = [leaf.unsafe_buffer_pointer() for leaf in (*fresh.online, *fresh.target)]
    assert len(set(addresses)) == len(addresses)


def test_the_target_does_not_enter_the_gradient() -> None:
    """With γ = 0 the online update is independent of the target network."""
    ours = learner()
    state = ours.init(jax.random.key(0))
    other = state._replace(target=jax.tree.map(lambda x: x + 9, state.target))
    a, b = (ours.update(s, batch(0), hyper(gamma=0.0))[0].online for s in (state, other))
    assert_equal(a, b)


# ---- custom networks ----


class Narrow(eqx.Module):
    """A linear network in bfloat16."""

    weight: jax.Array

    def __call__(self, observation: jax.Array) -> jax.Array:
        return self.weight @ observation.astype(self.weight.dtype)


def narrow(key: jax.Array, observation_size: int, num_actions: int) -> Narrow:
    return Narrow(jax.random.normal(key, (num_actions, observation_size), jnp.bfloat16))


def test_the_target_of_a_narrow_network_is_kept_in_float32() -> None:
    ours = learner(network=f"{__name__}:narrow")
    start = ours.init(jax.random.key(0))
    assert start.online[0].dtype == jnp.bfloat16
    assert start.target[0].dtype == jnp.float32
    *_, last = run(ours, 3, hyper(target=TargetUpdate(1e-3)))
    assert [leaf.dtype for leaf in jax.tree.leaves(last)] == [leaf.dtype for leaf in jax.tree.leaves(start)]
    assert not np.array_equal(last.target[0], start.target[0])


# ---- optimizers ----

NAMES = ["adam", "sgd", "rmsprop", "lion", "adamw", "adabelief", "radam", "nadam", "adagrad", "lamb", "noisy_sgd"]


@pytest.mark.parametrize("name", NAMES)
def test_an_optax_optimizer_selected_by_name_learns(name: str) -> None:
    ours, hyper = learner(optimizer=name), Hyper(jnp.full(2, 1e-2), jnp.ones(2), jnp.ones(2, int), jnp.full(2, 0.9))
    state = jax.vmap(ours.init)(jax.random.split(jax.random.key(0), 2))
    data = jax.tree.map(lambda x: np.stack([x, x]), batch(0))
    after, loss = jax.jit(jax.vmap(ours.update))(state, data, hyper)
    assert jax.tree.map(lambda x: (x.shape, x.dtype), after) == jax.tree.map(lambda x: (x.shape, x.dtype), state)
    assert np.isfinite(loss).all()
    assert not np.array_equal(after.online[0], state.online[0])


@pytest.mark.parametrize(
    ("name", "options"),
    [("adam", {"b1": 0.8, "eps": 1e-3}), ("sgd", {"momentum": 0.9}), ("rmsprop", {"decay": 0.5})],
)
def test_an_update_equals_that_of_optax_with_the_same_options(name: str, options: dict[str, float]) -> None:
    ours = learner(optimizer=name, optimizer_options=options)
    theirs = getattr(optax, name)(1e-2, **options)
    state = ours.init(jax.random.key(0))
    params, opt_state = state.online, theirs.init(state.online)
    for step in range(3):
        data = batch(step)

        def mean_loss(params: Any, state: LearnerState = state, data: Transition = data) -> jax.Array:
            values = jax.vmap(ours.network.apply, in_axes=(None, 0))(params, data.observation)
            return jnp.mean((ours.td_targets(state, data, hyper()) - values[np.arange(B), data.action]) ** 2)

        change, opt_state = theirs.update(jax.grad(mean_loss)(params), opt_state, params)
        params = optax.apply_updates(params, change)
        state, _ = ours.update(state, data, hyper())
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), state.online, params)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("adamm", {}, "adam"),
        ("apply_updates", {}, "not an optimizer"),
        ("Adam", {}, "adam"),
        ("os", {}, "not an optimizer"),
        ("sgd", {"momentun": 0.9}, "momentum"),
        ("adam", {"learning_rate": 0.1}, "learning_rate"),
        ("lbfgs", {}, "does not fit"),
    ],
)
def test_an_invalid_optimizer_or_option_is_refused(name: str, options: Any, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        optimizer_by_name(name, options)
    assert "\n" not in str(error.value)


def test_clipping_bounds_the_global_norm_of_a_step() -> None:
    clipped, unclipped = (learner(optimizer="sgd", max_grad_norm=norm) for norm in (0.1, None))
    state = clipped.init(jax.random.key(0))

    def step_length(learner: Learner) -> float:
        after, _ = learner.update(learner.init(jax.random.key(0)), batch(0, scale=100), hyper(1.0))
        return float(optax.tree.norm(jax.tree.map(jnp.subtract, after.online, state.online)))

    assert step_length(unclipped) > 1
    assert step_length(clipped) == pytest.approx(0.1, rel=1e-4)


# ---- divergence ----


def test_divergence_is_marked_at_its_step_and_stays_marked() -> None:
    ours, marks = learner(), []
    state, update = ours.init(jax.random.key(0)), jax.jit(ours.update)
    for step in range(1, 7):
        data = batch(step)
        data = data._replace(reward=data.reward * np.float32(np.inf)) if step == 4 else data
        state, _ = update(state, data, hyper())
        marks.append(int(state.diverged_at))
    assert marks == [0, 0, 0, 4, 4, 4]


def test_overflowing_parameters_with_a_finite_loss_count_as_divergence() -> None:
    ours = learner(optimizer="sgd")
    state, value = ours.update(ours.init(jax.random.key(0)), batch(0, scale=1e10), hyper(1e30))
    assert np.isfinite(value)
    assert state.diverged_at == 1


# ---- one network that is blended with itself ----


def blended_learner(**changes: Any) -> Learner:
    return learner(arms=(Arm("blended", blended=True),), **changes)


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_a_network_blended_with_itself_takes_a_smaller_step(optimizer: str) -> None:
    alpha, tau = 0.05, 0.1
    blended_hyper = hyper(alpha, TargetUpdate(tau))._replace(blended=True)
    with jax.enable_x64(True):
        ours = blended_learner(optimizer=optimizer)
        states = [ours.init(jax.random.key(0)) for _ in range(2)]
        states = [jax.tree.map(lambda a: a.astype(jnp.float64) if a.dtype == jnp.float32 else a, s) for s in states]
        start = states[0].online[0]
        for step in range(20):
            data = batch(step, np.float64)
            states[0], _ = ours.update(states[0], data, blended_hyper)
            states[1], _ = ours.update(states[1], data, hyper(tau * alpha, TargetUpdate.none()))
        for a, b in zip(states[0].online, states[1].online, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12)
        assert float(jnp.abs(states[0].online[0] - start).max()) > 1e-3


def test_several_steps_between_blends_equal_lookahead() -> None:
    ours, plain, alpha, tau, inner = blended_learner(optimizer="sgd"), learner(optimizer="sgd"), 0.05, 0.3, 3
    blended_hyper = hyper(alpha, TargetUpdate(tau, inner))._replace(blended=True)
    state = ours.init(jax.random.key(0))
    slow = state.online
    for cycle in range(4):
        fast = plain.init(jax.random.key(0))._replace(online=slow, target=slow)
        for step in range(inner):  # plain steps of a network that is its own target
            data = batch(inner * cycle + step)
            fast, _ = plain.update(fast, data, hyper(alpha, TargetUpdate.none()))
            state, _ = ours.update(state, data, blended_hyper)
        slow = jax.tree.map(lambda w, new: (1 - tau) * w + tau * new, slow, fast.online)
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6), state.online, slow)
    assert_equal(state.online, state.target)


def test_an_agent_that_is_not_blended_is_unaffected_by_blended_ones() -> None:
    ours, plain = blended_learner(), learner()
    for a, b in zip(run(ours, 5, hyper()._replace(blended=False)), run(plain, 5, hyper()), strict=True):
        assert_equal(a, b)
