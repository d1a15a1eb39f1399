"""The best checkpoint of every agent: the weights that acted at its best greedy evaluation so far."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Array, Bool, Float, Int

from softstep.learner.networks import Network
from softstep.records.history import History

PREFIX = "best/"
"""Beginning of the names of a snapshot's arrays that hold the best checkpoints."""


class BestCheckpoints(NamedTuple):
    """The best checkpoints of a block's agents. Arrays are replaced, never changed, since snapshots refer to them."""

    network: tuple[np.ndarray, ...]
    """Leaves (W, ...) of the network that played: that of `eval_network`. Zeros where there is no checkpoint."""
    env_steps: Int[np.ndarray, " W"]
    """Environment steps at the best evaluation; 0 where there is no checkpoint."""
    eval_return: Float[np.ndarray, " W"]
    """Mean greedy return of that evaluation, the best of many and so biased upwards; −∞ before the first."""


def no_checkpoints(like: Sequence[np.ndarray | Array]) -> BestCheckpoints:
    """Return the best checkpoints before the first evaluation; `like` are parameters with leaves (W, ...)."""
    width = like[0].shape[0]
    network = tuple(np.zeros(leaf.shape, leaf.dtype) for leaf in like)
    return BestCheckpoints(network, np.zeros(width, np.int64), np.full(width, -np.inf))


def keep_best(
    best: BestCheckpoints,
    network: Sequence[np.ndarray | Array],
    returns: Float[np.ndarray, " agents"],
    diverged: Bool[np.ndarray, " W"],
    env_steps: int,
) -> BestCheckpoints:
    """Return the best checkpoints after an evaluation: of equal returns the first stays, and no diverged agent counts.

    Args:
        best: the best checkpoints before it.
        network: the parameters that played, with leaves (W, ...).
        returns: the mean greedy returns of the block's agents, which may be fewer than W.
        diverged: which agents have diverged.
        env_steps: environment steps of the evaluation.
    """
    count, better = len(returns), np.zeros(len(diverged), bool)
    better[:count] = ~diverged[:count] & (returns > best.eval_return[:count])
    if not better.any():
        return best

    def replaced(old: np.ndarray, new: np.ndarray) -> np.ndarray:
        return np.where(better.reshape(-1, *[1] * (old.ndim - 1)), new, old)

    scores = np.full(len(diverged), -np.inf)
    scores[:count] = returns
    return BestCheckpoints(
        tuple(replaced(old, np.asarray(new)) for old, new in zip(best.network, network, strict=True)),
        replaced(best.env_steps, np.full_like(best.env_steps, env_steps)),
        replaced(best.eval_return, scores),
    )


def to_arrays(best: BestCheckpoints | None, parameter_names: Sequence[str]) -> dict[str, np.ndarray]:
    """Return the best checkpoints as arrays of a snapshot; a run without evaluations has none."""
    if best is None:
        return {}
    network = {f"{PREFIX}network/{name}": leaf for name, leaf in zip(parameter_names, best.network, strict=True)}
    return network | {f"{PREFIX}env_steps": best.env_steps, f"{PREFIX}eval_return": best.eval_return}


def from_arrays(parameter_names: Sequence[str], arrays: Mapping[str, np.ndarray]) -> BestCheckpoints | None:
    """Read the result of `to_arrays`; None if the run makes no evaluations or the snapshot is of an older softstep."""
    if f"{PREFIX}env_steps" not in arrays:
        return None
    network = tuple(arrays[f"{PREFIX}network/{name}"] for name in parameter_names)
    return BestCheckpoints(network, arrays[f"{PREFIX}env_steps"], arrays[f"{PREFIX}eval_return"])


def restored(empty: BestCheckpoints, network: Network, arrays: Mapping[str, np.ndarray]) -> BestCheckpoints:
    """Return the best checkpoints of a snapshot, to train on.

    A snapshot of an older softstep has kept none. Its best returns still count, so that a later, lower one does not
    pass for the best: their weights are missing, which `env_steps` = 0 says, until an evaluation exceeds them.

    Args:
        empty: the best checkpoints of a block that has not started.
        network: the network that acts.
        arrays: the snapshot's arrays.
    """
    best = from_arrays(network.parameter_names, arrays)
    if best is not None:
        return best
    history, eval_return = History.from_arrays(arrays), empty.eval_return.copy()
    for number, record in enumerate(history.records):
        slot = number % len(history.solved)
        if not record.diverged and record.eval_return > eval_return[slot]:
            eval_return[slot] = record.eval_return
    return empty._replace(eval_return=eval_return)
