"""The residuals of every proof simplify to 0, those of a false statement do not, and the LaTeX is balanced."""

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


def test_there_are_eleven_distinct_proofs():
    assert len(PROOFS) == len({proof.name for proof in PROOFS}) == 11


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.name)
def test_latex_is_balanced(proof):
    latex = proof.latex()
    assert latex.startswith(r"\paragraph{")
    unescaped = latex.replace(r"\{", "").replace(r"\}", "")
    assert unescaped.count("{") == unescaped.count("}")
    assert latex.count(r"\begin{aligned}") == latex.count(r"\end{aligned}") == 1


def test_a_false_statement_does_not_hold():
    alpha, c = sympy.symbols("alpha c")
    assert not symbolic.Proof("wrong", "alpha = (1-c) alpha", (), (alpha - alpha, alpha - (1 - c) * alpha)).holds


def test_missing_sympy_error_gives_the_pip_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'softstep\[symbolic\]'"):
        symbolic.proofs()
