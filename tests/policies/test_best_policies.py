"""The best checkpoint evaluated on held-out episodes, loaded as a policy and exported."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from actors import settings
from support import exported_module, small

import softstep
from softstep.cli.main import main
from softstep.learner.algorithms import make_acting_network
from softstep.policies.evaluation import FIRST_HELD_OUT_EVALUATION
from softstep.policies.policy import read_best
from softstep.runs import run_folder
from softstep.settings import Arm
from softstep.training.best_checkpoint import BestCheckpoints
from softstep.training.evaluation import evaluation_seeds
from softstep.worker.in_process import run_blocks_here

CONFIG = small(
    env="CartPole-v1", total_steps=1_000, eval_every=100, eval_episodes=2, seeds=2, learning_rate=3e-2,
    arms=(Arm("sound"), Arm("diverging", learning_rate=1e36)), learning_starts=50, block_width=2,
)  # fmt: skip
"""The diverging agents' networks are not finite at their first evaluation."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return softstep.runs.api.train(CONFIG, tmp_path_factory.mktemp("best") / "run", execute=run_blocks_here).path


@pytest.fixture(scope="module")
def actor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    config = settings("td3", eval_every=50, eval_episodes=1)
    return softstep.runs.api.train(config, tmp_path_factory.mktemp("actor") / "run", execute=run_blocks_here).path


def best_of(path: Path, block: int = 0) -> BestCheckpoints:
    folder = run_folder.open_run(path)
    spec = softstep.describe(folder.config)
    return read_best(folder, make_acting_network(folder.config, spec.observation_size, spec.num_actions), block)


def played(policy: Any, seed: int) -> float:
    """Return the return of one greedy episode in Gymnasium's own environment."""
    import gymnasium

    env, total, over = gymnasium.make(policy.spec.name), 0.0, False
    observation, _ = env.reset(seed=seed)
    while not over:
        observation, reward, terminated, truncated, _ = env.step(policy(observation))
        total, over = total + float(reward), terminated or truncated
    return total


def test_the_best_policy_plays_the_held_out_episodes_of_its_evaluation(run: Path) -> None:
    returns, last = (softstep.evaluate(run, 3, seed=4, best=best).returns for best in (True, False))
    seeds = evaluation_seeds(FIRST_HELD_OUT_EVALUATION + 4, 3)
    for agent in (0, 1):
        policy = softstep.load(run, agent, best=True)
        assert returns[agent].tolist() == [played(policy, seed) for seed in seeds]
    assert not np.array_equal(returns[:2], last[:2])


def test_the_held_out_episodes_share_no_seed_with_an_evaluation_in_training() -> None:
    training = {seed for number in range(500) for seed in evaluation_seeds(number, 30)}
    held_out = {seed for n in range(20) for seed in evaluation_seeds(FIRST_HELD_OUT_EVALUATION + n, 100)}
    assert len(held_out) == 2_000
    assert not training & held_out


def test_an_agent_without_a_best_checkpoint_has_no_return_and_no_policy(run: Path) -> None:
    evaluation = softstep.evaluate(run, 2, best=True)
    assert [agent.arm for agent in evaluation.agents] == ["sound", "sound", "diverging", "diverging"]
    assert np.isfinite(evaluation.returns).all(1).tolist() == [True, True, False, False]
    with pytest.raises(softstep.StoreError, match="agent 2 has no best checkpoint: no evaluation was made before"):
        softstep.load(run, 2, best=True)


def test_the_command_judges_the_best_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["eval", str(run), "--episodes", "2", "--best", "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    expected = softstep.evaluate(run, 2, best=True).returns.mean(1)
    assert printed["best"] is True
    assert [agent["mean"] for agent in printed["agents"]] == [*expected[:2].tolist(), None, None]
    assert main(["eval", str(run), "--episodes", "2", "--best"]) == 0
    assert "best evaluation" in " ".join(capsys.readouterr().out.split())


def test_the_export_is_of_the_best_weights_and_says_of_which_step(run: Path, tmp_path: Path) -> None:
    out = softstep.export_policy(run, "jax", tmp_path / "policy", 1, best=True)
    module, policy = exported_module(out), softstep.load(run, 1, best=True)
    observations = np.random.default_rng(0).normal(0, 1, (5, 4)).astype(np.float32)
    expected = [policy.q_values(observation) for observation in observations]
    np.testing.assert_allclose(module.q_values(module.load(), observations), expected, atol=1e-5)
    best = best_of(run)
    for layer, kept in zip(policy.layers or [], zip(best.network[::2], best.network[1::2], strict=True), strict=True):
        np.testing.assert_array_equal(layer[0], kept[0][1])
        np.testing.assert_array_equal(layer[1], kept[1][1])


def test_the_best_actor_acts_without_critics(actor: Path, tmp_path: Path) -> None:
    policy = softstep.load(actor, 1, best=True)
    observation = np.array([0.5, -0.5, 1.0], np.float32)
    assert policy(observation).shape == (1,)
    with pytest.raises(ValueError, match="without critics"):
        policy.value(observation)
    returns = softstep.evaluate(actor, 1, best=True).returns
    seed = evaluation_seeds(FIRST_HELD_OUT_EVALUATION, 1)[0]
    assert returns[1, 0] == pytest.approx(played(policy, seed))
    assert softstep.export_policy(actor, "torch", tmp_path / "policy", best=True).is_dir()
    with pytest.raises(softstep.ConfigError, match="needs its critics, which are not kept with the best weights"):
        softstep.export_policy(actor, "sb3", tmp_path / "archive.zip", best=True)


def test_a_run_without_evaluations_has_no_best_checkpoint(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = small(total_steps=40, learning_starts=20, record_every=20)
    run = softstep.runs.api.train(config, tmp_path / "run", execute=run_blocks_here)
    assert main(["eval", str(run.path), "--best"]) == 2
    assert "has no best checkpoints, because it makes no evaluations (eval_every = 0)" in capsys.readouterr().err
