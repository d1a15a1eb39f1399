"""Where the user's modules are found.

Every process of softstep searches for modules in the same folders: first wherever Python searches by itself, then in
the folder of the user's script, then in the working directory. So a `random.py` of the user does not take the place of
Python's own. A worker process receives its parent's folders.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys

_VARIABLE = "SOFTSTEP_SEARCH_PATH"


def worker_environment() -> dict[str, str]:
    """Return the environment variable that makes a worker process search where this process does."""
    folders = [*sys.path, *user_folders()]
    with contextlib.suppress(FileNotFoundError):  # the working directory is gone
        folders = [os.path.abspath(folder) for folder in folders]
    return {_VARIABLE: json.dumps(folders)}


def extend() -> None:
    """Add the user's folders behind all others.

    They stay there, because modules import others while they work, and because the working directory may change.
    """
    sys.path += [folder for folder in dict.fromkeys(user_folders()) if folder not in sys.path]


def user_folders() -> list[str]:
    """Return the folders that the parent process named; without one, those of the script and of the user."""
    if _VARIABLE in os.environ:
        return [str(folder) for folder in json.loads(os.environ[_VARIABLE])]
    folders = _script_folder()
    with contextlib.suppress(FileNotFoundError):
        folders.append(os.getcwd())
    return folders


def _script_folder() -> list[str]:
    """Return the folder, or the archive, of the script that was started; [] for `-m`, `-c`, notebooks and prompts."""
    main = sys.modules.get("__main__")
    file, spec = getattr(main, "__file__", None), getattr(main, "__spec__", None)
    if not file or (spec is not None and spec.name != "__main__"):
        return []
    return [os.path.dirname(os.path.abspath(file))]
