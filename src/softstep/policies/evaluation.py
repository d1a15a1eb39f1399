"""Greedy evaluation of a run's trained agents on held-out episodes."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from softstep import envs
from softstep.errors import ConfigError
from softstep.jax_settings.pinned import pinned
from softstep.learner.algorithms import make_learner
from softstep.policies.policy import describe_environment, lacks_best, read_best, read_parameters
from softstep.runs import run_folder
from softstep.runs.api import Run, check_trust
from softstep.runs.run_folder import RunFolder
from softstep.settings import Agent
from softstep.stats import ReturnStatistics, return_statistics
from softstep.training.block import make_block
from softstep.training.evaluation import GreedyEpisodes, make_evaluate, warn_of_cut_episodes
from softstep.training.program_cache import ProgramCache

FIRST_HELD_OUT_EVALUATION = 1_000_000
"""First evaluation number of `evaluate`; training evaluates on episodes of lower numbers only."""


class Evaluation(NamedTuple):
    """Greedy returns of every agent of a run."""

    agents: tuple[Agent, ...]
    returns: Float[np.ndarray, "P episodes"]
    """NaN for an agent without a best checkpoint, if those were asked for."""
    cut: Int[np.ndarray, " P"]
    """Number of each agent's episodes that had not ended at `eval_max_steps`; they count with their returns so far."""

    @property
    def statistics(self) -> list[ReturnStatistics]:
        """Mean, IQM, standard deviation and interval of each agent's returns."""
        return [return_statistics(returns) for returns in self.returns]


@pinned()
def evaluate(
    run: Run | Path | str,
    episodes: int = 100,
    seed: int = 0,
    *,
    best: bool = False,
    eval_max_steps: int | None = None,
    trusted: Sequence[str] = (),
) -> Evaluation:
    """Play greedy episodes with every agent of a run, on held-out seeds common to all agents.

    Args:
        run: the run or its folder.
        episodes: episodes of each agent.
        seed: selects the episodes; evaluations of different seeds share no episode with each other or with training.
        best: play with the weights of each agent's best evaluation in training, instead of its newest ones.
        eval_max_steps: steps after which an episode is cut, with a warning; None takes the run's own limit.
        trusted: the modules that the run's configuration names, if any, repeated.

    Raises:
        EnvironmentFailed: the environment raised.
        StoreError: the run has no checkpoint, or has kept no best ones.
        ConfigError: an argument is out of range, or `trusted` lacks a module that the run's configuration names.
    """
    if episodes < 1:
        raise ConfigError(f"episodes = {episodes} must be at least 1")
    if seed < 0:
        raise ConfigError(f"seed = {seed} must be at least 0")
    folder = run_folder.open_run(run.path if isinstance(run, Run) else run)
    check_trust(folder.config, trusted)
    if eval_max_steps is not None:
        folder = RunFolder(folder.path, dataclasses.replace(folder.config, eval_max_steps=eval_max_steps))
    config, spec = folder.config, describe_environment(folder)
    cache = ProgramCache()
    blocks = [
        play_block(folder, spec, block, episodes, seed, best=best, cache=cache) for block in range(len(config.blocks()))
    ]
    cut = np.concatenate([block.cut for block in blocks])
    warn_of_cut_episodes(spec.name, int(cut.sum()), cut.size, config.eval_max_steps)
    return Evaluation(config.agents(), np.concatenate([block.returns for block in blocks]), cut.sum(1))


def play_block(
    folder: RunFolder,
    spec: envs.EnvSpec,
    block_number: int,
    episodes: int,
    seed: int,
    *,
    best: bool = False,
    cache: ProgramCache | None = None,
) -> GreedyEpisodes:
    """Play the greedy episodes of a block's agents; see `evaluate`. `cache` has the programs of the other blocks."""
    return block_player(folder, spec, block_number, best=best, cache=cache)(episodes, seed)


def block_player(
    folder: RunFolder, spec: envs.EnvSpec, block_number: int, *, best: bool = False, cache: ProgramCache | None = None
) -> Callable[[int, int], GreedyEpisodes]:
    """Return a function of episodes and seed that plays a block's agents; see `evaluate`. Its first call compiles."""
    config, agents = folder.config, folder.config.blocks()[block_number]
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    params = read_parameters(folder, learner.network, block_number, best=best)
    block = make_block(config, learner, agents, spec.observation_size, spec.num_actions, cache=cache)
    compiled = envs.make_compiled(spec.name) if spec.maker == "gymnax" else None
    evaluate_block = make_evaluate(config, block, spec, compiled, cache)
    missing = np.zeros(len(agents), bool)
    if best:
        kept = read_best(folder, learner.network, block_number)
        missing = np.array([lacks_best(kept, slot) is not None for slot in range(len(agents))])

    def play(episodes: int, seed: int) -> GreedyEpisodes:
        played = evaluate_block(params, FIRST_HELD_OUT_EVALUATION + seed, episodes)
        returns = np.where(missing[:, None], np.nan, np.asarray(played.returns))
        return GreedyEpisodes(returns, np.asarray(played.cut) & ~missing[:, None], played.lengths)

    return play
