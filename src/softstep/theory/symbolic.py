"""Symbolic proofs of the statements about α and c, each with its steps in LaTeX and residuals that simplify to 0.

SymPy is an extra: `pip install 'softstep[symbolic]'`. Matrices of any size are noncommutative symbols, and step
functions are arbitrary.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from softstep.extras import required_by


class Proof(NamedTuple):
    """A statement and its proof."""

    name: str
    statement: str  # in words and plain formulas
    steps: tuple[str, ...]  # LaTeX, one line each
    residuals: tuple[Any, ...]  # SymPy expressions, left minus right of every equality used; all are 0

    @property
    def residual(self) -> Any:
        """All residuals in one expression, Σ z_i·residual_i with free symbols z_i, which is 0 iff each of them is."""
        sp = _sympy()
        return sum((sp.Symbol(f"z_{i}") * residual for i, residual in enumerate(self.residuals)), sp.Integer(0))

    @property
    def holds(self) -> bool:
        """Whether every residual simplifies to 0."""
        sp = _sympy()
        return all(sp.simplify(sp.expand(residual)) == 0 for residual in self.residuals)

    def latex(self) -> str:
        """Return a LaTeX paragraph: the statement, then the steps as an aligned display."""
        lines = r" \\ ".join(rf"& {step}" for step in self.steps)
        return rf"\paragraph{{{self.name}}} {_escape(self.statement)} \[\begin{{aligned}} {lines} \end{{aligned}}\]"


def proofs() -> tuple[Proof, ...]:
    """Return every proof, in the order of the argument.

    Raises ModuleNotFoundError, with the pip command, if SymPy is missing.
    """
    return (
        one_network(), not_circular(), first_update(), second_update(), third_equation(), ledger_induction(),
        momentum_form(), determinant(), characteristic_polynomial(), noise(), noise_ratios(),
    )  # fmt: skip


def one_network() -> Proof:
    """Prove that W ← cW + (1−c)(W + α·s(W)) is W ← W + (1−c)α·s(W)."""
    sp = _sympy()
    alpha, c, W = sp.symbols("alpha c W")
    s = sp.Function("s")(W)
    blended, plain = c * W + (1 - c) * (W + alpha * s), W + (1 - c) * alpha * s
    unit = (1 - c) * alpha - (1 - c)
    return Proof(
        "One network",
        "A network blended with its own update is descent at alpha' = (1-c) alpha, for any step s; at alpha = 1,"
        " alpha' = 1 - c.",
        (
            rf"cW + (1-c)(W + \alpha s(W)) = {sp.latex(sp.collect(sp.expand(blended), s))}",
            r"= W + (1-c)\,\alpha\, s(W)",
        ),
        (blended - plain, unit.subs(alpha, 1)),
    )


def not_circular() -> Proof:
    """Prove that averaging with the updated value is not circular: with time indices, nothing refers to itself."""
    sp = _sympy()
    alpha, c, W0 = sp.symbols("alpha c W_0")
    s = sp.Function("s")
    proposed = W0 + alpha * s(W0)  # Ŵ depends on W_t only
    after = c * W0 + (1 - c) * proposed
    second = c * after + (1 - c) * (after + alpha * s(after))
    return Proof(
        "Nothing is circular",
        "Index by time: the proposal W^ = W_t + alpha s(W_t) depends on W_t only, and W_{t+1} = c W_t + (1-c) W^"
        " depends on both. The average is with a value that is already known. W_{t+1} never occurs on its own right"
        " side, so the recursion defines every W_t.",
        (
            r"\hat W_t = W_t + \alpha\, s(W_t)",
            r"W_{t+1} = c\,W_t + (1-c)\,\hat W_t",
            rf"W_1 = {sp.latex(sp.simplify(after))}",
        ),
        (
            after - (W0 + (1 - c) * (proposed - W0)),
            second - (after + (1 - c) * alpha * s(after)),
            sp.diff(after, sp.Symbol("W_1")),
        ),
    )


def first_update() -> Proof:
    """Prove that T_1 = X_1 from equal starts."""
    sp = _sympy()
    alpha, c, q0 = sp.symbols("alpha c Q_0")
    step = sp.Function("step")
    _, T, X = _two_updates(sp, alpha, c, q0, step)
    return Proof(
        "The first update is equal",
        "From T_0 = Q_0 = X_0, the target after one gradient step and one blend is the single network after one step"
        " at (1-c) alpha.",
        (r"T_1 = cQ_0 + (1-c)(Q_0 + \alpha s_0)", r"= Q_0 + (1-c)\alpha s_0 = X_1,\quad s_0 = \mathrm{step}(Q_0, Q_0)"),
        (T[1] - X[1],),
    )


def second_update() -> Proof:
    """Prove that T_2 − X_2 = α(1−c)[c·s_0 + step(Q_1,T_1) − step(T_1,T_1)]."""
    sp = _sympy()
    alpha, c, q0 = sp.symbols("alpha c Q_0")
    step = sp.Function("step")
    Q, T, X = _two_updates(sp, alpha, c, q0, step)
    s0 = step(q0, q0)
    formula = alpha * (1 - c) * (c * s0 + step(Q[1], T[1]) - step(sp.expand(T[1]), sp.expand(T[1])))
    residual = (T[2] - X[2] - formula).replace(step, lambda q, t: step(sp.expand(q), sp.expand(t)))
    return Proof(
        "The second update differs",
        "T_2 - X_2 = alpha (1-c) [c s_0 + step(Q_1, T_1) - step(T_1, T_1)] for any step function.",
        (
            r"T_2 = cT_1 + (1-c)(Q_1 + \alpha\,\mathrm{step}(Q_1,T_1))",
            r"X_2 = T_1 + (1-c)\alpha\,\mathrm{step}(T_1,T_1)",
            r"Q_1 - T_1 = c\,\alpha s_0",
            r"T_2 - X_2 = \alpha(1-c)\,[c\,s_0 + \mathrm{step}(Q_1,T_1) - \mathrm{step}(T_1,T_1)]",
        ),
        (residual, Q[1] - T[1] - c * alpha * s0),
    )


def third_equation() -> Proof:
    """Prove that V ← V + (1−c)α·step(Q, T) is Q_0 + (1−c)(Q_t − Q_0), by induction."""
    sp = _sympy()
    alpha, c, q0, qt, st = sp.symbols("alpha c Q_0 Q_t s_t")
    before, after = q0 + (1 - c) * (qt - q0), q0 + (1 - c) * (qt + alpha * st - q0)
    first = c * q0 + (1 - c) * (q0 + alpha * st)
    return Proof(
        "The third equation is not X",
        "V <- V + (1-c) alpha step(Q, T) gives V_t = Q_0 + (1-c)(Q_t - Q_0): at c = 0 it is Q, and it equals T at"
        " t = 1 only.",
        (r"V_{t+1} - V_t = (1-c)\alpha s_t = (1-c)(Q_{t+1} - Q_t)", r"V_1 = Q_0 + (1-c)\alpha s_0 = T_1"),
        (before + (1 - c) * alpha * st - after, (before - qt).subs(c, 0), after.subs(qt, q0) - first),
    )


def ledger_induction() -> Proof:
    """Prove that T_t = Q_0 + α·Σ_{k<t}(1 − c^{t−k})s_k − c^t(Q_0 − T_0), by induction on t."""
    sp = _sympy()
    alpha, c, q0, t0 = sp.symbols("alpha c Q_0 T_0", positive=True)
    t, k = sp.symbols("t k", integer=True, nonnegative=True)
    s = sp.IndexedBase("s")
    weight = c ** (t - k)  # of s_k in (Q_t − T_t)/α; split off the last step before comparing sums
    older = c * weight - weight.subs(t, t + 1)
    newest = c - weight.subs({t: t + 1, k: t}, simultaneous=True)
    start = c * c**t * (q0 - t0) - c ** (t + 1) * (q0 - t0)
    target, online = t0, q0
    for j in range(3):  # check the formula at t = 3 against the recursion itself
        online = online + alpha * s[j]
        target = c * target + (1 - c) * online
    formula = q0 + alpha * sum((1 - c ** (3 - j)) * s[j] for j in range(3)) - c**3 * (q0 - t0)
    return Proof(
        "The ledger",
        "T_t = Q_0 + alpha sum_{k<t} (1 - c^{t-k}) s_k - c^t (Q_0 - T_0); equivalently the gap D_t = Q_t - T_t ="
        " alpha sum_{k<t} c^{t-k} s_k + c^t D_0.",
        (
            r"D_{t+1} = Q_{t+1} - cT_t - (1-c)Q_{t+1} = c\,(D_t + \alpha s_t)",
            r"\text{base: } D_0 = Q_0 - T_0",
            r"c\,\Big(\alpha\sum_{k<t}c^{t-k}s_k + c^tD_0 + \alpha s_t\Big)",
            r"= \alpha\sum_{k<t+1}c^{t+1-k}s_k + c^{t+1}D_0",
            r"T_t = Q_t - D_t",
        ),
        (older, newest, start, target - formula),
    )


def momentum_form() -> Proof:
    """Prove T_{t+1} = T_t + (1−c)αv_t with v_t = c·v_{t−1} + s_t, Q_t = T_t + αc·v_{t−1}, by one induction step."""
    sp = _sympy()
    alpha, c, T, v, s, n = sp.symbols("alpha c T_t v s_t n")  # v is v_{t−1}
    arrived = alpha * (1 - c**n)  # (1−c)·α·Σ_{j<n} c^j, by induction on n
    Q = T + alpha * c * v
    velocity = c * v + s
    online = Q + alpha * s
    target = c * T + (1 - c) * online
    return Proof(
        "The target is momentum",
        "T_{t+1} = T_t + (1-c) alpha v_t with v_t = c v_{t-1} + s_t, and Q_t = T_t + alpha c v_{t-1} (T_0 = Q_0: v_{-1}"
        " = 0). Every step enters with total weight (1-c) alpha (1 + c + c^2 + ...) = alpha.",
        (
            r"Q_{t+1} = T_t + \alpha c\,v_{t-1} + \alpha s_t = T_t + \alpha v_t",
            r"T_{t+1} = cT_t + (1-c)(T_t + \alpha v_t) = T_t + (1-c)\,\alpha\,v_t",
            r"Q_{t+1} - T_{t+1} = c\,\alpha\,v_t",
        ),
        (
            online - (T + alpha * velocity),
            target - (T + (1 - c) * alpha * velocity),
            online - target - c * alpha * velocity,
            arrived.subs(n, n + 1) - arrived - (1 - c) * alpha * c**n,
        ),
    )


def determinant() -> Proof:
    """Prove that det(I − M) = αⁿ(1−c)ⁿ·det(B − A) for matrices of any size n."""
    sp = _sympy()
    alpha, c = sp.symbols("alpha c")
    A, B = sp.symbols("A B", commutative=False)
    top = (alpha * B, -alpha * A)  # rows of I − M, entries n × n
    bottom = (-(1 - c) * (1 - alpha * B), (1 - c) - (1 - c) * alpha * A)
    reduced = tuple(low - (1 - c) * high for low, high in zip(bottom, top, strict=True))
    column = (top[0] + top[1], reduced[0] + reduced[1])
    return Proof(
        "One determinant for every pair",
        "det(I - M) = alpha^n (1-c)^n det(B - A). If det(B - A) < 0, I - M has a negative determinant and M a real"
        " eigenvalue above 1, so the single network and every pair diverge.",
        (
            r"I - M = \begin{pmatrix}\alpha B & -\alpha A\\ -(1-c)(I-\alpha B) & (1-c)(I-\alpha A)\end{pmatrix}",
            r"\text{row}_2 - (1-c)\,\text{row}_1 = (1-c)\,(-I,\; I)",
            r"\text{column}_1 + \text{column}_2:\quad \begin{pmatrix}\alpha(B-A) & -\alpha A\\ 0 & (1-c)I\end{pmatrix}",
            r"\det(I-M) = \alpha^n(1-c)^n\det(B-A)",
        ),
        (reduced[0] + (1 - c), reduced[1] - (1 - c), column[0] - alpha * (B - A), column[1]),
    )


def characteristic_polynomial() -> Proof:
    """Prove det(λI − M) = λ² − (1+c−αb+α(1−c)a)λ + c(1−αb), and when T moves as a single network."""
    sp = _sympy()
    alpha, c, a, b, lam = sp.symbols("alpha c a b lambda")
    M = _scalar_matrix(sp, alpha, c, a, b)
    formula = lam**2 - (1 + c - alpha * b + alpha * (1 - c) * a) * lam + c * (1 - alpha * b)
    return Proof(
        "One dimension",
        "lambda^2 - (1 + c - alpha b + alpha (1-c) a) lambda + c (1 - alpha b) = 0. The product of the roots is"
        " c (1 - alpha b): T moves as a single network (one root) iff c = 0 or alpha b = 1, and then at (1-c) alpha.",
        (
            rf"\det(\lambda I - M) = {sp.latex(formula)}",
            r"\lambda = 1:\quad \alpha(1-c)(b-a)",
            r"\alpha b = 1:\quad \lambda\,(\lambda - c - (1-c)\alpha a)",
        ),
        (
            M.charpoly(lam).as_expr() - formula,
            formula.subs(lam, 1) - alpha * (1 - c) * (b - a),
            formula.subs(b, 1 / alpha) - lam * (lam - (1 - (1 - c) * alpha * (1 / alpha - a))),
            formula.subs(c, 0) - lam * (lam - (1 - alpha * (b - a))),
        ),
    )


def noise() -> Proof:
    """Prove that Var T and Var Q of one dimension solve Σ = MΣMᵀ + EEᵀ."""
    sp = _sympy()
    alpha, c, a, b = sp.symbols("alpha c a b")
    M, E = _scalar_matrix(sp, alpha, c, a, b), sp.Matrix([alpha, (1 - c) * alpha])
    variance_q, variance_t = _variances(alpha, c, a, b)
    # T' = cT + (1−c)Q' determines the covariance of Q' and T from both variances
    cross = ((1 - c**2) * variance_t - (1 - c) ** 2 * variance_q) / (2 * c * (1 - c))
    # Cov(Q', T) = u·Cov(Q, T) + αa·Var T
    q_next_t = (1 - alpha * b) * sp.Symbol("x") + alpha * a * variance_t
    x = sp.solve(sp.Eq(q_next_t, cross), sp.Symbol("x"))[0]
    S = sp.Matrix([[variance_q, x], [x, variance_t]])
    residual = (M * S * M.T + E * E.T - S).applyfunc(sp.simplify)
    return Proof(
        "Noise in one dimension",
        "Under unit step noise, Var T = alpha (1-c)(1+cu)/[(1-cu) beta p] and Var Q = alpha [(1+c)(1-cu) - 2 c alpha"
        " a]/[(1-cu) beta p], with u = 1 - alpha b, beta = b - a, p = 2(1+c) - alpha (b(1+c) - a(1-c)).",
        (
            r"\Sigma = M\Sigma M^\top + \alpha^2(1,\,1-c)^\top(1,\,1-c)",
            rf"\mathrm{{Var}}\,T = {sp.latex(sp.factor(variance_t))}",
            rf"\mathrm{{Var}}\,Q = {sp.latex(sp.factor(variance_q))}",
        ),
        tuple(residual),
    )


def noise_ratios() -> Proof:
    """Prove the formulas of Var T/V₁ and Var Q/V₁ in terms of the two roots."""
    sp = _sympy()
    alpha, c, r1, r2 = sp.symbols("alpha c lambda_1 lambda_2")
    b = (1 - r1 * r2 / c) / alpha  # from the product of the roots
    a = (r1 + r2 - 1 - c + alpha * b) / (alpha * (1 - c))  # from their sum
    variance_q, variance_t = _variances(alpha, c, a, b)
    single = (1 - r1) / ((1 + r1) * (b - a) ** 2)
    ratio_t = (1 - r2) * (1 + r1 * r2) / ((1 + r2) * (1 - r1 * r2))
    ratio_q = 1 + 2 * (1 - r1) * (c - r2) * (1 - c * r2) / ((1 - c) ** 2 * (1 - r1 * r2) * (1 + r2))
    below = 2 * (r1 * r2 - r2) / ((1 + r2) * (1 - r1 * r2))
    return Proof(
        "No single network has both the rate and the noise",
        "Against the single network of the same rate lambda_1: Var T < V_1 < Var Q for 0 < a < b, 0 < alpha b < 1,"
        " 0 < c < 1; equality for T iff lambda_2 = 0, that is, c (1 - alpha b) = 0.",
        (
            rf"\frac{{\mathrm{{Var}}\,T}}{{V_1}} = {sp.latex(ratio_t)} = 1 - {sp.latex(-below)}",
            rf"\frac{{\mathrm{{Var}}\,Q}}{{V_1}} = {sp.latex(ratio_q)}",
        ),
        (
            sp.simplify(variance_t / single - ratio_t),
            sp.simplify(variance_q / single - ratio_q),
            sp.simplify(ratio_t - 1 - below),
        ),
    )


def _two_updates(sp: Any, alpha: Any, c: Any, q0: Any, step: Any) -> tuple[list[Any], list[Any], list[Any]]:
    """Return Q, T and X at times 0, 1, 2, from equal starts.

    Args:
        sp: the SymPy module.
        alpha: symbol of the step size.
        c: symbol of the weight of the old target.
        q0: the common start.
        step: function of (online, target).
    """
    Q, T, X = [q0], [q0], [q0]
    for _ in range(2):
        Q.append(Q[-1] + alpha * step(Q[-1], T[-1]))
        T.append(c * T[-1] + (1 - c) * Q[-1])
        X.append(X[-1] + (1 - c) * alpha * step(sp.expand(X[-1]), sp.expand(X[-1])))
    return Q, T, X


def _scalar_matrix(sp: Any, alpha: Any, c: Any, a: Any, b: Any) -> Any:
    """Return M in one dimension.

    Args:
        sp: the SymPy module.
        alpha: symbol of the step size.
        c: symbol of the weight of the old target.
        a: coefficient of the target in the TD step.
        b: coefficient of the online parameter in the TD step.
    """
    u = 1 - alpha * b
    return sp.Matrix([[u, alpha * a], [(1 - c) * u, c + (1 - c) * alpha * a]])


def _variances(alpha: Any, c: Any, a: Any, b: Any) -> tuple[Any, Any]:
    """Return the closed forms of Var Q and Var T.

    Args:
        alpha: symbol of the step size.
        c: symbol of the weight of the old target.
        a: coefficient of the target in the TD step.
        b: coefficient of the online parameter in the TD step.
    """
    u, beta, p = 1 - alpha * b, b - a, 2 * (1 + c) - alpha * (b * (1 + c) - a * (1 - c))
    common = alpha / ((1 - c * u) * beta * p)
    return common * ((1 + c) * (1 - c * u) - 2 * c * alpha * a), common * (1 - c) * (1 + c * u)


def _escape(text: str) -> str:
    """Escape plain text for LaTeX."""
    return "".join("\\" + char if char in "_^&%#{}" and char != "^" else char.replace("^", r"\^{}") for char in text)


def _sympy() -> Any:
    with required_by("a symbolic proof"):
        import sympy  # type: ignore[import-untyped,import-not-found,unused-ignore]
    return sympy
