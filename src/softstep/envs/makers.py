"""The environments of a configuration, from the maker that its id names."""

from __future__ import annotations

from collections.abc import Sequence

from softstep.config import Config
from softstep.envs.contract import EnvSpec, EvaluationEnvs, HostEnvs, split_id
from softstep.envs.envpool_maker import EnvPoolEnvs, EnvPoolEvaluation
from softstep.envs.envpool_maker import describe as describe_envpool
from softstep.envs.gymnasium_maker import describe as describe_gymnasium
from softstep.envs.gymnasium_maker import time_limit
from softstep.envs.gymnax_maker import longest_compiled_episode, make_compiled
from softstep.envs.own_settings import make_unpinned, make_unpinned_evaluation
from softstep.errors import ConfigError, EnvironmentFailed
from softstep.jax_settings.pinned import unpinned
from softstep.user_code import guarded


def describe(config: Config) -> EnvSpec:
    """Check the configured environment and return its fixed properties.

    Raises:
        ConfigError: the environment does not exist, or cannot be used with the algorithm.
    """
    spec = _describe(config)
    if spec.action_bounds is None and config.continuous:
        raise ConfigError(
            f"algorithm = {config.algorithm!r} needs continuous actions, but env = {config.env!r} has"
            f" {spec.num_actions} discrete ones: use algorithm = 'dqn', or {_continuous_sibling(config.env)}"
        )
    if spec.action_bounds is not None and not config.continuous:
        raise ConfigError(
            f"algorithm = 'dqn' needs discrete actions, but env = {config.env!r} has continuous ones:"
            f" use algorithm = 'sac', 'td3' or 'ddpg'{_discrete_sibling(config)}"
        )
    return spec


def _discrete_sibling(config: Config) -> str:
    """Return a suggestion if the id or an argument names the continuous version of an environment."""
    if "continuous" in config.env_args:
        return ", or leave out the argument continuous"
    return f"; did you mean {config.env.replace('Continuous', '')!r}?" if "Continuous" in config.env else ""


def _continuous_sibling(env: str) -> str:
    """Return what to use instead of an environment with discrete actions."""
    if env.rpartition(":")[2].startswith("LunarLander-"):
        return "continuous ones: --env-arg continuous=true (env_args = {'continuous': True})"
    return "an environment with Box actions"


def _describe(config: Config) -> EnvSpec:
    maker, name = split_id(config.env)
    if maker == "gymnasium":
        with unpinned():
            return describe_gymnasium(name, config.env_modules, arguments=config.env_args, flatten=config.flatten)
    for setting, given in (("env_args", config.env_args), ("flatten", config.flatten)):
        if given:
            raise ConfigError(f"{setting} = {given} is for Gymnasium's environments: leave it out for {config.env}")
    if maker == "gymnax":
        return make_compiled(name).spec
    return describe_envpool(name)


def longest_episode(spec: EnvSpec) -> int | None:
    """Return the steps after which the environment cuts an episode; None if it has no limit, or has it in EnvPool."""
    if spec.maker == "gymnax":
        return longest_compiled_episode(spec.name)
    if spec.maker == "envpool":
        return None
    with guarded(f"{spec.name} cannot be made"), unpinned():
        return time_limit(spec)


def make_host(spec: EnvSpec, seeds: Sequence[int], num_envs: int) -> HostEnvs:
    """Make `num_envs` environments of Gymnasium or EnvPool for each of the agents' `seeds`, and reset them.

    Raises:
        ConfigError: that many instances cannot be made.
    """
    if spec.maker == "envpool":
        return EnvPoolEnvs(spec, seeds, num_envs)
    with guarded(f"{len(seeds) * num_envs} × {spec.name} cannot be made and reset"):
        return make_unpinned(spec, seeds, num_envs)


def make_evaluation(spec: EnvSpec, agents: int, seeds: Sequence[int]) -> EvaluationEnvs:
    """Make the environments that play one episode for each agent and episode seed, and start the first of them.

    Raises:
        EnvironmentFailed: not one instance can be made.
    """
    if spec.maker == "envpool":
        return EnvPoolEvaluation(spec, agents, seeds)
    with guarded(f"{spec.name} cannot be made for an evaluation", EnvironmentFailed):
        return make_unpinned_evaluation(spec, agents, seeds)
