"""Making a run longer than it was meant to be, so that it equals the run that had been so long from the start."""

from __future__ import annotations

import dataclasses

from softstep.errors import ConfigError, StoreError
from softstep.files import json_text
from softstep.runs import checkpoints, run_folder
from softstep.runs.run_folder import RunFolder, read_summary


def lengthened(run: RunFolder, total_steps: int | None) -> RunFolder:
    """Return the run with a configuration of `total_steps`; nothing is written.

    No other setting depends on the length, except for τ₀ of a harmonic target that leaves it open: schedules, records
    and evaluations are counted from the start of the run.

    Args:
        run: the run, finished or not.
        total_steps: its new length in environment steps per agent; None leaves it as it is.

    Raises:
        ConfigError: the run is longer already, or it would have another τ₀ from its start.
        StoreError: the run has deleted its replay memory, without which it cannot continue exactly.
    """
    before = run.config.total_steps
    if total_steps is None or total_steps == before:
        return run
    if total_steps < before:
        raise ConfigError(
            f"total_steps = {total_steps} is less than the {before} of {run.path}: a run can be made longer,"
            " not shorter"
        )
    if not checkpoints.has_replay(run):
        raise StoreError(
            f"{run.path} no longer has its replay memory, so it cannot be lengthened exactly: train a new run with"
            f" --total-steps {total_steps}"
        )
    config = dataclasses.replace(run.config, total_steps=total_steps)
    if [agent.target for agent in config.agents()] != [agent.target for agent in run.config.agents()]:
        raise ConfigError(
            f"{run.path} has a harmonic target whose tau0 follows from the length of the run: only a run that was"
            " trained with a target.tau0 of its own can be lengthened"
        )
    return RunFolder(run.path, config)


def write_length(run: RunFolder) -> None:
    """Store the configuration of a lengthened run, which is unfinished from now on; the caller must hold the lock."""
    before = run_folder.open_run(run.path).config.total_steps
    summary = {**(read_summary(run) or {}), "finished": False}
    summary["lengthened_from"] = [*summary.get("lengthened_from", []), before]
    # The summary first: a run that is killed in between is unfinished, whatever its length.
    run_folder.write_results(run, {"summary.json": json_text(summary, indent=2).encode()})
    run_folder.write_results(run, {"config.json": run.config.to_json().encode()})
