"""What an environment's id stands for, so that no process trains or plays another environment than the one meant.

Gymnasium's registry belongs to a process. A script or a notebook may register an id, or change what it stands for,
while worker processes see only what Gymnasium and the modules of `env_modules` register. The run folder's
`registration.json` holds what the id stood for in the process that started the run, or, if that had not imported
Gymnasium, in its first worker.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from softstep.files import json_text
from softstep.runs import run_folder
from softstep.runs.run_folder import RunFolder

REGISTRATION_FILE = "registration.json"


def registration(env: str) -> dict[str, Any] | None:
    """Return what a Gymnasium id stands for in this process.

    None if it is not registered, is another maker's, or if nothing here has imported Gymnasium yet.
    """
    prefix, _, name = env.rpartition(":")
    gymnasium = sys.modules.get("gymnasium")
    registry = getattr(gymnasium, "registry", {})
    if prefix not in ("", "gymnasium") or name not in registry:
        return None
    spec = registry[name]
    found = {
        "entry_point": _name(spec.entry_point),
        "max_episode_steps": spec.max_episode_steps,
        "kwargs": spec.kwargs,
        "wrappers": [[wrapper.name, wrapper.entry_point, wrapper.kwargs] for wrapper in spec.additional_wrappers],
    }
    plain: dict[str, Any] = json.loads(json.dumps(found, default=_name))
    return plain


def files(env: str) -> dict[str, bytes]:
    """Return `registration.json` for a run that this process starts, by name; empty if nothing is registered here."""
    here = registration(env)
    return {} if here is None else {REGISTRATION_FILE: json_text(here, indent=2).encode()}


def record(run: RunFolder) -> None:
    """Write what the id stands for here into the run's folder, unless the process that started the run has."""
    if run_folder.read_result(run.path, REGISTRATION_FILE) is None:
        run_folder.write_results(run, files(run.config.env))


def difference(run: RunFolder) -> str | None:
    """Say how what the run's id stands for here differs from what it stood for when the run was started.

    The modules that register it must have been imported. None if there is no difference, or if the run does not say.
    """
    text = run_folder.read_result(run.path, REGISTRATION_FILE)
    if text is None:
        return None
    env, there, here = f"env = {run.config.env!r}", json.loads(text), registration(run.config.env)
    if here is None:
        return (
            f"env = {run.config.env!r} is registered where the run was started ({there['entry_point']}), but not here"
        )
    changes = [f"{key} = {there.get(key)} there, {here[key]} here" for key in here if there.get(key) != here[key]]
    return f"{env} is registered differently where the run was started: {'; '.join(changes)}" if changes else None


def _name(value: Any) -> str:
    """Return `module:name` of a class or function, or of the class of anything else; an entry point's text as it is.

    What a script defines has the name by which other processes can import it.
    """
    if isinstance(value, str):
        return value
    thing = value if hasattr(value, "__qualname__") else type(value)
    module = thing.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec, file = getattr(main, "__spec__", None), getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    return f"{module}:{thing.__qualname__}"
