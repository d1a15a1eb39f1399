"""The first steps, replayed: how far the networks of the founding question move apart.

    Q, T    Q ← Q + α·step(Q, T),  T ← c·T + (1−c)·Q     two networks: the shipped learner
    X       X ← X + (1−c)·α·step(X, X)                   one network at the smaller rate: the shipped learner, τ = 1
    W       W ← c·W + (1−c)·[W + α·step(W, W)]           one network blended with its own update, literally
    V       V ← V + α·step(Q, T)                         the thread's third equation, with Q's own step

W equals X for SGD and Adam. T equals X after the first update only. V equals Q; at (1−c)·α it is
Q₀ + (1−c)(Q_t − Q₀), which equals T after the first update only. This module measures all of it on transitions of the
configured environment; `softstep.comparison.tracked_networks` trains the networks.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from softstep import envs
from softstep.comparison.random_minibatches import draw_minibatches, record_transitions
from softstep.comparison.tracked_networks import (
    NetworkTracker,
    ParameterVectors,
    parameter_vectors,
    tracked_learner,
    valuing,
    with_valuing,
)
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.jax_settings.pinned import pinned
from softstep.user_code import guarded

OPTIMIZERS = ("sgd", "adam")


class FirstStep(NamedTuple):
    """Distances between the networks after `update` gradient steps, in float64; names with 32 are of a float32 run.

    NaN if a network has diverged or has not moved.
    """

    optimizer: str
    update: int
    t_x: float
    """‖T − X‖ / ‖X − X₀‖."""
    w_x: float
    """‖W − X‖ / ‖X − X₀‖."""
    v_q: float
    """‖V − Q‖ / ‖Q − Q₀‖."""
    v_small_t: float
    """‖Q₀ + (1−c)(Q_t − Q₀) − T‖ / ‖X − X₀‖: the third equation at (1−c)·α."""
    t_x32: float
    w_x32: float
    v_q32: float
    v_small_t32: float
    t_x_ulp32: float
    """Median over the parameters of |T − X|, in float32 units in the last place (ULPs) of the larger of the two."""
    t_x_ulp32_max: float
    """The largest of these; a parameter near 0 can decide it, because its ULP is small."""
    step_ulp32: float
    """Median of |(1−c)·α·step(X, X)| of this update, in float64, in float32 ULPs of X."""


class UnitStep(NamedTuple):
    """The first update at α = 1: the special case in which the smaller rate is α′ = 1 − c."""

    alpha_prime: float
    """‖W₁ − W₀‖ / ‖Q₁ − Q₀‖: what the blend leaves of the unit step, 1 − c, at most 1."""
    w_x: float
    """‖W₁ − X₁‖ / ‖X₁ − X₀‖ with X at the rate 1 − c."""


class FirstSteps(NamedTuple):
    """What `replay` measured."""

    env: str
    alpha: float
    c: float
    rows: tuple[FirstStep, ...]
    second_update_error: dict[str, float]
    """Relative error of the formula of the second update, by optimizer:
    T₂ − X₂ = α(1−c)·[c·s₀ + step(Q₁,T₁) − step(T₁,T₁)], where α·s₀ = Q₁ − Q₀."""
    unit_steps: dict[str, UnitStep]
    """The first update at α = 1, by optimizer: blending a network with its own update can only shrink the rate,
    α′ ∈ (0, α]."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return the rows for JSON, with None for numbers that are not finite."""
        return [{name: _json_value(value) for name, value in row._asdict().items()} for row in self.rows]


_ignore_overflow = np.errstate(over="ignore", invalid="ignore")  # a diverged network becomes a NaN in its row


@pinned()
def replay(config: Config, *, updates: Sequence[int] = (1, 2, 3, 10, 100, 1000), seed: int | None = None) -> FirstSteps:
    """Train Q, T, X, W and V from one start and measure their distances after each of `updates`.

    The optimizers are SGD and Adam. T moves at every gradient step, double Q is off and α does not decay. With an
    actor, the networks are the critics.

    Args:
        config: network, loss, gradient clipping, α, c and γ; its `optimizer_options` hold for its own optimizer.
        updates: ascending counts of gradient steps, from 1 on.
        seed: seed of the initial parameters (`jax.random.key(seed)`), the recording and the minibatches; None takes
            `config.seed`.

    Raises:
        ConfigError: τ = 1, at which Q, T, X and W are the same network.
        ValueError: `updates` are not ascending integers from 1 on.
    """
    if config.target.tau == 1:
        raise ConfigError("target.tau = 1 keeps nothing of the old target, so Q, T, X and W are equal: set it below 1")
    if not updates or list(updates) != sorted(set(updates)) or updates[0] < 1:
        raise ValueError(f"updates = {updates!r} must be ascending counts of gradient steps, the first at least 1")
    seed = config.seed if seed is None else seed
    alpha, tau = config.learning_rate, config.target.tau
    spec = envs.describe(config)
    minibatches = draw_minibatches(config, spec, max(2, *updates), seed)
    rows: list[FirstStep] = []
    second_update_error: dict[str, float] = {}
    unit_steps: dict[str, UnitStep] = {}
    for optimizer in OPTIMIZERS:
        learner = tracked_learner(config, spec, optimizer)
        initial = learner.init(jax.random.key(seed))
        with jax.enable_x64(True):
            tracker = NetworkTracker(config, learner, initial, minibatches, jnp.float64)
            in_float64 = tracker.vectors_after(updates, alpha)
            second_update_error[optimizer] = _second_update_error(tracker, config)
            unit_steps[optimizer] = _unit_step(tracker)
        tracker = NetworkTracker(config, learner, initial, minibatches, jnp.float32)
        in_float32 = tracker.vectors_after(updates, alpha)
        start = parameter_vectors(tracker.start).q
        rows += [
            _first_step(optimizer, update, start, tau, wide, narrow)
            for update, wide, narrow in zip(updates, in_float64, in_float32, strict=True)
        ]
    return FirstSteps(config.env, alpha, config.target.c, tuple(rows), second_update_error, unit_steps)


def check_replay(config: Config) -> None:
    """Raise what `replay` would raise, before anything is trained.

    The environment is described and plays as many random steps as `replay` records. A network of the user's is also
    trained for two updates, in float32 and float64; our own needs no such test, which takes five seconds.

    Raises:
        ConfigError: a module, the environment or the network cannot be used here.
        EnvironmentFailed: the environment raises under random actions.
    """
    if config.network is not None:
        with guarded(f"network = {config.network!r} fails in the first updates, made in float64 and in float32"):
            replay(config, updates=(1, 2))
    else:
        record_transitions(config, envs.describe(config), config.seed)


@_ignore_overflow
def _second_update_error(tracker: NetworkTracker, config: Config) -> float:
    """Return ‖(T₂ − X₂) − (1−c)·[c·αs₀ + α·step(Q₁,T₁) − α·step(T₁,T₁)]‖ / ‖T₂ − X₂‖.

    α·step(T₁,T₁) is the second update of a learner whose two networks both stand at T₁; the rest of it, the state of
    its optimizer and an actor, is as X's first update left it.
    """
    alpha, c, tau = config.learning_rate, config.target.c, config.target.tau
    first = tracker.advance(tracker.start, 0, 1, alpha)
    one, at_target = first.smaller_rate, valuing(first.two_networks.target)
    both_at_target = first._replace(
        two_networks=one._replace(
            online=with_valuing(one.online, at_target), target=with_valuing(one.target, at_target)
        )
    )
    at_0, at_1 = parameter_vectors(tracker.start), parameter_vectors(first)
    at_2 = parameter_vectors(tracker.advance(first, 1, 2, alpha))
    from_target = parameter_vectors(tracker.advance(both_at_target, 1, 2, alpha))
    predicted = tau * (c * (at_1.q - at_0.q) + (at_2.q - at_1.q) - (from_target.q - at_1.t))
    return _relative_distance(at_2.t - at_2.x - predicted, at_2.t - at_2.x)


def _unit_step(tracker: NetworkTracker) -> UnitStep:
    """Measure the first update at α = 1."""
    before, after = parameter_vectors(tracker.start), parameter_vectors(tracker.advance(tracker.start, 0, 1, 1.0))
    return UnitStep(
        _relative_distance(after.w - before.w, after.q - before.q),
        _relative_distance(after.w - after.x, after.x - before.x),
    )


@_ignore_overflow
def _first_step(
    optimizer: str, update: int, start: np.ndarray, tau: float, wide: ParameterVectors, narrow: ParameterVectors
) -> FirstStep:
    """Measure one row.

    Args:
        optimizer: name of the optimizer.
        update: number of updates.
        start: initial parameters (N,).
        tau: 1 − c.
        wide: the networks of the run in float64.
        narrow: the networks of the run in float32.
    """
    apart = np.abs(narrow.t - narrow.x) / _ulp32(np.maximum(np.abs(narrow.t), np.abs(narrow.x)))
    step = np.abs(wide.x - wide.previous_x) / _ulp32(np.abs(narrow.x))
    ulps = (float(np.median(apart)), float(np.max(apart)), float(np.median(step)))
    return FirstStep(optimizer, update, *_distances(start, tau, wide), *_distances(start, tau, narrow), *ulps)


def _distances(start: np.ndarray, tau: float, networks: ParameterVectors) -> tuple[float, float, float, float]:
    """Return the relative distances of T from X, W from X, V from Q, and V at (1−c)·α from T."""
    q, t, x, w, v, _ = networks
    v_small = start + tau * (q - start)
    moved = x - start
    return (
        _relative_distance(t - x, moved),
        _relative_distance(w - x, moved),
        _relative_distance(v - q, q - start),
        _relative_distance(v_small - t, moved),
    )


def _ulp32(size: np.ndarray) -> np.ndarray:
    """Return the distance from `size` to the next float32."""
    return np.spacing(size.astype(np.float32)).astype(np.float64)


def _relative_distance(apart: np.ndarray, moved: np.ndarray) -> float:
    """Return ‖apart‖ / ‖moved‖; NaN if nothing has moved or a norm is not finite."""
    length = float(np.linalg.norm(moved))
    ratio = float(np.linalg.norm(apart)) / length if length > 0 else math.nan
    return ratio if math.isfinite(ratio) else math.nan


def _json_value(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
