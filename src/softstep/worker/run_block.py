"""Run one block of a run folder, from its newest checkpoint if it has one, to its end."""

from __future__ import annotations

import dataclasses
import warnings

from softstep import envs
from softstep.errors import ConfigError
from softstep.jax_settings.pinned import pinned
from softstep.records.events import Hooks, Outcome, Restored, Snapshot
from softstep.runs import checkpoints, registration
from softstep.runs.checkpoints import CheckpointWriter
from softstep.runs.memory import check_replay_fits
from softstep.runs.run_folder import RunFolder
from softstep.training.loop import run_block
from softstep.training.program_cache import ProgramCache
from softstep.training.replay_rows import replay_bytes, row_layout
from softstep.user_code import import_env_modules


def execute_block(run: RunFolder, block: int, hooks: Hooks, cache: ProgramCache | None = None) -> Outcome:
    """Train block number `block` of a run and write its checkpoints; resume if there is one.

    Args:
        run: the run's folder.
        block: number of the block.
        hooks: callbacks; checkpoints are added to them.
        cache: programs of the other blocks of this run in this process.

    Raises:
        ConfigError: the environment or the network cannot be used, or the environment is another one here than in the
            process that started the run.
        EnvironmentFailed: the environment raises while it is trained on.
    """
    agents, cache = run.config.blocks()[block], cache or ProgramCache()
    with hooks.abandonable():
        _check_registration(run)
        spec = cache.get(envs.describe, run.config)
    if block == 0 and not spec.exactly_resumable:
        warnings.warn(
            f"{spec.name} does not replay its episodes exactly: a resumed run starts new episodes and will differ",
            RuntimeWarning,
            stacklevel=2,
        )
    with hooks.abandonable():
        checkpoint = checkpoints.read_checkpoint(run, block)
    restored = None
    if block == 0 and checkpoint is None:  # once, because nothing is lost yet
        layout = row_layout(run.config, spec.observation_size, spec.num_actions)
        check_replay_fits(run.config, layout.width * 4, replay_bytes(run.config, spec))
    if checkpoint is not None:
        checkpoints.delete_checkpoints_after(run, block, checkpoint.env_steps)
        restored = Restored(checkpoint.arrays, checkpoint.rows)
    writer = CheckpointWriter(run, block)

    def save(snapshot: Snapshot) -> None:
        writer.write(snapshot.env_steps, snapshot.arrays, snapshot.new_rows)

    try:
        with pinned():  # after `describe`, which imports the user's modules
            return run_block(run.config, agents, spec, dataclasses.replace(hooks, on_checkpoint=save), restored, cache)
    finally:
        writer.close()


def _check_registration(run: RunFolder) -> None:
    """Raise ConfigError if the environment's id stands for another one here; warn if the run has begun with it."""
    import_env_modules(run.config.env_modules)
    difference = registration.difference(run)
    if difference is None:
        registration.record(run)
    elif any(checkpoints.steps_reached(run)):
        warnings.warn(f"{difference}: the run goes on with the one here", RuntimeWarning, stacklevel=2)
    else:
        raise ConfigError(
            f"{difference}: worker processes see only what Gymnasium and env_modules register, so put the registration"
            " into a module and name it, env_modules=('your_module',) or --env-module your_module"
        )
