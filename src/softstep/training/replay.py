"""Uniform replay in rows of 2·O + 3 floats, one ring per agent.

Row number n of a ring lies at n % slots. A ring has one iteration more slots than the rows it remembers, so that new
rows can be written before the minibatch is drawn from the rows *visible* when the iteration began.

Both rings take their randomness as 32-bit words drawn elsewhere, so that the host's and the compiled loop's
minibatches are the same. A word picks the (word % size)-th oldest of `size` visible rows: uniform up to size/2³²,
2e-4 at a million rows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32


class DeviceReplay(NamedTuple):
    """The rings of a block inside a compiled loop; all of its agents write in lockstep."""

    rows: Float[Array, "W slots width"]
    written: Int[Array, ""]
    """Rows ever written to each ring."""


def write(replay: DeviceReplay, new: Float[Array, "W E width"]) -> DeviceReplay:
    """Append E rows to each ring, over the oldest once it is full; the slots must be a multiple of E."""
    slots = replay.rows.shape[1]
    rows = jax.lax.dynamic_update_slice(replay.rows, new, (0, replay.written % slots, 0))
    return DeviceReplay(rows, replay.written + new.shape[1])


def sample(
    replay: DeviceReplay, words: UInt32[Array, "U W B"], visible: Int[Array, ""], capacity: int
) -> Float[Array, "U W B width"]:
    """The rows that `words` pick among the newest `capacity` of the first `visible`."""
    size = jnp.clip(visible, 1, capacity)
    slot = (visible - size + (words % size.astype(jnp.uint32)).astype(jnp.int32)) % replay.rows.shape[1]
    gather = jax.vmap(lambda rows, i: rows.at[i].get(mode="promise_in_bounds"), in_axes=(0, 1), out_axes=1)
    return gather(replay.rows, slot)


class HostReplay:
    """The rings of a block in NumPy, for environments that step on the host.

    `written[w]` counts the rows ever written to ring w; row number n lies at n % capacity.
    """

    def __init__(self, agents: int, capacity: int, spare: int, width: int) -> None:
        """Rings that remember `capacity` rows, with `spare` slots for the rows of a running iteration."""
        self.capacity, self._slots = capacity, capacity + spare
        self.rows: Float[np.ndarray, "W slots width"] = np.zeros((agents, self._slots, width), np.float32)
        self.written: Int[np.ndarray, " W"] = np.zeros(agents, np.int64)
        self._offsets = (np.arange(agents) * self._slots)[None, :, None]

    def claim(self, count: int) -> Float[np.ndarray, "W E width"]:
        """The next `count` rows of each ring, to be filled in place; for agents that write in lockstep."""
        start = self.written.item(0) % self._slots
        self.written += count
        return self.rows[:, start : start + count]

    def write(self, new: Float[np.ndarray, "W E width"], valid: np.ndarray | None = None) -> None:
        """Append the rows (those that are `valid` (W, E), where given) to each agent's ring."""
        for agent in range(len(new)):
            kept = new[agent] if valid is None else new[agent, valid[agent]]
            self.put(agent, int(self.written[agent]), kept)
            self.written[agent] += len(kept)

    def put(self, agent: int, number: int, rows: Float[np.ndarray, "N width"]) -> None:
        """Lay down rows number, number + 1, … of an agent's ring."""
        self.rows[agent, (number + np.arange(len(rows))) % self._slots] = rows

    def sample(self, words: UInt32[np.ndarray, "U W B"]) -> Float[np.ndarray, "U W B width"]:
        """The rows that `words` pick, in fresh memory (an asynchronous update may still read the last ones)."""
        size = np.minimum(np.maximum(self.written, 1), self.capacity)
        oldest = (self.written - size)[:, None]
        slot = (oldest + words % size.astype(np.uint32)[:, None]) % self._slots + self._offsets
        width = self.rows.shape[-1]
        return self.rows.reshape(-1, width).take(slot.ravel(), axis=0).reshape(*words.shape, width)

    def since(self, mark: Int[np.ndarray, " W"]) -> list[np.ndarray]:
        """Copies of the rows each agent wrote after its count stood at `mark`, the oldest first."""
        return [
            rows[np.arange(max(int(m), int(w) - self.capacity), int(w)) % self._slots]
            for rows, m, w in zip(self.rows, mark, self.written, strict=True)
        ]
