"""The configuration: its JSON form, refused settings, error messages, and derived values."""

from __future__ import annotations

import dataclasses
import json
import types
import typing
from typing import Any

import numpy as np
import pytest
from beartype import BeartypeConf
from beartype.door import is_bearable
from hypothesis import given
from hypothesis import strategies as st

from softstep.config import Config
from softstep.errors import ConfigError
from softstep.settings import ALGORITHMS_WITH, Arm, Change, Exploration
from softstep.target import TargetUpdate

shares = st.floats(0, 1, exclude_min=True) | st.just(1)
positive = st.floats(1e-9, 1e9) | st.integers(1, 10**6)
targets = st.builds(TargetUpdate, shares, st.integers(1, 10**6))
names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=8)
arms = st.lists(
    st.builds(Arm, names, st.none() | positive, st.none() | targets), max_size=3, unique_by=lambda arm: arm.name
).map(tuple)
explorations = st.builds(
    Exploration,
    schedule=st.sampled_from(["linear", "geometric"]),
    start=st.floats(0.5, 1),
    end=st.floats(0, 0.5),
    steps=st.integers(1, 10**9),
    decay=shares,
)
configs = st.builds(
    Config,
    env=names,
    seed=st.integers(0, 2**30),
    seeds=st.integers(1, 10**6),
    learning_rate=positive,
    target=targets,
    gamma=st.floats(0, 1) | st.integers(0, 1),
    batch_size=st.integers(1, 1000),
    memory_size=st.integers(1000, 10**9),
    optimizer_options=st.dictionaries(names, st.floats(0, 1e9) | st.integers(0, 9), max_size=3),
    max_grad_norm=st.none() | positive,
    loss=st.sampled_from(["mse", "huber"]),
    double_q=st.booleans(),
    hidden=st.lists(st.integers(1, 4096), max_size=4).map(tuple),
    network=st.none() | st.just("module:function"),
    exploration=explorations,
    eval_every=st.integers(1, 10**6),
    eval_max_steps=st.integers(1, 10**6),
    solve_at=st.none() | st.floats(-1e6, 1e6),
    block_width=st.none() | st.integers(1, 64),
    arms=arms,
    env_modules=st.lists(names, max_size=2).map(tuple),
    env_args=st.dictionaries(
        names, st.none() | st.booleans() | st.integers(-9, 9) | st.floats(-9, 9) | names, max_size=2
    ),
    flatten=st.booleans(),
)


@given(configs)
def test_json_round_trip_gives_an_equal_configuration(config: Config) -> None:
    restored = Config.from_json(config.to_json())
    assert restored == config
    assert restored.content_hash() == config.content_hash()
    assert json.loads(config.to_json())["schema"] == 1


@given(configs, configs)
def test_configurations_are_equal_if_and_only_if_their_hashes_are(one: Config, other: Config) -> None:
    assert (one == other) == (one.content_hash() == other.content_hash())


def test_settings_added_later_leave_earlier_hashes_as_they_were() -> None:
    """Studies find the folders of their populations by them."""
    assert Config().content_hash() == "b800ac469415451a"
    assert Config(env="CartPole-v1", seeds=3, eval_every=100).content_hash() == "4bc3086503a33eba"
    changed = (Config(eval_max_steps=10), Config(flatten=True), Config(env_args={"a": 0}))
    assert len({config.content_hash() for config in (Config(), *changed)}) == 4


anything = st.none() | st.booleans() | st.integers() | st.floats() | st.text()
anything |= st.lists(anything, max_size=2) | st.dictionaries(st.text(), anything, max_size=2)


@given(st.dictionaries(st.sampled_from([f.name for f in dataclasses.fields(Config)]), anything, max_size=4))
def test_any_json_gives_a_configuration_or_a_one_line_error(values: dict[str, Any]) -> None:
    try:
        message = f"config.json: {Config.from_json(json.dumps(values), source='config.json').env!r} is fine"
    except ConfigError as error:
        message = str(error)
    assert message.startswith("config.json: ")
    assert "\n" not in message


# ---- invalid settings, each with a pattern of its error ----

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"batch_size": 65, "memory_size": 64}, "batch_size = 65 .*memory_size = 64.*lower the batch or raise the memory"),
    ({"train_every": 4, "num_envs": 3}, "divide each other.*train_every = 3"),
    ({"solve_at": 200}, "set eval_every"),
    ({"loss": "mae"}, "loss = 'mae'"),
    ({"double_q": 1}, "double_q = 1 is not of type bool"),
    ({"seed": True}, "seed = True is not of type int"),
    ({"learning_rate": float("nan")}, "learning_rate = nan"),
    ({"learning_rate": float("inf")}, "learning_rate = inf"),
    ({"learning_rate": "1e-3"}, "learning_rate = '1e-3' is not of type float"),
    ({"gamma": 1.01}, r"gamma = 1.01 must be in \[0, 1\]"),
    ({"gamma": float("nan")}, "gamma = nan"),
    ({"solve_at": float("nan"), "eval_every": 1}, "solve_at = nan"),
    ({"hidden": [0]}, "hidden"),
    ({"hidden": 64}, "hidden = 64"),
    ({"optimizer_options": {"eps": -1.0}}, "optimizer_options = {'eps': -1.0} must be finite numbers, at least 0"),
    (
        {"optimizer_options": {"eps": "small"}},
        r"optimizer_options = {'eps': 'small'} is not of type dict\[str, float\]",
    ),
    ({"seed": 2**31}, "seed"),
    ({"exploration": {"start": 1.5}}, "exploration.start = 1.5"),
    ({"exploration": {"start": 0.1, "end": 0.5}}, "exploration.end = 0.5 must be at most"),
    ({"exploration": {"schedule": "cosine"}}, "cosine"),
    ({"exploration": {"decay": 0}}, "decay"),
    ({"exploration": {"stepz": 3}}, "did you mean 'steps'"),
    ({"exploration": 3}, "exploration = 3"),
    ({"target": {"tau": 0}}, r"tau = .* is outside \(0, 1\].*c = 1 - tau"),
    ({"target": {"tau": 1.5}}, r"tau = 1.5 is outside \(0, 1\]"),
    ({"target": {"tau": -0.1}}, r"tau = -0.1 is outside"),
    ({"target": {"tau": float("nan")}}, "tau = nan"),
    ({"target": {"period": 0}}, "period = 0 .*at least 1"),
    ({"target": {"period": 1.5}}, "period = 1.5"),
    ({"target": {"period": 2**40}}, "period"),
    ({"target": {"tua": 0.1}}, "unknown setting 'tua'; did you mean 'tau'"),
    ({"arms": [{"name": "a"}, {"name": "a"}]}, "repeat a name"),
    ({"arms": [{"learning_rate": 0.1}]}, "'name' is missing"),
    ({"arms": [{"name": ""}]}, r"arms\[0\].name = ''"),
    ({"arms": [{"name": "a"}, {"name": "b", "learning_rate": -1}]}, r"arms\[1\].learning_rate = -1 must be a finite"),
    ({"arms": [{"name": "a", "target": {"tau": 2}}]}, r"arms\[0\].target: tau = 2"),
    ({"arms": [{"name": "a", "target": {"tua": 2}}]}, r"arms\[0\].target: unknown setting 'tua'; did you mean 'tau'"),
    ({"arms": [3]}, r"arms\[0\] = 3 is not of type Arm"),
    ({"changes": [{"env_steps": -1}]}, r"changes\[0\].env_steps = -1 must be at least 0"),
    ({"solve_at": 200, "eval_evry": 1000}, "unknown setting 'eval_evry'; did you mean 'eval_every'"),
    ({"loss": "\ud800"}, "loss = "),
    ({"learning_rate": 10**400}, "learning_rate = 10"),
    ({"learning_rat": 0.1}, "unknown setting 'learning_rat'; did you mean 'learning_rate'"),
    ({"schema": 99}, "upgrade softstep"),
]


@pytest.mark.parametrize(("values", "message"), REFUSED, ids=[json.dumps(v) for v, _ in REFUSED])
def test_invalid_settings_are_refused_in_one_line(values: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as error:
        Config.from_json(json.dumps(values), source="config.json")
    assert str(error.value).startswith("config.json: ")
    assert "\n" not in str(error.value)


MAY_BE_NEGATIVE = {"solve_at", "eval_gate", "target_entropy"}
NUMBERS = [name for name, t in typing.get_type_hints(Config).items() if {t, *typing.get_args(t)} & {int, float}]


@pytest.mark.parametrize("name", sorted(set(NUMBERS) - MAY_BE_NEGATIVE))
def test_only_returns_and_an_entropy_may_be_negative(name: str) -> None:
    with pytest.raises(ConfigError, match=f"{name} = -1"):
        Config(**{name: -1, "eval_every": 1} if name != "eval_every" else {name: -1})


@pytest.mark.parametrize("build", [
    lambda: Exploration(schedule="cosine"),  # type: ignore[arg-type]
    lambda: Exploration(start="high"),  # type: ignore[arg-type]
    lambda: Exploration(steps=1.5),  # type: ignore[arg-type]
    lambda: Arm("a", learning_rate="fast"),  # type: ignore[arg-type]
    lambda: Arm("a", target=0.1),  # type: ignore[arg-type]
    lambda: Config(target={"tau": 0.1}),  # type: ignore[arg-type]
])  # fmt: skip
def test_wrong_types_in_python_calls_are_refused(build: Any) -> None:
    with pytest.raises(ConfigError, match="is not of type"):
        build()


DECLARED = [(kind, *field) for kind in (Config, Exploration, Change) for field in typing.get_type_hints(kind).items()]
plain = st.none() | st.integers() | st.floats() | st.text(max_size=3) | st.builds(TargetUpdate)
plain |= st.lists(plain, max_size=2) | st.dictionaries(st.text(max_size=3), plain, max_size=2)
plain |= st.lists(plain, max_size=2).map(tuple)


def beartype_accepts(value: Any, declared: Any) -> bool:
    """Return whether beartype accepts the value and each element alone, as it checks one element per container."""
    parts = [value]
    if isinstance(value, list | tuple):
        parts += [value[i : i + 1] for i in range(len(value))]
    elif isinstance(value, dict):
        parts += [{key: element} for key, element in value.items()]
    return all(is_bearable(part, declared, conf=BeartypeConf(is_pep484_tower=True)) for part in parts)


@pytest.mark.parametrize(("kind", "name", "declared"), DECLARED, ids=[f"{k.__name__}.{n}" for k, n, _ in DECLARED])
@given(value=plain)
def test_accepted_types_equal_those_of_beartype(kind: type, name: str, declared: Any, value: Any) -> None:
    """Compare without bool, which is an integer in Python but not in the configuration (tested above)."""
    try:
        kind(**{"env_steps": 0} | {name: value} if kind is Change else {name: value})
        message = None
    except ConfigError as error:
        message = str(error)
    if beartype_accepts(value, declared):
        assert message is None or "is not of type" not in message
    else:
        assert message is not None


def test_numpy_floats_are_accepted() -> None:
    tenth = np.float64(0.1)
    config = Config(learning_rate=tenth, optimizer_options={"eps": tenth}, arms=(Arm("a", gamma=tenth),))
    assert config == Config(learning_rate=0.1, optimizer_options={"eps": 0.1}, arms=(Arm("a", gamma=0.1),))
    assert Config.from_mapping({"learning_rate": tenth, "optimizer_options": {"eps": tenth}}, source="") == (
        dataclasses.replace(config, arms=())
    )


# ---- one configuration over another ----


def test_nested_mappings_replace_single_fields() -> None:
    base = Config(target=TargetUpdate(0.5, 3), exploration=Exploration(end=0.3), optimizer_options={"b1": 0.5})
    values = {"target": {"tau": 1}, "exploration": {"start": 0.4}, "optimizer_options": {"eps": 1}}
    assert Config.from_mapping(values, base, source="") == dataclasses.replace(
        base,
        target=TargetUpdate(1.0, 3),
        exploration=Exploration(start=0.4, end=0.3),
        optimizer_options={"eps": 1.0},
    )


@given(configs, st.sets(st.sampled_from([f.name for f in dataclasses.fields(Config)])))
def test_omitted_settings_come_from_the_base(config: Config, names_in_mapping: set[str]) -> None:
    values = {name: value for name, value in json.loads(config.to_json()).items() if name in names_in_mapping}
    base = Config(memory_size=10**9, eval_every=1)
    if "batch_size" in names_in_mapping or "memory_size" in names_in_mapping:
        values |= {"batch_size": config.batch_size, "memory_size": config.memory_size}
    combined = Config.from_mapping(types.MappingProxyType(values), base, source="")
    for field in dataclasses.fields(Config):
        assert getattr(combined, field.name) == getattr(config if field.name in values else base, field.name)


def test_integers_in_json_become_floats_where_a_float_is_declared() -> None:
    config = Config.from_json('{"learning_rate": 1, "target": {"tau": 1}, "arms": [{"name": "a", "gamma": 1}]}')
    assert [type(v) for v in (config.learning_rate, config.target.tau, config.arms[0].gamma)] == [float] * 3


@pytest.mark.parametrize("name", ALGORITHMS_WITH)
def test_only_the_algorithms_that_have_a_setting_take_it(name: str) -> None:
    kind: Any = Arm if name == "blended" else Config
    value: Any = {"network": "a:b", "normalization": "layer", "target_scope": "last-layer"}.get(name)
    if value is None:
        default = getattr(kind, name)
        value = not default if isinstance(default, bool) else 3 if name in ("n_step", "policy_delay") else 0.25
    for algorithm in ("dqn", "ddpg", "td3", "sac"):
        settings: dict[str, Any] = {"algorithm": algorithm}
        settings |= {"arms": (Arm("a", blended=value),)} if kind is Arm else {name: value}
        if algorithm in ALGORITHMS_WITH[name]:
            Config(**settings)
        else:
            with pytest.raises(ConfigError, match=rf"{name} = .* needs algorithm = .*this run has '{algorithm}'"):
                Config(**settings)
    for field in ("actor_tau", "actor_learning_rate", "temperature_learning_rate"):
        with pytest.raises(ConfigError, match=f"arm 'a': {field} = 0.5 needs algorithm"):
            Config(arms=(Arm("a", **{field: 0.5}),))


DEEP = [f'{{"hidden": {"[" * depth}{"]" * depth}}}' for depth in (100, 900, *range(930, 1010, 10), 5000)]


@pytest.mark.parametrize("text", ["", "{", "[]", "3", "null", "1" * 5000, *DEEP], ids=lambda text: f"{text:.20}")
def test_text_that_is_not_a_json_object_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match=r"^config.json: "):
        Config.from_json(text, source="config.json")


# ---- derived values ----


@given(train_every=st.sampled_from([1, 2, 4, 8]), num_envs=st.sampled_from([1, 2, 4, 8]), steps=st.integers(1, 3))
def test_an_iteration_keeps_the_ratio_of_steps_to_updates(train_every: int, num_envs: int, steps: int) -> None:
    config = Config(train_every=train_every, num_envs=num_envs, gradient_steps=steps)
    assert config.steps_per_iteration / config.updates == train_every / steps == config.env_steps_per_gradient_step
    assert config.steps_per_iteration == config.vector_steps * num_envs == max(train_every, num_envs)


def test_agents_are_arms_times_seeds_in_blocks_of_at_most_the_width() -> None:
    config = Config(arms=(Arm("a"), Arm("b", 1e-4, TargetUpdate.none())), seeds=3, seed=5, learning_rate=0.5)
    assert [(a.arm, a.seed, a.learning_rate) for a in config.agents()] == [
        *(("a", s, 0.5) for s in (5, 6, 7)),
        *(("b", s, 1e-4) for s in (5, 6, 7)),
    ]
    assert [a.target.kind for a in config.agents()] == ["soft"] * 3 + ["none"] * 3
    assert [len(block) for block in config.blocks()] == [4, 2]
    assert sum(config.blocks(), ()) == config.agents()
