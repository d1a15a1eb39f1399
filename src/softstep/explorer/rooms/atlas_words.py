"""The sentences of the atlas room: what cells measured, how sure that is, and what the map does not say."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from softstep.advice.answer import Advice, headline, verdict
from softstep.advice.atlas import Cell, Contest, Table
from softstep.explorer.rooms.words import count

_IS = "\N{NO-BREAK SPACE}=\N{NO-BREAK SPACE}"


def command(table: Table, alpha: float, tau: float) -> str:
    """Return the line for the terminal that gives the same advice."""
    return (
        f"softstep advise --gamma {table.gamma:g} --learning-rate {alpha:.12g} --updates {table.updates}"
        f" --optimizer {table.optimizer} --tau {tau:.12g} --env {table.environment}"
    )


def advice(answer: Advice, table: Table) -> list[str]:
    """Return the window, the place of τ in it, and what its upper end rests on; `table` is what the room shows."""
    window, place = " ".join(headline(answer).split()), verdict(answer)[0]
    sentences = [window if window.endswith(".") else f"{window}.", " ".join(place.split())]
    if any(reason.end == "high" and reason.basis == "measured" for reason in answer.window.reasons):
        seen = ", so it has seen this one" if table.kind == "map" else "; it has not seen these pairs"
        sentences.append(f"The upper end was fitted to all maps of this room together{seen}.")
    return sentences


class Words:
    """Sentences about the cells of one table; returns have as many decimals as their span needs."""

    def __init__(self, table: Table) -> None:
        self.table = table
        self.seeds = sorted({cell.seeds for cell in table.cells})
        span = table.highest_return - table.lowest_return
        self._decimals = max(0, 2 - math.floor(math.log10(span)))

    def number(self, value: float) -> str:
        """Return a return with its decimals and a true minus sign."""
        text = f"{value:.{self._decimals}f}"
        return text.replace("-", "−") if float(text) else text.removeprefix("-")

    def measured(self, cell: Cell) -> str:
        """Return mean ± SD and the seeds, for example "469 ± 86 (8 seeds)"."""
        return f"{self._spread(cell)} ({_seeds(cell.seeds)})"

    def short(self, cell: Cell | None) -> str:
        """Return mean ± SD, with the seeds in brackets if not all cells have as many; "" where nothing was measured."""
        if cell is None:
            return ""
        text = self._spread(cell)
        return text if len(self.seeds) == 1 else f"{text} ({cell.seeds})"

    def caption(self) -> str:
        """Return the caption of the map as a table."""
        over = f"over {_seeds(self.seeds[0])}" if len(self.seeds) == 1 else "(number of seeds)"
        return f"{self.table.environment}: mean greedy return at the end of training ± SD {over}."

    def _spread(self, cell: Cell) -> str:
        """Return mean ± SD, without the SD where a single seed has none."""
        mean = self.number(cell.mean)
        return mean if math.isnan(cell.sd) else f"{mean} ± {self.number(cell.sd)}"

    def hover(self, cell: Cell | None) -> str:
        """Return the words of a cell of the map, with its seeds and its spread."""
        if cell is None:
            return "not measured"
        return f"{at(cell)}<br>return {self.measured(cell)}"

    def hover_of_arm(self, cell: Cell) -> str:
        """Return the words of an arm of a comparison."""
        table = self.table
        return f"{self.hover(cell)}<br>softstep compare, γ = {table.gamma:g}, {count(table.updates)} gradient steps"

    def scope(self, arms: Sequence[Table]) -> list[str]:
        """Return what the map is a map of, how far its means can be off, and what it does not say.

        The standard error of a cell's mean is SD/√seeds; cells with a single seed have none.
        """
        table, seeds = self.table, self.seeds
        few = _seeds(seeds[0]) if len(seeds) == 1 else f"{seeds[0]} to {_seeds(seeds[-1])}"
        if table.kind == "candidates":
            return [
                f"There is no map of this environment yet. These are the {len(table.cells)} pairs, drawn at random,"
                f" among which the atlas chose its soft target: {table.algorithm.upper()}, {table.optimizer},"
                f" γ = {table.gamma:g}, {count(table.updates)} gradient steps, {few} each. Neighbours differ in α and c"
                " at once, so the picture does not say which of the two made the difference."
            ]
        sentences = [
            f"One set of settings: {table.algorithm.upper()}, {table.optimizer}, γ = {table.gamma:g},"
            f" {count(table.updates)} gradient steps, {few} per cell. With other settings the map may look different."
        ]
        errors = [cell.sd / math.sqrt(cell.seeds) for cell in table.cells if cell.seeds > 1]
        if errors:
            sentences.append(
                f"So few seeds leave the means uncertain: half of them have a standard error above"
                f" {self.number(float(np.median(errors)))}, and the largest is {self.number(max(errors))}. The best of"
                " several such means is too good."
            )
        sentences += [
            f"The diamonds are arms of softstep compare with {_span([cell.seeds for cell in arm.cells])} seeds, but"
            f" with γ = {arm.gamma:g} and {count(arm.updates)} gradient steps: they need not agree with the cells."
            for arm in arms
        ]
        return sentences

    def nearest(self, cells: Sequence[Cell], alpha: float, tau: float) -> list[str]:
        """Return one line per cell around a pair, nearest first, after one that says how near they are."""
        first, measured = cells[0], self.table.cells
        alphas = [cell.learning_rate for cell in measured]
        if math.isclose(first.learning_rate, alpha) and math.isclose(first.tau, tau):
            lead = "Your pair was measured:"
        elif not min(alphas) <= alpha <= max(alphas) or tau < min(cell.tau for cell in measured):
            lead = "Your pair lies beyond the measured ones. The nearest:"
        else:
            lead = "Your pair lies between measured ones. Nearest first:"
        return [lead, *(f"{self.measured(cell)} at {at(cell)}" for cell in cells)]

    def not_paired(self, contest: Contest) -> str:
        """Say that pairs without a target were not measured at the same α, and what the contest says instead."""
        return f"At the same α nothing was measured without a target network. {self.judged(contest)}"

    def judged(self, contest: Contest) -> str:
        """Say what the contest's seeds say of `soft` and `none`."""
        means = {row.name: row.mean for row in contest.contenders}
        return (
            f"Tuned alike and judged on {_seeds(contest.seeds)}, soft targets ended at {self.number(means['soft'])} and"
            f" agents without one at {self.number(means['none'])}: a difference of"
            f" {self.interval(contest.estimate, contest.low, contest.high)}, which is {contest.verdict}"
            f" (δ = {contest.margin:g})."
        )

    def contest(self, contest: Contest) -> list[str]:
        """Return what the table of contenders is, and what it says of the question."""
        return [
            self.judged(contest),
            f"Each contender had {contest.candidates} candidates, drawn at random over its own settings. The best one"
            " on a few selection seeds was trained again on others, and brackets hold 95 % intervals over those. Best"
            " checkpoint: what the best weights of every agent earn on fresh episodes."
            f" {contest.source} has the whole story.",
        ]

    def interval(self, estimate: float, low: float, high: float) -> str:
        """Return a number with its interval: "55 [12, 99]"."""
        return f"{self.number(estimate)} [{self.number(low)}, {self.number(high)}]"

    def not_compared(self, alpha: float, none: Cell | None) -> str:
        """Say which half of the comparison is missing."""
        missing = "with a target network" if none is not None else "without a target network"
        return f"Nothing was measured {missing} at α = {alpha:g}."

    def range_of_targets(self, none: Cell, targets: Sequence[Cell]) -> str:
        """Say what targets measured at the same α, for a pair without one."""
        low, high = (choose(targets, key=lambda cell: cell.mean) for choose in (min, max))
        return (
            f"Your pair has no target network. At α = {none.learning_rate:g} that measured {self.measured(none)}. With"
            f" one, the means of {len(targets)} values of c there go from {self.number(low.mean)} (c = {_c(low)}) to"
            f" {self.number(high.mean)} (c = {_c(high)}). The best of several noisy means is too good."
        )

    def comparison(self, target: Cell, none: Cell, interval: tuple[float, float], pairs: int) -> str:
        """Say what changes at one α if the target network is left out, and how sure that is.

        Args:
            target: The cell with a target network.
            none: The cell without one.
            interval: 95 % interval of the difference of their means; NaN without one.
            pairs: How many such comparisons the map offers.

        Returns:
            A few sentences.
        """
        difference = none.mean - target.mean
        direction = "higher" if difference > 0 else "lower"
        text = (
            f"At α = {target.learning_rate:g}, c = 0 measured {self.measured(none)}: {self.number(abs(difference))}"
            f" {direction} than c = {_c(target)}, {self.measured(target)}."
        )
        low, high = -interval[1], -interval[0]
        if math.isnan(low):
            return f"{text} With a single seed there is no interval of the difference."
        text += f" The 95 % interval of this change is {self.number(low)} to {self.number(high)} (Welch)."
        if low <= 0 <= high:
            return f"{text} So these seeds leave open which is better."
        return f"{text} That excludes 0, but of the {pairs} such comparisons on this map some do so by chance."


def at(cell: Cell) -> str:
    """Return the place of a cell, for example "α = 0.001, c = 0.99 (τ = 0.01)"."""
    where = f"c{_IS}0, no target network" if cell.tau == 1 else f"c{_IS}{_c(cell)} (τ{_IS}{cell.tau:g})"
    return f"α{_IS}{cell.learning_rate:g}, {where}"


def _c(cell: Cell) -> str:
    return f"{1 - cell.tau:.7g}"


def _seeds(number: int) -> str:
    return "1 seed" if number == 1 else f"{number} seeds"


def _span(numbers: Sequence[int]) -> str:
    low, high = min(numbers), max(numbers)
    return f"{low}" if low == high else f"{low} to {high}"
