"""What answers the page, whatever carries its requests: HTTP, or the messages of a notebook's cell.

A request is a path and a JSON object. `Backend.post` is the only table of paths; `REFUSALS` are the errors that answer
a request which cannot be met.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from softstep.errors import ConfigError
from softstep.explorer.live import commands
from softstep.explorer.live.live_runs import LiveRun, LiveRuns
from softstep.explorer.rooms import endpoints
from softstep.explorer.rooms.parameters import JSON, BadParameter


class NotFound(LookupError):
    """Nothing answers at this path; the message says why."""


REFUSALS = (BadParameter, ConfigError, NotFound)
"""The errors that `Backend` raises for a request that cannot be met."""


def refusal(error: Exception) -> tuple[str, str]:
    """Return the name of the parameter that one of the `REFUSALS` is about, and the reason in one line."""
    if isinstance(error, BadParameter):
        return error.parameter, error.reason
    return ("settings" if isinstance(error, ConfigError) else ""), str(error)


class Backend:
    """The rooms' endpoints and the live agents; `runs` is the folder in which live runs are saved."""

    def __init__(self, live: LiveRuns, runs: Path) -> None:
        self.live, self._runs = live, runs

    async def post(self, path: str, values: Mapping[str, Any]) -> JSON:
        """Answer a request; raise one of `REFUSALS` if that is not possible.

        The paths are `api/NAME` for an endpoint of the rooms, `live` to start a live run, and `live/ID/COMMAND`.
        """
        match path.split("/"):
            case ["api", name]:
                if name not in endpoints.ENDPOINTS:
                    raise NotFound(f"There is no endpoint {name!r}: see /openapi.json for the list.")
                return await asyncio.to_thread(endpoints.answer, name, values)
            case ["live"]:
                return await commands.start(self.live, values)
            case ["live", run_id, name]:
                run = self.live_run(run_id)
                if name not in (*commands.PLAIN_COMMANDS, *commands.OTHER_COMMANDS):
                    raise NotFound(f"There is no command {name!r}: see /openapi.json for the list.")
                await commands.command(self.live, run, name, values, self._runs)
                return {}
        raise NotFound(f"Nothing answers at {path!r}.")

    def live_run(self, run_id: str) -> LiveRun:
        """Return the live run with that id; raise NotFound if there is none, or not any more."""
        run = self.live.get(run_id)
        if run is None:
            raise NotFound("This live agent is gone; start a new one.")
        return run
