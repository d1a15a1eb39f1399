"""TensorBoard scalars from records: one sub-run per agent, written as records arrive.

An event file is a sequence of length-prefixed, checksummed protocol buffers of four small types. They are written here
directly, because the usual writer takes over a second to import and two threads per run. Sources: TensorFlow's
`record_writer.cc` (framing); TensorBoard's `event.proto` and `summary.proto` (field numbers, named below).
"""

from __future__ import annotations

import math
import re
import struct
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO

TAGS = {
    "train_return": "return/train",
    "eval_return": "return/eval",
    "loss": "loss",
    "q_mean": "q/mean",
    "y_drift": "target/y_drift",
    "target_gap": "target/gap",
    "episodes": "episodes",
    "diverged": "diverged",
}
"""Tags by column of a record."""


class ScalarWriter:
    """Writes records to `folder/ARM/seed-S`, over environment steps. A context manager.

    Args:
        folder: The folder of all event files.
        resumed_from: Environment steps of the checkpoint from which the run resumes, for all agents or by
            (arm, seed). TensorBoard then discards what was written beyond it.
    """

    def __init__(self, folder: Path, resumed_from: int | Mapping[tuple[str, int], int] | None = None) -> None:
        self._folder = Path(folder)
        self._resumed_from = resumed_from
        self._files: dict[tuple[str, int], BinaryIO] = {}

    def __enter__(self) -> ScalarWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def write(self, records: Sequence[Mapping[str, Any]]) -> None:
        """Append every finite scalar of `records`; other programs can read them when this returns."""
        written = set()
        for record in records:
            file = self._file(record["arm"], record["seed"])
            values = {tag: float(record[column]) for column, tag in TAGS.items() if record.get(column) is not None}
            finite = {tag: value for tag, value in values.items() if math.isfinite(value)}
            file.write(_framed(_event(step=record["env_steps"], scalars=finite)))
            written.add(file)
        for file in written:
            file.flush()

    def close(self) -> None:
        """Close every file."""
        for file in self._files.values():
            file.close()
        self._files.clear()

    def _file(self, arm: str, seed: int) -> BinaryIO:
        if (arm, seed) not in self._files:
            file = _open_new(self._folder / re.sub(r"[^\w.=-]", "_", arm) / f"seed-{seed}")
            file.write(_framed(_event(version="brain.Event:2")))
            steps = self._resumed_from
            checkpoint = steps.get((arm, seed)) if isinstance(steps, Mapping) else steps
            if checkpoint is not None:
                file.write(_framed(_event(step=checkpoint + 1, restart=True)))
            self._files[arm, seed] = file
        return self._files[arm, seed]


def _open_new(folder: Path) -> BinaryIO:
    """Open a new event file; TensorBoard reads the files of a sub-run in the order of their names."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(10_000):
        name = f"events.out.tfevents.{int(time.time()):010}.softstep.{number:04}"
        try:
            return (folder / name).open("xb")
        except FileExistsError:
            continue
    raise FileExistsError(f"{folder}: no free name for an event file; write to another folder")


def _event(
    step: int = 0, *, version: str = "", restart: bool = False, scalars: Mapping[str, float] | None = None
) -> bytes:
    """Encode an `Event`.

    Field numbers: wall_time = 1, step = 2, file_version = 3, summary = 5, session_log = 7 (status = 1, START = 1).

    Args:
        step: Environment steps.
        version: Version of the file format, in the first event of a file.
        restart: Whether events at this step or later were discarded.
        scalars: Values by tag.
    """
    parts = [_key(1, 1) + struct.pack("<d", time.time()), _key(2, 0) + _varint(step)]
    if version:
        parts.append(_bytes(3, version.encode()))
    if scalars:
        parts.append(_bytes(5, b"".join(_bytes(1, _value(tag, value)) for tag, value in scalars.items())))
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
