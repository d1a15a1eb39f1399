"""`softstep theory`: its flags and what it does."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import softstep
from softstep.cli.exit_codes import SUCCESS
from softstep.cli.options import File, PlainCommand
from softstep.errors import ConfigError


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
    out: Annotated[Path, File] = Path("theory.html")
    """HTML page to write."""

    def execute(self) -> int:
        """Print the explanation, write the page and return the exit code."""
        try:
            result = softstep.theory_page.run(self.alpha, self._weight(), self.problem, self.mdp, self.out)
        except (ValueError, OSError) as error:
            raise ConfigError(str(error)) from None
        print(result.text)
        if result.page is not None:
            print(f"page: {result.page}")
        return SUCCESS

    def _weight(self) -> float:
        """Return c, the weight of the old target."""
        if self.c is not None and self.tau is None:
            return self.c
        if self.tau is not None and self.c is None:
            return softstep.TargetUpdate(self.tau).c
        raise ConfigError("give either --c, the weight of the old target, or --tau = 1 - c")
