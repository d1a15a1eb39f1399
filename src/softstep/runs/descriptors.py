"""File descriptors that are ours alone: no child process of the environment's code inherits them.

A program started by `subprocess` gets no descriptor that is not inheritable. A forked child (`os.fork`,
`multiprocessing`) gets all of them, and would hold a lock, or keep a pipe open, for as long as it lives; in such a
child they are replaced by /dev/null, since closed numbers would be given to other files.
"""

from __future__ import annotations

import os

_private: set[int] = set()


def make_private(descriptor: int) -> int:
    """Keep an open descriptor from all child processes from now on, and return it."""
    os.set_inheritable(descriptor, False)
    _private.add(descriptor)
    return descriptor


def release(descriptor: int) -> None:
    """Forget a descriptor that is about to be closed."""
    _private.discard(descriptor)


def discard(descriptor: int) -> None:
    """Let an open descriptor read nothing and write nowhere."""
    null = os.open(os.devnull, os.O_RDWR)
    os.dup2(null, descriptor)
    os.close(null)


def _detach() -> None:
    """Replace all private descriptors in a forked child."""
    for descriptor in _private:
        discard(descriptor)


os.register_at_fork(after_in_child=_detach)
