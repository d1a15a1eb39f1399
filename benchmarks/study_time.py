"""Measure where the processor time of a study goes, in a process of its own, and print one JSON line.

    python -m benchmarks.study_time '{"spec": "studies/atlas/cartpole.toml", "shorter": 1}'

Evaluation: two blocks of the spec's first contender, beside their training; a block before them compiles the programs.
The rest: a table as large as the study's, with the curves of those agents for all others, is taken over, judged and
reported. Processor time is what a share needs on a machine that does other work as well.
"""

from __future__ import annotations

import dataclasses
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from benchmarks.ours import RUNS
from softstep.config import Config
from softstep.jax_settings.dispatch import set_dispatch
from softstep.runs import worker_env
from softstep.studies.agents import StudyAgent
from softstep.studies.populations import pack_populations
from softstep.studies.spec import Spec

BLOCKS = 3
"""Blocks that are trained, the first of which compiles and does not count."""


def shortened(spec: Spec, factor: int) -> Spec:
    """Return the spec with a horizon shorter by `factor`; evaluations are as far apart as before."""
    return dataclasses.replace(spec, base=dataclasses.replace(spec.base, total_steps=spec.base.total_steps // factor))


def first_blocks(spec: Spec) -> Config:
    """Return the population of the first contender's first candidates that makes `BLOCKS` blocks."""
    agents = [StudyAgent(cell, seed) for cell in spec.named_cells() for seed in spec.selection_seeds]
    population = pack_populations(spec, agents)[0]
    arms = population.arms[: BLOCKS * spec.width // population.seeds]
    return dataclasses.replace(population, arms=arms)


def sample(spec: Spec) -> dict[str, Any]:
    """Return the shares of evaluation, and of table, statistics and report, in the study's processor time."""
    # imported here because the environment variables of workers must be set before jax is imported
    from softstep.runs import api
    from softstep.training import loop, recording
    from softstep.worker.in_process import run_blocks_here

    processor = SimpleNamespace(perf_counter=time.process_time, monotonic=time.monotonic)
    for module in (loop, recording):
        vars(module)["time"] = processor
    config = first_blocks(spec)
    RUNS.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=RUNS) as folder:
        run = api.train(config, Path(folder) / "run", execute=run_blocks_here)
        outcomes = run.summary["blocks"][1:]
        training, evaluation = (sum(block[f"{part}_seconds"] for block in outcomes) for part in ("train", "eval"))
        rest = _rest(spec, run, Path(folder))
    agents = sum(len(block) for block in config.blocks()[1:])
    total = (training + evaluation) / agents * spec.num_agents + rest
    return {
        "seconds": training + evaluation,
        "evaluation_percent": 100 * evaluation / (training + evaluation),
        "rest_percent": 100 * rest / total,
        "rest_seconds": rest,
        "evaluations": len(outcomes) * config.total_steps // config.eval_every,
    }


def _rest(spec: Spec, run: Any, folder: Path) -> float:
    """Return the processor time of taking over, judging and reporting a table of all agents of the study."""
    import polars as pl

    from softstep.report.study.page import report_study
    from softstep.studies import study_folder
    from softstep.studies.run_study import study
    from softstep.studies.table import parquet_bytes

    curves = run.curves
    trained = curves.select("arm", "seed").unique(maintain_order=True).rows()
    everyone = [(cell, seed) for cell in spec.named_cells() for seed in (*spec.selection_seeds, *spec.judging_seeds)]
    pairs = pl.DataFrame(
        [(*trained[number % len(trained)], *agent) for number, agent in enumerate(everyone)],
        schema=["arm", "seed", "cell", "new_seed"], orient="row",
    )  # fmt: skip
    table = pairs.join(curves, on=["arm", "seed"], maintain_order="left_right")
    table = table.drop("arm", "seed").rename({"new_seed": "seed"})
    (folder / "others").mkdir()
    (folder / "others" / study_folder.SPEC_FILE).write_text(spec.to_json())
    (folder / "others" / study_folder.TABLE_FILE).write_bytes(parquet_bytes(table))
    started = time.process_time()
    report_study(study(spec, folder / "study", adopt=folder / "others"))
    return time.process_time() - started


if __name__ == "__main__":
    request = json.loads(sys.argv[1])
    os.environ.update(worker_env.settings())
    set_dispatch(overlap=False)
    file = Path(request["spec"])
    requested = Spec.from_toml(file.read_text(encoding="utf-8"), source=str(file))
    print(json.dumps(sample(shortened(requested, request["shorter"]))))
