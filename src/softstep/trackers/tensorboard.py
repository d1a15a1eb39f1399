"""TensorBoard scalars from records: one sub-run per agent, written as records arrive.

An event file is a sequence of length-prefixed, checksummed protocol buffers of four small types. They are written here
directly, because the usual writer takes over a second to import and two threads per run. Sources: TensorFlow's
`record_writer.cc` (framing); TensorBoard's `event.proto` and `summary.proto` (field numbers, named below).
"""

from __future__ import annotations

import contextlib
import math
import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from softstep.records.events import Record
from softstep.records.sink import Ending, LoggedRun
from softstep.trackers.scalars import scalars


class TensorBoard:
    """Writes event files into the folder `tensorboard` of the run: one sub-run ARM/seed-S per agent, over its steps."""

    def __init__(self) -> None:
        self._folder = Path()
        self._steps: dict[tuple[str, int], int] = {}
        self._files: dict[tuple[str, int], Path] = {}

    def start(self, run: LoggedRun) -> None:
        """Note the run; the file of an agent is created with its first record."""
        self._folder = run.path / "tensorboard"
        self._steps = {(agent.arm, agent.seed): agent.env_steps for agent in run.agents}
        self._files = {}

    def write(self, records: Sequence[Record]) -> None:
        """Append every finite scalar of `records`; other programs can read them when this returns."""
        events: dict[Path, list[bytes]] = {}
        for record in records:
            event = _framed(_event(step=record.env_steps, values=scalars(record)))
            events.setdefault(self._file(record.arm, record.seed), []).append(event)
        for file, framed in events.items():  # none stays open: a thousand agents are more than a process may have
            with file.open("ab") as handle:
                handle.write(b"".join(framed))

    def finish(self, ending: Ending) -> None:
        """Do nothing: every file is complete."""

    def _file(self, arm: str, seed: int) -> Path:
        """Return the file of an agent; what an earlier one has beyond the checkpoint is declared discarded."""
        if (arm, seed) not in self._files:
            folder = self._folder / re.sub(r"[^\w.=-]", "_", arm) / f"seed-{seed}"
            start = _framed(_event(version="brain.Event:2"))
            if folder.exists():
                start += _framed(_event(step=self._steps[arm, seed] + 1, restart=True))
            self._files[arm, seed] = _new_file(folder, start)
        return self._files[arm, seed]


def _new_file(folder: Path, start: bytes) -> Path:
    """Create an event file; TensorBoard reads the files of a sub-run in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        file = folder / f"events.out.tfevents.{int(time.time()):010}.softstep.{number:04}"
        with contextlib.suppress(FileExistsError), file.open("xb") as handle:
            handle.write(start)
            return file
    raise FileExistsError(f"{folder}: no free name for an event file; write to another folder")


def _event(
    step: int = 0, *, version: str = "", restart: bool = False, values: Mapping[str, float] | None = None
) -> bytes:
    """Encode an `Event`.

    Field numbers: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7 (status = 1, START = 1).

    Args:
        step: Environment steps.
        version: Version of the file format, in the first event of a file.
        restart: Whether events at this step or later were discarded.
        values: Scalars by tag.
    """
    parts = [_key(1, 1) + struct.pack("<d", time.time()), _key(2, 0) + _varint(step)]
    if version:
        parts.append(_bytes(3, version.encode()))
    if values:
        parts.append(_bytes(5, b"".join(_bytes(1, _value(tag, value)) for tag, value in values.items())))
    if restart:
        parts.append(_bytes(7, _key(1, 0) + _varint(1)))
    return b"".join(parts)


def _value(tag: str, value: float) -> bytes:
    """Encode a `Summary.Value`: tag = 1, simple_value = 2; a value beyond the range of float32 becomes ±inf."""
    try:
        packed = struct.pack("<f", value)
    except OverflowError:
        packed = struct.pack("<f", math.copysign(math.inf, value))
    return _bytes(1, tag.encode()) + _key(2, 5) + packed


def _key(field: int, wire_type: int) -> bytes:
    return _varint(field << 3 | wire_type)


def _bytes(field: int, content: bytes) -> bytes:
    return _key(field, 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Encode an integer with seven bits per byte, the lowest first."""
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    return bytes([*encoded, value])


def _framed(content: bytes) -> bytes:
    """Return the length, its checksum, the content and its checksum."""
    length = struct.pack("<Q", len(content))
    return length + _masked_crc(length) + content + _masked_crc(content)


def _masked_crc(content: bytes) -> bytes:
    """Return the CRC-32C (Castagnoli), rotated by 15 bits, plus a constant."""
    crc = 0xFFFFFFFF
    for byte in content:
        crc = _CRC_TABLE[(crc ^ byte) & 0xFF] ^ (crc >> 8)
    crc ^= 0xFFFFFFFF
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def _crc_entry(byte: int) -> int:
    for _ in range(8):
        byte = byte >> 1 ^ (0x82F63B78 if byte & 1 else 0)
    return byte


_CRC_TABLE = [_crc_entry(byte) for byte in range(256)]
