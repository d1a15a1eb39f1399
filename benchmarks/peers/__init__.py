"""The peers: virtual environments created from pinned versions, and the programs that run in them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
ENVIRONMENTS = ROOT / ".venv-peers"


def pins(name: str) -> dict[str, str]:
    """Return the pinned distributions of peer `name` as {distribution: version}.

    Raises:
        ValueError: A line does not pin a version.
    """
    versions = {}
    for line in (HERE / f"{name}.txt").read_text().splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        distribution, equals, version = requirement.partition("==")
        if not equals or not version:
            raise ValueError(f"{name}.txt: {requirement!r} is not a pin: write NAME==VERSION")
        versions[distribution.partition("[")[0].lower()] = version
    return versions


def fingerprint(name: str) -> str:
    """Return a hash of the pins and of the Python version."""
    content = (HERE / f"{name}.txt").read_bytes() + f"{sys.version_info[:2]}".encode()
    return hashlib.sha256(content).hexdigest()


def python(name: str) -> Path:
    """Return the interpreter of peer `name`'s environment; create the environment unless it matches the pins."""
    environment = ENVIRONMENTS / name
    stamp, interpreter = environment / "pins.sha256", environment / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == fingerprint(name) and interpreter.exists():
        return interpreter
    print(
        f"creating {environment.relative_to(ROOT)} from benchmarks/peers/{name}.txt (takes minutes, only once)",
        flush=True,
    )
    if environment.exists():
        shutil.rmtree(environment)
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", str(HERE / f"{name}.txt")], check=True)
    stamp.write_text(fingerprint(name))
    return interpreter
