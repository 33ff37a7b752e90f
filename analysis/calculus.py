"""Limits, zeros, signs and suprema of expressions in r on an interval.

Exact where sympy solves the equation; where it does not, zeros are isolated on a grid and refined.
"""

from collections.abc import Iterator
from itertools import pairwise

import numpy as np
import sympy as sp
from scipy.optimize import brentq

from .laws import SymbolicLaw, r

_GAP = sp.Symbol("epsilon", positive=True)


def limit_at(expression: sp.Expr, point: sp.Expr, side: str) -> sp.Expr:
    """Return the one-sided limit of an expression in r, "-" from below and "+" from above.

    It is taken in a positive distance from the point: sympy's own one-sided limits of √(1 − r²)
    at 1 mistake the sign.
    """
    if point == sp.oo:
        return sp.limit(expression, r, sp.oo)
    moved = expression.subs(r, point + _GAP if side == "+" else point - _GAP)
    return sp.limit(sp.factor(sp.simplify(moved)), _GAP, 0, "+")


def roots(expression: sp.Expr, start: sp.Expr, end: sp.Expr) -> list[sp.Expr]:
    """Return the zeros of an expression in r inside an interval, ascending.

    Exact where sympy solves the equation, else isolated on a grid that is even in log r and refined
    to 1e-14; an expression that is zero throughout has none.
    """
    if expression.is_constant():
        return []
    try:
        exact = sp.solve(expression, r)
    except NotImplementedError:
        exact = []
    inside = [root for root in exact if root.is_real and start < root < end]
    return sorted(inside, key=float) if inside else _numeric_roots(expression, start, end)


def _numeric_roots(expression: sp.Expr, start: sp.Expr, end: sp.Expr) -> list[sp.Expr]:
    value = sp.lambdify(r, expression, "math")
    low = 1e-3 if start == 0 else float(start) * (1 + 1e-9)
    high = 15.0 if end == sp.oo else float(end) * (1 - 1e-9)  # beyond, tanh r is 1 in float64
    grid = np.geomspace(low, high, 400)
    found = []
    for left, right in pairwise(grid):
        if value(left) * value(right) < 0:
            found.append(sp.Float(brentq(value, left, right, xtol=1e-14)))
    return found


def integral(expression: sp.Expr, variable: sp.Symbol) -> sp.Expr:
    """Return the integral from 0."""
    antiderivative = sp.integrate(expression, variable)
    return sp.simplify(antiderivative - sp.limit(antiderivative, variable, 0, "+"))


def potential(law: SymbolicLaw) -> sp.Expr:
    """Return ∫₀ʳ ρ: what a speed law stores of an update, continuous even where ρ jumps.

    Raises
    ------
    ValueError
        If the law is not defined for every ratio, or the integral does not converge.
    """
    (low, *rest) = law.pieces()
    below = integral(r * low[0], r)
    if law.analytic:
        return below
    reached = limit_at(below, sp.Integer(1), "-")
    if not rest or not reached.is_finite:
        raise ValueError(f"law={law.key!r}: expected one whose ∫ρ is finite for every ratio")
    above = sp.integrate(r * law.above, r)
    return sp.Piecewise((below, r < 1), (reached + sp.simplify(above - above.subs(r, 1)), True))


def between(start: sp.Expr, points: list[sp.Expr], end: sp.Expr) -> Iterator[float]:
    """Yield a number between each two neighbours of start, points, end."""
    edges = [float(start), *map(float, points), float(points[-1] if points else start) + 2.0]
    edges[-1] = float(end) if end != sp.oo else edges[-1]
    yield from ((a + b) / 2 for a, b in pairwise(edges))


def supremum(expression: sp.Expr, start: sp.Expr, end: sp.Expr) -> sp.Expr:
    """Return the supremum over an open interval: of limits at its ends and values at its peaks."""
    smooth = expression.replace(sp.Abs, lambda x: x * sign_on(x, start, end))
    ends = [limit_at(smooth, start, "+"), limit_at(smooth, end, "-")]
    peaks = [smooth.subs(r, root) for root in roots(sp.simplify(sp.diff(smooth, r)), start, end)]
    return sp.simplify(sp.Max(*ends, *peaks))


def sign_on(expression: sp.Expr, start: sp.Expr, end: sp.Expr) -> int:
    """Return the sign that an expression keeps on an interval, 1 where it is 0."""
    signs = {
        int(sp.sign(expression.subs(r, sp.Float(point))))
        for point in between(start, roots(expression, start, end), end)
    }
    if len(signs - {0}) > 1:
        raise ValueError(f"{expression} changes its sign between {start} and {end}")
    return 1 if signs <= {0, 1} else -1
