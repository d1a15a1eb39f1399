"""Environments: one contract, three makers.

- `gymnax:ID` steps inside the compiled loop (`gymnax_maker`).
- A bare id is a Gymnasium environment, stepped on the host (`gymnasium_maker`).
- `envpool:ID` is stepped on the host, many at once (`envpool_maker`, optional).

Whatever makes it, a step returns the observation *before* any reset, and tells a true end (`terminated`) from a
time limit (`truncated`).
"""

from __future__ import annotations

from collections.abc import Sequence

from softstep.config import Config
from softstep.envs.contract import CompiledEnv, EnvSpec, EvaluationEnvs, HostEnvs, Maker, Step, episode_seed, split_id
from softstep.envs.envpool_maker import EnvPoolEnvs, EnvPoolEvaluation
from softstep.envs.envpool_maker import describe as describe_envpool
from softstep.envs.gymnasium_maker import GymnasiumEnvs, GymnasiumEvaluation
from softstep.envs.gymnasium_maker import describe as describe_gymnasium
from softstep.envs.gymnax_maker import GymnaxHostEnvs, make_compiled


def describe(config: Config) -> EnvSpec:
    """Check the configured environment and say what is fixed about it; ConfigError where it cannot be used."""
    maker, name = split_id(config.env)
    if maker == "gymnax":
        return make_compiled(name).spec
    if maker == "envpool":
        return describe_envpool(name)
    return describe_gymnasium(name, config.env_modules)


def make_host(spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> HostEnvs:
    """`num_envs` host environments for each of `seeds`, reset and ready (Gymnasium's and EnvPool's)."""
    if spec.maker == "envpool":
        return EnvPoolEnvs(spec, seeds, num_envs)
    return GymnasiumEnvs(spec, seeds, num_envs)


def make_evaluation(spec: EnvSpec, agents: int, seeds: Sequence[int]) -> EvaluationEnvs:
    """One environment for each agent and seed, each to be played for one episode."""
    if spec.maker == "envpool":
        return EnvPoolEvaluation(spec, agents, seeds)
    return GymnasiumEvaluation(spec, agents, seeds)


__all__ = [
    "CompiledEnv",
    "EnvSpec",
    "EvaluationEnvs",
    "GymnaxHostEnvs",
    "HostEnvs",
    "Maker",
    "Step",
    "describe",
    "episode_seed",
    "make_compiled",
    "make_evaluation",
    "make_host",
    "split_id",
]
