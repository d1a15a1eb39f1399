"""Names of sinks, sinks of the user's own, and libraries that are not installed."""

import importlib.util

import pytest
from trackers.runs import logged_agent

from softstep.errors import ConfigError
from softstep.records import Sink
from softstep.trackers import names
from softstep.trackers.scalars import MOST_AGENTS, followed
from softstep.trackers.tensorboard import TensorBoard


class Own:
    def start(self, run): ...

    def write(self, records): ...

    def finish(self, ending): ...


@pytest.mark.parametrize("name", names.SINKS)
def test_every_name_is_a_sink(name):
    assert isinstance(names.SINKS[name](), Sink)


def test_names_and_sinks_may_be_mixed():
    own = Own()
    (board_name, board), (own_name, same) = names.make_sinks(["tensorboard", own])
    assert (board_name, own_name) == ("tensorboard", "Own")
    assert isinstance(board, TensorBoard)
    assert same is own


@pytest.mark.parametrize(
    ("log", "message"),
    [
        (["tensorbord"], r"'tensorbord' is not one of tensorboard, wandb, mlflow; did you mean 'tensorboard'\?"),
        ("wandb", r"log = 'wandb' must be a sequence, such as \('wandb',\)"),
        ([Own], "neither one of tensorboard, wandb, mlflow nor an object with the methods start, write and finish"),
    ],
)
def test_what_is_no_sink_is_refused(log, message):
    with pytest.raises(ConfigError, match=message) as caught:
        names.make_sinks(log)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["wandb", "mlflow"])
def test_a_missing_library_is_named_with_its_extra(name, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    with pytest.raises(ConfigError, match=rf"pip install 'softstep\[{name}\]'"):
        names.check([name])
    names.check(["tensorboard"])


def test_of_a_large_population_every_arm_is_followed_by_its_first_seeds():
    agents = [logged_agent(arm, seed) for arm in ("a", "b", "c") for seed in range(5, 505)]
    chosen = followed(agents)
    assert len(chosen) == MOST_AGENTS
    seeds = {arm: sorted(agent.seed for agent in chosen if agent.arm == arm) for arm in ("a", "b", "c")}
    assert seeds == {"a": list(range(5, 39)), "b": list(range(5, 38)), "c": list(range(5, 38))}
    assert followed(agents[:7]) == agents[:7]
