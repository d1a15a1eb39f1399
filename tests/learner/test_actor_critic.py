"""DDPG, TD3 and SAC: one update against NumPy in float64 with finite differences; clocks, targets, divergence."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from softstep.config import Config
from softstep.kernels import support
from softstep.learner.actor_critic import Networks
from softstep.learner.algorithms import make_learner
from softstep.learner.contract import Hyper, Learner, LearnerState, UpdateNoise, target_gap
from softstep.target import TargetUpdate
from softstep.transition import Transition

O, A, B, H = 3, 2, 6, 4  # noqa: E741
ALGORITHMS = ("ddpg", "td3", "sac")


class Rates(NamedTuple):
    """The settings of the test's agents."""

    critic: float = 1e-2
    actor: float = 5e-3
    temperature: float = 2e-3
    target: TargetUpdate = TargetUpdate(0.1)
    actor_tau: float = 0.3
    gamma: float = 0.9
    actor_harmonic_steps: float = math.inf

    def hyper(self) -> Hyper:
        return Hyper(
            self.critic,
            self.target.tau,
            self.target.period,
            self.gamma,
            actor_learning_rate=self.actor,
            temperature_learning_rate=self.temperature,
            actor_tau=self.actor_tau,
            harmonic_steps=self.target.harmonic_steps,
            actor_harmonic_steps=self.actor_harmonic_steps,
        )


@functools.cache
def learner(algorithm: Any, **changes: Any) -> Learner:
    return make_learner(Config(env="Pendulum-v1", algorithm=algorithm, hidden=(H,), **changes), O, A)


@functools.cache
def compiled(learner: Learner) -> Callable[..., tuple[LearnerState, jax.Array]]:
    """Return the update, compiled once for all tests."""
    return jax.jit(learner.update)


def batch(seed: int, dtype: Any = np.float64) -> Transition:
    rng = np.random.default_rng(seed)
    return Transition(
        rng.standard_normal((B, O)).astype(dtype),
        rng.uniform(-1, 1, (B, A)).astype(dtype),
        rng.standard_normal(B).astype(dtype),
        rng.choice([0, 1], B).astype(dtype),
        rng.standard_normal((B, O)).astype(dtype),
    )


def noise(seed: int, dtype: Any = np.float64) -> UpdateNoise:
    rng = np.random.default_rng(100 + seed)
    return UpdateNoise(*(rng.standard_normal((B, A)).astype(dtype) for _ in range(2)))


def different_networks(ours: Learner) -> LearnerState:
    """Return a state whose targets are far from the online networks."""
    state, other = ours.init(jax.random.key(0)), ours.init(jax.random.key(1)).online
    actor = state.target.actor and other.actor
    return state._replace(target=Networks(actor, other.critics, ()))


# ---- independent implementation: NumPy, float64, gradients from finite differences ----


def mlp(parameters: Any, inputs: np.ndarray) -> np.ndarray:
    w0, b0, w1, b1 = parameters
    return np.maximum(inputs @ w0.T + b0, 0) @ w1.T + b1


def gradient(function: Callable[[Any], float], parameters: Any) -> Any:
    """Return central differences with respect to every number."""
    result = [np.zeros_like(array) for array in parameters]
    for array, derivative in zip(parameters, result, strict=True):
        for at in np.ndindex(array.shape):
            kept, ends = array[at], []
            for step in (1e-6, -1e-6):
                array[at] = kept + step
                ends.append(function(parameters))
            array[at] = kept
            derivative[at] = (ends[0] - ends[1]) / 2e-6
    return result


class Adam:
    """Kingma & Ba 2015, algorithm 1."""

    def __init__(self, parameters: Any) -> None:
        self.m = [np.zeros_like(p) for p in parameters]
        self.v = [np.zeros_like(p) for p in parameters]
        self.t = 0

    def step(self, parameters: Any, grad: Any, rate: float) -> None:
        self.t += 1
        for p, g, m, v in zip(parameters, grad, self.m, self.v, strict=True):
            m[...] = 0.9 * m + 0.1 * g
            v[...] = 0.999 * v + 0.001 * g**2
            p -= rate * (m / (1 - 0.9**self.t)) / (np.sqrt(v / (1 - 0.999**self.t)) + 1e-8)


class Reference:
    """The three algorithms as their papers write them."""

    def __init__(self, algorithm: str, state: LearnerState, policy_delay: int) -> None:
        def copied(tree: Any) -> Any:
            return [np.array(leaf, np.float64) for leaf in tree]

        count = len(state.online.critics[0])
        self.algorithm, self.policy_delay, self.steps = algorithm, policy_delay, 0
        self.actor, self.target_actor = copied(state.online.actor), copied(state.target.actor)
        self.critics = [copied(leaf[i] for leaf in state.online.critics) for i in range(count)]
        self.target_critics = [copied(leaf[i] for leaf in state.target.critics) for i in range(count)]
        self.log_t = copied(state.online.log_temperature)
        self.all_critics = [array for critic in self.critics for array in critic]
        groups = {"actor": self.actor, "critics": self.all_critics, "temperature": self.log_t}
        self.optimizers = {name: Adam(parameters) for name, parameters in groups.items()}

    def policy(self, actor: Any, observation: np.ndarray, normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return SAC's actions and their log-density, with the change of variables of a tanh."""
        out = mlp(actor, observation)
        mean, sd = out[:, :A], np.exp(np.clip(out[:, A:], -20, 2))
        raw = mean + sd * normal
        density = np.exp(-((raw - mean) ** 2) / (2 * sd**2)) / np.sqrt(2 * np.pi * sd**2)
        return np.tanh(raw), np.log(density / (1 - np.tanh(raw) ** 2)).sum(1)

    def targets(self, data: Transition, normal: UpdateNoise, gamma: float) -> np.ndarray:
        entropy = np.zeros(B)
        if self.algorithm == "sac":
            action, log_density = self.policy(self.actor, data.next_observation, normal.next_action)
            entropy = -np.exp(self.log_t[0]) * log_density
        else:
            action = np.tanh(mlp(self.target_actor, data.next_observation))
            if self.algorithm == "td3":
                action = np.clip(action + np.clip(0.2 * normal.next_action, -0.5, 0.5), -1, 1)
        values = [mlp(c, np.hstack([data.next_observation, action]))[:, 0] for c in self.target_critics]
        return data.reward + gamma * data.discount * (np.minimum.reduce(values) + entropy)

    def critic_loss(self, data: Transition, y: np.ndarray) -> float:
        inputs = np.hstack([data.observation, data.action])
        total = sum(((y - mlp(c, inputs)[:, 0]) ** 2).mean() for c in self.critics)
        return total / 2 if self.algorithm == "sac" else total

    def actor_loss(self, data: Transition, normal: UpdateNoise) -> float:
        if self.algorithm == "sac":
            action, log_density = self.policy(self.actor, data.observation, normal.action)
            values = [mlp(c, np.hstack([data.observation, action]))[:, 0] for c in self.critics]
            return float((np.exp(self.log_t[0]) * log_density - np.minimum.reduce(values)).mean())
        action = np.tanh(mlp(self.actor, data.observation))
        return float(-mlp(self.critics[0], np.hstack([data.observation, action])).mean())

    def update(self, data: Transition, normal: UpdateNoise, rates: Rates) -> float:
        self.steps += 1
        y = self.targets(data, normal, rates.gamma)
        loss = self.critic_loss(data, y)
        moved = gradient(lambda _: self.critic_loss(data, y), self.all_critics)
        self.optimizers["critics"].step(self.all_critics, moved, rates.critic)
        if self.steps % self.policy_delay == 0:
            moved = gradient(lambda _: self.actor_loss(data, normal), self.actor)
            log_density = self.policy(self.actor, data.observation, normal.action)[1] if self.algorithm == "sac" else 0
            self.optimizers["actor"].step(self.actor, moved, rates.actor)
            if self.algorithm == "sac":
                excess = np.mean(log_density) - A  # the target entropy is −A
                self.optimizers["temperature"].step(self.log_t, [-excess], rates.temperature)
        rule, actor_tau = rates.target, min(rates.actor_tau, rates.actor_harmonic_steps / self.steps)
        tau = rule.tau if rule.gamma is None else min(rule.tau, rule.factor / ((1 - rule.gamma) * self.steps))
        pairs = [(self.target_critics[i], self.critics[i], tau) for i in range(len(self.critics))]
        pairs += [(self.target_actor, self.actor, actor_tau)] if self.target_actor else []
        for target, online, tau in pairs if self.steps % rates.target.period == 0 else ():
            for t, q in zip(target, online, strict=True):
                t[...] = (1 - tau) * t + tau * q
        return float(loss)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    ("delay", "rates"),
    [
        *((delay, Rates(target=TargetUpdate(0.1, period))) for delay, period in [(1, 1), (2, 1), (1, 3), (2, 2)]),
        (1, Rates(target=TargetUpdate.harmonic(0.5, 0.9, 1), actor_tau=0.9, actor_harmonic_steps=2.0)),
        (2, Rates(target=TargetUpdate.harmonic(0.5, 0.9, 1, 2), actor_harmonic_steps=0.8)),
        (2, Rates(target=TargetUpdate.harmonic(0.5, 0.9, 1))),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else f"{value.target} {value.actor_harmonic_steps}",
)
def test_updates_equal_those_of_an_independent_implementation(algorithm: str, delay: int, rates: Rates) -> None:
    with jax.enable_x64(True):
        own = {"temperature": 0.7} if algorithm == "sac" else {}
        ours = learner(algorithm, policy_delay=delay, **own)
        state = different_networks(ours)
        assert state.online.actor[0].dtype == jnp.float64
        reference, update = Reference(algorithm, state, delay), compiled(ours)
        for step in range(4):
            state, loss = update(state, batch(step), rates.hyper(), noise(step))
            np.testing.assert_allclose(loss, reference.update(batch(step), noise(step), rates), rtol=1e-8)
            stacked = [np.stack(leaves) for leaves in zip(*reference.critics, strict=True)]
            targets = [np.stack(leaves) for leaves in zip(*reference.target_critics, strict=True)]
            for mine, theirs in (
                (state.online.actor, reference.actor),
                (state.online.critics, stacked),
                (state.online.log_temperature, reference.log_t),
                (state.target.actor, reference.target_actor),
                (state.target.critics, targets),
            ):
                assert len(mine) == len(theirs)
                for a, b in zip(mine, theirs, strict=True):
                    np.testing.assert_allclose(a, b, rtol=0, atol=2e-8)


# ---- structure, clocks and divergence ----


def test_td3_has_two_critics_and_a_delay_ddpg_neither_and_sac_no_target_for_its_actor() -> None:
    states = {name: learner(name).init(jax.random.key(0)) for name in ALGORITHMS}
    assert {name: len(state.online.critics[0]) for name, state in states.items()} == {"ddpg": 1, "td3": 2, "sac": 2}
    assert {name: bool(state.target.actor) for name, state in states.items()} == {"ddpg": 1, "td3": 1, "sac": 0}
    assert states["sac"].target.log_temperature == ()
    moved = {}
    for name, state in states.items():
        after, _ = compiled(learner(name))(state, batch(0, np.float32), Rates().hyper(), noise(0, np.float32))
        moved[name] = not np.array_equal(after.online.actor[0], state.online.actor[0])
    assert moved == {"ddpg": True, "td3": False, "sac": True}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_first_update_of_the_critics_target_is_a_smaller_step_of_the_critics(algorithm: str) -> None:
    """From Q = T: T after one soft update equals Q after one step of SGD with α·τ, bit for bit in exact arithmetic."""
    with jax.enable_x64(True):
        ours, tau = learner(algorithm, optimizer="sgd"), 0.2
        state, update = ours.init(jax.random.key(3)), compiled(ours)
        soft = Rates(target=TargetUpdate(tau)).hyper()
        small = soft._replace(learning_rate=soft.learning_rate * tau, tau=1.0)
        after_soft, _ = update(state, batch(0), soft, noise(0))
        after_small, _ = update(state, batch(0), small, noise(0))
        for t, q in zip(after_soft.target.critics, after_small.online.critics, strict=True):
            np.testing.assert_allclose(t, q, rtol=0, atol=1e-15)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_no_target_keeps_both_targets_equal_to_the_online_networks(algorithm: str) -> None:
    ours, none = learner(algorithm), TargetUpdate.none()
    state, update = ours.init(jax.random.key(0)), compiled(ours)
    hyper = Rates(target=none, actor_tau=1.0).hyper()
    for step in range(5):
        state, _ = update(state, batch(step, np.float32), hyper, noise(step, np.float32))
        assert float(target_gap(state)) == 0


def test_a_temperature_with_rate_zero_stays() -> None:
    ours = learner("sac", temperature=0.2)
    state = ours.init(jax.random.key(0))
    after, _ = compiled(ours)(state, batch(0, np.float32), Rates(temperature=0.0).hyper(), noise(0, np.float32))
    assert after.online.log_temperature[0] == state.online.log_temperature[0]
    assert float(jnp.exp(after.online.log_temperature[0])) == pytest.approx(0.2)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_divergence_is_noticed_in_the_critics_and_in_the_actor(algorithm: str) -> None:
    ours = learner(algorithm)
    healthy, update = ours.init(jax.random.key(0)), compiled(ours)
    data, normal = batch(0, np.float32), noise(0, np.float32)
    nan = tuple(parameter * np.nan for parameter in healthy.online.actor)
    broken_actor = healthy._replace(online=healthy.online._replace(actor=nan))
    infinite = data._replace(reward=data.reward * np.inf)
    for start, transitions, diverges in ((healthy, data, False), (healthy, infinite, True), (broken_actor, data, True)):
        state = start
        for _ in range(2):
            state, _ = update(state, transitions, Rates().hyper(), normal)
        assert (int(state.diverged_at) > 0) == diverges


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_agents_of_a_block_have_their_own_rates(algorithm: str) -> None:
    """A block under vmap equals its agents alone, whatever their α and τ."""
    ours = learner(algorithm, policy_delay=1)
    each = [Rates(1e-2, 1e-3, 1e-3, TargetUpdate(0.1), 0.5), Rates(1e-3, 1e-2, 0.0, TargetUpdate(1.0), 0.2)]
    stacked = jax.tree.map(lambda *x: jnp.stack([jnp.asarray(v) for v in x]), *[r.hyper() for r in each])
    keys = jax.vmap(jax.random.key)(jnp.arange(2))
    data, normal = batch(0, np.float32), noise(0, np.float32)
    update = jax.jit(jax.vmap(ours.update, in_axes=(0, None, 0, None, None)))
    block, _ = update(jax.vmap(ours.init)(keys), data, stacked, normal, True)
    for slot, rates in enumerate(each):
        alone, _ = compiled(ours)(ours.init(keys[slot]), data, rates.hyper(), normal)
        jax.tree.map(lambda a, b, s=slot: np.testing.assert_allclose(a[s], b, rtol=1e-4, atol=1e-6), block, alone)


# ---- the smaller of two critics' values ----


@pytest.mark.parametrize("kernels", [True, False])
def test_of_equal_values_the_first_critic_is_learnt_from(kernels: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(support, "kernels_supported", lambda: kernels)
    both: Any = learner("sac").update.__self__  # type: ignore[attr-defined]
    first = np.random.default_rng(0).standard_normal((H, O + A)).astype(np.float32)
    last = np.arange(1.0, H + 1)[None]
    critics = [[first, np.ones(H), sign * last, [-sign * last.sum()]] for sign in (1, -1)]  # 0 where s and a are 0
    stacked = tuple(jnp.asarray(np.stack(pair), jnp.float32) for pair in zip(*critics, strict=True))
    value = jax.vjp(lambda action: both.smallest_value(stacked, jnp.zeros((16, O)), action), jnp.zeros((16, A)))
    np.testing.assert_array_equal(value[0], np.zeros(16))
    np.testing.assert_allclose(value[1](jnp.ones(16))[0], np.tile(last @ first[:, O:], (16, 1)), rtol=1e-6)
