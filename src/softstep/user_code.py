"""The user's own code: the import of its modules, and what becomes of the errors that it raises."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from softstep import search_path
from softstep.errors import INTERRUPTIONS, ConfigError, EnvironmentFailed, in_words


def import_env_modules(names: Sequence[str]) -> None:
    """Import the modules that register environments; raise ConfigError if one of them cannot be imported."""
    for name in names:
        import_user_module(name, f"env_module = {name!r}")


def import_user_module(name: str, setting: str) -> ModuleType:
    """Import a module of the user.

    Args:
        name: the module, as Python imports it.
        setting: what names it, for the message, such as `env_module = 'my_envs'`.

    Raises:
        ConfigError: it cannot be imported, for whatever reason.
    """
    _check_name(name, setting)
    search_path.extend()
    importlib.invalidate_caches()  # the file may have been written a moment ago
    with guarded(f"{setting} cannot be imported"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that it imports is missing
            places = ", ".join(["Python's own folders", *search_path.user_folders()])
            raise ConfigError(f"{setting} cannot be imported: {error} (searched: {places})") from None
    _warn_if_hidden(name, setting)
    return module


@contextlib.contextmanager
def guarded(what: str, kind: type[Exception] = ConfigError) -> Iterator[None]:
    """Turn every error that the user's code raises inside `with` into one line, with the original as its cause.

    Ctrl-C, a request to stop and errors that are such lines already pass through. What the code sets with
    `numpy.seterr` ends with it, so that our own arithmetic does not raise.

    Args:
        what: what fails, the beginning of the line.
        kind: class of the error to raise.
    """
    try:
        with np.errstate():
            yield
    except (*INTERRUPTIONS, ConfigError, EnvironmentFailed):
        raise
    except BaseException as error:  # SystemExit, and whatever else is no Exception, among them
        raise kind(f"{what}: {in_words(error)}") from error


def close(env: Any) -> None:
    """Close an environment; its failure to do so is a warning, because everything asked of it is done."""
    try:
        env.close()
    except Exception as error:
        name = getattr(getattr(env, "spec", None), "id", env)
        warnings.warn(f"{name}: close() raised {in_words(error)}", RuntimeWarning, stacklevel=2)


def _warn_if_hidden(name: str, setting: str) -> None:
    """Warn if another module was imported than the one that the user's folders, in their order, hold."""
    package = name.partition(".")[0]
    imported = getattr(sys.modules[package], "__file__", None) or "built into Python"
    places = (os.path.join(folder, package, "__init__.py") for folder in search_path.user_folders())
    files = (file for place in places for file in (place, f"{os.path.dirname(place)}.py") if os.path.isfile(file))
    expected = next(files, None)
    if expected is not None and os.path.realpath(expected) != os.path.realpath(imported):
        warnings.warn(
            f"{setting} is {imported}, which hides {expected}: give yours another name, or uninstall the other",
            RuntimeWarning,
            stacklevel=3,
        )


def _check_name(name: str, setting: str) -> None:
    """Raise ConfigError with the name to write instead, if `name` is a file or carries an environment's id."""
    module, _, rest = name.partition(":")
    if rest:
        raise ConfigError(f"{setting} must name a module alone: write {module}, and {rest} as the environment")
    if "/" in name or os.sep in name:
        dotted = os.path.normpath(name).removesuffix(".py").replace(os.sep, ".")
        if os.path.isabs(name) or dotted.startswith("."):
            dotted = dotted.rpartition(".")[2]
            raise ConfigError(f"{setting} is a path: write {dotted}, and start in its folder or add that to PYTHONPATH")
        raise ConfigError(f"{setting} is a path: write the module as Python imports it, {dotted}")
    if name.endswith(".py"):
        raise ConfigError(f"{setting} is a file: leave out .py and write {name.removesuffix('.py')}")
