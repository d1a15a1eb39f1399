"""The first steps, replayed: the founding question's networks, followed from one start through the same minibatches.

    Q, T    Q ← Q + α·step(Q, T),  T ← c·T + (1−c)·Q     two networks: the shipped learner
    X       X ← X + (1−c)·α·step(X, X)                   one network at the smaller rate: the shipped learner, τ = 1
    W       W ← c·W + (1−c)·[W + α·step(W, W)]           one network blended with its own update, literally
    V       V ← V + α·step(Q, T)                         the thread's third equation, with Q's own step

W is X for SGD and Adam; T is X after the first update only; V is Q, and with (1−c)·α it is Q₀ + (1−c)(Q_t − Q₀), which
is T after the first update only. All of it is measured here, on transitions of the configured environment.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from softstep import envs
from softstep.comparison.random_minibatches import record
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.learner import losses
from softstep.learner.networks import Network, Params, make_network, pack
from softstep.learner.update import Hyper, Learner, LearnerState, build_learner, optimizer_by_name
from softstep.transition import Transition

OPTIMIZERS = ("sgd", "adam")


class FirstStep(NamedTuple):
    """How far apart the networks are after `update` gradient steps; the names in `…32` are of the run in float32.

    NaN where a network has diverged or has not moved.
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
    """Median over the parameters of |T − X|, in float32's units of the last place of the larger of the two."""
    t_x_ulp32_max: float
    """The largest of these; a parameter near 0 can decide it, for its last place is small."""
    step_ulp32: float
    """Median of |(1−c)·α·step(X, X)| of this update, in float64, in float32's units of the last place of X."""


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
    second_update_formula: dict[str, float]
    """By optimizer, the relative error of T₂ − X₂ = α(1−c)·[c·s₀ + step(Q₁,T₁) − step(T₁,T₁)], α·s₀ = Q₁ − Q₀."""
    shrinks: dict[str, UnitStep]
    """By optimizer: blending a network with its own update can only shrink the rate, α′ ∈ (0, α]."""

    def to_dicts(self) -> list[dict[str, Any]]:
        """The rows for JSON; None for what is not finite."""
        return [{name: _plain(value) for name, value in row._asdict().items()} for row in self.rows]


class _Sequences(NamedTuple):
    """All networks after the same number of updates."""

    two: LearnerState  # Q and T
    single: LearnerState  # X
    blended: LearnerState  # W
    third: Params  # V
    before: Params  # X one update ago


class _Vectors(NamedTuple):
    """The same in float64, each network as one vector."""

    q: Float[np.ndarray, " N"]
    t: Float[np.ndarray, " N"]
    x: Float[np.ndarray, " N"]
    w: Float[np.ndarray, " N"]
    v: Float[np.ndarray, " N"]
    before: Float[np.ndarray, " N"]


_QUIET = np.errstate(over="ignore", invalid="ignore")  # a network that has diverged becomes a NaN in its row

_Advance = Callable[[_Sequences, int, int, float], _Sequences]
"""(networks, first, end, α) → networks after the updates first, …, end − 1, counted from 0."""


def replay(config: Config, *, updates: Sequence[int] = (1, 2, 3, 10, 100, 1000), seed: int | None = None) -> FirstSteps:
    """Follow Q, T, X, W and V from one start and measure their distances after each of `updates`.

    Optimizers: SGD and Adam, with `config.optimizer_options` where it is the configured one. Network, loss, gradient
    clipping, α, c and γ are the configuration's; T moves at every gradient step, double Q is off and α does not decay.
    seed: of the start (`jax.random.key(seed)`), the recording and the minibatches; None takes `config.seed`.
    Errors: ConfigError where τ = 1, for then Q, T, X and W are one; ValueError where `updates` are not ascending whole
    numbers from 1 on.
    """
    if config.target.tau == 1:
        raise ConfigError("target.tau = 1.0 keeps nothing of the old target: for first steps, set it below 1")
    if not updates or list(updates) != sorted(set(updates)) or updates[0] < 1:
        raise ValueError(f"updates = {updates!r} must be ascending counts of gradient steps, the first at least 1")
    seed = config.seed if seed is None else seed
    spec = envs.describe(config)
    batches = record(config, spec, max(2, *updates), seed)
    network = make_network(config, spec.observation_size, spec.num_actions)
    start = network.init(jax.random.key(seed))
    rows, formula, shrinks = list[FirstStep](), dict[str, float](), dict[str, UnitStep]()
    for name in OPTIMIZERS:
        with jax.enable_x64(True):
            origin, advance = _prepare(config, network, name, _cast(start, jnp.float64), _cast(batches, jnp.float64))
            wide = _follow(origin, advance, config.learning_rate, updates)
            formula[name] = _second_update_error(origin, advance, config)
            shrinks[name] = _unit_step(origin, advance)
        origin, advance = _prepare(config, network, name, _cast(start, jnp.float32), _cast(batches, jnp.float32))
        narrow = _follow(origin, advance, config.learning_rate, updates)
        zero, tau = _vectors(origin).q, config.target.tau
        rows += [_row(name, n, zero, tau, a, b) for n, a, b in zip(updates, wide, narrow, strict=True)]
    return FirstSteps(config.env, config.learning_rate, config.target.c, tuple(rows), formula, shrinks)


def _cast(tree: Any, dtype: Any) -> Any:
    """Every floating-point leaf in `dtype`."""
    return jax.tree.map(lambda a: jnp.asarray(a, dtype if jnp.issubdtype(a.dtype, jnp.inexact) else a.dtype), tree)


def _prepare(
    config: Config, network: Network, optimizer: str, start: Params, batches: Transition
) -> tuple[_Sequences, _Advance]:
    """All networks at `start`, and the program that moves them on, in the precision of `start`."""
    learner = build_learner(
        network._replace(init=lambda key: start),
        optimizer_by_name(optimizer, config.optimizer_options if optimizer == config.optimizer else {}),
        loss=losses.squared if config.loss == "mse" else losses.huber,
        max_grad_norm=config.max_grad_norm,
    )
    state = learner.init(jax.random.key(0))

    @jax.jit
    def advance(now: _Sequences, batches: Transition, first: Array, end: Array, alpha: Array) -> _Sequences:
        def body(n: Array, now: _Sequences) -> _Sequences:
            return _update(config, learner, now, jax.tree.map(lambda leaf: leaf[n], batches), alpha)

        return jax.lax.fori_loop(first, end, body, now)

    return (
        _Sequences(state, state, state, start, start),
        lambda now, first, end, alpha: advance(now, batches, first, end, alpha),
    )


def _update(config: Config, learner: Learner, now: _Sequences, batch: Transition, alpha: Array) -> _Sequences:
    """One update of every network by the shipped learner, and by nothing else but a blend and a sum."""
    c, tau, gamma = config.target.c, config.target.tau, config.gamma
    two, _ = learner.update(now.two, batch, Hyper(alpha, tau, 1, gamma))
    single, _ = learner.update(now.single, batch, Hyper(tau * alpha, 1.0, 1, gamma))
    new, _ = learner.update(now.blended, batch, Hyper(alpha, 1.0, 1, gamma))
    blended = jax.tree.map(lambda w, w_new: c * w + tau * w_new, now.blended.online, new.online)
    third = jax.tree.map(lambda v, q_new, q: v + (q_new - q), now.third, two.online, now.two.online)
    return _Sequences(two, single, new._replace(online=blended, target=blended), third, now.single.online)


def _follow(now: _Sequences, advance: _Advance, alpha: float, updates: Sequence[int]) -> list[_Vectors]:
    """The networks after each of `updates`."""
    found, done = list[_Vectors](), 0
    for update in updates:
        now, done = advance(now, done, update, alpha), update
        found.append(_vectors(now))
    return found


def _vectors(now: _Sequences) -> _Vectors:
    networks = (now.two.online, now.two.target, now.single.online, now.blended.online, now.third, now.before)
    return _Vectors(*(np.asarray(pack(params), np.float64) for params in networks))


@_QUIET
def _second_update_error(origin: _Sequences, advance: _Advance, config: Config) -> float:
    """‖(T₂ − X₂) − (1−c)·[c·αs₀ + α·step(Q₁,T₁) − α·step(T₁,T₁)]‖ / ‖T₂ − X₂‖.

    α·step(T₁,T₁) is the second update of a learner whose two networks both stand at T₁, its optimizer as Q left it.
    """
    alpha, c, tau = config.learning_rate, config.target.c, config.target.tau
    first = advance(origin, 0, 1, alpha)
    from_target = first._replace(two=first.two._replace(online=first.two.target))
    zero, one, two = (_vectors(s) for s in (origin, first, advance(first, 1, 2, alpha)))
    alone = _vectors(advance(from_target, 1, 2, alpha))
    predicted = tau * (c * (one.q - zero.q) + (two.q - one.q) - (alone.q - one.t))
    return _ratio(two.t - two.x - predicted, two.t - two.x)


def _unit_step(origin: _Sequences, advance: _Advance) -> UnitStep:
    """The first update at α = 1."""
    zero, one = _vectors(origin), _vectors(advance(origin, 0, 1, 1.0))
    return UnitStep(_ratio(one.w - zero.w, one.q - zero.q), _ratio(one.w - one.x, one.x - zero.x))


@_QUIET
def _row(optimizer: str, update: int, zero: np.ndarray, tau: float, wide: _Vectors, narrow: _Vectors) -> FirstStep:
    apart = np.abs(narrow.t - narrow.x) / _last_place(np.maximum(np.abs(narrow.t), np.abs(narrow.x)))
    step = np.abs(wide.x - wide.before) / _last_place(np.abs(narrow.x))
    last_places = (np.median(apart), np.max(apart), np.median(step))
    return FirstStep(optimizer, update, *_gaps(zero, tau, wide), *_gaps(zero, tau, narrow), *map(float, last_places))


def _last_place(size: np.ndarray) -> np.ndarray:
    """The distance from `size` to the next number of float32."""
    return np.spacing(size.astype(np.float32)).astype(np.float64)


def _gaps(zero: np.ndarray, tau: float, at: _Vectors) -> tuple[float, ...]:
    """T from X, W from X, V from Q, and V at (1−c)·α from T."""
    small = zero + tau * (at.q - zero)
    moved = at.x - zero
    pairs = ((at.t - at.x, moved), (at.w - at.x, moved), (at.v - at.q, at.q - zero), (small - at.t, moved))
    return tuple(itertools.starmap(_ratio, pairs))


def _ratio(apart: np.ndarray, moved: np.ndarray) -> float:
    """‖apart‖ / ‖moved‖; NaN where nothing has moved or something is not finite."""
    whole = float(np.linalg.norm(moved))
    ratio = float(np.linalg.norm(apart)) / whole if whole > 0 else math.nan
    return ratio if math.isfinite(ratio) else math.nan


def _plain(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
