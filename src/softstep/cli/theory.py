"""`softstep theory`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import softstep
from softstep.cli.command import File, PlainCommand
from softstep.cli.exit_codes import SUCCESS
from softstep.errors import ConfigError
from softstep.extras import MissingExtra

if TYPE_CHECKING:
    from softstep.theory import LinearTD


@dataclass(frozen=True)
class Theory(PlainCommand):
    """Explain a pair (α, c) exactly: lag, noise, whether it equals a smaller α, and where it is stable."""

    alpha: float
    """α, the learning rate: the size of one gradient step."""
    c: float | None = None
    """Weight of the old target network in the soft update, in [0, 1). Give --c or --tau."""
    tau: float | None = None
    """τ = 1 − c, the weight of the new parameters in the soft update, in (0, 1]. Give --c or --tau."""
    problem: str | None = None
    """Named linear problem (both, only_target, target_destroys, neither, two_theta, resonance, baird). None: all."""
    mdp: Annotated[Path | None, File] = None
    """JSON file with your own problem: features phi, transitions P, state weights d, gamma, and rewards if any."""
    out: Annotated[Path | None, File] = None
    """HTML page to write. None writes theory.html where plotly is installed (pip install 'softstep[train]')."""
    geogebra: Annotated[Path | None, File] = None
    """New file (.ggb) for rooms 1 and 2 of the explorer as a GeoGebra construction, with sliders for α and c."""

    def execute(self) -> int:
        """Write the files, print the explanation and return the exit code."""
        try:
            c = self._weight()
            problem = softstep.theory.problems.named_or_read(self.problem, self.mdp)
            text = softstep.theory.explain(self.alpha, c, problem).text
            if self.geogebra is not None:
                softstep.geogebra.write_construction(self.geogebra, self.alpha, c)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        print(text)
        print(f"page: {self._write_page(c, problem, text)}")
        if self.geogebra is not None:
            print(f"GeoGebra: {self.geogebra}")
        return SUCCESS

    def _write_page(self, c: float, problem: LinearTD | str | None, text: str) -> str:
        """Write the page and return its path; without plotly, return why there is none unless --out asks for it."""
        try:
            page = softstep.theory_page
        except MissingExtra as missing:
            if self.out is not None:
                raise
            return f"none, as it needs {missing.name}: {missing.fix}"
        return str(page.write_page(self.out or Path("theory.html"), self.alpha, c, problem, text))

    def _weight(self) -> float:
        """Return c, the weight of the old target."""
        if self.c is not None and self.tau is None:
            return self.c
        if self.tau is not None and self.c is None:
            return softstep.TargetUpdate(self.tau).c
        raise ConfigError("give either --c, the weight of the old target, or --tau = 1 - c")
