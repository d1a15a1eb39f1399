"""What the settings of each library mean, computed by hand from its source, and counted in loops of the same shape."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from softstep import conventions
from softstep.conventions.libraries.ema_with_warmup import calls_until_decay
from softstep.conventions.reading import complete
from softstep.errors import ConfigError

BY_HAND: list[tuple[str, dict[str, Any], float, float, float]] = [
    # library, settings, τ, period, environment steps per gradient step
    ("cleanrl-sac", {}, 0.005, 1, 1),
    ("cleanrl-td3", {}, 0.005, 2, 1),
    ("cleanrl-sac", {"target_network_frequency": 2, "num_envs": 4}, 0.005, 2, 4),
    ("cleanrl-td3", {"num_envs": 4, "policy_frequency": 3}, 0.005, 3, 4),
    ("cleanrl-ddpg", {}, 0.005, 2, 1),
    ("cleanrl-ddpg", {"policy_frequency": 1}, 0.005, 1, 1),
    ("cleanrl-sac-atari", {}, 1, 2000, 4),
    ("sbx-sac", {}, 0.005, 1, 1),
    ("sbx-td3", {}, 0.005, 1, 1),
    ("sbx-td3", {"train_freq": 2, "gradient_steps": -1, "n_envs": 4}, 0.005, 1, 1),
    ("sbx-ddpg", {"tau": 0.02, "train_freq": 64, "gradient_steps": 32}, 0.02, 1, 2),
    ("rejax-sac", {}, 0.01, 1, 1),
    ("rejax-sac", {"num_envs": 4, "num_epochs": 2, "target_update_freq": 12}, 0.01, 6, 2),
    ("rejax-td3", {}, 0.01, 2, 1),
    ("rejax-td3", {"policy_delay": 3, "num_envs": 2, "num_epochs": 4}, 0.01, 12, 0.5),
    ("rejax-td3", {"policy_delay": 3, "num_envs": 2, "target_update_freq": 10}, 0.01, 5, 2),
    ("rllib-sac", {}, 0.005, 1, 1),
    ("rllib-sac", {"training_intensity": 1024}, 0.005, 1, 1 / 4),
    ("rllib-sac", {"num_envs_per_env_runner": 4, "target_network_update_freq": 30}, 0.005, 8, 4),
    ("sb3-qrdqn", {"target_update_interval": 10, "train_freq": 256, "gradient_steps": 128}, 1, 128, 2),
    ("sb3-tqc", {"gradient_steps": 8, "target_update_interval": 3}, 0.005, 8 / 3, 1 / 8),
    ("skrl", {}, 0.005, 10, 1),
    ("skrl", {"update_interval": 4, "num_envs": 8}, 0.005, 10, 32),
    ("keras-rl", {}, 1, 10_000, 1),
    ("keras-rl", {"target_model_update": 1e-2, "train_interval": 4}, 0.01, 1, 4),
    ("keras-rl", {"target_model_update": 100.9, "train_interval": 4}, 1, 25, 4),
    ("d3rlpy", {}, 1, 8000, 1),
    ("d3rlpy-sac", {"update_interval": 4}, 0.005, 1, 4),
    ("acme", {}, 1, 100, 512),
    ("acme", {"samples_per_insert": 32}, 1, 100, 8),
    ("dqn-zoo", {}, 1, 2500, 4),
    ("tf-agents", {"target_update_tau": 0.05, "target_update_period": 5}, 0.05, 5, 1),
    ("spinup", {"polyak": 0.995}, 0.005, 1, 1),
    ("spinup-td3", {}, 0.005, 2, 1),
    ("spinup-td3", {"policy_delay": 3}, 0.005, 50 / 17, 1),
    ("mushroom-rl", {"target_update_frequency": 2500, "n_steps_per_fit": 4}, 1, 2500, 4),
    ("agilerl", {}, 1e-3, 1, 5),
    ("agilerl", {"learn_step": 10, "num_envs": 4}, 1e-3, 1, 8),
    ("agilerl", {"learn_step": 5, "num_envs": 16}, 1e-3, 1, 16 / 3),
    ("dreamerv3", {}, 0.02, 1, 1),
    ("epymarl", {}, 1, 200, 1),
    ("epymarl", {"target_update_interval_or_tau": 0.01}, 0.01, 1, 1),
    ("epymarl", {"target_update_interval_or_tau": 1}, 1, 1, 1),
    ("diffusers", {}, 1e-4, 1, 1),
    ("timm", {"decay": 0.999}, 1e-3, 1, 1),
    ("byol", {}, 0.01, 1, 1),
    ("moco", {}, 1e-3, 1, 1),
    ("dino", {}, 4e-3, 1, 1),
    ("pfrl", {}, 1, 10_000, 1),
    ("pfrl", {"soft_update_tau": 0.1}, 1, 10_000, 1),
    ("pfrl", {"target_update_method": "soft", "target_update_interval": 8, "update_interval": 4}, 0.01, 2, 4),
    ("pfrl", {"target_update_interval": 8, "update_interval": 4, "n_times_update": 3}, 1, 6, 4 / 3),
    ("pfrl-sac", {"update_interval": 2}, 0.005, 1, 2),
    ("di-engine", {}, 1, 100, 8 / 3),
    ("di-engine", {"update_per_collect": 10, "n_sample": 64}, 1, 100, 6.4),
    ("di-engine-sac", {}, 0.005, 1, 1),
    ("stoix", {}, 0.005, 1, 128),
    ("stoix", {"epochs": 1, "rollout_length": 1, "total_num_envs": 8}, 0.005, 1, 8),
    ("brax", {}, 0.005, 1, 1),
    ("brax", {"grad_updates_per_step": 64, "num_envs": 128, "action_repeat": 2}, 0.005, 1, 4),
    ("elegantrl", {}, 0.005, 1, 1),
    ("coax", {"tau": 0.02}, 0.02, 1, 1),
    ("corl", {}, 0.005, 1, 1),
    ("corl-td3-bc", {}, 0.005, 2, 1),
    ("corl-cql", {"target_update_period": 3}, 0.005, 3, 1),
]


def test_a_setting_called_tau_weighs_the_new_network_and_other_names_may_weigh_the_old() -> None:
    """docs/faq.md says so, with these examples."""
    weighs = {name: library.weighs for name, library in conventions.LIBRARIES.items()}
    named_tau = [each for each in weighs.values() if each.partition(":")[0].split(".")[-1].lower() == "tau"]
    assert len(named_tau) > 10
    assert {each.partition(": ")[2] for each in named_tau} == {"new"}
    examples = {"rejax": "polyak: old", "skrl": "polyak: new", "torch-ema": "decay: old", "moco": "m: old"}
    assert {name: weighs[name] for name in examples} == examples
    assert conventions.LIBRARIES["torchrl-soft"].complements["eps"] == "tau"


@pytest.mark.parametrize(
    ("name", "settings", "tau", "period", "pace"), BY_HAND, ids=[f"{b[0]} {b[1]}" for b in BY_HAND]
)
def test_settings_mean_what_the_source_says(
    name: str, settings: dict[str, Any], tau: float, period: float, pace: float
) -> None:
    meaning = conventions.read(name, settings)
    assert meaning.tau == pytest.approx(tau)
    assert float(meaning.period) == pytest.approx(period)
    assert float(meaning.env_steps_per_gradient_step) == pytest.approx(pace)


@pytest.mark.parametrize(
    ("name", "half_life"),
    [("cleanrl-sac", 138.3), ("cleanrl-td3", 276.6), ("skrl", 1383), ("spinup", 138.3), ("sb3-td3", 276.6),
     ("sbx-td3", 138.3), ("rejax-sac", 68.97), ("rejax-td3", 137.9), ("rllib-sac", 138.3)],
)  # fmt: skip
def test_half_lives_of_defaults(name: str, half_life: float) -> None:
    assert conventions.read(name, {}).half_life == pytest.approx(half_life, rel=1e-3)


@pytest.mark.parametrize(("delay", "burst"), [(1, 50), (2, 50), (3, 50), (7, 20), (60, 50)])
def test_spinning_up_counts_its_delay_within_a_burst(delay: int, burst: int) -> None:
    """The loop of td3.py:320-323 and 238, written out."""
    moves = sum(timer % delay == 0 for _ in range(10) for timer in range(burst))
    meaning = conventions.read("spinup-td3", {"policy_delay": delay, "update_every": burst})
    assert 10 * burst / moves == pytest.approx(float(meaning.period))


@pytest.mark.parametrize(("learn_step", "num_envs"), [(5, 1), (10, 4), (4, 4), (3, 8), (1, 6)])
def test_agilerl_rounds_the_ratio_of_learn_step_and_environments(learn_step: int, num_envs: int) -> None:
    """The loop of train_off_policy.py:423-442, written out."""
    learned = 0
    for step in range(1200):
        if learn_step > num_envs:
            learned += step % (learn_step // num_envs) == 0
        else:
            learned += num_envs // learn_step
    meaning = conventions.read("agilerl", {"learn_step": learn_step, "num_envs": num_envs})
    assert 1200 * num_envs / learned == pytest.approx(float(meaning.env_steps_per_gradient_step), rel=2e-3)


@pytest.mark.parametrize(
    ("interval", "round_length", "repetitions"), [(8, 1, 1), (8, 4, 1), (8, 4, 3), (6, 3, 2), (5, 5, 4)]
)
def test_pfrl_counts_transitions_and_moves_before_the_gradient_steps(
    interval: int, round_length: int, repetitions: int
) -> None:
    """The loop of dqn.py:515-549 and replay_buffer.py:344-347, written out."""
    gradient_steps, moves = 0, list[int]()
    for t in range(1, 241):
        if t % interval == 0:
            moves.append(gradient_steps)
        if t % round_length == 0:
            gradient_steps += repetitions
    settings = {
        "target_update_interval": interval, "update_interval": round_length, "n_times_update": repetitions
    }  # fmt: skip
    meaning = conventions.read("pfrl", settings)
    assert {after - before for before, after in itertools.pairwise(moves)} == {meaning.period}
    assert 240 / gradient_steps == pytest.approx(float(meaning.env_steps_per_gradient_step))


@pytest.mark.parametrize(
    ("settings", "message"),
    [({"target_update_interval": 10, "update_interval": 4}, "must be a multiple of update_interval = 4"),
     ({"target_update_method": "both"}, "'both' is not a number or 'hard', 'soft'")],
)  # fmt: skip
def test_pfrl_refuses_what_its_assertions_refuse(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        conventions.read("pfrl", settings)


def test_a_weight_of_pfrl_without_its_method_gets_a_warning() -> None:
    assert any("has no effect" in warning for warning in conventions.cautions("pfrl", {"soft_update_tau": 0.1}))
    soft = {"soft_update_tau": 0.1, "target_update_method": "soft", "target_update_interval": 1}
    assert conventions.cautions("pfrl", soft) == []


@pytest.mark.parametrize(
    ("name", "settings"),
    [("diffusers", {}), ("diffusers", {"decay": 0.99}), ("diffusers", {"use_ema_warmup": "true", "decay": 0.999}),
     ("timm", {"use_warmup": "True", "decay": 0.99, "warmup_power": 0.75})],
)  # fmt: skip
def test_the_decay_reaches_its_value_after_the_reported_calls(name: str, settings: dict[str, Any]) -> None:
    """The formulas of EMAModel.get_decay and ModelEmaV3.get_decay."""
    values = complete(name, settings)
    calls = calls_until_decay(values)
    power = values.get("power", values.get("warmup_power", 0.0))
    is_warmup = values.get("use_ema_warmup", values.get("use_warmup"))

    def decay_at(step: float) -> float:
        return 1 - (1 + step) ** -power if is_warmup else (1 + step) / (10 + step)

    assert decay_at(calls) == pytest.approx(values["decay"])
    assert decay_at(calls * 0.9) < values["decay"]
    assert any("starts low" in warning for warning in conventions.cautions(name, settings))


def test_a_constant_decay_needs_no_warm_up() -> None:
    assert calls_until_decay(complete("timm", {})) == 0
    assert conventions.cautions("timm", {}, total_steps=10_000_000) == []


def test_skrl_calls_the_weight_of_the_new_parameters_polyak() -> None:
    assert any("looks like c" in warning for warning in conventions.cautions("skrl", {"polyak": 0.995}))
    assert any("looks like τ" in warning for warning in conventions.cautions("spinup", {"polyak": 0.005}))


def test_the_settings_of_sac_in_the_script_of_dqn_get_a_warning() -> None:
    warnings = conventions.cautions("cleanrl", {"tau": 0.005, "target_network_frequency": 1})
    assert any("use --from cleanrl-sac" in warning for warning in warnings)
