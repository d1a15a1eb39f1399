"""The user's own code: where its modules are found, and what becomes of the errors that it raises.

Every process of softstep searches for modules in the same folders: first wherever Python searches by itself, then in
the folder of the user's script, then in the working directory. So a `random.py` of the user does not take the place of
Python's own. A worker process is told the folders of its parent.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import sys
import warnings
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Any

import numpy as np

from softstep.errors import INTERRUPTIONS, ConfigError, EnvironmentFailed, in_words

_VARIABLE = "SOFTSTEP_SEARCH_PATH"


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
    _extend_search_path()
    importlib.invalidate_caches()  # the file may have been written a moment ago
    with guarded(f"{setting} cannot be imported"):
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as error:
            if error.name is None or not f"{name}.".startswith(f"{error.name}."):
                raise  # a module that it imports is missing
            places = ", ".join(["Python's own folders", *_user_folders()])
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


def worker_environment() -> dict[str, str]:
    """Return the environment variable that makes a worker process search where this process does."""
    folders = [*sys.path, *_user_folders()]
    with contextlib.suppress(FileNotFoundError):  # the working directory is gone
        folders = [os.path.abspath(folder) for folder in folders]
    return {_VARIABLE: json.dumps(folders)}


def _extend_search_path() -> None:
    """Add the user's folders behind all others.

    They stay there, because modules import others while they work, and because the working directory may change.
    """
    sys.path += [folder for folder in dict.fromkeys(_user_folders()) if folder not in sys.path]


def _user_folders() -> list[str]:
    """Return the folders that the parent process named; without one, those of the script and of the user."""
    if _VARIABLE in os.environ:
        return [str(folder) for folder in json.loads(os.environ[_VARIABLE])]
    folders = _script_folder()
    with contextlib.suppress(FileNotFoundError):
        folders.append(os.getcwd())
    return folders


def _warn_if_hidden(name: str, setting: str) -> None:
    """Warn if another module was imported than the one that the user's folders, in their order, hold."""
    package = name.partition(".")[0]
    imported = getattr(sys.modules[package], "__file__", None) or "built into Python"
    places = (os.path.join(folder, package, "__init__.py") for folder in _user_folders())
    files = (file for place in places for file in (place, f"{os.path.dirname(place)}.py") if os.path.isfile(file))
    expected = next(files, None)
    if expected is not None and os.path.realpath(expected) != os.path.realpath(imported):
        warnings.warn(
            f"{setting} is {imported}, which hides {expected}: give yours another name, or uninstall the other",
            RuntimeWarning,
            stacklevel=3,
        )


def _script_folder() -> list[str]:
    """Return the folder, or the archive, of the script that was started; [] for `-m`, `-c`, notebooks and prompts."""
    main = sys.modules.get("__main__")
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if not file or (spec is not None and spec.name != "__main__"):
        return []
    return [os.path.dirname(os.path.abspath(file))]


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
