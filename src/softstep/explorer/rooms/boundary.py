"""The curves on which a function of two positive variables is zero, as lines whose vertices are all roots.

Marching squares on a logarithmic grid gives the topology of the lines. Each vertex lies on an edge of the grid and is
then refined along that edge. Source: Lorensen & Cline 1987 (marching cubes), one dimension lower.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from softstep.theory.checks import Array, Mask

Edge = tuple[int, int, int]
"""(direction, row, column): direction 0 leads from that point to the next column, 1 to the next row."""

EXACT = 1e-13
"""A tolerance at the level of rounding."""

_MAX_ITERATIONS = 60


def zero_lines(
    height: Callable[[Array, Array], Array], x: Array, y: Array, values: Array, tolerance: float = EXACT
) -> list[Array]:
    """Return the lines on which height(x, y) = 0.

    Args:
        height: A function that is vectorised over pairs of x and y.
        x: Grid of positive, increasing values.
        y: Grid of positive, increasing values.
        values: `height` on the grid, shape (len(y), len(x)).
        tolerance: Accuracy of each root, as a fraction of its grid edge.

    Returns:
        One array of vertices per line, each of shape (points, 2); closed lines repeat their first vertex.
    """
    negative = values < 0
    edges = [(0, int(j), int(i)) for j, i in np.argwhere(negative[:, 1:] != negative[:, :-1])]
    edges += [(1, int(j), int(i)) for j, i in np.argwhere(negative[1:] != negative[:-1])]
    if not edges:
        return []
    low = np.array([(x[i], y[j]) for _, j, i in edges])
    high = np.array([(x[i + (direction == 0)], y[j + (direction == 1)]) for direction, j, i in edges])
    roots = _roots(height, low, high, tolerance)
    vertices = dict(zip(edges, roots, strict=True))
    return [np.array([vertices[edge] for edge in line]) for line in _join(_segments(negative))]


def _roots(height: Callable[[Array, Array], Array], low: Array, high: Array, tolerance: float) -> Array:
    """Return the root of `height` between each pair of points `low` and `high`, all of shape (m, 2).

    Uses false position in the Illinois form, for all edges at once: an end that stays twice in a row has its value
    halved. Every fourth iteration bisects instead, so that a kink in `height` cannot stall the search.
    """
    start, span = np.log(low), np.log(high / low)
    a, b, last_moved = np.zeros(len(low)), np.ones(len(low)), np.zeros(len(low))
    fa, fb = height(low[:, 0], low[:, 1]), height(high[:, 0], high[:, 1])
    falls = fb < 0
    for iteration in range(_MAX_ITERATIONS):
        (active,) = np.nonzero(b - a > tolerance)
        if not len(active):
            break
        with np.errstate(all="ignore"):
            t = a[active] - fa[active] * (b[active] - a[active]) / (fb[active] - fa[active])
        middle = (a[active] + b[active]) / 2
        t = np.where((t > a[active]) & (t < b[active]) & (iteration % 4 != 3), t, middle)
        point = np.exp(start[active] + t[:, None] * span[active])
        f = height(point[:, 0], point[:, 1])
        left = (f < 0) != falls[active]
        on_left, on_right = active[left], active[~left]
        a[on_left], fa[on_left] = t[left], f[left]
        b[on_right], fb[on_right] = t[~left], f[~left]
        fb[on_left[last_moved[on_left] == -1]] /= 2
        fa[on_right[last_moved[on_right] == 1]] /= 2
        last_moved[on_left], last_moved[on_right] = -1, 1
        exact = active[f == 0]
        a[exact] = b[exact] = t[f == 0]
    return np.asarray(np.exp(start + (0.5 * (a + b))[:, None] * span))


def _segments(negative: Mask) -> list[tuple[Edge, Edge]]:
    """Return the pairs of edges that a line joins within a cell; at a saddle the negative corners stay separate."""
    corners = negative[:-1, :-1] * 1 + negative[:-1, 1:] * 2 + negative[1:, 1:] * 4 + negative[1:, :-1] * 8
    segments: list[tuple[Edge, Edge]] = []
    for j, i in np.argwhere((corners > 0) & (corners < 15)):
        row, column = int(j), int(i)
        bottom, top = (0, row, column), (0, row + 1, column)
        left, right = (1, row, column), (1, row, column + 1)
        code = int(corners[row, column])
        if code == 5:
            segments += [(bottom, left), (top, right)]
        elif code == 10:
            segments += [(bottom, right), (top, left)]
        else:
            bits = [bool(code >> k & 1) for k in range(4)]
            around = ((bottom, 0, 1), (right, 1, 2), (top, 2, 3), (left, 3, 0))
            first, second = (edge for edge, p, q in around if bits[p] != bits[q])
            segments.append((first, second))
    return segments


def _join(segments: list[tuple[Edge, Edge]]) -> list[list[Edge]]:
    """Join segments into lines; open lines run from end to end, closed lines back to their first edge."""
    neighbours: dict[Edge, list[Edge]] = {}
    for one, other in segments:
        neighbours.setdefault(one, []).append(other)
        neighbours.setdefault(other, []).append(one)
    lines, used = [], set[Edge]()
    for edge in sorted(neighbours, key=lambda edge: (len(neighbours[edge]), edge)):
        if edge in used:
            continue
        line, last = [edge], edge
        used.add(edge)
        while following := [neighbour for neighbour in neighbours[last] if neighbour not in used]:
            last = following[0]
            used.add(last)
            line.append(last)
        closed = len(line) > 2 and edge in neighbours[last] and len(neighbours[edge]) == 2
        lines.append([*line, edge] if closed else line)
    return lines
