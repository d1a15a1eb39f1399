"""Every proof's residuals simplify to 0, a false statement's do not, and LaTeX comes out."""

from __future__ import annotations

import sys

import pytest

from softstep.theory import symbolic

sympy = pytest.importorskip("sympy")
PROOFS = symbolic.proofs()


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_residuals_vanish(proof):
    assert proof.holds
    assert proof.residuals
    assert sympy.simplify(sympy.expand(proof.residual)) == 0
    assert proof.statement
    assert proof.steps


def test_every_statement_is_there():
    assert len(PROOFS) == len({proof.name for proof in PROOFS}) == 11


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_latex_is_balanced(proof):
    latex = proof.latex()
    assert latex.startswith(r"\paragraph{")
    assert latex.replace(r"\{", "").replace(r"\}", "").count("{") == latex.replace(r"\{", "").replace(r"\}", "").count(
        "}"
    )
    assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}") == 1


def test_a_false_statement_does_not_hold():
    alpha, c = sympy.symbols("alpha c")
    assert not symbolic.Proof("wrong", "alpha = (1-c) alpha", (), (alpha - alpha, alpha - (1 - c) * alpha)).holds


def test_missing_sympy_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'softstep\[symbolic\]'"):
        symbolic.proofs()
