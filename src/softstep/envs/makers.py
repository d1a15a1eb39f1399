"""The environments of a configuration, from the maker that its id names."""

from __future__ import annotations

from collections.abc import Sequence

from softstep.config import Config
from softstep.envs.contract import EnvSpec, EvaluationEnvs, HostEnvs, split_id
from softstep.envs.envpool_maker import EnvPoolEnvs, EnvPoolEvaluation
from softstep.envs.envpool_maker import describe as describe_envpool
from softstep.envs.gymnasium_maker import GymnasiumEnvs, GymnasiumEvaluation
from softstep.envs.gymnasium_maker import describe as describe_gymnasium
from softstep.envs.gymnax_maker import make_compiled
from softstep.errors import ConfigError


def describe(config: Config) -> EnvSpec:
    """Check the configured environment and return its fixed properties.

    Raises:
        ConfigError: the environment does not exist or cannot be used.
    """
    maker, name = split_id(config.env)
    if maker == "gymnasium":
        return describe_gymnasium(name, config.env_modules, arguments=config.env_args, flatten=config.flatten)
    for setting, given in (("env_args", config.env_args), ("flatten", config.flatten)):
        if given:
            raise ConfigError(f"{setting} = {given} is for Gymnasium's environments: leave it out for {config.env}")
    if maker == "gymnax":
        return make_compiled(name).spec
    return describe_envpool(name)


def make_host(spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> HostEnvs:
    """Make `num_envs` environments of Gymnasium or EnvPool for each of the agents' `seeds`, and reset them."""
    if spec.maker == "envpool":
        return EnvPoolEnvs(spec, seeds, num_envs)
    return GymnasiumEnvs(spec, seeds, num_envs)


def make_evaluation(spec: EnvSpec, agents: int, seeds: Sequence[int]) -> EvaluationEnvs:
    """Make one environment for each agent and episode seed, and reset them."""
    if spec.maker == "envpool":
        return EnvPoolEvaluation(spec, agents, seeds)
    return GymnasiumEvaluation(spec, agents, seeds)
