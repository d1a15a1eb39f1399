"""Greedy evaluations: their seeds, known policies on known environments, and when a run counts as solved."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import gymnasium
import jax
import numpy as np
import pytest
from support import Tape, small

from softstep import envs
from softstep.config import Config
from softstep.learner.algorithms import make_learner
from softstep.learner.networks import make_network
from softstep.training import evaluation, trainer
from softstep.training.block import make_block
from softstep.training.evaluation import GreedyEpisodes, evaluation_seeds, make_evaluate


def constant_policies(config: Config, actions: Sequence[int]) -> Callable[[int, int], np.ndarray]:
    """Return a function (evaluation, episodes) → returns of agents that each always prefer one action."""
    play = constant_episodes(config, actions)
    return lambda number, episodes: np.asarray(play(number, episodes).returns)


def constant_episodes(config: Config, actions: Sequence[int]) -> Callable[[int, int], GreedyEpisodes]:
    """Return a function (evaluation, episodes) → episodes of agents that each always prefer one action."""
    spec = envs.describe(config)
    learner = make_learner(config, spec.observation_size, spec.num_actions)
    block = make_block(config, learner, config.agents()[: len(actions)], spec.observation_size, spec.num_actions)
    params = [np.zeros_like(leaf) for leaf in jax.tree.map(np.asarray, block.init().learner.online)]
    for slot, action in enumerate(actions):
        params[-1][slot, action] = 1.0
    compiled = envs.make_compiled(spec.name) if spec.maker == "gymnax" else None
    evaluate = make_evaluate(config, block, spec, compiled)
    return lambda number, episodes: evaluate(tuple(params), number, episodes)


def gymnasium_return(action: int, seed: int) -> float:
    """Compute the return of Gymnasium's own CartPole under a constant action."""
    env, total, over = gymnasium.make("CartPole-v1"), 0.0, False
    env.reset(seed=seed)
    while not over:
        _, reward, terminated, truncated, _ = env.step(action)
        total, over = total + float(reward), terminated or truncated
    return total


def test_a_constant_policy_scores_as_in_gymnasium() -> None:
    returns = constant_policies(small(env="CartPole-v1", seeds=2), [0, 1])(3, 6)
    expected = [[gymnasium_return(action, seed) for seed in evaluation_seeds(3, 6)] for action in (0, 1)]
    np.testing.assert_array_equal(returns, expected)


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_agents_share_episodes_and_evaluations_do_not(env: str) -> None:
    evaluate = constant_policies(small(env=env, seeds=3), [0, 0, 1])
    first, repeated, second = evaluate(0, 40), evaluate(0, 40), evaluate(1, 40)
    assert first.shape == (3, 40)
    np.testing.assert_array_equal(first, repeated)
    np.testing.assert_array_equal(first[0], first[1])
    assert not np.array_equal(first[0], first[2])
    assert not np.array_equal(first, second)


def test_seeds_never_repeat_within_or_between_evaluations() -> None:
    seeds = [seed for number in range(200) for seed in evaluation_seeds(number, 30)]
    assert len(set(seeds)) == len(seeds)
    assert evaluation_seeds(5, 30)[:10] == evaluation_seeds(5, 10)


def test_the_compiled_and_the_host_evaluation_agree_in_distribution() -> None:
    host, compiled = (
        constant_policies(small(env=env), [1])(0, 150)[0] for env in ("CartPole-v1", "gymnax:CartPole-v1")
    )
    assert set(host) | set(compiled) <= {8, 9, 10, 11}
    assert abs(host.mean() - compiled.mean()) < 0.3


def test_an_episode_ends_at_the_time_limit() -> None:
    for env in ("MountainCar-v0", "gymnax:MountainCar-v0"):
        np.testing.assert_array_equal(constant_policies(small(env=env), [1])(0, 3), -200)


@pytest.mark.parametrize("env", ["CartPole-v1", "gymnax:CartPole-v1"])
def test_the_length_of_an_episode_is_its_number_of_steps(env: str) -> None:
    played = constant_episodes(small(env=env, seeds=2), [0, 1])(0, 15)
    np.testing.assert_array_equal(played.lengths, played.returns)  # a reward of 1 in every step
    cut = constant_episodes(small(env=env, seeds=2, eval_max_steps=5), [0, 1])(0, 15)
    np.testing.assert_array_equal(cut.lengths, 5)


# ---- solved ----


def uncut(returns: np.ndarray) -> GreedyEpisodes:
    """Return episodes that all ended."""
    return GreedyEpisodes(returns, np.zeros(returns.shape, bool), np.ones(returns.shape, int))


def scripted(
    monkeypatch: pytest.MonkeyPatch, returns: dict[int, list[float]], **changes: Any
) -> tuple[Tape, Any, list[int]]:
    """Run two agents whose evaluation number n gives `returns[n]`, or 0 if missing; also return the numbers."""
    evaluations: list[int] = []

    def evaluate(params: Any, number: int, episodes: int) -> GreedyEpisodes:
        evaluations.append(number)
        return uncut(np.tile(np.array([returns.get(number, [0.0, 0.0])]).T, (1, episodes)))

    monkeypatch.setattr(trainer, "make_evaluate", lambda *arguments: evaluate)
    tape = Tape(small(seeds=2, eval_every=100, eval_episodes=2, **changes))
    return tape, tape.run(), evaluations


def test_a_block_is_solved_when_every_agent_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    script = {0: [9.0, 0.0], 1: [9.0, 0.0], 2: [0.0, 9.0], 3: [0.0, 9.0]}
    tape, outcome, evaluations = scripted(monkeypatch, script, solve_at=5.0)
    assert outcome.solved == (True, True)
    assert outcome.env_steps == 200
    assert not outcome.stopped
    assert evaluations == [0, 1, 2, 3]
    assert [r.eval_return for r in tape.records] == [9, 0, 0, 9]


def test_a_lucky_evaluation_is_not_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    script = {0: [9.0, 9.0], 1: [9.0, 1.0], 4: [0.0, 9.0], 5: [0.0, 4.9]}
    _, outcome, evaluations = scripted(monkeypatch, script, solve_at=5.0)
    assert outcome.solved == (True, False)
    assert outcome.env_steps == 400
    assert evaluations == [0, 1, 2, 4, 5, 6]  # odd numbers confirm, and only after an evaluation that reached the goal


def test_without_a_goal_nothing_is_confirmed(monkeypatch: pytest.MonkeyPatch) -> None:
    _, outcome, evaluations = scripted(monkeypatch, {})
    assert outcome.solved == (False, False)
    assert evaluations == [0, 2, 4, 6]


def test_the_gate_skips_evaluations_except_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    assert scripted(monkeypatch, {}, eval_gate=1e6)[2] == [0]
    assert scripted(monkeypatch, {}, eval_gate=-1e6)[2] == [0, 2, 4, 6]


@pytest.mark.parametrize("network", ["online", "target"])
def test_the_configured_network_is_evaluated(monkeypatch: pytest.MonkeyPatch, network: str) -> None:
    evaluated: list[Any] = []

    def evaluate(params: Any, number: int, episodes: int) -> GreedyEpisodes:
        evaluated.append([np.asarray(leaf) for leaf in params])
        return uncut(np.zeros((1, episodes)))

    monkeypatch.setattr(trainer, "make_evaluate", lambda *arguments: evaluate)
    tape = Tape(small(eval_every=400, eval_network=network))
    tape.run()
    q_network = make_network(tape.config, 4, 2)
    stored = evaluation.evaluated_parameters(tape.config, q_network, tape.snapshots[-1].arrays)
    for used, expected in zip(evaluated[-1], stored, strict=True):
        np.testing.assert_array_equal(used, expected)
    other = "target" if network == "online" else "online"
    other_parameters = evaluation.evaluated_parameters(small(eval_network=other), q_network, tape.snapshots[-1].arrays)
    assert not np.array_equal(stored[0], other_parameters[0])
