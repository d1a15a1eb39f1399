"""A page in the output of a notebook's cell: an anywidget that shows it in a sandboxed frame.

The page comes from the kernel when the cell is shown, so that a saved notebook does not contain it. Everything else
that the page says is handed to `receive`, with the name of the view that it comes from.
"""

from __future__ import annotations

import functools
import gzip
from collections.abc import Callable, Mapping
from importlib import resources
from typing import Any

from softstep.errors import ConfigError
from softstep.extras import required_by

Message = Mapping[str, Any]
"""A message of the page: its `kind`, its `view`, and what it says."""

DEFAULT_HEIGHT = 720
"""Height of a page in a notebook, in pixels."""


def in_cell(page: Callable[[], bytes], title: str, *, height: int = DEFAULT_HEIGHT, **traits: Any) -> Any:
    """Return a widget that shows a page where it is the last value of a cell.

    Args:
        page: Returns the page as gzipped HTML (`zipped`); called whenever the widget is shown.
        title: What the page shows, for screen readers and wherever widgets are not shown.
        height: Height of the frame in pixels.
        **traits: `room` and `state` of the explorer's page, whether it starts an agent (`start`), what
            is called with its messages (`receive`), and what with nothing when the widget is closed (`on_close`).

    Raises:
        ConfigError: anywidget is not installed, or the height is not a positive number.
    """
    if not height > 0:
        raise ConfigError(f"height = {height} must be a positive number of pixels")
    return _frame_class()(page, title=title, height=int(height), **traits)


def zipped(html: str) -> bytes:
    """Return a page as `in_cell` expects it."""
    return gzip.compress(html.encode(), 6, mtime=0)


@functools.cache
def _frame_class() -> type[Any]:
    """Return the widget's class, whose base is in an extra."""
    with required_by("a page in a notebook"):
        import anywidget
        import traitlets

    class Frame(anywidget.AnyWidget):  # type: ignore[misc]
        """A page in a cell; `room` and `state` are those of the explorer's page, and can be read and set."""

        _esm = resources.files(__package__).joinpath("frame.js").read_text(encoding="utf-8")
        title = traitlets.Unicode("").tag(sync=True)
        height = traitlets.Int(DEFAULT_HEIGHT).tag(sync=True)
        room = traitlets.Unicode("").tag(sync=True)
        state = traitlets.Dict().tag(sync=True)

        def __init__(
            self, page: Callable[[], bytes], *, receive: Callable[[Message], None] = lambda message: None,
            on_close: Callable[[], None] = lambda: None, start: bool = False, **traits: Any,
        ) -> None:  # fmt: skip
            self._page, self._receive, self._on_close, self._start = page, receive, on_close, start
            super().__init__(**traits)
            self.on_msg(self._on_message)

        def _on_message(self, widget: Any, message: Message, buffers: Any) -> None:
            if message["kind"] != "open":
                self._receive(message)
                return
            start, self._start = self._start, False  # only the first view starts an agent
            self.send({"kind": "page", "view": message["view"], "start": start}, buffers=[self._page()])

        def close(self) -> None:
            """End what the page has begun, and remove the widget."""
            self._on_close()
            super().close()

        def __repr__(self) -> str:
            return f"<{self.title}: shown in a notebook whose kernel runs>"

    return Frame
