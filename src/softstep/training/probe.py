"""The frozen probe: transitions of the environment on which Δy is measured, one set per environment and seed.

Half of them come from a uniformly random policy, half from a well-playing reference agent if softstep ships one for
the environment; otherwise all are random. Every arm of a comparison uses the same probe.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib import resources
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import safetensors.numpy
from jaxtyping import Float

from softstep import envs
from softstep.config import Config
from softstep.errors import EnvironmentFailed
from softstep.learner.networks import numpy_q_values
from softstep.training.td_target_drift import Probe
from softstep.user_code import guarded

STEPS = 1_000
"""Number of steps that each policy plays; its transitions are drawn from them."""

EPSILON = 0.1
"""Share of random actions of the reference agent."""

_PURPOSE = 0x9B0BE
"""The stream of the probe's randomness, separate from every agent's."""

QValues = Callable[[np.ndarray], Any]
"""Observations (1, W, O) → action values (1, W, A)."""


def make_probe(config: Config, spec: envs.EnvSpec, seeds: Sequence[int]) -> Probe:
    """Make the probes (P agents, …) of at most W agents; at fixed W each depends on its own seed only."""
    padded = (*seeds, *[seeds[0]] * (config.width - len(seeds)))
    rngs = [np.random.default_rng([_PURPOSE, seed]) for seed in padded]
    random_count = config.probe // 2
    halves = ((None, random_count), (reference_q_values(spec), config.probe - random_count))
    collected = [_transitions(config, spec, padded, player, count, rngs) for player, count in halves]
    return Probe(*(np.concatenate(parts, axis=1)[: len(seeds)] for parts in zip(*collected, strict=True)))


def _transitions(
    config: Config,
    spec: envs.EnvSpec,
    seeds: Sequence[int],
    player: QValues | None,
    count: int,
    rngs: Sequence[np.random.Generator],
) -> Probe:
    """Draw `count` transitions per seed from those of `STEPS` steps.

    Args:
        config: the run's configuration.
        spec: the environment.
        seeds: one per agent.
        player: action values of the policy that plays; None for uniformly random actions.
        count: transitions per seed.
        rngs: one generator per seed.
    """
    host_envs = _environment(spec, seeds)
    keys = _step_keys(seeds) if spec.maker == "gymnax" else None
    steps = []
    try:
        for n in range(STEPS):
            actions = np.array([[_random_action(spec, rng)] for rng in rngs])
            if player is not None:
                explores = np.array([[rng.random() < EPSILON] for rng in rngs])
                best = player(host_envs.observations.reshape(1, len(seeds), -1)).argmax(-1).reshape(actions.shape)
                actions = np.where(explores, actions, best)
            with guarded(f"{config.env} failed while the probe was recorded", EnvironmentFailed):
                step = host_envs.step(actions, None if keys is None else keys[n])
            ends = step.terminated | step.truncated if config.time_limit_is_terminal else step.terminated
            reward = step.reward * np.float32(config.reward_scale)
            steps.append((reward[:, 0].copy(), np.float32(~ends[:, 0]), step.next_observation[:, 0].copy()))
    finally:
        host_envs.close()
    columns = [np.stack(column, axis=1) for column in zip(*steps, strict=True)]  # (W, STEPS, …)
    chosen = np.stack([rng.choice(STEPS, count, replace=False) for rng in rngs])
    return Probe(*(column[np.arange(len(seeds))[:, None], chosen] for column in columns))


def _random_action(spec: envs.EnvSpec, rng: np.random.Generator) -> Any:
    if spec.action_bounds is None:
        return rng.integers(spec.num_actions)
    return rng.uniform(-1, 1, spec.num_actions).astype(np.float32)


def _environment(spec: envs.EnvSpec, seeds: Sequence[int]) -> envs.HostEnvs:
    if spec.maker == "gymnax":
        keys = jax.vmap(jax.random.key)(np.array(seeds, np.uint32))
        return envs.GymnaxHostEnvs(envs.make_compiled(spec.name), keys[:, None])
    return envs.make_host(spec, seeds, 1)


def _step_keys(seeds: Sequence[int]) -> Any:
    """Return keys (STEPS, W, 1), derived from each seed separately."""
    keys = jax.vmap(lambda seed: jax.random.split(jax.random.fold_in(jax.random.key(seed), _PURPOSE), STEPS))
    return jnp.moveaxis(keys(np.array(seeds, np.uint32)), 0, 1)[..., None]


def reference_q_values(spec: envs.EnvSpec) -> QValues | None:
    """Return the shipped agent's action values; None if softstep ships no agent for the environment."""
    path = resources.files("softstep") / "reference" / f"{spec.name}.safetensors"
    if not path.is_file():
        return None
    layers = safetensors.numpy.load(path.read_bytes())
    leaves: list[Float[np.ndarray, ...]] = [layers[name] for name in sorted(layers)]
    sizes = (leaves[0].shape[1], *(bias.shape[0] for bias in leaves[1::2]))
    return numpy_q_values(sizes)(np.concatenate([leaf.ravel() for leaf in leaves])[None])
