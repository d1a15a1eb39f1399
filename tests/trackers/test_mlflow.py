"""MLflow with its own library, in a store of files and in SQLite."""

import mlflow
import pytest
from trackers.runs import logged_agent, logged_run, record

from softstep.trackers.mlflow import MLflow

AGENTS = [logged_agent("soft", 0), logged_agent("soft", 1), logged_agent("small", 0)]


@pytest.fixture
def client(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    monkeypatch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"file:{tmp_path}/mlruns")
    monkeypatch.delenv("MLFLOW_EXPERIMENT_NAME", raising=False)
    monkeypatch.chdir(tmp_path)
    return mlflow.MlflowClient(f"file:{tmp_path}/mlruns")


def log(path, batches, agents=AGENTS, ending="finished", identity="0123abcd"):
    sink = MLflow()
    sink.start(logged_run(path, identity, agents=agents))
    for batch in batches:
        sink.write(batch)
    sink.finish(ending)


def runs(client, experiment="softstep"):
    """Return the stored runs by name."""
    stored = client.search_runs([client.get_experiment_by_name(experiment).experiment_id])
    return {run.info.run_name: run for run in stored}


def history(client, run, metric):
    return [(point.step, point.value) for point in client.get_metric_history(run.info.run_id, metric)]


def test_every_agent_is_a_run_below_that_of_the_folder(client, tmp_path):
    batches = [[record(100, seed=1, loss=0.25), record(100)], [record(300, seed=1), record(200, arm="small")]]
    log(tmp_path, batches)
    name = f"{tmp_path.name}-0123abcd"
    stored = runs(client)
    parent = stored.pop(name)
    assert set(stored) == {f"{name}/soft/seed-0", f"{name}/soft/seed-1", f"{name}/small/seed-0"}
    assert {run.data.tags["mlflow.parentRunId"] for run in stored.values()} == {parent.info.run_id}
    assert {run.info.status for run in [parent, *stored.values()]} == {"FINISHED"}
    agent = stored[f"{name}/soft/seed-1"]
    assert history(client, agent, "return/train") == [(100, 150.0), (300, 450.0)]
    assert history(client, agent, "loss") == [(100, 0.25)]
    assert agent.data.params == {
        "arm": "soft", "seed": "1", "alpha": "0.001", "tau": "0.1", "c": "0.9", "period": "1",
    }  # fmt: skip
    assert parent.data.params["env"] == "CartPole-v1"
    assert parent.data.params["target"] == "{'tau': 0.1, 'period': 1}"


@pytest.mark.parametrize(("ending", "status"), [("stopped", "KILLED"), ("failed", "FAILED")])
def test_a_resumed_run_continues_its_runs_without_repeating_a_record(client, tmp_path, ending, status):
    log(tmp_path, [[record(100)], [record(200)]], agents=[logged_agent()], ending=ending)
    assert {run.info.status for run in runs(client).values()} == {status}
    log(tmp_path, [[record(200)], [record(300)]], agents=[logged_agent(env_steps=150)])
    stored = runs(client)
    assert len(stored) == 2
    assert {run.info.status for run in stored.values()} == {"FINISHED"}
    agent = stored[f"{tmp_path.name}-0123abcd/soft/seed-0"]
    assert [step for step, _ in history(client, agent, "return/train")] == [100, 200, 300]


def test_runs_of_one_name_are_not_mixed_up(client, tmp_path):
    for identity in ("0123abcd", "4567cdef"):
        log(tmp_path, [[record(100)]], agents=[logged_agent()], identity=identity)
    assert len(runs(client)) == 4


def test_the_experiment_may_be_chosen(client, tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_EXPERIMENT_NAME", "mine")
    log(tmp_path, [[record(100)]], agents=[logged_agent()])
    assert len(runs(client, "mine")) == 2


def test_the_users_own_run_goes_on(client, tmp_path):
    with mlflow.start_run() as own:
        log(tmp_path, [[record(100)]], agents=[logged_agent()])
        assert mlflow.active_run().info.run_id == own.info.run_id
    assert client.get_run(own.info.run_id).info.status == "FINISHED"


def test_more_settings_than_one_request_takes_and_a_long_one(client, tmp_path):
    run = logged_run(tmp_path, agents=[logged_agent()])
    settings = {f"setting_{number}": number for number in range(150)} | {"long": "x" * 7000}
    sink = MLflow()
    sink.start(run._replace(settings=settings))
    sink.finish("finished")
    parameters = runs(client)[run.name].data.params
    assert (parameters["setting_149"], len(parameters["long"])) == ("149", 6000)


def test_sqlite_the_librarys_default(tmp_path, monkeypatch, client):
    uri = f"sqlite:///{tmp_path}/mlflow.db"
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    log(tmp_path, [[record(100)]], agents=[logged_agent()])
    log(tmp_path, [[record(200)]], agents=[logged_agent(env_steps=100)])
    stored = runs(mlflow.MlflowClient(uri))
    agent = stored[f"{tmp_path.name}-0123abcd/soft/seed-0"]
    assert history(mlflow.MlflowClient(uri), agent, "return/train") == [(100, 150.0), (200, 300.0)]
