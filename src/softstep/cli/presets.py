"""`softstep presets`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass

from softstep import presets
from softstep.cli.command import PlainCommand
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import PresetName


@dataclass(frozen=True)
class Presets(PlainCommand):
    """List the named settings that --preset takes."""

    show: PresetName | None = None
    """Print this preset as JSON, the format that --config reads. None lists all presets."""

    def execute(self) -> int:
        """Print one preset or the list of them, and return the exit code."""
        if self.show is not None:
            print(presets.get(self.show).to_json())
            return SUCCESS
        width = max(map(len, presets.PRESETS))
        for preset in presets.PRESETS.values():
            print(f"{preset.name:{width}} {preset.summary}")
        return SUCCESS
