"""Returns and lengths of running episodes, written once for NumPy and `jax.numpy`."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from softstep.training.exploration import ExplorationArrays, GeometricDecay


class EpisodeStatistics(NamedTuple):
    """What acting carries from step to step."""

    returns: Any  # (W, E) float32, of the running episodes
    lengths: Any  # (W, E) int32, of the running episodes
    epsilon: Any  # (W,) float32; changes under the geometric schedule only
    episodes: Any  # (W,) int32, number finished


class EndedEpisodes(NamedTuple):
    """The episodes that ended at one vector step; length 0 marks an environment whose episode continues."""

    returns: Any  # (W, E) float32
    lengths: Any  # (W, E) int32


def initial_statistics(exploration: ExplorationArrays, num_envs: int) -> EpisodeStatistics:
    """Return the statistics before the first step."""
    shape = (len(exploration.start), num_envs)
    return EpisodeStatistics(
        np.zeros(shape, np.float32),
        np.zeros(shape, np.int32),
        exploration.start.astype(np.float32),
        np.zeros(len(exploration.start), np.int32),
    )


def add_rewards(
    statistics: EpisodeStatistics, rewards: np.ndarray, valid: np.ndarray | None = None
) -> EpisodeStatistics:
    """Add K vector steps on the host.

    Args:
        statistics: the statistics before these steps.
        rewards: rewards (K, W, E).
        valid: which steps are transitions (K, W, E); None for all.

    One NumPy call for all K steps, because a call costs more than its arithmetic; added one after the other, to
    match the bits of the compiled loop.
    """
    returns = np.add.accumulate(np.concatenate([statistics.returns[None], rewards]), axis=0)[-1]
    steps = len(rewards) if valid is None else valid.sum(0, dtype=np.int32)
    return statistics._replace(returns=returns, lengths=statistics.lengths + steps)


def close_episodes(
    xp: Any, decay: GeometricDecay | None, statistics: EpisodeStatistics, ended: Any
) -> tuple[EpisodeStatistics, EndedEpisodes]:
    """Close the episodes that `ended` (W, E).

    Args:
        xp: `numpy` or `jax.numpy`.
        decay: how ε falls once per ended episode under the geometric schedule; None under the linear schedule.
        statistics: the statistics including the last step.
        ended: which environments' episodes ended (W, E).
    """
    closed = EndedEpisodes(xp.where(ended, statistics.returns, 0), xp.where(ended, statistics.lengths, 0))
    count = ended.sum(-1)
    epsilon = statistics.epsilon
    if decay is not None:
        epsilon = xp.maximum(decay.floor, epsilon * xp.take_along_axis(decay.factors, count[:, None], -1)[:, 0])
    following = EpisodeStatistics(
        xp.where(ended, np.float32(0), statistics.returns),
        xp.where(ended, np.int32(0), statistics.lengths),
        epsilon,
        statistics.episodes + count.astype(np.int32),
    )
    return following, closed
