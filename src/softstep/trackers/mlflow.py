"""MLflow: one run per agent, all below one run for the folder, over environment steps."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from typing import Any

from softstep.records.events import Record
from softstep.records.sink import Ending, LoggedAgent, LoggedRun
from softstep.trackers.scalars import followed, scalars

STATUS: Mapping[Ending, str] = {"finished": "FINISHED", "stopped": "KILLED", "failed": "FAILED"}
"""MLflow's words for the ends of a run; a stopped run is running again when it is resumed."""
RUN_TAG = "softstep.run"
AGENT_TAG = "softstep.agent"
_LONGEST_VALUE = 6000
"""Most characters of a parameter that MLflow takes."""
_MOST_PARAMETERS = 100
"""Most parameters that MLflow takes at once."""


class MLflow:
    """Logs to MLflow's own tracking URI, in the experiment `softstep` or `$MLFLOW_EXPERIMENT_NAME`.

    Runs are found again by their tags, so that a resumed run continues them.
    """

    def __init__(self) -> None:
        self._client: Any = None
        self._parent = ""
        self._children: dict[tuple[str, int], str] = {}
        self._logged: dict[str, int] = {}
        """Environment steps up to which a run has records, by its id."""

    def start(self, run: LoggedRun) -> None:
        """Create the runs of the folder and of at most `MOST_AGENTS` agents, or set those that exist to running."""
        import mlflow

        self._client = client = mlflow.MlflowClient()
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "softstep")
        existing = client.get_experiment_by_name(name)
        experiment = existing.experiment_id if existing is not None else client.create_experiment(name)
        filter_string = f"tags.`{RUN_TAG}` = '{run.id}'"
        found = client.search_runs([experiment], filter_string=filter_string, max_results=1000)
        known = {stored.data.tags.get(AGENT_TAG, ""): stored.info.run_id for stored in found}
        self._parent = self._continued(known.get("")) or self._created(experiment, run, None)
        for agent in followed(run.agents):
            child = self._continued(known.get(agent.name)) or self._created(experiment, run, agent)
            self._children[agent.arm, agent.seed] = child

    def write(self, records: Sequence[Record]) -> None:
        """Log every finite scalar at the record's environment steps, if it is beyond what the run has already."""
        from mlflow.entities import Metric

        now = int(time.time() * 1000)
        batches: dict[str, list[Any]] = {}
        for record in records:
            child = self._children.get((record.arm, record.seed))
            if child is not None and record.env_steps > self._logged.get(child, 0):
                metrics = [Metric(tag, value, now, record.env_steps) for tag, value in scalars(record).items()]
                batches.setdefault(child, []).extend(metrics)
        for child, metrics in batches.items():
            self._client.log_batch(child, metrics=metrics)

    def finish(self, ending: Ending) -> None:
        """Set the status of every run."""
        for run_id in (*self._children.values(), self._parent):
            self._client.set_terminated(run_id, status=STATUS[ending])

    def _continued(self, run_id: str | None) -> str | None:
        """Set a stored run to running and note how far it has come; return its id, or None if there is none."""
        if run_id is not None:
            self._client.update_run(run_id, status="RUNNING")
            history = self._client.get_metric_history(run_id, "episodes")  # every record has this number
            self._logged[run_id] = max((metric.step for metric in history), default=0)
        return run_id

    def _created(self, experiment: str, run: LoggedRun, agent: LoggedAgent | None) -> str:
        """Create the run of the folder, or of one of its agents, with its parameters; return its id."""
        from mlflow.entities import Param

        tags = {RUN_TAG: run.id}
        if agent is None:
            name, values = run.name, {**run.settings, "folder": str(run.path)}
        else:
            tags |= {AGENT_TAG: agent.name, "mlflow.parentRunId": self._parent}
            own = {"alpha": agent.learning_rate, "tau": agent.tau, "c": 1 - agent.tau, "period": agent.period}
            name, values = f"{run.name}/{agent.name}", {"arm": agent.arm, "seed": agent.seed, **own}
        created = str(self._client.create_run(experiment, tags=tags, run_name=name).info.run_id)
        parameters = [Param(key, str(value)[:_LONGEST_VALUE]) for key, value in values.items()]
        for start in range(0, len(parameters), _MOST_PARAMETERS):
            self._client.log_batch(created, params=parameters[start : start + _MOST_PARAMETERS])
        return created
