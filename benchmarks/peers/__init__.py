"""The peers: virtual environments made from pins, and the programs that run in them."""

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
    """The pinned distributions of peer `name`: distribution → version; ValueError for a line that pins nothing."""
    found = {}
    for line in (HERE / f"{name}.txt").read_text().splitlines():
        requirement = line.partition("#")[0].strip()
        if not requirement:
            continue
        distribution, equals, version = requirement.partition("==")
        if not equals or not version:
            raise ValueError(f"{name}.txt: {requirement!r} is no pin: write NAME==VERSION")
        found[distribution.partition("[")[0].lower()] = version
    return found


def fingerprint(name: str) -> str:
    """A hash of the pins and of the Python they are for."""
    content = (HERE / f"{name}.txt").read_bytes() + f"{sys.version_info[:2]}".encode()
    return hashlib.sha256(content).hexdigest()


def python(name: str) -> Path:
    """The interpreter of peer `name`'s environment, made now where there is none of these pins."""
    place = ENVIRONMENTS / name
    stamp, interpreter = place / "pins.sha256", place / "bin" / "python"
    if stamp.is_file() and stamp.read_text() == fingerprint(name) and interpreter.exists():
        return interpreter
    print(f"making {place.relative_to(ROOT)} from benchmarks/peers/{name}.txt (minutes, once)", flush=True)
    if place.exists():
        shutil.rmtree(place)
    subprocess.run([sys.executable, "-m", "venv", str(place)], check=True)
    install = [str(interpreter), "-m", "pip", "install", "--quiet", "--quiet", "--disable-pip-version-check"]
    subprocess.run([*install, "--requirement", str(HERE / f"{name}.txt")], check=True)
    stamp.write_text(fingerprint(name))
    return interpreter
