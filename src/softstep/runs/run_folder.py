"""Run folders: the only reader and writer of their files.

    config.json  versions.json  summary.json  lock
    checkpoint-BLOCK-STEPS.safetensors   everything but the replay's rows; the last two of each block
    replay-BLOCK-NUMBER.rows             append-only segments of replay rows
    curves.parquet  episodes.parquet     written from the checkpoints when a run ends or is interrupted

Every file is written whole (temporary file, fsync, rename) or appended to and described by a checkpoint with its
length and checksum. Nothing in a run folder is ever imported, executed or unpickled.
"""

from __future__ import annotations

import contextlib
import fcntl
import importlib.metadata
import json
import os
import platform
import shutil
import time
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import safetensors
import safetensors.numpy

from softstep.config import SCHEMA, Config, ConfigError
from softstep.kernels import switch

SEGMENT_BYTES = 64 * 2**20
"""Size at which a replay segment is followed by a new one."""

KEPT_CHECKPOINTS = 2

LOCK_PATIENCE = 3.0
"""Seconds to wait for a folder's lock: a killed run's workers need a moment to end."""


class StoreError(RuntimeError):
    """A run folder that cannot be read or written as it stands: what is wrong, and what to do."""


class Chunk(NamedTuple):
    """Replay rows appended at one checkpoint: each agent's rows in turn."""

    segment: str
    offset: int
    rows: list[int]
    """Rows of each agent."""
    width: int
    """Floats per row."""
    crc: int


@dataclass(frozen=True)
class RunFolder:
    """An existing run folder and its configuration."""

    path: Path
    config: Config


# ---- making and opening ----


def create(path: Path, config: Config, *, force: bool = False, files: Mapping[str, bytes] | None = None) -> RunFolder:
    """A new run folder with further `files`; an existing run is replaced only with `force`, anything else never.

    A replaced run lies beside the new one, hidden, until `settle_creation` or `undo_creation`.
    """
    check_free(path, force=force)
    recorded = versions(config)  # before anything is moved: it may refuse the environment's settings
    if _taken(path):
        with locked(path):
            shutil.rmtree(_replaced(path), ignore_errors=True)
            path.rename(_replaced(path))
    try:
        path.mkdir(parents=True, exist_ok=True)
        for name, data in (files or {}).items():
            write_whole(path / name, data)
        write_whole(path / "versions.json", json.dumps(recorded, indent=2).encode())
        write_whole(path / "config.json", config.to_json().encode())  # the last: with it the folder is a run
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}") from None
    return RunFolder(path, config)


def check_free(path: Path, *, force: bool = False) -> None:
    """StoreError where `create` would refuse the folder."""
    if not _taken(path):
        return
    if not force:
        raise StoreError(f"{path} exists already: choose another --out, or replace it with --force")
    if not is_run(path):
        raise StoreError(f"{path} is not a run folder, so --force will not replace it: choose another --out")


def _taken(path: Path) -> bool:
    return path.exists() and (not path.is_dir() or any(path.iterdir()))


def _replaced(path: Path) -> Path:
    return path.with_name(f".{path.name}.replaced")


def settle_creation(run: RunFolder) -> None:
    """The new run stands: delete the one it replaced, if any."""
    shutil.rmtree(_replaced(run.path), ignore_errors=True)


def undo_creation(run: RunFolder) -> None:
    """The new run cannot be: remove its folder, and put back the run it replaced."""
    shutil.rmtree(run.path)
    if _replaced(run.path).exists():
        _replaced(run.path).rename(run.path)


def is_run(path: Path) -> bool:
    """Whether a run has begun in this folder."""
    return (path / "config.json").is_file()


def open_run(path: Path | str) -> RunFolder:
    """An existing run folder; StoreError where it is none, newer than this softstep, or damaged."""
    path = Path(path)
    file = path / "config.json"
    if not is_run(path):
        raise StoreError(f"{path} is not a run folder (no config.json in it): `softstep runs` lists those there are")
    try:
        return RunFolder(path, Config.from_json(file.read_text(), source=str(file)))
    except (ConfigError, UnicodeDecodeError) as error:
        raise StoreError(f"{error}") from None


@contextlib.contextmanager
def locked(path: Path) -> Iterator[int]:
    """Be the only writer of a run folder; yields the lock's file descriptor, for worker processes to inherit."""
    with (path / "lock").open("a") as handle:
        deadline = time.monotonic() + LOCK_PATIENCE
        while not _try_lock(handle):
            if time.monotonic() > deadline:
                raise StoreError(f"{path} is being written by another softstep: wait for it, or stop it")
            time.sleep(0.05)
        yield handle.fileno()


def _try_lock(handle: IO[str]) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


ARITHMETIC = ("jax", "jaxlib", "llvmlite", "numpy")
"""Packages on which the bits of a run depend."""


def versions(config: Config) -> dict[str, Any]:
    """What a result depends on besides its configuration."""
    libraries = ("optax", "equinox", "gymnasium", "gymnax", "box2d", "envpool")
    found = {}
    for name in ("softstep", *ARITHMETIC, *libraries):
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return {
        "schema": SCHEMA,
        "packages": found,
        "python": platform.python_version(),
        "cpu": cpu_model(),
        "kernels": switch.state(),
        "block_width": config.width,
        "env": config.env if ":" in config.env else f"gymnasium:{config.env}",
    }


def cpu_model() -> str:
    """The processor's name, as the system tells it."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def version_changes(run: RunFolder) -> list[str]:
    """What differs now from when the run began, of what its bits depend on."""
    try:
        then = json.loads((run.path / "versions.json").read_text())
    except (OSError, json.JSONDecodeError):
        return ["versions.json cannot be read"]
    now = versions(run.config)
    pairs = [("CPU", then.get("cpu"), now["cpu"])]
    pairs += [("use of kernels", then.get("kernels", "on"), now["kernels"])]  # older runs have no such entry
    pairs += [(name, then.get("packages", {}).get(name), now["packages"].get(name)) for name in ARITHMETIC]
    return [f"{name} was {old}, is {new}" for name, old, new in pairs if old != new]


# ---- checkpoints ----


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
        write_whole(self._run.path / f"checkpoint-{self._block:04}-{env_steps:012}.safetensors", data)
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


def drop_after(run: RunFolder, block: int, env_steps: int) -> None:
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


def write_whole(path: Path, data: bytes) -> None:
    """Write a whole file or none: temporary file, fsync, rename, fsync of the folder."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("wb") as handle:
            handle.write(data)
            handle.flush()
            os.fsync(handle.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def write_results(run: RunFolder, files: Mapping[str, bytes]) -> None:
    """Write whole files of results into the folder."""
    try:
        for name, data in files.items():
            write_whole(run.path / name, data)
    except OSError as error:
        raise StoreError(f"cannot write to {run.path}: {error.strerror}; the checkpoints are intact") from None


def save_file(folder: Path, name: str, data: bytes) -> None:
    """Write a whole file into a folder that need not be a run's, made where it is missing."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / name, data)
    except OSError as error:
        raise StoreError(f"cannot write {folder / name}: {error.strerror}; what was there is intact") from None


def read_result(path: Path, name: str) -> str | None:
    """A text file of a run folder; None where there is none."""
    file = path / name
    return file.read_text(encoding="utf-8") if file.is_file() else None


def read_summary(run: RunFolder) -> dict[str, Any] | None:
    """`summary.json`; None while the run has not come to rest."""
    try:
        return dict(json.loads((run.path / "summary.json").read_text()))
    except (OSError, json.JSONDecodeError):
        return None


def steps_reached(run: RunFolder) -> list[int]:
    """Environment steps of each block's newest checkpoint; 0 where it has none."""
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(run.config.blocks()))]
    return [_steps(found[0]) if found else 0 for found in newest]


def blocks_done(run: RunFolder) -> list[bool]:
    """Which blocks have a sound checkpoint at the run's end; none where agents may end early, which only they know."""
    config = run.config
    end = config.iterations * config.steps_per_iteration
    newest = [_checkpoints(run.path, block)[-1:] for block in range(len(config.blocks()))]
    return [config.solve_at is None and bool(of) and _steps(of[0]) >= end and _is_sound(of[0]) for of in newest]


def blocks_told(run: RunFolder) -> list[bool]:
    """Which blocks' ends are in the tables; a run killed between its last checkpoint and its tables has none."""
    outcomes = (read_summary(run) or {}).get("blocks") or [None] * len(run.config.blocks())
    end = run.config.iterations * run.config.steps_per_iteration
    return [outcome is not None and outcome["env_steps"] >= end for outcome in outcomes]


def drop_damaged(run: RunFolder) -> list[Path]:
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


def delete_leftovers(run: RunFolder) -> None:
    """Remove the temporary files of writers that were killed; only for who holds the lock."""
    for leftover in run.path.glob(".*.tmp"):
        leftover.unlink()


class RunLine(NamedTuple):
    """One run in a list of runs."""

    path: Path
    env: str
    agents: int
    env_steps: int
    total_steps: int
    finished: bool


def list_runs(folder: Path) -> list[RunLine]:
    """The run folders directly under `folder`, by name."""
    lines = []
    for path in sorted(p.parent for p in folder.glob("*/config.json")):
        with contextlib.suppress(StoreError):
            run = open_run(path)
            done = bool((read_summary(run) or {}).get("finished"))
            lines.append(
                RunLine(
                    path, run.config.env, run.config.num_agents, min(steps_reached(run)), run.config.total_steps, done
                )
            )
    return lines
