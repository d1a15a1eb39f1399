"""How often the targets of actor-critic algorithms move, counted in their loops, written out after the source."""

from __future__ import annotations

import itertools
from fractions import Fraction
from typing import NamedTuple

import pytest

from softstep import conventions
from softstep.conventions import Meaning

STARTS = 24
"""Steps without learning at the start of a loop."""


class Loop(NamedTuple):
    """What happened in a loop, counted in gradient steps of the critics."""

    gradient_steps: int
    actor_steps: int
    env_steps: int
    """Environment steps since learning started."""
    moves: list[int]
    """Gradient steps that came before each move of the critics' targets, without those before learning started."""

    def assert_agrees(self, meaning: Meaning) -> None:
        """Assert that the targets moved at the meaning's mean period, at its pace."""
        gaps = [after - before for before, after in itertools.pairwise(self.moves)]
        assert len(gaps) > 8
        assert sum(gaps) / len(gaps) == pytest.approx(float(meaning.period), rel=0.02)
        pace = float(meaning.env_steps_per_gradient_step)
        assert self.env_steps / self.gradient_steps == pytest.approx(pace, rel=0.02)


def cleanrl_sac(target_network_frequency: int, policy_frequency: int, num_envs: int) -> Loop:
    """Run sac_continuous_action.py:224-304 of CleanRL."""
    gradient_steps, actor_steps, moves = 0, 0, list[int]()
    for global_step in range(1200):  # 224: one step of all environments
        if global_step > STARTS:  # 255
            gradient_steps += 1  # 273
            if global_step % policy_frequency == 0:  # 275
                for _ in range(policy_frequency):  # 276
                    actor_steps += 1  # 287
            if global_step % target_network_frequency == 0:  # 300
                moves.append(gradient_steps)  # 302
    return Loop(gradient_steps, actor_steps, gradient_steps * num_envs, moves)


def cleanrl_td3(policy_frequency: int, num_envs: int) -> Loop:
    """Run td3_continuous_action.py:196-267 of CleanRL; its DDPG, ddpg_continuous_action.py:172-229, is the same."""
    gradient_steps, moves = 0, list[int]()
    for global_step in range(1200):  # 196
        if global_step > STARTS:  # 229
            gradient_steps += 1  # 253
            if global_step % policy_frequency == 0:  # 255: one step of the actor (259), and
                moves.append(gradient_steps)  # 263
    return Loop(gradient_steps, len(moves), gradient_steps * num_envs, moves)


def rejax_td3(policy_delay: int, num_envs: int, num_epochs: int, target_update_freq: int) -> Loop:
    """Run train_iteration of rejax, td3.py:149-232, and maybe_update_target_params, mixins.py:165-177."""
    gradient_steps, actor_steps, global_step, moves, learned_from = 0, 0, 0, list[int](), 0
    for _ in range(1200):
        old_global_step = global_step  # td3.py:150
        for _ in range(policy_delay):  # td3.py:155
            start_training = global_step > STARTS  # td3.py:165
            global_step += num_envs  # td3.py:284
            if start_training:
                gradient_steps += num_epochs  # td3.py:192
            else:
                learned_from = global_step
        if global_step > STARTS:  # td3.py:215
            actor_steps += num_epochs  # td3.py:208
        do_update = global_step // target_update_freq > old_global_step // target_update_freq  # mixins.py:173
        if do_update and gradient_steps:
            moves.append(gradient_steps)
    return Loop(gradient_steps, actor_steps, global_step - learned_from, moves)


def sbx(policy_delay: int, gradient_steps_per_round: int) -> Loop:
    """Run train of sbx's SAC, sac/sac.py:195-257 and 418-478, or TD3, td3/td3.py:128-177 and 296-348."""
    n_updates, actor_steps, moves = 0, 0, list[int]()
    rounds = 1200 // gradient_steps_per_round
    for _ in range(rounds):
        policy_delay_offset = (n_updates + 1) % policy_delay  # sac.py:251
        for i in range(gradient_steps_per_round):  # sac.py:478
            moves.append(n_updates + i + 1)  # sac.py:448, unconditionally
            if (policy_delay_offset + i) % policy_delay == 0:  # sac.py:451
                actor_steps += 1
        n_updates += gradient_steps_per_round  # sac.py:257
    return Loop(n_updates, actor_steps, rounds, moves)


def rllib_sac(target_network_update_freq: int, num_envs: int, weights: tuple[int, int]) -> Loop:
    """Run training_step of RLlib, dqn.py:648-733, and after_gradient_based_update, dqn_learner.py:87-116."""
    store_weight, sample_and_train_weight = weights  # dqn.py:650
    gradient_steps, timestep, last_update, moves = 0, 0, 0, list[int]()
    for _ in range(1200):
        timestep += store_weight * num_envs  # dqn.py:653
        if timestep >= STARTS:  # dqn.py:682
            for _ in range(sample_and_train_weight):  # dqn.py:684
                gradient_steps += 1
                if timestep - last_update >= target_network_update_freq:  # dqn_learner.py:97
                    moves.append(gradient_steps)
                    last_update = timestep  # dqn_learner.py:116
    return Loop(gradient_steps, gradient_steps, timestep - STARTS, moves)


@pytest.mark.parametrize("num_envs", [1, 4])
@pytest.mark.parametrize("target_network_frequency", [1, 2, 5])
@pytest.mark.parametrize("policy_frequency", [1, 2, 3])
def test_cleanrls_sac_counts_steps_of_all_environments_and_makes_up_for_the_actors_delay(
    target_network_frequency: int, policy_frequency: int, num_envs: int
) -> None:
    loop = cleanrl_sac(target_network_frequency, policy_frequency, num_envs)
    settings = {"target_network_frequency": target_network_frequency, "num_envs": num_envs}
    loop.assert_agrees(conventions.read("cleanrl-sac", settings))
    assert abs(loop.actor_steps - loop.gradient_steps) < policy_frequency  # whatever the delay


@pytest.mark.parametrize("policy_frequency", [1, 2, 3])
def test_the_targets_of_cleanrls_td3_and_ddpg_wait_for_the_actor(policy_frequency: int) -> None:
    settings = {"policy_frequency": policy_frequency}
    cleanrl_td3(policy_frequency, 4).assert_agrees(conventions.read("cleanrl-td3", settings | {"num_envs": 4}))
    cleanrl_td3(policy_frequency, 1).assert_agrees(conventions.read("cleanrl-ddpg", settings))


@pytest.mark.parametrize("num_epochs", [1, 2])
@pytest.mark.parametrize(
    ("policy_delay", "num_envs", "target_update_freq"),
    [(2, 1, 1), (1, 1, 1), (3, 4, 1), (2, 4, 8), (2, 2, 5), (2, 1, 7), (3, 2, 24)],
)
def test_the_targets_of_rejaxs_td3_move_at_most_once_per_iteration(
    policy_delay: int, num_envs: int, num_epochs: int, target_update_freq: int
) -> None:
    loop = rejax_td3(policy_delay, num_envs, num_epochs, target_update_freq)
    settings = {
        "policy_delay": policy_delay, "num_envs": num_envs, "num_epochs": num_epochs,
        "target_update_freq": target_update_freq,
    }  # fmt: skip
    loop.assert_agrees(conventions.read("rejax-td3", settings))
    assert loop.gradient_steps / loop.actor_steps == pytest.approx(policy_delay, rel=0.02)


@pytest.mark.parametrize(
    ("period", "num_envs", "policy_delay"), [(1, 1, 1), (1, 8, 1), (2, 4, 2), (3, 2, 1), (500, 1, 2)]
)
def test_any_period_has_equal_settings_in_rejaxs_td3(period: int, num_envs: int, policy_delay: int) -> None:
    translations = conventions.translate(Meaning(0.01, Fraction(period), num_envs))
    (translation,) = [each for each in translations if each.library == "rejax-td3"]
    assert translation.how == "equal"
    assert translation.settings is not None
    assert translation.settings["policy_delay"] == policy_delay
    assert translation.settings["target_update_freq"] == period * num_envs


@pytest.mark.parametrize("policy_delay", [1, 2, 3])
@pytest.mark.parametrize("gradient_steps", [1, 5])
@pytest.mark.parametrize("name", ["sbx-sac", "sbx-td3"])
def test_the_targets_of_sbx_move_at_every_gradient_step(name: str, gradient_steps: int, policy_delay: int) -> None:
    loop = sbx(policy_delay, gradient_steps)
    loop.assert_agrees(conventions.read(name, {"gradient_steps": gradient_steps}))
    assert loop.gradient_steps / loop.actor_steps == pytest.approx(policy_delay, rel=0.01)


def test_the_same_tau_has_half_the_half_life_in_sbxs_td3() -> None:
    """docs/faq.md says so, and names the τ that makes up for it."""
    waiting, not_waiting = conventions.read("sb3-td3", {}), conventions.read("sbx-td3", {})
    assert waiting.tau == not_waiting.tau == 0.005
    assert waiting.half_life == pytest.approx(2 * not_waiting.half_life)
    translated = {t.library: t for t in conventions.translate(waiting)}["sbx-td3"]
    assert translated.how == "same half-life"
    assert translated.settings is not None
    assert translated.settings["tau"] == pytest.approx(0.0025, abs=5e-6)


@pytest.mark.parametrize("frequency", [0, 1, 7, 40])
@pytest.mark.parametrize(("num_envs", "weights"), [(1, (1, 1)), (4, (1, 1)), (1, (1, 3)), (2, (4, 1))])
def test_rllibs_sac_counts_sampled_steps(frequency: int, num_envs: int, weights: tuple[int, int]) -> None:
    loop = rllib_sac(frequency, num_envs, weights)
    rounds, gradient_steps = weights
    settings = {"target_network_update_freq": frequency, "num_envs_per_env_runner": num_envs}
    if rounds != gradient_steps:
        settings["training_intensity"] = 256 * gradient_steps / (rounds * num_envs)
    loop.assert_agrees(conventions.read("rllib-sac", settings))
