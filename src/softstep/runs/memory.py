"""Is there memory for a block's replay? Asked before training, because the rings fill up only after hours."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from softstep.config import Config
from softstep.errors import ConfigError


def check_replay_fits(config: Config, row_bytes: int, block_bytes: int) -> None:
    """Raise ConfigError if the replay of one block needs more memory than is available.

    Args:
        config: the run's configuration.
        row_bytes: size of a stored transition.
        block_bytes: size of the rings of a block's agents.
    """
    available = available_bytes()
    if available is None or block_bytes <= available:
        return
    agents = min(config.num_agents, config.width)
    fitting = max(1, int(0.5 * available / (row_bytes * config.width)))
    raise ConfigError(
        f"memory_size = {config.memory_size} does not fit: {config.memory_size:,} transitions × {row_bytes:,} bytes"
        f" × {agents} {'agent' if agents == 1 else 'agents'} trained together are {_in_words(block_bytes)}, and"
        f" {_in_words(available)} are available: lower --memory-size, for example to {fitting}"
    )


def available_bytes() -> int | None:
    """Return the memory that is left on this machine and in this process's control group; None if unknown."""
    amounts = [amount for amount in (_of_machine(), _of_group()) if amount is not None]
    return min(amounts, default=None)


def _of_machine() -> int | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    with contextlib.suppress(OSError, ValueError):
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return None


def _of_group(group: Path = Path("/sys/fs/cgroup")) -> int | None:
    """Return what a container may still use, without what the kernel would give back; None without a limit."""
    with contextlib.suppress(OSError, ValueError, KeyError):
        limit = int((group / "memory.max").read_text())
        statistics = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
        return limit - int((group / "memory.current").read_text()) + int(statistics["inactive_file"])
    return None


def _in_words(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"
