"""Comparisons of DDPG, TD3 and SAC: the critics' first steps, the arms, the claims on targets, and a whole run."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import softstep
from softstep import envs
from softstep.comparison.arms import make_arm
from softstep.comparison.first_steps import FirstSteps, replay
from softstep.comparison.judge import Verdict, judge_claims
from softstep.comparison.plan import ComparisonPlan
from softstep.comparison.random_minibatches import draw_minibatches, record_transitions
from softstep.comparison.run_comparison import select_tuned_arms
from softstep.config import Config
from softstep.errors import ConfigError
from softstep.target import TargetUpdate

ALGORITHMS = ("ddpg", "td3", "sac")


def config(algorithm: str, **changes: Any) -> Config:
    return Config(
        **{
            "env": "gymnax:Pendulum-v1", "algorithm": algorithm, "hidden": (8, 8), "batch_size": 16, "eval_every": 200,
            "learning_rate": 1e-3, "actor_learning_rate": 3e-4, "target": TargetUpdate(0.1), "learning_starts": 100,
            "total_steps": 400, "eval_episodes": 1, "memory_size": 1000, "record_every": 200,
        } | changes
    )  # fmt: skip


# ---- first steps ----


@pytest.fixture(scope="module", params=ALGORITHMS)
def steps(request: pytest.FixtureRequest) -> FirstSteps:
    return replay(config(request.param), updates=(1, 2, 10))


def test_after_one_update_the_targets_of_the_critics_are_the_critics_at_the_smaller_step(steps: FirstSteps) -> None:
    first = [row for row in steps.rows if row.update == 1]
    assert len(first) == 2
    assert all(row.t_x < 1e-12 and row.w_x < 1e-12 and row.v_small_t < 1e-12 for row in first)


def test_from_the_second_update_on_they_are_not(steps: FirstSteps) -> None:
    assert all(row.t_x > 1e-3 for row in steps.rows if row.update >= 2)


def test_the_second_update_is_the_formula_s(steps: FirstSteps) -> None:
    assert max(steps.second_update_error.values()) < 1e-7


def test_the_thread_s_third_equation_is_q(steps: FirstSteps) -> None:
    assert all(row.v_q < 1e-9 for row in steps.rows)


def test_recorded_actions_are_uniform_in_the_range_of_the_learner() -> None:
    settings = config("sac")
    spec = envs.describe(settings)
    actions = record_transitions(settings, spec, 0)[:, spec.observation_size]
    assert np.abs(actions).max() <= 1
    assert np.histogram(actions, 4, (-1, 1))[0].min() > 0.2 * len(actions)


def test_noise_is_drawn_for_every_update_and_component() -> None:
    settings = config("td3")
    noise = draw_minibatches(settings, envs.describe(settings), 3, seed=0).noise
    assert noise is not None
    assert noise.action.shape == noise.next_action.shape == (3, 16, 1)
    assert not np.array_equal(noise.action, noise.next_action)


# ---- arms ----


def settings_of(name: str, base: Config) -> tuple[float, float | None, float | None, float | None]:
    """Return an arm's τ of the critics and the actor, and its α of both."""
    (agent,) = dataclasses.replace(base, arms=(make_arm(name, base, 1),)).agents()
    return agent.target.tau, agent.actor_tau, agent.learning_rate, agent.actor_learning_rate


@pytest.mark.parametrize("actor_tau", [None, 0.02])
def test_every_arm_says_which_networks_have_a_target_and_slows_the_critics_alone(actor_tau: float | None) -> None:
    base = config("td3", actor_tau=actor_tau)
    own = actor_tau or 0.1
    assert settings_of("soft", base) == (0.1, own, 1e-3, 3e-4)
    assert settings_of("smaller-alpha", base) == (1, 1, pytest.approx(1e-4), 3e-4)
    assert settings_of("same-alpha", base) == (1, 1, 1e-3, 3e-4)
    assert settings_of("hard", base) == (1, 1, 1e-3, 3e-4)
    assert settings_of("critic-target", base) == (0.1, 1, 1e-3, 3e-4)
    assert settings_of("actor-target", base) == (1, own, 1e-3, 3e-4)


def test_the_actor_s_target_alone_keeps_the_same_share_in_a_period() -> None:
    arm = make_arm("actor-target", config("td3", target=TargetUpdate(0.2, 2)), 1)
    assert arm.target == TargetUpdate.none()
    assert arm.actor_tau is not None
    assert (1 - arm.actor_tau) ** 2 == pytest.approx(0.8)


def test_targets_that_move_with_a_delayed_actor_may_be_the_critics_alone() -> None:
    ComparisonPlan(config("td3", target=TargetUpdate(0.1, 2)), ("soft", "critic-target", "actor-target"))


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_best_alpha_is_looked_for_on_two_rays(algorithm: str) -> None:
    agents = ComparisonPlan(config(algorithm), ("soft", "best-alpha"), selection_seeds=1).selection_config().agents()
    critics_alone, all_networks = agents[:5], agents[5:]  # 1 − c is one of the factors
    assert [a.learning_rate for a in critics_alone] == pytest.approx([1e-3, 3e-4, 1e-4, 3e-5, 1e-5])
    assert [a.learning_rate for a in all_networks] == pytest.approx([3e-4, 1e-4, 3e-5, 1e-5])
    assert {a.actor_learning_rate for a in critics_alone} == {3e-4}
    assert all(a.target == TargetUpdate.none() and a.actor_tau == 1 for a in agents)
    assert {a.temperature_learning_rate for a in critics_alone} == {1e-3}
    for agent in all_networks:
        factor = agent.learning_rate / 1e-3
        assert factor < 1
        assert agent.actor_learning_rate == pytest.approx(3e-4 * factor)
        if algorithm == "sac":
            assert agent.temperature_learning_rate == pytest.approx(1e-3 * factor)


def test_the_better_ray_is_selected() -> None:
    plan = ComparisonPlan(config("sac"), ("soft", "best-alpha"), selection_seeds=1)
    selection = plan.selection_config()
    names = [arm.name for arm in selection.arms]
    best = next(name for name in names if name.endswith("all networks"))

    curves = pl.DataFrame(
        {
            "arm": names, "seed": [10**6] * len(names), "env_steps": [400] * len(names),
            "eval_return": [-100.0 if name == best else -900.0 for name in names], "diverged": [False] * len(names),
        }
    )  # fmt: skip
    arm = select_tuned_arms(selection, curves, -1600.0)["best-alpha"]
    chosen = selection.arms[names.index(best)]
    assert arm == dataclasses.replace(chosen, name="best-alpha")


@pytest.mark.parametrize(
    ("algorithm", "arm", "changes", "message"),
    [
        ("sac", "critic-target", {}, "'sac' has none"),
        ("dqn", "actor-target", {"env": "CartPole-v1", "actor_learning_rate": None}, "'dqn' has none"),
        ("td3", "blended", {}, "has several"),
        (
            "td3",
            "critic-target",
            {"target": TargetUpdate(0.1, 3)},
            "target.period = 3 does not divide",
        ),
        ("ddpg", "critic-target", {"target": TargetUpdate(0.1, 2)}, "target.period = 2 does not divide"),
    ],
)
def test_an_arm_that_does_not_fit_is_refused(algorithm: str, arm: str, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ComparisonPlan(config(algorithm, **changes), ("soft", arm))


# ---- claims ----


def claims(soft: float, critic: float, actor: float, spread: float = 5.0) -> dict[str, Verdict]:
    """Judge planted returns of eight seeds around three means, with differences of this spread."""
    random = np.random.default_rng(0)
    rows = [
        {"arm": arm, "seed": seed, "env_steps": step, "gradient_steps": step, "train_return": mean + noise,
         "eval_return": mean + noise, "diverged": False, "loss": random.random()}
        for arm, mean in (("soft", soft), ("critic-target", critic), ("actor-target", actor))
        for seed in range(8)
        for step, noise in ((100, random.normal(0, spread)), (200, random.normal(0, spread)))
    ]  # fmt: skip
    return {v.claim: v for v in judge_claims(pl.DataFrame(rows), config("td3"), None)}


@pytest.mark.parametrize(
    ("critic", "actor", "needed", "not_needed"),
    [
        (-150, -600, "supported", "supported"),
        (-50, -160, "equivalent", "supported"),  # better without the actor's target: it is not needed either
        (-300, -150, "equivalent", "refuted"),
        (-180, -180, "inconclusive", "inconclusive"),
    ],
)
def test_the_claims_on_targets(critic: float, actor: float, needed: str, not_needed: str) -> None:
    verdicts = claims(-150, critic, actor, spread=20 if needed == "inconclusive" else 5)
    assert verdicts["critic-target-needed"].verdict == needed
    assert verdicts["actor-target-not-needed"].verdict == not_needed
    assert verdicts["critic-target-needed"].arms == ("soft", "actor-target")


def test_one_blended_network_is_not_claimed_of_critics() -> None:
    rows = [{"optimizer": "sgd", "update": n, "t_x": 0.0 if n == 1 else 0.5, "w_x": 0.9} for n in (1, 2)]
    verdicts = judge_claims(pl.DataFrame({"arm": [], "seed": [], "env_steps": []}), config("td3"), rows)
    assert {v.claim: v.verdict for v in verdicts} == {
        "first-update-equal": "supported", "second-update-differs": "supported",
    }  # fmt: skip
    assert all("of the critics" in v.estimand for v in verdicts)


# ---- a whole comparison ----


def test_a_comparison_of_td3_ends_with_verdicts_and_a_page(tmp_path: Path) -> None:
    arms = ("soft", "smaller-alpha", "same-alpha", "hard", "critic-target", "actor-target", "best-alpha", "best-soft")
    run = softstep.compare(config("td3", seeds=2), tmp_path / "run", arms=arms, selection_seeds=1)
    conclusion = softstep.conclude(run)
    verdicts = {v["claim"]: v for v in json.loads((tmp_path / "run" / "verdict.json").read_text("utf-8"))}
    assert verdicts["first-update-equal"]["verdict"] == "supported"
    assert verdicts["critic-target-needed"]["verdict"] == "exploratory"
    assert {"actor-target-not-needed", "no-smaller-alpha-matches-soft", "y-moves-less"} <= verdicts.keys()
    assert math.isfinite(verdicts["y-moves-less"]["estimate"])
    page = conclusion.report.read_text("utf-8")
    assert "only the critics have a target network" in page
    assert "actor's 1 − c" in page or "actor&#x27;s 1 − c" in page
