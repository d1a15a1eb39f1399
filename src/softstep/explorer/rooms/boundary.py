"""Where a function of two logarithmic axes changes its sign, as lines whose every vertex is a root.

Marching squares on a grid gives the lines' topology; each vertex, on an edge of the grid, is then polished
along that edge. Source: Lorensen & Cline 1987 (marching cubes), one dimension lower.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softstep.theory.checks import Array, Mask

Edge = tuple[int, int, int]
"""(0, row, column) leads to the next column, (1, row, column) to the next row."""

EXACT = 1e-13
"""A tolerance to rounding."""

_ROUNDS = 60


def zero_lines(
    height: Callable[[Array, Array], Array], x: Array, y: Array, values: Array, tolerance: float = EXACT
) -> list[Array]:
    """Lines on which height(x, y) = 0, each of shape (points, 2).

    height: vectorised over pairs; x, y: rising positive grids; values: height on the grid, a row for each y.
    tolerance: how well a crossing is found, as a share of the cell's edge.
    """
    negative = values < 0
    edges = [(0, int(j), int(i)) for j, i in np.argwhere(negative[:, 1:] != negative[:, :-1])]
    edges += [(1, int(j), int(i)) for j, i in np.argwhere(negative[1:] != negative[:-1])]
    if not edges:
        return []
    low = np.array([(x[i], y[j]) for _, j, i in edges])
    high = np.array([(x[i + (way == 0)], y[j + (way == 1)]) for way, j, i in edges])
    roots = _roots(height, low, high, tolerance)
    places = dict(zip(edges, roots, strict=True))
    return [np.array([places[edge] for edge in line]) for line in _linked(_segments(negative))]


def _roots(height: Callable[[Array, Array], Array], low: Array, high: Array, tolerance: float) -> Array:
    """The sign change between each pair of points, shapes (m, 2).

    False position in the Illinois form, all edges at once: where one end stays twice, its value counts half; every
    fourth turn halves the interval, so that a kink cannot stall it.
    """
    start, span = np.log(low), np.log(high / low)
    a, b, moved = np.zeros(len(low)), np.ones(len(low)), np.zeros(len(low))
    fa, fb = height(low[:, 0], low[:, 1]), height(high[:, 0], high[:, 1])
    falls = fb < 0
    for turn in range(_ROUNDS):
        (here,) = np.nonzero(b - a > tolerance)
        if not len(here):
            break
        with np.errstate(all="ignore"):
            t = a[here] - fa[here] * (b[here] - a[here]) / (fb[here] - fa[here])
        middle = (a[here] + b[here]) / 2
        t = np.where((t > a[here]) & (t < b[here]) & (turn % 4 != 3), t, middle)
        place = np.exp(start[here] + t[:, None] * span[here])
        f = height(place[:, 0], place[:, 1])
        left = (f < 0) != falls[here]
        on_left, on_right = here[left], here[~left]
        a[on_left], fa[on_left] = t[left], f[left]
        b[on_right], fb[on_right] = t[~left], f[~left]
        fb[on_left[moved[on_left] == -1]] /= 2
        fa[on_right[moved[on_right] == 1]] /= 2
        moved[on_left], moved[on_right] = -1, 1
        exact = here[f == 0]
        a[exact] = b[exact] = t[f == 0]
    return np.asarray(np.exp(start + (0.5 * (a + b))[:, None] * span))


def _segments(negative: Mask) -> list[tuple[Edge, Edge]]:
    """Pairs of edges that a line joins within a cell; at a saddle the negative corners are kept apart."""
    corners = negative[:-1, :-1] * 1 + negative[:-1, 1:] * 2 + negative[1:, 1:] * 4 + negative[1:, :-1] * 8
    found: list[tuple[Edge, Edge]] = []
    for j, i in np.argwhere((corners > 0) & (corners < 15)):
        row, column = int(j), int(i)
        bottom, top = (0, row, column), (0, row + 1, column)
        left, right = (1, row, column), (1, row, column + 1)
        code = int(corners[row, column])
        if code == 5:
            found += [(bottom, left), (top, right)]
        elif code == 10:
            found += [(bottom, right), (top, left)]
        else:
            bits = [bool(code >> k & 1) for k in range(4)]
            around = ((bottom, 0, 1), (right, 1, 2), (top, 2, 3), (left, 3, 0))
            first, second = (edge for edge, p, q in around if bits[p] != bits[q])
            found.append((first, second))
    return found


def _linked(segments: list[tuple[Edge, Edge]]) -> list[list[Edge]]:
    """Segments joined into lines, open ones from end to end, closed ones back to their start."""
    neighbours: dict[Edge, list[Edge]] = {}
    for one, other in segments:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    lines, used = [], set[Edge]()
    for edge in sorted(neighbours, key=lambda edge: (len(neighbours[edge]), edge)):
        if edge in used:
            continue
        line, here = [edge], edge
        used.add(edge)
        while following := [after for after in neighbours[here] if after not in used]:
            here = following[0]
            used.add(here)
            line.append(here)
        closed = len(line) > 2 and edge in neighbours[here] and len(neighbours[edge]) == 2
        lines.append([*line, edge] if closed else line)
    return lines
