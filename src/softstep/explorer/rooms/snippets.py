"""Python snippets that reproduce the numbers of an answer with softstep's public names.

Each ends in a dictionary `numbers` whose entries equal those of the answer; tests run them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

from softstep.explorer.rooms.expression import Expression, FormulaError


@runtime_checkable
class LossLike(Protocol):
    """The attributes of a loss that its gradient function is written from."""

    text: str
    names: tuple[str, ...]
    slopes: tuple[Expression, ...]


def gradient_lines(loss: LossLike) -> list[str]:
    """Return the lines of a function `gradient` of a point of shape (dimensions,)."""
    unpack = "x, y = point" if len(loss.names) == 2 else "(x,) = point"
    try:
        slopes = ", ".join(slope.python() for slope in loss.slopes)
        return [
            "def gradient(point):",
            f"    # of {loss.text}",
            f"    {unpack}",
            f"    return np.array([{slopes}])",
            "",
        ]
    except FormulaError:
        return [
            "from softstep.explorer.rooms.formula import parse", f"loss = parse({loss.text!r}, {loss.names!r})",
            f"slopes = [loss.derivative(name) for name in {loss.names!r}]", "def gradient(point):",
            f"    return np.array([slope(**dict(zip({loss.names!r}, point))) for slope in slopes])", "",
        ]  # fmt: skip


_DESCENT = [
    "def descent(x, rate):",
    "    path = [x]",
    "    for _ in range(steps):",
    "        path.append(path[-1] - rate * gradient(path[-1]))",
    "    return np.array(path)",
    "",
]
_SOFT = {
    "every-step": [
        "def soft_update(x):",
        "    path = [x]",
        "    for _ in range(steps):",
        "        x = path[-1]",
        "        path.append(blend(x, x - alpha * gradient(x), update.tau, where=np.where))",
        "    return np.array(path)",
        "",
    ],
    "lookahead": [
        "def soft_update(fast):",
        "    path = [fast]",
        "    for t in range(1, steps + 1):",
        "        fast = fast - alpha * gradient(fast)",
        "        fires = t % k == 0",
        "        path.append(blend(path[-1], fast, update.tau, where=np.where) if fires else path[-1])",
        "        fast = path[-1] if fires else fast",
        "    return np.array(path)",
        "",
    ],
}
_NESTEROV = [
    "def nesterov(x, rate, tau):",
    "    path, v = [x], np.zeros_like(x)",
    "    for _ in range(steps):",
    "        x = path[-1]",
    "        v = mu * v - rate * gradient(x + mu * v)",
    "        path.append(blend(x, x + v, tau, where=np.where))",
    "    return np.array(path)",
    "",
]


def one_network_lines(
    loss: LossLike, start: Sequence[float], alpha: float, c: float, steps: int, variant: str, k: int, mu: float
) -> str:
    """Return the snippet of room 1, which computes the three paths.

    Args:
        loss: The loss to descend.
        start: Start of all paths, shape (dimensions,).
        alpha: α, the size of a gradient step.
        c: Weight of the old parameters.
        steps: Gradient steps.
        variant: "every-step", "lookahead" or "nesterov".
        k: Steps between blends, for lookahead.
        mu: Momentum, for nesterov.

    Returns:
        The lines, joined.
    """
    head = [
        "import numpy as np", "from softstep import TargetUpdate, theory", "from softstep.target import blend", "",
        f"alpha, c, steps, start = {alpha!r}, {c!r}, {steps}, np.array({list(start)!r})",
        "update, alpha_prime = TargetUpdate.from_c(c), theory.blended_alpha(alpha, c)",
    ]  # fmt: skip
    if variant == "nesterov":
        body = [f"mu = {mu!r}", "", *gradient_lines(loss), *_NESTEROV]
        paths = [
            "nesterov(start, alpha, 1.0)",
            "nesterov(start, alpha, update.tau)",
            "nesterov(start, alpha_prime, 1.0)",
        ]
    else:
        body = [
            *([f"k = {k}"] if variant == "lookahead" else []),
            "",
            *gradient_lines(loss),
            *_DESCENT,
            *_SOFT[variant],
        ]
        paths = ["descent(start, alpha)", "soft_update(start)", "descent(start, alpha_prime)"]
    names = ("descent", "soft", "smaller")
    entries = ", ".join(f'"{name}": {path}.T' for name, path in zip(names, paths, strict=True))
    return "\n".join([*head, *body, f'numbers = {{"alpha_prime": alpha_prime, {entries}}}'])


def two_networks_lines(
    alpha: float, c: float, a: float, b: float, start: float, steps: int, gamma: float | None = None
) -> str:
    """Return the snippet of room 2 for Q, T, X and the hard-copy twin.

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        start: Value at which all start.
        steps: Gradient steps.
        gamma: γ of the harmonic schedule; None for a constant c.

    Returns:
        The lines, joined.
    """
    soft = "c" if gamma is None else f"TargetUpdate.harmonic({gamma!r}, 1 - c)"
    return "\n".join([
        "from softstep import TargetUpdate, theory", "",
        f"problem, alpha, c = theory.LinearTD.scalar(a={a!r}, b={b!r}), {alpha!r}, {c!r}",
        f"run = problem.simulate(alpha, {soft}, {steps}, q0=[{start!r}])",
        f"X = problem.simulate(theory.blended_alpha(alpha, c), 0.0, {steps}, q0=[{start!r}]).Q",
        "hard = TargetUpdate.hard(TargetUpdate.from_c(c).lag_matched_period())",
        f"twin = problem.simulate(alpha, hard, {steps}, q0=[{start!r}])",
        'numbers = {"Q": run.Q[:, 0], "T": run.T[:, 0], "X": X[:, 0], "T_hard": twin.T[:, 0]}',
    ])  # fmt: skip


def ledger_lines(c: float, at: int) -> str:
    """Return the snippet of room 2 for the ledger: the share of each step that has arrived in T."""
    return "\n".join([
        "from softstep import TargetUpdate, theory", "", f"c, at = {c!r}, {at}",
        "hard = TargetUpdate.hard(TargetUpdate.from_c(c).lag_matched_period())",
        'numbers = {"share": theory.ledger_weights(c, at),',
        '           "hard": theory.ledger_weights(theory.schedule(hard, at), at)}',
    ])  # fmt: skip


def filter_lines(c: float, horizon: int, ages: int) -> str:
    """Return the snippet of room 2 for the target as a filter, with its response at about `ages` steps."""
    return "\n".join([
        "import numpy as np", "from softstep import TargetUpdate, theory", "", f"c = {c!r}",
        "update = TargetUpdate.from_c(c)", "low = min(0.01, 0.05 * (update.cutoff or 1.0))",
        "omega = np.geomspace(low, np.pi, 160)",
        "gain_db = 20 * np.log10(np.abs(theory.frequency_response(c, omega)))",
        "period = update.lag_matched_period()",
        f"age = np.union1d(np.linspace(1, {horizon}, {ages}).astype(int), [max(1, period - 1), period])",
        'numbers = {"omega": omega, "gain_db": gain_db, "cutoff": update.cutoff, "half_life": update.half_life,',
        f'           "mean_lag": update.mean_lag, "age": age, "soft": theory.step_response(c, {horizon})[age - 1]}}',
    ])  # fmt: skip


def noise_lines(alpha: float, c: float, a: float, b: float, has_ratios: bool) -> str:
    """Return the snippet of room 4.

    Args:
        alpha: α, the size of a gradient step.
        c: Weight of the old target.
        a: Weight of T in the regression target.
        b: Curvature of QN's regression.
        has_ratios: Whether a single network of the same rate exists, so that the ratios do.

    Returns:
        The lines, joined.
    """
    lines = [
        "import numpy as np", "from softstep import theory", "", f"alpha, c, a, b = {alpha!r}, {c!r}, {a!r}, {b!r}",
        "alpha_max = theory.one_dimension.alpha_max(c, a, b)", 'numbers = {"beta": b - a}',
        "if alpha < alpha_max:", "    variance = theory.one_dimension.variance(alpha, c, a, b)",
        '    numbers |= {"T": variance.T, "Q": variance.Q}',
    ]  # fmt: skip
    if has_ratios:
        lines += [
            "ratios = theory.one_dimension.ratios(alpha, c, a, b)",
            'numbers |= {"T_ratio": ratios.T, "Q_ratio": ratios.Q}',
        ]
    return "\n".join(lines)


def problem_lines(source: dict[str, Any]) -> list[str]:
    """Return the lines that define `problem`, by name or from Φ, P and d."""
    if source["problem"] != "own":
        return [f"problem = theory.problems.{source['problem']}(gamma={source['gamma']!r})"]
    matrices = {name: [list(row) for row in source[name]] for name in ("phi", "P")}
    return [
        f"phi = {matrices['phi']!r}", f"P = {matrices['P']!r}",
        f"problem = theory.LinearTD.from_mdp(phi, P, {list(source['d'])!r}, {source['gamma']!r}).rowspace()",
    ]  # fmt: skip


def stability_lines(source: dict[str, Any], *lines: str) -> str:
    """Return the snippet of room 3: the lines that define the problem, followed by `lines`."""
    return "\n".join(["import numpy as np", "from softstep import theory", "", *problem_lines(source), *lines])


def measured_map_lines(environment: str) -> str:
    """Return the snippet of room 5 for the map of an environment."""
    return "\n".join([
        "from softstep.advice import atlas", "", f"table = atlas.maps(atlas.load())[{environment!r}]",
        "cells = {(cell.learning_rate, cell.tau): cell for cell in table.cells}",
        "alpha, tau = (sorted({pair[i] for pair in cells}) for i in range(2))",
        "rows = [[cells.get((a, t)) for a in alpha] for t in tau]", "def column(name):",
        '    return [[float("nan") if cell is None else getattr(cell, name) for cell in row] for row in rows]', "",
        'numbers = {"alpha": alpha, "tau": tau, **{name: column(name) for name in ("mean", "sd", "seeds")}}',
    ])  # fmt: skip


def measured_pair_lines(environment: str) -> str:
    """Return the snippet of room 5 for the randomly drawn pairs of an environment."""
    return "\n".join([
        "from softstep.advice import atlas", "", f"table = atlas.candidates(atlas.load())[{environment!r}]",
        'numbers = {"pairs": {name: [getattr(cell, name) for cell in table.cells]',
        '                     for name in ("learning_rate", "tau", "mean", "sd", "seeds")}}',
    ])  # fmt: skip


def contest_lines(environment: str) -> str:
    """Return the snippet of room 5 for the atlas's contenders in an environment."""
    return "\n".join([
        "from softstep.advice import atlas", "", f"contest = atlas.contests().get({environment!r})",
        'numbers = {"mean": [contender.mean for contender in contest.contenders]} if contest else {}',
    ])  # fmt: skip


def measured_point_lines(environment: str, alpha: float, c: float, cells: Sequence[tuple[float, float]]) -> str:
    """Return the snippet of room 5 for one pair: the window of τ, and what the nearest cells measured.

    Args:
        environment: A measured environment.
        alpha: α.
        c: Weight of the old target.
        cells: α and τ of the nearest cells, in the order of the answer.

    Returns:
        The lines, joined.
    """
    return "\n".join([
        "import softstep", "from softstep.advice import atlas", "",
        "tables = atlas.load()", f"table = {{**atlas.candidates(tables), **atlas.maps(tables)}}[{environment!r}]",
        f"alpha, c = {alpha!r}, {c!r}",
        "advice = softstep.advise(gamma=table.gamma, learning_rate=alpha, updates=table.updates,",
        "                         optimizer=table.optimizer, env=table.environment,",
        "                         tau=softstep.TargetUpdate.from_c(c).tau)", "print(advice)", "",
        "cells = {(cell.learning_rate, cell.tau): cell for cell in table.cells}",
        f"nearest = [cells[pair] for pair in {list(cells)!r}]",
        'numbers = {"low": advice.window.low, "high": advice.window.high,',
        '           "nearest": {name: [getattr(cell, name) for cell in nearest] for name in ("mean", "sd", "seeds")}}',
    ])  # fmt: skip
