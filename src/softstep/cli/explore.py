"""`softstep explore`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import softstep
from softstep.cli.command import Folder, PlainCommand, Switch
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.stop_signals import STOP


@dataclass(frozen=True)
class Explore(PlainCommand):
    """Open a page in the browser: sliders for α and c, and an agent that learns while you watch."""

    runs: Annotated[Path, Folder] = Path("runs")
    """Folder in which live runs are saved, and whose reports are shown."""
    host: str = "127.0.0.1"
    """Address to serve at. Any but 127.0.0.1, this machine's own, lets in everybody on the network with the link."""
    port: int = 0
    """Port to serve at (0 to 65535). 0 takes a free one."""
    live_agents: int = 2
    """Maximum number of live agents that train at the same time."""
    export: Annotated[Path | None, Folder] = None
    """Write the rooms into this folder as static pages instead of serving them; the live room is left out."""
    no_browser: Switch = False
    """Print the link and do not open the browser."""

    def execute(self) -> int:
        """Serve the explorer until Ctrl-C, or export it, and return the exit code."""
        if self.export is not None:
            print(f"The pages begin at {softstep.export_explorer(self.export)}")
            return SUCCESS
        softstep.explore(
            self.runs,
            host=self.host,
            port=self.port,
            live_agents=self.live_agents,
            open_browser=not self.no_browser,
        )
        return SUCCESS if STOP.name == "SIGINT" else STOP.exit_code
