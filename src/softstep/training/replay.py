"""Uniform replay in rows of floats (`replay_rows`), one ring buffer per agent.

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

from softstep.kernels.gather import gather_rows


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


class Window(NamedTuple):
    """Which rows may be drawn, and how many are drawn together."""

    capacity: int
    """Rows that a ring remembers."""
    n_step: int = 1
    """Rows of one environment that are drawn together."""
    num_envs: int = 1
    """E: the next row of an environment lies E rows later."""

    @property
    def reach(self) -> int:
        """Rows from the first of a draw to its last."""
        return (self.n_step - 1) * self.num_envs


def sample(
    replay: DeviceReplay, random_bits: UInt32[Array, "U W B"], visible: Int[Array, ""], window: Window
) -> Float[Array, "U W B *n width"]:
    """Return the rows that `random_bits` pick among the newest of the first `visible` rows.

    Args:
        replay: the rings.
        random_bits: one integer per draw.
        visible: number of rows, counted from the first ever written, that may be drawn.
        window: which of them, and how many are drawn together: with n-step returns (U, W, B, n, width).
    """
    size = jnp.clip(visible, 1, window.capacity)
    starts = jnp.maximum(size - window.reach, 1)
    first = visible - size + (random_bits % starts.astype(jnp.uint32)).astype(jnp.int32)
    if window.n_step > 1:
        first = first[..., None] + jnp.arange(window.n_step) * window.num_envs
    slot = first % replay.rows.shape[1]
    return jax.vmap(gather_rows, in_axes=(0, 1), out_axes=1)(replay.rows, slot)


class HostReplay:
    """The rings of a block in NumPy, for environments that step on the host.

    `written[w]` counts the rows ever written to ring w; row number n is stored at slot n % slots.
    """

    def __init__(self, agents: int, window: Window, spare: int, width: int) -> None:
        """Allocate the rings.

        Args:
            agents: number of rings.
            window: how many rows a ring remembers, and how they are drawn.
            spare: further slots, for the rows of a running iteration.
            width: floats per row.
        """
        self.capacity, self._window, self._slots = window.capacity, window, window.capacity + spare
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

    def sample(self, random_bits: UInt32[np.ndarray, "U W B"]) -> Float[np.ndarray, "U W B *n width"]:
        """Return the rows that `random_bits` pick, in fresh memory: an asynchronous update may still read the last."""
        window, width = self._window, self.rows.shape[-1]
        size = np.minimum(np.maximum(self.written, 1), window.capacity)
        starts = np.maximum(size - window.reach, 1) if window.reach else size
        first = (self.written - size)[:, None] + random_bits % starts.astype(np.uint32)[:, None]
        offsets = self._offsets
        if window.n_step > 1:
            first = first[..., None] + np.arange(window.n_step) * window.num_envs
            offsets = offsets[..., None]
        slot = first % self._slots + offsets
        return self.rows.reshape(-1, width).take(slot.ravel(), axis=0).reshape(*slot.shape, width)

    def since(self, mark: Int[np.ndarray, " W"], until: Int[np.ndarray, " W"] | None = None) -> list[np.ndarray]:
        """Copy the rows each agent has written since its count stood at `mark`, oldest first.

        With `until`, which may lie `spare` rows back, those written before the count stood there.
        """
        ends = self.written if until is None else until
        return [
            rows[np.arange(max(int(m), int(w) - self.capacity), int(w)) % self._slots]
            for rows, m, w in zip(self.rows, mark, ends, strict=True)
        ]
