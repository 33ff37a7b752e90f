"""What follows from a speed law, derived from its expressions.

Notation: r the speed ratio, φ(r) the gain, ρ(r) = r·φ(r) the speed, y a value of ρ.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

from .calculus import between, integral, limit_at, roots, supremum
from .laws import LAWS, SymbolicLaw, r

y = sp.Symbol("y", positive=True)

HIGHEST_DERIVATIVE = 4
"""Derivatives of ρ beyond this are not compared at r = 1."""


def _is_positive(expression: sp.Expr) -> bool:
    """Whether an expression in y is a positive number at y = 1/2, which every speed takes."""
    value = expression.subs(y, sp.Rational(1, 2))
    return bool(sp.im(value) == 0 and value > 0)


@dataclass(frozen=True)
class LawFacts:
    """What follows from a law; every property is computed on first use.

    Suprema are over the law's domain, ∞ where there is none.
    """

    law: SymbolicLaw

    @cached_property
    def speeds(self) -> list[tuple[sp.Expr, sp.Expr, sp.Expr]]:
        """(ρ, start, end) of each piece."""
        return [(sp.simplify(r * gain), a, b) for gain, a, b in self.law.pieces()]

    @cached_property
    def series(self) -> sp.Expr:
        """φ at 0 to order 6."""
        return sp.series(self.law.below, r, 0, 7).removeO()

    @cached_property
    def speed_limits(self) -> dict[str, sp.Expr | None]:
        """ρ at 0, 1⁻, 1⁺ and ∞; None where the law is not defined."""
        below, above = r * self.law.below, self.law.above
        return {
            "0": limit_at(below, 0, "+"),
            "1-": limit_at(below, 1, "-"),
            "1+": None if above is None else limit_at(r * above, 1, "+"),
            "oo": None if above is None else limit_at(r * above, sp.oo, "-"),
        }

    @cached_property
    def jump(self) -> sp.Expr | None:
        """ρ(1⁺) − ρ(1⁻); None where the law ends at 1."""
        after, before = self.speed_limits["1+"], self.speed_limits["1-"]
        return None if after is None else sp.simplify(after - before)

    @cached_property
    def smoothness(self) -> sp.Expr | None:
        """K if ρ is C^k at r = 1 and no more, −1 for a jump, ∞ if analytic, None if undefined."""
        if self.law.above is None:
            return None
        if self.law.analytic:
            return sp.oo
        below, above = r * self.law.below, r * self.law.above
        for k in range(HIGHEST_DERIVATIVE + 1):
            sides = [limit_at(sp.diff(f, r, k), 1, s) for f, s in ((below, "-"), (above, "+"))]
            if sides[0] != sides[1]:
                return sp.Integer(k - 1)
        return sp.Integer(HIGHEST_DERIVATIVE)

    @cached_property
    def peaks(self) -> list[tuple[sp.Expr, sp.Expr]]:
        """(r, ρ) where ρ′ vanishes and ρ stops rising or falling."""
        return [
            (root, sp.simplify(speed.subs(r, root)))
            for speed, start, end in self.speeds
            for root in roots(sp.diff(speed, r), start, end)
        ]

    @cached_property
    def monotone(self) -> bool:
        """Whether ρ never falls: ρ′ ≥ 0 between its zeros, and no jump down."""
        falls = any(
            float(sp.diff(speed, r).subs(r, point)) < 0
            for speed, start, end in self.speeds
            for point in between(start, roots(sp.diff(speed, r), start, end), end)
        )
        return not falls and (self.jump is None or self.jump >= 0)

    @cached_property
    def speed_supremum(self) -> sp.Expr:
        """Sup ρ."""
        return sp.Max(*(supremum(speed, a, b) for speed, a, b in self.speeds))

    @cached_property
    def first_excess(self) -> sp.Expr | None:
        """The ratio from which on ρ > 1, None if ρ ≤ 1 throughout."""
        for speed, start, end in self.speeds:
            crossings = roots(speed - 1, start, end)
            points = list(between(start, crossings, end))
            for i, point in enumerate(points):
                if float(speed.subs(r, point)) > 1:
                    return crossings[i - 1] if i else start
        return None

    @cached_property
    def eigenvalues(self) -> list[tuple[sp.Expr, sp.Expr]]:
        """(ρ′, ρ/r) of each piece: the Jacobian's, once radial and n − 1 times tangential."""
        return [(sp.simplify(sp.diff(s, r)), sp.simplify(s / r)) for s, _, _ in self.speeds]

    @cached_property
    def lipschitz(self) -> sp.Expr:
        """Lipschitz constant in Rⁿ: sup of |ρ′| and φ, ∞ if ρ jumps."""
        if self.jump not in {None, sp.Integer(0)}:
            return sp.oo
        pairs = zip(self.speeds, self.eigenvalues, strict=True)
        return sp.Max(
            *(supremum(sp.Abs(value), a, b) for (_, a, b), both in pairs for value in both)
        )

    @cached_property
    def gain_supremum(self) -> sp.Expr:
        """Sup φ."""
        return sp.Max(*(supremum(gain, a, b) for gain, a, b in self.law.pieces()))

    @cached_property
    def identity_coefficient(self) -> sp.Expr:
        """Sup |φ(r) − 1|/r², the least k with |s − u| ≤ k·|u|·r²."""
        return sp.Max(
            *(supremum(sp.Abs(gain - 1) / r**2, a, b) for gain, a, b in self.law.pieces())
        )

    @cached_property
    def inverse(self) -> Any:
        """The ratio as a function of the speed y, None where ρ is not one-to-one and onto."""
        if not self.law.analytic and self.law.above is not None:
            return None
        speed = self.speeds[0][0]
        if isinstance(speed, sp.Function) and speed.args == (r,):
            return speed.inverse()(y)
        solutions = [s for s in sp.solve(speed - y, r) if _is_positive(s)]
        if len(solutions) != 1:
            return None
        above, below = sp.fraction(sp.together(sp.simplify(solutions[0] ** 2)))
        sign = 1 if _is_positive(below) else -1
        return sp.sqrt(sp.expand(sign * above)) / sp.sqrt(sp.expand(sign * below))

    @cached_property
    def potential(self) -> Any:
        """∫₀ʳ ρ for an invertible law: the convex potential whose gradient it is."""
        return None if self.inverse is None else integral(r * self.law.below, r)

    @cached_property
    def conjugate(self) -> Any:
        """The convex conjugate of `potential`: ∫₀ʸ of the inverse."""
        return None if self.inverse is None else integral(self.inverse, y)


FACTS: Mapping[str, LawFacts] = {key: LawFacts(law) for key, law in LAWS.items()}

VERDICTS: Mapping[str, Callable[[LawFacts], bool]] = {
    "total": lambda facts: facts.law.above is not None,
    "bounded": lambda facts: bool(facts.speed_supremum <= 1),
    "never_amplifies": lambda facts: bool(facts.gain_supremum <= 1),
    "monotone": lambda facts: facts.monotone,
    "continuous": lambda facts: facts.jump in {None, sp.Integer(0)},
    "differentiable": lambda facts: facts.smoothness is None or bool(facts.smoothness >= 1),
    "nonexpansive": lambda facts: bool(facts.lipschitz <= 1),
    "small_update_identity": lambda facts: bool(facts.identity_coefficient <= sp.Rational(1, 2)),
    "weak_small_update_identity": lambda facts: bool(facts.identity_coefficient <= 1),
}
"""Claims of `reference.LAWS` that follow from the facts: name → verdict."""
