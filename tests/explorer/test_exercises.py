"""The exercises open where their texts begin, and their numbers are those that the rooms show."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from softstep.explorer.rooms.endpoints import answer

TEXT = (Path(__file__).parents[2] / "docs" / "teachers.md").read_text("utf-8")
EXERCISES = dict(enumerate(TEXT.split("\n## ")[1:], start=1))
ENDPOINT_OF_ROOM = {"one-network": "one-network", "two-networks": "two-networks", "stability": "stability-point"}


def address_of(number: int) -> tuple[str, dict[str, str]]:
    """Return the room of an exercise and the state in its address."""
    room, query = re.findall(r"`#/([a-z-]+)\?([^`]*)`", EXERCISES[number])[0]
    return room, dict(parse_qsl(query))


def numbers_of(state: dict[str, str]) -> dict[str, object]:
    """Return a state as the values of an endpoint."""
    return {name: float(value) if re.fullmatch(r"[\d.]+", value) else value for name, value in state.items()}


@pytest.mark.parametrize("number", [1, 2, 3, 4])
def test_the_address_of_an_exercise_is_answered(number):
    room, state = address_of(number)
    state.pop("at", None)
    assert answer(ENDPOINT_OF_ROOM[room], numbers_of(state))


def test_the_second_exercise_opens_before_the_first_step():
    _, state = address_of(2)
    assert state.pop("at") == "0"
    paths = answer("two-networks", numbers_of(state))
    shown = f"T₁ = X₁ = {paths['T'][1]:.3f}. Step twice: T₂ = {paths['T'][2]:.6f}, X₂ = {paths['X'][2]:.6f}"
    assert shown in EXERCISES[2]


def test_the_third_exercise_opens_at_a_full_ledger():
    _, state = address_of(3)
    at = int(state.pop("at"))
    assert len(answer("two-networks", numbers_of(state))["Q"]) - 1 == at  # the end of the run
    ledger = answer("ledger", {"c": float(state["c"]), "at": at})
    assert f"after {at} steps" in EXERCISES[3]
    assert ledger["share"][0] == pytest.approx(1 - 0.5**3, abs=1e-3)
    half = sum(share < 0.5 for share in ledger["share"])
    assert f"after {half}\n" in EXERCISES[3]


def test_the_fourth_exercise_shows_what_it_says():
    _, state = address_of(4)
    point = answer("stability-point", numbers_of(state))
    peak = max(point["Q"])
    assert f"rises from {2**0.5:.1f} to {peak:.1f}, then halves every 745 steps" in EXERCISES[4]
    assert "the error halves every 745 steps" in point["says"]
    assert point["Q"][-1] < peak / 4
    assert not answer("stability-point", numbers_of(state) | {"alpha": 0.01})["stable"]
