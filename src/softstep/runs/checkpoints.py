"""The checkpoints of a block: writing them in a thread, reading, checking and pruning them."""

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

from softstep.config import Config
from softstep.errors import StoreError
from softstep.files import reason, write_atomically
from softstep.records.events import is_due
from softstep.records.history import History
from softstep.runs.run_folder import RunFolder

SEGMENT_BYTES = 64 * 2**20
"""Size of a replay segment after which the next one is started."""


KEPT_CHECKPOINTS = 2

_DAMAGE = (OSError, ValueError, KeyError, safetensors.SafetensorError)
"""What reading a damaged checkpoint raises."""

CHECKPOINT_SCHEMA = 2
"""Version of a checkpoint's content: 1 numbered the arrays, 2 names them by their path in the state."""


# File names: the only place that knows them.


def _checkpoint_path(folder: Path, block: int, env_steps: int) -> Path:
    return folder / f"checkpoint-{block:04}-{env_steps:012}.safetensors"


def _segment_path(folder: Path, block: int, number: int) -> Path:
    return folder / f"replay-{block:04}-{number:06}.rows"


def _checkpoints(folder: Path, block: int | None = None) -> list[Path]:
    """Return the checkpoints of a block (or of all blocks), oldest first."""
    pattern = "*" if block is None else f"{block:04}"
    return sorted(folder.glob(f"checkpoint-{pattern}-*.safetensors"), key=lambda path: (_block(path), _number(path)))


def _segments(folder: Path, block: int | None = None) -> list[Path]:
    """Return the replay segments of a block (or of all blocks)."""
    pattern = "*" if block is None else f"{block:04}"
    return sorted(folder.glob(f"replay-{pattern}-*.rows"))


def _block(path: Path) -> int:
    return int(path.stem.split("-")[1])


def _number(path: Path) -> int:
    """Return the environment steps of a checkpoint, or the number of a segment."""
    return int(path.stem.rpartition("-")[2])


class Chunk(NamedTuple):
    """The replay rows appended at one checkpoint, agent by agent."""

    segment: str
    offset: int
    rows: list[int]
    """Number of rows of each agent."""
    width: int
    """Floats per row."""
    crc: int


class CheckpointWriter:
    """Writes one block's checkpoints in a separate thread, so that training does not wait for the disk."""

    def __init__(self, run: RunFolder, block: int) -> None:
        self._run, self._block = run, block
        self._capacity = run.config.memory_size + run.config.steps_per_iteration
        newest = _checkpoints(run.path, block)[-1:]
        self._chunks = _read_chunks(newest[0]) if newest else []
        taken = [_number(segment) for segment in _segments(run.path, block)]
        self._number = max(taken, default=-1) + 1
        self._segment: IO[bytes] | None = None
        self._thread = ThreadPoolExecutor(1)
        self._pending: Future[None] | None = None

    def write(self, env_steps: int, arrays: Mapping[str, np.ndarray], new_rows: Sequence[np.ndarray]) -> None:
        """Start writing a checkpoint; StoreError if the previous one could not be written."""
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
                    f"cannot write a checkpoint to {self._run.path}: {reason(error)}; the previous one is intact,"
                    " continue with --resume"
                ) from None

    def close(self) -> None:
        """Finish writing and close the replay segment."""
        try:
            self.wait()
        finally:
            self._thread.shutdown()
            if self._segment is not None:
                with contextlib.suppress(OSError):  # flushes what a failed write left; no checkpoint refers to it
                    self._segment.close()

    def _save(self, env_steps: int, arrays: Mapping[str, np.ndarray], new_rows: Sequence[np.ndarray]) -> None:
        self._append(new_rows)
        self._prune_chunks()
        contiguous = {name: np.asarray(array, order="C") for name, array in arrays.items()}
        metadata = {
            "schema": str(CHECKPOINT_SCHEMA),
            "env_steps": str(env_steps),
            "crc": str(_checksum(contiguous)),
            "chunks": json.dumps(self._chunks),
        }
        data = safetensors.numpy.save(contiguous, metadata)
        write_atomically(_checkpoint_path(self._run.path, self._block, env_steps), data)
        self._delete_old()

    def _append(self, new_rows: Sequence[np.ndarray]) -> None:
        """Append the rows to the current segment and flush them to disk."""
        if self._segment is None or self._segment.tell() > SEGMENT_BYTES:
            if self._segment is not None:
                self._segment.close()
            path = _segment_path(self._run.path, self._block, self._number)
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
        """Drop chunks whose rows are older than the replay remembers."""
        held = np.zeros(len(self._chunks[-1].rows), int)
        for i in range(len(self._chunks) - 1, -1, -1):
            if (held >= self._capacity).all():
                del self._chunks[: i + 1]
                return
            held += self._chunks[i].rows

    def _delete_old(self) -> None:
        """Delete all checkpoints except the last two, and the segments that these do not need."""
        checkpoints = _checkpoints(self._run.path, self._block)
        for old in checkpoints[:-KEPT_CHECKPOINTS]:
            old.unlink()
        needed = {c.segment for kept in checkpoints[-KEPT_CHECKPOINTS:] for c in _read_chunks(kept)}
        for segment in _segments(self._run.path, self._block):
            if segment.name not in needed and (self._segment is None or segment.name != Path(self._segment.name).name):
                segment.unlink()


class Checkpoint(NamedTuple):
    """A checkpoint that has been read."""

    env_steps: int
    arrays: dict[str, np.ndarray]
    rows: list[np.ndarray]
    """Each agent's remembered replay rows, oldest first."""


def read_checkpoint(run: RunFolder, block: int, *, with_replay: bool = True) -> Checkpoint | None:
    """Read a block's newest intact checkpoint; a damaged one is skipped with a warning.

    Returns: None if the block has no checkpoint yet.

    Raises: StoreError if all checkpoints are damaged, or if one was written by a newer softstep.
    """
    paths = _checkpoints(run.path, block)
    for path in reversed(paths):
        try:
            return _load(path, with_replay=with_replay)
        except _DAMAGE as error:
            warnings.warn(
                f"{path} is damaged ({error}): falling back to the previous checkpoint", RuntimeWarning, stacklevel=2
            )
    if paths:
        raise StoreError(
            f"{run.path}: every checkpoint of block {block} is damaged; start the run again in another --out"
        )
    return None


def delete_checkpoints_after(run: RunFolder, block: int, env_steps: int) -> None:
    """Delete checkpoints past `env_steps`: the damaged ones that a resume skipped."""
    for path in _checkpoints(run.path, block):
        if _number(path) > env_steps:
            path.unlink()


def _load(path: Path, *, with_replay: bool) -> Checkpoint:
    data = path.read_bytes()
    arrays = safetensors.numpy.load(data)
    metadata = _metadata(path)
    if int(metadata["schema"]) > CHECKPOINT_SCHEMA:
        raise StoreError(f"{path} is of schema {metadata['schema']}, newer than {CHECKPOINT_SCHEMA}: upgrade softstep")
    if _checksum(arrays) != int(metadata["crc"]):
        raise ValueError("its checksum does not match")
    chunks = _read_chunks(path)
    rows = _read_rows(path.parent, chunks) if with_replay else []
    return Checkpoint(int(metadata["env_steps"]), arrays, rows)


def _read_rows(folder: Path, chunks: Sequence[Chunk]) -> list[np.ndarray]:
    """Read each agent's rows of all chunks, in order; ValueError if a chunk has changed."""
    parts: list[list[np.ndarray]] = [[] for _ in chunks[-1].rows]
    for chunk in chunks:
        with (folder / chunk.segment).open("rb") as handle:
            handle.seek(chunk.offset)
            data = handle.read(sum(chunk.rows) * chunk.width * 4)
        if zlib.crc32(data) != chunk.crc:
            raise ValueError(f"the checksum of {chunk.segment} does not match")
        table = np.frombuffer(data, np.float32).reshape(-1, chunk.width)
        for part, rows in zip(parts, np.split(table, np.cumsum(chunk.rows)[:-1]), strict=True):
            part.append(rows)
    return [np.concatenate(part) for part in parts]


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
    """Return the environment steps of each block's newest checkpoint; 0 if it has none."""
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(run.config.blocks()))]
    return [_number(found[0]) if found else 0 for found in newest]


def finished_blocks(run: RunFolder) -> list[bool]:
    """Return which blocks have an intact checkpoint of their end: of the last step, or of solved environments."""
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(run.config.blocks()))]
    return [bool(of) and _is_final(of[0], run.config) for of in newest]


def _is_final(checkpoint: Path, config: Config) -> bool:
    """Return whether a checkpoint is intact, is its block's last, and holds the record of its step.

    A stop may forestall that record. An evaluation that a shorter run made only because it ended there solves nothing.
    """
    steps, end = _number(checkpoint), config.iterations * config.steps_per_iteration
    may_be_solved = config.solve_at is not None and is_due(config, config.eval_every, steps)
    if steps < end and not may_be_solved:
        return False
    with contextlib.suppress(*_DAMAGE):
        history = History.from_arrays(_load(checkpoint, with_replay=False).arrays)
        has_ended = steps >= end or all(history.solved)
        return has_ended and bool(history.records) and history.records[-1].env_steps == steps
    return False


def delete_damaged_blocks(run: RunFolder) -> list[Path]:
    """Delete all files of blocks with a damaged checkpoint; return the damaged checkpoints."""
    damaged = [path for path in _checkpoints(run.path) if not _is_intact(path)]
    for block in {_block(path) for path in damaged}:
        for path in [*_checkpoints(run.path, block), *_segments(run.path, block)]:
            path.unlink()
    return damaged


def _is_intact(checkpoint: Path) -> bool:
    try:
        _load(checkpoint, with_replay=False)
    except _DAMAGE:
        return False
    return True


def has_replay(run: RunFolder) -> bool:
    """Return whether the replay rows of every block's newest checkpoint are still there."""
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(run.config.blocks()))]
    chunks = (chunk for found in newest for path in found for chunk in _read_chunks(path))
    return all((run.path / chunk.segment).is_file() for chunk in chunks)


def delete_replay(run: RunFolder) -> None:
    """Delete the replay segments of a finished run, which cannot be lengthened then."""
    for segment in _segments(run.path):
        segment.unlink()
