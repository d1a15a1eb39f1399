"""A JupyterLab on a free port, and notebooks opened in it with a real browser."""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import nbformat
from explorer.serving import free_port
from playwright.sync_api import Browser, Frame, Page

import softstep

SOURCE = Path(softstep.__file__).parents[1]
"""The folder from which kernels import the package."""
QUIET = {"fetchNews": "false", "checkForUpdates": False}
"""Settings of JupyterLab under which it asks nobody for news."""
TOLERATED = ("Downloading the React DevTools", "favicon.ico")
"""Messages in the console that are not ours."""


class Lab(NamedTuple):
    """A running JupyterLab: its address, its token, and the folder of its notebooks."""

    url: str
    token: str
    folder: Path

    def write(self, name: str, *cells: str) -> None:
        """Write a notebook of code cells."""
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source) for source in cells])
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3", "language": "python"}
        nbformat.write(notebook, self.folder / f"{name}.ipynb")


@contextlib.contextmanager
def serve_lab(folder: Path) -> Iterator[Lab]:
    """Run a JupyterLab with settings of its own until the block ends."""
    notebooks, settings = folder / "notebooks", folder / "settings"
    notebooks.mkdir(parents=True)
    quiet = settings / "@jupyterlab" / "apputils-extension" / "notification.jupyterlab-settings"
    quiet.parent.mkdir(parents=True)
    quiet.write_text(json.dumps(QUIET), encoding="utf-8")
    own = {name: str(folder / name) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")}
    own["PYTHONPATH"] = os.pathsep.join([str(SOURCE), os.environ.get("PYTHONPATH", "")])
    lab = Lab(f"http://127.0.0.1:{free_port()}", secrets.token_hex(8), notebooks)
    command = [
        sys.executable, "-m", "jupyterlab", "--no-browser", "--allow-root", f"--port={lab.url.rpartition(':')[2]}",
        f"--IdentityProvider.token={lab.token}", f"--ServerApp.root_dir={notebooks}", "--ServerApp.port_retries=0",
        "--LabApp.expose_app_in_browser=True", f"--LabApp.user_settings_dir={settings}",
        f"--LabApp.workspaces_dir={folder / 'workspaces'}", "--LabApp.extension_manager=readonly",
    ]  # fmt: skip
    with (folder / "log").open("w") as log:
        server = subprocess.Popen(command, stdout=log, stderr=log, env=os.environ | own, cwd=notebooks)
    try:
        _wait_until_ready(lab, folder / "log")
        yield lab
    finally:
        server.terminate()  # which ends its kernels
        server.wait(120)


def _wait_until_ready(lab: Lab, log: Path, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(urllib.error.URLError, ConnectionError):
            if urllib.request.urlopen(f"{lab.url}/api/status?token={lab.token}").status == 200:
                return
        time.sleep(0.2)
    raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-2000:]}")


class OpenNotebook:
    """A notebook in a browser's page, and what went wrong on that page."""

    def __init__(self, browser: Browser, lab: Lab, name: str, **options: Any) -> None:
        self.context = browser.new_context(**options)
        self.page: Page = self.context.new_page()
        self.problems: list[str] = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(f"{error}\n{error.stack}"))
        self.page.goto(f"{lab.url}/lab/tree/{name}.ipynb?token={lab.token}&reset")
        self.page.wait_for_selector(".jp-Notebook .jp-CodeCell")

    def _note(self, message: Any) -> None:
        text = f"{message.text} ({message.location.get('url')})"
        if message.type == "error" and not any(part in text for part in TOLERATED):
            self.problems.append(text)

    def close(self) -> None:
        """End the kernel, and leave the page."""
        self.command("notebook:shutdown-kernel")
        self.context.close()

    def command(self, name: str, arguments: Any = None) -> None:
        """Execute a command of JupyterLab, for example notebook:run-all-cells."""
        self.page.evaluate("([name, values]) => jupyterapp.commands.execute(name, values ?? {})", [name, arguments])

    def wait_for_kernel(self) -> None:
        """Wait until the kernel is idle."""
        self.page.wait_for_function(
            "() => jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status === 'idle'"
        )

    def run_all(self) -> None:
        """Run all cells."""
        self.wait_for_kernel()
        self.command("notebook:run-all-cells")

    def run_cell(self, source: str) -> str:
        """Run code in the notebook's kernel and return what it prints."""
        return str(self.page.evaluate(EXECUTE, source))

    def start_cell(self, source: str) -> None:
        """Run code in the notebook's kernel and return at once."""
        self.page.evaluate(f"code => {{ ({EXECUTE})(code).catch(() => {{}}); }}", source)

    def frame(self, number: int = 0) -> Frame:
        """Return the page inside a cell, in the order of the cells."""
        self.page.wait_for_function("n => document.querySelectorAll('.jp-OutputArea iframe').length > n", arg=number)
        element = self.page.query_selector_all(".jp-OutputArea iframe")[number]
        frame = element.content_frame()
        assert frame is not None
        return frame


EXECUTE = """async (code) => {
  const { kernel } = jupyterapp.shell.currentWidget.sessionContext.session;
  const future = kernel.requestExecute({ code, store_history: false });
  let text = '';
  future.onIOPub = ({ header, content }) => {
    if (header.msg_type === 'stream') text += content.text;
    if (header.msg_type === 'error') text += content.ename + ': ' + content.evalue;
  };
  await future.done;
  return text;
}"""
"""Execute code in the kernel of the open notebook, and return what it prints."""
