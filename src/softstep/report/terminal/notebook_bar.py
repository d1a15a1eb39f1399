"""A progress bar in the output of a notebook's cell."""

from __future__ import annotations

import html
from typing import Any


class NotebookBar:
    """A bar and a line beside it, redrawn in place. Needs nothing but IPython, which every notebook has."""

    def __init__(self) -> None:
        self._shown: Any = None

    def show(self, percentage: float, line: str) -> None:
        """Show the bar at a percentage, and the line; the line alone where there is no HTML."""
        from IPython.display import display

        bar = f'<progress max="100" value="{percentage:.1f}"></progress> <code>{html.escape(line)}</code>'
        formats = {"text/html": bar, "text/plain": line}
        if self._shown is None:
            self._shown = display(formats, raw=True, display_id=True)
        else:
            self._shown.update(formats, raw=True)
