"""Checkpoints of a block: written in a thread, read back, checked and pruned."""

from __future__ import annotations

import contextlib
import json
import os
import warnings
import zlib
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from softstep.config import SCHEMA
from softstep.errors import StoreError
from softstep.files import write_atomically
from softstep.runs.run_folder import RunFolder

SEGMENT_BYTES = 64 * 2**20
"""Size at which a replay segment is followed by a new one."""


KEPT_CHECKPOINTS = 2


class Chunk(NamedTuple):
    """Replay rows appended at one checkpoint: each agent's rows in turn."""

    segment: str
    offset: int
    rows: list[int]
    """Rows of each agent."""
    width: int
    """Floats per row."""
    crc: int


class CheckpointWriter:
    """Writes one block's checkpoints in a thread of its own, so that training does not wait for the disk."""

    def __init__(self, run: RunFolder, block: int) -> None:
        self._run, self._block = run, block
        self._capacity = run.config.memory_size + run.config.steps_per_iteration
        newest = _checkpoints(run.path, block)[-1:]
        self._chunks = _read_chunks(newest[0]) if newest else []
        taken = [int(p.stem.rpartition("-")[2]) for p in run.path.glob(f"replay-{block:04}-*.rows")]
        self._number = max(taken, default=-1) + 1
        self._segment: IO[bytes] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def write(self, env_steps: int, arrays: Mapping[str, np.ndarray], new_rows: Sequence[np.ndarray]) -> None:
        """Begin to write a checkpoint; StoreError if the one before could not be written."""
        self.wait()
        self._pending = self._thread.submit(self._save, env_steps, arrays, new_rows)

    def wait(self) -> None:
        """Wait until the last checkpoint is on disk."""
        if self._pending is not None:
            pending, self._pending = self._pending, None
            try:
                pending.result()
            except OSError as error:
                raise StoreError(
                    f"cannot write a checkpoint to {self._run.path}: {error.strerror}; the previous one is intact,"
                    " continue with --resume"
                ) from None

    def close(self) -> None:
        """Finish what is pending."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            if self._segment is not None:
                with contextlib.suppress(OSError):  # what a failed write left in its buffer; no checkpoint counts it
                    self._segment.close()

    def _save(self, env_steps: int, arrays: Mapping[str, np.ndarray], new_rows: Sequence[np.ndarray]) -> None:
        self._append(new_rows)
        self._prune_chunks()
        contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        metadata = {
            "schema": str(SCHEMA),
            "env_steps": str(env_steps),
            "crc": str(_checksum(contiguous)),
            "chunks": json.dumps(self._chunks),
        }
        data = safetensors.numpy.save(contiguous, metadata)
        write_atomically(self._run.path / f"checkpoint-{self._block:04}-{env_steps:012}.safetensors", data)
        self._delete_old()

    def _append(self, new_rows: Sequence[np.ndarray]) -> None:
        """Add the rows to the current segment and put them on disk."""
        if self._segment is None or self._segment.tell() > SEGMENT_BYTES:
            if self._segment is not None:
                self._segment.close()
            path = self._run.path / f"replay-{self._block:04}-{self._number:06}.rows"
            self._segment, self._number = path.open("xb"), self._number + 1
        data = b"".join(np.ascontiguousarray(rows, np.float32).tobytes() for rows in new_rows)
        offset = self._segment.tell()
        try:
            self._segment.write(data)
            self._segment.flush()
            os.fsync(self._segment.fileno())
        except OSError:
            self._segment.truncate(offset)
            raise
        name = Path(self._segment.name).name
        counts, width = [len(rows) for rows in new_rows], new_rows[0].shape[1]
        self._chunks.append(Chunk(name, offset, counts, width, zlib.crc32(data)))

    def _prune_chunks(self) -> None:
        """Forget chunks whose rows are older than the replay remembers."""
        held = np.zeros(len(self._chunks[-1].rows), int)
        for i in range(len(self._chunks) - 1, -1, -1):
            if (held >= self._capacity).all():
                del self._chunks[: i + 1]
                return
            held += self._chunks[i].rows

    def _delete_old(self) -> None:
        """Keep the last two checkpoints and the segments they need."""
        checkpoints = _checkpoints(self._run.path, self._block)
        for old in checkpoints[:-KEPT_CHECKPOINTS]:
            old.unlink()
        needed = {c.segment for kept in checkpoints[-KEPT_CHECKPOINTS:] for c in _read_chunks(kept)}
        for segment in self._run.path.glob(f"replay-{self._block:04}-*.rows"):
            if segment.name not in needed and (self._segment is None or segment.name != Path(self._segment.name).name):
                segment.unlink()


class Checkpoint(NamedTuple):
    """A checkpoint read back."""

    env_steps: int
    arrays: dict[str, np.ndarray]
    rows: list[np.ndarray]
    """Each agent's remembered replay rows, the oldest first."""


def read_checkpoint(run: RunFolder, block: int, *, with_replay: bool = True) -> Checkpoint | None:
    """A block's newest sound checkpoint; a damaged one falls back to the one before, with a warning.

    None where the block has none yet; StoreError where every one is damaged.
    """
    paths = _checkpoints(run.path, block)
    for path in reversed(paths):
        try:
            return _load(path, with_replay=with_replay)
        except (OSError, ValueError, KeyError, safetensors.SafetensorError) as error:
            warnings.warn(f"{path} is damaged ({error}): falling back to the one before", RuntimeWarning, stacklevel=2)
    if paths:
        raise StoreError(
            f"{run.path}: every checkpoint of block {block} is damaged; start the run anew in another --out"
        )
    return None


def delete_checkpoints_after(run: RunFolder, block: int, env_steps: int) -> None:
    """Remove checkpoints past `env_steps`: the damaged ones that a resume fell back from."""
    for path in _checkpoints(run.path, block):
        if _steps(path) > env_steps:
            path.unlink()


def _load(path: Path, *, with_replay: bool) -> Checkpoint:
    data = path.read_bytes()
    arrays = safetensors.numpy.load(data)
    metadata = _metadata(path)
    if int(metadata["schema"]) > SCHEMA:
        raise StoreError(f"{path} is of schema {metadata['schema']}, newer than {SCHEMA}: upgrade softstep")
    if _checksum(arrays) != int(metadata["crc"]):
        raise ValueError("its checksum does not fit")
    chunks = _read_chunks(path)
    rows = _read_rows(path.parent, chunks) if with_replay else []
    return Checkpoint(int(metadata["env_steps"]), arrays, rows)


def _read_rows(folder: Path, chunks: Sequence[Chunk]) -> list[np.ndarray]:
    """Each agent's rows of all chunks, in order; ValueError where a chunk is not what it was."""
    parts: list[list[np.ndarray]] = [[] for _ in chunks[-1].rows]
    for chunk in chunks:
        with (folder / chunk.segment).open("rb") as handle:
            handle.seek(chunk.offset)
            data = handle.read(sum(chunk.rows) * chunk.width * 4)
        if zlib.crc32(data) != chunk.crc:
            raise ValueError(f"the checksum of {chunk.segment} does not fit")
        table = np.frombuffer(data, np.float32).reshape(-1, chunk.width)
        for part, rows in zip(parts, np.split(table, np.cumsum(chunk.rows)[:-1]), strict=True):
            part.append(rows)
    return [np.concatenate(part) for part in parts]


def _checkpoints(path: Path, block: int) -> list[Path]:
    """A block's checkpoints, the oldest first."""
    return sorted(path.glob(f"checkpoint-{block:04}-*.safetensors"), key=_steps)


def _steps(checkpoint: Path) -> int:
    return int(checkpoint.stem.rpartition("-")[2])


def _metadata(checkpoint: Path) -> dict[str, str]:
    with safetensors.safe_open(checkpoint, framework="numpy") as handle:
        return dict(handle.metadata())


def _read_chunks(checkpoint: Path) -> list[Chunk]:
    return [Chunk(*values) for values in json.loads(_metadata(checkpoint)["chunks"])]


def _checksum(arrays: Mapping[str, np.ndarray]) -> int:
    crc = 0
    for name in sorted(arrays):
        crc = zlib.crc32(arrays[name].tobytes(), zlib.crc32(name.encode(), crc))
    return crc


def steps_reached(run: RunFolder) -> list[int]:
    """Environment steps of each block's newest checkpoint; 0 where it has none."""
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(run.config.blocks()))]
    return [_steps(found[0]) if found else 0 for found in newest]


def finished_blocks(run: RunFolder) -> list[bool]:
    """Which blocks have a sound checkpoint at the run's end; none where agents may end early, which only they know."""
    config = run.config
    end = config.iterations * config.steps_per_iteration
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(config.blocks()))]
    return [config.solve_at is None and bool(of) and _steps(of[0]) >= end and _is_sound(of[0]) for of in newest]


def delete_damaged_blocks(run: RunFolder) -> list[Path]:
    """Find checkpoints that cannot be read as they were written, and forget their blocks; which those were."""
    damaged = [path for path in sorted(run.path.glob("checkpoint-*.safetensors")) if not _is_sound(path)]
    for path in damaged:
        block = path.name.split("-")[1]
        for kept in [*run.path.glob(f"checkpoint-{block}-*.safetensors"), *run.path.glob(f"replay-{block}-*.rows")]:
            kept.unlink()
    return damaged


def _is_sound(checkpoint: Path) -> bool:
    try:
        _load(checkpoint, with_replay=False)
    except (OSError, ValueError, KeyError, safetensors.SafetensorError):
        return False
    return True


def delete_replay(run: RunFolder) -> None:
    """Remove a finished run's replay segments: nothing will be learned from them any more."""
    for segment in run.path.glob("replay-*.rows"):
        segment.unlink()
