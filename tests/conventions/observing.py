"""Watch a target network from outside: when it moves, and by what share."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from softstep.conventions import Meaning


def shares(online: Sequence[np.ndarray], target: Sequence[np.ndarray]) -> list[float]:
    """For every gradient step k the share by which the target moved towards Q_k before the next one; 0 where not.

    online[k]: parameters after gradient step k; target[k]: the target's before gradient step k. One vector each.
    """
    found = []
    for q, before, after in zip(online, target, target[1:], strict=False):
        far = np.abs(q - before) > 1e-4 * np.abs(q - before).max()
        moved = (after - before)[far] / (q - before)[far]
        found.append(float(np.median(moved)) if len(moved) else 0.0)
    return found


def check(found: Sequence[float], meaning: Meaning) -> None:
    """The target moved as often, and by as much, as the settings were said to mean."""
    moves = [share for share in found if share > 1e-6]
    expected = len(found) / max(1.0, float(meaning.period))
    assert abs(len(moves) - expected) <= 1, (len(moves), expected)
    share = meaning.tau if meaning.period >= 1 else meaning.update.tau
    np.testing.assert_allclose(np.median(moves), share, rtol=2e-3)
