"""Compute under the settings of `table`, and let the user's own code run under its own.

JAX's settings reach every program of a process and of the processes it starts: they come from environment variables
(JAX_ENABLE_X64) and from any module that calls `jax.config.update`, a simulator for example. So all arithmetic of
softstep runs inside `pinned`, which sets them for this thread only, and environments of the user inside `unpinned`.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Iterator

import jax

from softstep.errors import ConfigError
from softstep.jax_settings.table import PER_PROCESS, pinned_on


class _Thread(threading.local):
    pins: contextlib.ExitStack | None = None
    """The settings that `pinned` has set in this thread; None outside it and inside `unpinned`."""


_thread = _Thread()


@contextlib.contextmanager
def pinned() -> Iterator[None]:
    """Compute under the pinned settings; the process's settings are not changed. Also a decorator.

    Raises:
        ConfigError: a setting of the whole process differs, or JAX cannot start on the platform it was given.
    """
    if _thread.pins is not None:
        yield
        return
    _check_process()
    _thread.pins = _pin()
    try:
        yield
    finally:
        _thread.pins.close()
        _thread.pins = None


@contextlib.contextmanager
def unpinned() -> Iterator[None]:
    """Inside `pinned`, return to the process's own settings; elsewhere do nothing. Also a decorator."""
    if _thread.pins is None:
        yield
        return
    _thread.pins.close()
    _thread.pins = None
    try:
        yield
    finally:
        _thread.pins = _pin()


def settings_differ() -> bool:
    """Return whether the settings here and now are others than the pinned ones."""
    current = jax.config.values
    return any(current[name] != value for name, value in pinned_on(platform()).items())


def _pin() -> contextlib.ExitStack:
    """Set the pinned settings in this thread until the stack is closed."""
    pins = contextlib.ExitStack()
    for name, value in pinned_on(platform()).items():
        pins.enter_context(getattr(jax, name.removeprefix("jax_"))(value))
    return pins


def _check_process() -> None:
    current = jax.config.values
    for name, value in PER_PROCESS.items():
        if current.get(name, value) != value:  # later releases of JAX have dropped settings
            raise ConfigError(
                f"{name} = {current[name]!r} changes what JAX computes in this whole process: leave it at {value!r},"
                f" its default (unset {name.upper()}, or remove jax.config.update from the module that sets it)"
            )
    platform()


def platform() -> str:
    """Return where JAX computes in this process: cpu, gpu or tpu; raise ConfigError if it finds no device."""
    try:
        return jax.default_backend()
    except (RuntimeError, AssertionError):  # JAX asserts that it has found a platform
        asked = jax.config.values["jax_platforms"]
        if asked == "cuda":
            raise ConfigError(
                "JAX finds no GPU here, or was installed without support for it: pip install 'jax[cuda12]', or compute"
                " on the CPU (leave --device out, and unset JAX_PLATFORMS)"
            ) from None
        raise ConfigError(
            f"JAX finds no device for jax_platforms = {asked!r}: unset JAX_PLATFORMS, or set it to cpu"
        ) from None
