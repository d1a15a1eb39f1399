"""Drivers run iterations: the only code that steps environments in training.

An *iteration* is V vector steps of E environments and U gradient steps. The learner draws its minibatches from the
replay as it was when the iteration began, so collecting and learning can overlap, and no result depends on whether
they do: the newest V·E transitions reach the learner one iteration later.

`FusedDriver` runs iterations inside one compiled program (gymnax); `HostDriver` steps environments in Python while
the update runs. On the same environment and seeds both give the same numbers, bit for bit.
"""

from __future__ import annotations

import math
from typing import Any, Protocol, runtime_checkable

import numpy as np

from softstep.config import Config
from softstep.records.events import FINISHED_EPISODE
from softstep.training.block import BlockInputs, BlockState
from softstep.training.episode_statistics import EndedEpisodes, EpisodeStatistics
from softstep.training.replay import Window


@runtime_checkable
class Driver(Protocol):
    """Runs the iterations of one block."""

    state: BlockState
    iteration: int
    inputs: BlockInputs
    """The agents' settings, which may change between iterations."""

    @property
    def statistics(self) -> EpisodeStatistics:
        """Episode statistics of the real agents."""
        ...

    def advance(self, count: int, *, learning: bool, seconds: float = math.inf) -> np.ndarray:
        """Run iterations, whose numbers do not depend on how many run in one call.

        Args:
            count: most iterations to run, at most `drawn_ahead`.
            learning: whether gradient steps are taken.
            seconds: time after which no further iteration begins; at least one is run.

        Returns: the episodes that finished (`FINISHED_EPISODE`), in chronological order.
        """
        ...

    def check(self) -> None:
        """Raise EnvironmentFailed if a replay row written since the last check holds a number that is not finite.

        To be called before anything learned from these rows is recorded, evaluated or saved.
        """
        ...

    def minibatch(self, random_bits: Any) -> Any:
        """Return the replay rows (1, W, B, width) that `random_bits` pick; n at a time with n-step returns."""
        ...

    def new_rows(self, mark: np.ndarray, until: np.ndarray | None = None) -> list[np.ndarray]:
        """Return the rows each agent wrote after its count stood at `mark` and before `until` (now), oldest first.

        `until` may lie one iteration back.
        """
        ...

    def written(self) -> np.ndarray:
        """Return the number of rows ever written to each agent's replay."""
        ...

    def snapshot(self) -> dict[str, np.ndarray]:
        """Return everything except the replay's rows, as arrays."""
        ...

    def restore(self, arrays: dict[str, np.ndarray], rows: list[np.ndarray], iteration: int) -> int:
        """Return to a snapshot; `rows` are each agent's newest replay rows, at most a full ring.

        Returns: the number of environments that have started a new episode instead of continuing theirs.
        """
        ...

    def close(self) -> None:
        """Free the environments."""
        ...


def replay_capacity(config: Config) -> int:
    """Return the rows a ring remembers: `memory_size`, rounded down to whole iterations so that writes never wrap."""
    return max(1, config.memory_size // config.steps_per_iteration) * config.steps_per_iteration


def replay_window(config: Config) -> Window:
    """Return which rows of a ring may be drawn, and how many together."""
    return Window(replay_capacity(config), config.n_step, config.num_envs)


def finished_episodes(ended: EndedEpisodes, env_steps: np.ndarray) -> np.ndarray:
    """Return the episodes (`FINISHED_EPISODE`) that ended at some vector steps, in chronological order.

    Args:
        ended: returns and lengths (S, W, E) at S vector steps.
        env_steps: the environment steps (S,) at their ends.
    """
    steps, agents, _ = at = np.nonzero(ended.lengths)
    episodes = np.empty(len(steps), FINISHED_EPISODE)
    episodes["agent"], episodes["env_steps"] = agents, env_steps[steps]
    episodes["episode_return"], episodes["length"] = ended.returns[at], ended.lengths[at]
    return episodes
