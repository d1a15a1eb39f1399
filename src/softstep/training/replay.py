"""Uniform replay in rows of 2·O + 3 floats, one ring buffer per agent.

Row number n of a ring is stored at slot n % slots. A ring has more slots than the rows it remembers, by one iteration's
rows, so that new rows can be written before the minibatch is drawn from the rows *visible* when the iteration began.

Both rings take 32 random bits per draw from elsewhere, so that the host's and the compiled loop's minibatches are the
same. The bits b pick the (b % size)-th oldest of `size` visible rows: uniform up to size/2³², 2e-4 at a million rows.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int, UInt32


class DeviceReplay(NamedTuple):
    """The rings of a block inside a compiled loop; all agents write in lockstep."""

    rows: Float[Array, "W slots width"]
    written: Int[Array, ""]
    """Number of rows ever written to each ring."""


def write(replay: DeviceReplay, new: Float[Array, "W E width"]) -> DeviceReplay:
    """Append E rows to each ring, replacing the oldest once it is full; the slots must be a multiple of E."""
    slots = replay.rows.shape[1]
    rows = jax.lax.dynamic_update_slice(replay.rows, new, (0, replay.written % slots, 0))
    return DeviceReplay(rows, replay.written + new.shape[1])


def sample(
    replay: DeviceReplay, random_bits: UInt32[Array, "U W B"], visible: Int[Array, ""], capacity: int
) -> Float[Array, "U W B width"]:
    """Return the rows that `random_bits` pick among the newest `capacity` of the first `visible` rows.

    Args:
        replay: the rings.
        random_bits: one integer per drawn row.
        visible: number of rows, counted from the first ever written, that may be drawn.
        capacity: number of rows a ring remembers.
    """
    size = jnp.clip(visible, 1, capacity)
    slot = (visible - size + (random_bits % size.astype(jnp.uint32)).astype(jnp.int32)) % replay.rows.shape[1]
    gather = jax.vmap(lambda rows, i: rows.at[i].get(mode="promise_in_bounds"), in_axes=(0, 1), out_axes=1)
    return gather(replay.rows, slot)


class HostReplay:
    """The rings of a block in NumPy, for environments that step on the host.

    `written[w]` counts the rows ever written to ring w; row number n is stored at slot n % slots.
    """

    def __init__(self, agents: int, capacity: int, spare: int, width: int) -> None:
        """Allocate the rings.

        Args:
            agents: number of rings.
            capacity: rows that a ring remembers.
            spare: further slots, for the rows of a running iteration.
            width: floats per row.
        """
        self.capacity, self._slots = capacity, capacity + spare
        self.rows: Float[np.ndarray, "W slots width"] = np.zeros((agents, self._slots, width), np.float32)
        self.written: Int[np.ndarray, " W"] = np.zeros(agents, np.int64)
        self._offsets = (np.arange(agents) * self._slots)[None, :, None]

    def claim(self, count: int) -> Float[np.ndarray, "W E width"]:
        """Return the next `count` rows of each ring, to be filled in place; for agents that write in lockstep."""
        start = self.written.item(0) % self._slots
        self.written += count
        return self.rows[:, start : start + count]

    def write(self, new: Float[np.ndarray, "W E width"], valid: np.ndarray | None = None) -> None:
        """Append the rows to each agent's ring: those marked in `valid` (W, E), or all."""
        for agent in range(len(new)):
            kept = new[agent] if valid is None else new[agent, valid[agent]]
            self.put(agent, int(self.written[agent]), kept)
            self.written[agent] += len(kept)

    def put(self, agent: int, number: int, rows: Float[np.ndarray, "N width"]) -> None:
        """Write rows number, number + 1, … of an agent's ring."""
        self.rows[agent, (number + np.arange(len(rows))) % self._slots] = rows

    def sample(self, random_bits: UInt32[np.ndarray, "U W B"]) -> Float[np.ndarray, "U W B width"]:
        """Return the rows that `random_bits` pick, in fresh memory: an asynchronous update may still read the last."""
        size = np.minimum(np.maximum(self.written, 1), self.capacity)
        oldest = (self.written - size)[:, None]
        slot = (oldest + random_bits % size.astype(np.uint32)[:, None]) % self._slots + self._offsets
        width = self.rows.shape[-1]
        return self.rows.reshape(-1, width).take(slot.ravel(), axis=0).reshape(*random_bits.shape, width)

    def since(self, mark: Int[np.ndarray, " W"], until: Int[np.ndarray, " W"] | None = None) -> list[np.ndarray]:
        """Copy the rows each agent has written since its count stood at `mark`, oldest first.

        With `until`, which may lie `spare` rows back, those written before the count stood there.
        """
        ends = self.written if until is None else until
        return [
            rows[np.arange(max(int(m), int(w) - self.capacity), int(w)) % self._slots]
            for rows, m, w in zip(self.rows, mark, ends, strict=True)
        ]
