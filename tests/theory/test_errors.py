"""Bad input raises ValueError with one clear line."""

from __future__ import annotations

import json

import numpy as np
import pytest

from softstep import theory
from softstep.theory import one_dimension, problems
from softstep.theory.mdp import read_mdp

PHI, P, D = [[1.0, 0.0], [2.0, 1.0]], [[0.0, 1.0], [0.0, 1.0]], [0.5, 0.5]
NAN = float("nan")
SINGULAR = theory.LinearTD(np.eye(2), [[1.0, 2.0], [2.0, 4.0]])

BAD_INPUT = {
    "A and B differ": (lambda: theory.LinearTD(np.eye(2), np.eye(3)), "shapes do not fit"),
    "not square": (lambda: theory.LinearTD(np.ones((2, 3)), np.ones((2, 3))), "shapes do not fit"),
    "r too long": (lambda: theory.LinearTD(np.eye(2), np.eye(2), [1, 2, 3]), "shapes do not fit"),
    "NaN in A": (lambda: theory.LinearTD([[NAN]], [[1.0]]), "NaN"),
    "text": (lambda: theory.LinearTD([["x"]], [[1.0]]), "real numbers"),
    "phi against P": (lambda: theory.LinearTD.from_mdp([[1.0]], P, D, 0.9), "shapes do not fit"),
    "d too short": (lambda: theory.LinearTD.from_mdp(PHI, P, [1.0], 0.9), "shapes do not fit"),
    "rewards too short": (lambda: theory.LinearTD.from_mdp(PHI, P, D, 0.9, [1.0]), "shapes do not fit"),
    "P is not a distribution": (lambda: theory.LinearTD.from_mdp(PHI, [[0.0, 1.0], [0.5, 0.6]], D, 0.9), "row 1 of P"),
    "P negative": (lambda: theory.LinearTD.from_mdp(PHI, [[-1.0, 2.0], [0.0, 1.0]], D, 0.9), "row 0 of P"),
    "d negative": (lambda: theory.LinearTD.from_mdp(PHI, P, [-0.5, 1.5], 0.9), "d must be"),
    "d zero": (lambda: theory.LinearTD.from_mdp(PHI, P, [0.0, 0.0], 0.9), "d must be"),
    "gamma 1": (lambda: theory.LinearTD.from_mdp(PHI, P, D, 1.0), "gamma"),
    "gamma negative": (lambda: theory.LinearTD.from_mdp(PHI, P, D, -0.1), "gamma"),
    "gamma NaN": (lambda: theory.LinearTD.from_mdp(PHI, P, D, NAN), "gamma"),
    "singular: stable_c": (lambda: SINGULAR.stable_c(0.1), r"feature\(s\) 0 .*rowspace"),
    "singular: stable_alpha": (lambda: SINGULAR.stable_alpha(0.5), "rowspace"),
    "singular: stable_kappa": (SINGULAR.stable_kappa, "rowspace"),
    "singular: limits": (SINGULAR.limits, "rowspace"),
    "singular: best": (SINGULAR.best, "rowspace"),
    "singular: best_c": (lambda: SINGULAR.best_c(0.1), "rowspace"),
    "singular: effective": (lambda: SINGULAR.effective_alpha(0.1, 0.5), "rowspace"),
    "no fixed point": (lambda: theory.LinearTD(np.eye(2), np.eye(2)).fixed_point(), "singular"),
    "c = 1": (lambda: problems.both().spectral_radius(0.1, 1.0), "c = 1 is outside"),
    "c negative": (lambda: problems.both().stable_alpha(-0.1), "c = -0.1 is outside"),
    "c NaN": (lambda: problems.both().iteration_matrix(0.1, NAN), "NaN"),
    "alpha 0": (lambda: problems.both().stable_c(0.0), "alpha = 0"),
    "alpha negative": (lambda: problems.both().best_c(-1.0), "alpha = -1"),
    "alpha NaN": (lambda: problems.both().effective_alpha(NAN, 0.5), "NaN"),
    "period 0": (lambda: problems.both().hard_copy_matrix(0.1, 0), "N = 0"),
    "unstable noise": (lambda: problems.only_target().stationary_covariance(0.1, 0.0), "unstable"),
    "negative noise": (lambda: problems.both().simulate(0.1, 0.5, 3, noise=-1.0), "noise"),
    "noise is not a covariance": (lambda: problems.only_target().simulate(0.1, 0.5, 3, noise=-np.eye(2)), "negative"),
    "steps negative": (lambda: problems.both().simulate(0.1, 0.5, -1), "steps"),
    "start too long": (lambda: problems.both().simulate(0.1, 0.5, 3, q0=[1.0, 2.0]), "q0"),
    "order": (lambda: problems.both().simulate(0.1, 0.5, 3, order="late"), "order"),
    "ledger shapes": (lambda: theory.ledger(np.ones((3, 2)), 0.1, 0.5, np.ones(3)), "shapes do not fit"),
    "ledger schedule": (lambda: theory.ledger(np.ones(3), 0.1, [0.5, 0.5], 0.0), "each of 3 steps"),
    "ledger schedule range": (lambda: theory.ledger(np.ones(2), 0.1, [0.5, 1.5], 0.0), "1.5, outside"),
    "ledger NaN": (lambda: theory.ledger([NAN], 0.1, 0.5, 0.0), "NaN"),
    "ledger order": (lambda: theory.ledger(np.ones(2), 0.1, 0.5, 0.0, order="x"), "order"),
    "lookahead k": (lambda: theory.lookahead_alpha(0.1, 0.5, 0, 1.0), "k = 0"),
    "lookahead b": (lambda: theory.lookahead_alpha(0.1, 0.5, 2, 0.0), "b = 0"),
    "ema unstable": (lambda: theory.ema_variance_ratio(3.0, 0.5, 1.0), "outside"),
    "precision": (lambda: theory.stall_gap(0.9, "float8"), "float8"),
    "variance unstable": (lambda: one_dimension.variance(3.0, 0.5, 0.9, 1.0), "alpha_max"),
    "ratios complex": (lambda: one_dimension.ratios(0.3, 0.5, -3.0, 1.0), "complex"),
    "curvature": (lambda: one_dimension.alpha_max(0.5, 0.9, -1.0), "b = -1"),
    "unknown problem": (lambda: problems.by_name("boht"), "unknown"),
    "too many features": (lambda: problems.random_mdp(0, 2, 3), "num_features"),
}


@pytest.mark.parametrize("name", BAD_INPUT)
def test_bad_input_raises_one_line(name):
    call, message = BAD_INPUT[name]
    with pytest.raises(ValueError, match=message) as error:
        call()
    assert "\n" not in str(error.value)


def test_singular_problems_can_be_simulated():
    assert SINGULAR.simulate(0.1, 0.5, 3).Q.shape == (4, 2)
    assert SINGULAR.spectral_radius(0.1, 0.5) >= 1 - 1e-12


def test_mdp_files_are_read_and_errors_name_the_file(tmp_path):
    path = tmp_path / "mdp.json"
    path.write_text(json.dumps({"phi": PHI, "P": P, "d": D, "gamma": 0.9}))
    problem = theory.LinearTD.from_mdp(*read_mdp(path))
    assert problem.spectral_radius(0.1, 0.9) == problems.only_target().spectral_radius(0.1, 0.9)
    for content in ("{", "[]", '{"phi": 1}', json.dumps({"phi": PHI, "P": P, "d": D, "gamma": 2})):
        path.write_text(content)
        with pytest.raises(ValueError, match=r"mdp\.json") as error:
            read_mdp(path)
        assert "\n" not in str(error.value)
    with pytest.raises(ValueError, match=r"nowhere\.json"):
        read_mdp(tmp_path / "nowhere.json")
