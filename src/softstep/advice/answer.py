"""The whole answer to *which τ?* and its words: the window first, then why, warnings, and what was measured."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from softstep.advice.atlas import Cell, Neighbour
from softstep.advice.regret import SPAN, Drawn, Fared, Placing
from softstep.advice.window import Place, Window, two_digits

WIDTH = 96
"""Characters per line."""
CLOSE = 1.5
"""Factor up to which a measured τ is quoted for another one."""

_MEANINGS = {
    Place.INSIDE: "nothing that is known speaks against it",
    Place.CERTAINLY_SLOW: "it cannot arrive before the run ends (good actions may not need it)",
    Place.PROBABLY_SLOW: "the target will follow for most of the run",
    Place.FAST: "y may move too fast",
    Place.NO_TARGET: "it may blow up, and it need not",
}

_HEADS = {
    Place.CERTAINLY_SLOW: "certainly too slow", Place.PROBABLY_SLOW: "probably too slow", Place.INSIDE: "inside",
    Place.FAST: "above",
}  # fmt: skip
"""Columns of the table of pairs, from slow to fast."""


@dataclass(frozen=True)
class Advice:
    """The answer; `str` gives it in words."""

    gamma: float
    updates: float
    """G, gradient steps of the run."""
    learning_rate: float
    optimizer: str
    tau: float | None
    """The τ that was asked about, if any."""
    window: Window
    nearest: tuple[Neighbour, ...]
    """The nearest measurements, one per environment, nearest first."""
    fared: tuple[Fared, ...]
    """How rules like this one fared, by rule."""
    drawn: tuple[Drawn, ...]
    """How pairs that were drawn at random fared, by their places in the window; by environment."""
    algorithms: tuple[str, ...]
    """The algorithms of the maps."""
    placings: tuple[Placing, ...]
    """Where the best measured τ lay, by environment."""

    @property
    def place(self) -> Place | None:
        """Where `tau` lies, if it was asked about."""
        return None if self.tau is None else self.window.place(self.tau)

    def __str__(self) -> str:
        return in_words(self)

    def to_dict(self) -> dict[str, Any]:
        """Return the answer as plain values, for JSON."""
        own = self.window
        return {
            "kind": "advice", "gamma": self.gamma, "updates": self.updates, "learning_rate": self.learning_rate,
            "optimizer": self.optimizer, "period": own.period, "exists": own.exists, "low": own.low, "high": own.high,
            "certainly_slow": own.certainly_slow, "low_per_update": own.per_update[0],
            "high_per_update": own.per_update[1], "tau": self.tau,
            "place": None if self.place is None else self.place.value,
            "reasons": [reason._asdict() for reason in own.reasons],
            "warnings": [*own.warnings, *exceptions(self.placings), *scope(self.algorithms)],
            "nearest": [
                neighbour.table._asdict()
                | {"learning_rate": neighbour.learning_rate, "distance": neighbour.distance, "near": neighbour.is_near}
                | {"cells": [cell._asdict() for cell in neighbour.cells]}
                for neighbour in self.nearest
            ],
            "environments": len(self.placings),
            "regret": [{"rule": fared.rule, **fared.regret, "mean": fared.mean} for fared in self.fared],
            "best_measured": [placing._asdict() for placing in self.placings],
            "drawn_pairs": [
                drawn._asdict() | {"points": {place.value: list(values) for place, values in drawn.points.items()}}
                for drawn in self.drawn
            ],
        }  # fmt: skip


def in_words(advice: Advice) -> str:
    """Return the whole answer, several lines."""
    own = advice.window
    blocks = [
        [headline(advice), *verdict(advice)],
        ["Why not slower?", *_reasons(own, "low")],
        ["Why not faster?", *_reasons(own, "high")],
        ["Warnings", *_items([*own.warnings, *exceptions(advice.placings), *scope(advice.algorithms)])],
        ["The nearest measurements (greedy return at the end, mean ± SD over seeds)", *_nearest(advice.nearest)],
        [
            f"How such advice fared ({SPAN:.0f} points from nothing learned to solved)",
            *_fared(advice.fared, advice.placings),
        ],
        *([["How pairs (α, τ) fared that were drawn at random", *_drawn(advice.drawn)]] if advice.drawn else []),
    ]
    return "\n\n".join("\n".join(block) for block in blocks)


def headline(advice: Advice) -> str:
    """Return the first line: the window, or why there is none."""
    own = advice.window
    if not own.exists:
        return _wrapped(_why_no_window(advice), "")
    low, high = own.per_update
    line = f"τ between {two_digits(low)} and {two_digits(high)}, that is c between {_c(high)} and {_c(low)}"
    if own.period > 1:
        line += f", for one update every {own.period:,.6g} gradient steps\n"
        line += f"(τ between {two_digits(own.low)} and {two_digits(own.high)} per gradient step)"
    return line


def _why_no_window(advice: Advice) -> str:
    own = advice.window
    if own.low < own.high:
        longest = math.floor(1 / own.low)
        sure = "Certainly" if own.certainly_slow * own.period > 1 else "Probably"
        return (
            f"{sure} no τ is fast enough: even full copies every {own.period:,.6g} gradient steps are too slow for"
            f" {advice.updates:,.0f}. Update the target every {longest:,} gradient steps at most. (Per gradient step,"
            f" τ between {two_digits(own.low)} and {two_digits(own.high)}.)"
        )
    enough = math.ceil(advice.updates * own.low / own.high)
    return (
        f"Probably no τ is both fast enough and safe: {advice.updates:,.0f} gradient steps need more than"
        f" {two_digits(own.low)} per gradient step, and above {two_digits(own.high)} y may move too fast. Train longer"
        f" (about {_rounded_up(enough):,} gradient steps), or lower γ or α."
    )


def verdict(advice: Advice) -> list[str]:
    """Return a line on the τ that was asked about, if any, and one on what was measured near it."""
    if advice.tau is None or advice.place is None:
        return []
    period = advice.window.period
    every = f" every {period:,.6g} gradient steps" if period > 1 else ""
    line = f"Your τ = {advice.tau:g}{every} is {advice.place.value}: {_MEANINGS[advice.place]}."
    found = [_found(neighbour, advice.tau / period) for neighbour in advice.nearest if neighbour.is_near]
    return [_wrapped(line, ""), *(_wrapped(sentence, "") for sentence in found if sentence)]


def _found(neighbour: Neighbour, share: float) -> str:
    """Return what was measured at a τ close to `share`, beside the best τ of the row; "" if nothing close was."""
    cell = min(neighbour.cells, key=lambda cell: abs(math.log(cell.tau / share)))
    if abs(math.log(cell.tau / share)) > math.log(CLOSE):
        return ""
    best = max(neighbour.cells, key=lambda cell: cell.mean)
    beside = "the best measured there" if best is cell else f"the best there was {_return(best)} {_at(best)}"
    return f"Measured near it on {neighbour.table.environment}: {_return(cell)} {_at(cell)}, {beside}."


def _return(cell: Cell) -> str:
    return _minus(f"{cell.mean:.0f} ± {cell.sd:.0f}")


def _at(cell: Cell) -> str:
    return "without a target network" if cell.tau == 1 else f"at τ = {cell.tau:g}"


def exceptions(placings: Sequence[Placing]) -> list[str]:
    """Return a warning for every environment where slower targets did best."""
    return [
        f"{placing.environment} is an exception: for {placing.below} of {placing.rows} values of α the best measured τ"
        " was below the window. Your task may be one too: try a slower target if you can afford it."
        for placing in placings
        if placing.is_exception
    ]


def scope(algorithms: Sequence[str]) -> list[str]:
    """Return the warning that says with which algorithms nothing was measured."""
    if set(algorithms) > {"dqn"}:
        return []
    return ["Only deep Q-learning was measured. Whether it carries over to DDPG, TD3 and SAC is unknown."]


def _reasons(own: Window, end: str) -> Iterator[str]:
    return _items([f"{reason.basis.capitalize()}. {reason.text}" for reason in own.reasons if reason.end == end])


def _items(sentences: Sequence[str]) -> Iterator[str]:
    for sentence in sentences:
        yield _wrapped(sentence, "  - ")


def _nearest(nearest: Sequence[Neighbour]) -> Iterator[str]:
    if not any(neighbour.is_near for neighbour in nearest):
        yield _wrapped(
            "Nothing near your settings was measured. What follows is the nearest, and may not carry over.", "  "
        )
    for neighbour in nearest:
        table = neighbour.table
        seeds = sorted({cell.seeds for cell in neighbour.cells})
        yield _wrapped(
            f"{table.environment}, {'near' if neighbour.is_near else 'not near'}: α = {neighbour.learning_rate:g},"
            f" γ = {table.gamma:g}, {table.updates:,} gradient steps, {table.optimizer}, {seeds[0]} seeds"
            f" ({table.source})",
            "  ",
        )
        cells = [["τ", *("no target" if cell.tau == 1 else f"{cell.tau:g}" for cell in neighbour.cells)]]
        cells += [["return", *map(_return, neighbour.cells)]]
        yield from _aligned(cells)


def _fared(fared: Sequence[Fared], placings: Sequence[Placing]) -> Iterator[str]:
    environments = [placing.environment for placing in placings]
    rows = [["points lost, on average", *environments, "mean"]]
    for one in fared:
        rows.append([one.rule, *(f"{one.regret[name]:.0f}" for name in environments), f"{one.mean:.0f}"])
    yield from _aligned(rows)
    least = min(fared, key=lambda one: one.mean)
    yield f"  Lost least on average: {least.rule} ({least.mean:.0f} points)."
    for placing in placings:
        yield _wrapped(
            f"{placing.environment}: of {placing.rows} values of α, the best measured τ lay inside the window for"
            f" {placing.inside}, below it for {placing.below} and above it for {placing.above}.",
            "  ",
        )
    yield _wrapped(
        f"Each environment is judged by windows that did not use it. {len(environments)} environments are a weak test,"
        " and since the best of several noisy means is too good, every rule seems to lose something. 60/(√α·G) was"
        " found on such environments, not before them.",
        "  ",
    )


def _drawn(drawn: Sequence[Drawn]) -> Iterator[str]:
    rows = [["points on average (pairs)", *_HEADS.values()]]
    for pairs in drawn:
        name = pairs.environment if pairs.algorithm == "dqn" else f"{pairs.environment}, {pairs.algorithm.upper()}"
        rows.append([name, *(_mean_and_count(pairs.points.get(place, ())) for place in _HEADS)])
    yield from _aligned(rows)
    seeds = " or ".join(str(number) for number in sorted({pairs.seeds for pairs in drawn}))
    yield _wrapped(
        f"Each pair has {seeds} seeds, and the window of its own α; the upper end was fitted to the maps of other"
        " environments. α was drawn too, so a pair may fail for its α alone.",
        "  ",
    )


def _mean_and_count(points: Sequence[float]) -> str:
    return f"{sum(points) / len(points):.0f} ({len(points)})" if points else "–"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for first, *others in rows:
        cells = [f"{cell:>{width}}" for cell, width in zip(others, widths[1:], strict=True)]
        yield "  ".join([f"    {first:<{widths[0]}}", *cells])


def _wrapped(text: str, start: str) -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=start, subsequent_indent=" " * len(start), break_on_hyphens=False,
        break_long_words=False,
    )  # fmt: skip


def _c(tau: float) -> str:
    """Return 1 − τ with as many decimals as τ has with two digits."""
    shown = two_digits(tau)
    return f"{1 - float(shown):.{max(0, 1 - math.floor(math.log10(float(shown))))}f}".rstrip("0").rstrip(".")


def _minus(text: str) -> str:
    return text.replace("-", "−")


def _rounded_up(count: int) -> int:
    """Return a count rounded up to two digits."""
    size = 10 ** max(0, len(str(count)) - 2)
    return math.ceil(count / size) * size
