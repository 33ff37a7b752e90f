"""Gravity's formulas, derived: from the inclined plane to ζ, its bounds, β̂ and V₀'s reach.

Notation: g a gradient entry, G the largest |g| of its tensor, m the max-step gradient, ζ the
gradient term, t the clock, β̂ the running coefficient, V the velocity. Source: Bahrami and Zadeh,
arXiv 2101.09192.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import sympy as sp

g, m, G, t, beta, scale = sp.symbols("g m G t beta lambda", positive=True)
start = sp.Symbol("t_0", nonnegative=True)
steps = sp.Symbol("n", positive=True)

READINGS: Mapping[str, sp.Expr] = {"inverse_max": 1 / G, "max": G}
"""What m is: as every published text computes it, and as the paper's bound needs it."""


def inclined_plane() -> sp.Expr:
    """Return ζ(g, m) from the kinematics.

    A body on a plane of slope g/m = tan θ gains horizontal speed in proportion to sin θ·cos θ; m
    gives the result its unit, so that ζ = m·sin θ·cos θ.
    """
    angle = sp.atan(g / m)
    return sp.simplify(m * sp.sin(angle) * sp.cos(angle))


@dataclass(frozen=True)
class ZetaFacts:
    """What follows from ζ under one reading of m; every property is computed on first use.

    Attributes
    ----------
    reading
        Key of `READINGS`.
    """

    reading: str

    @cached_property
    def zeta(self) -> Any:
        """ζ(g, G) = g/(1 + (g/m)²) with this m."""
        return sp.simplify(inclined_plane().subs(m, READINGS[self.reading]))

    @cached_property
    def turning_point(self) -> Any:
        """The g at which ζ stops rising, for a fixed G."""
        (root,) = sp.solve(sp.diff(self.zeta, g), g)
        return root

    @cached_property
    def peak(self) -> Any:
        """ζ at the turning point."""
        return sp.simplify(self.zeta.subs(g, self.turning_point))

    @cached_property
    def steepest(self) -> Any:
        """ζ of the entry g = G."""
        return sp.simplify(self.zeta.subs(g, G))

    @cached_property
    def turns_within_from(self) -> Any:
        """The G from which on the turning point is at most G: steeper entries then step less."""
        if self.turning_point == G:
            return sp.Integer(0)
        (root,) = sp.solve(sp.Eq(self.turning_point, G), G)
        return root

    @cached_property
    def supremum(self) -> tuple[Any, Any]:
        """(sup|ζ|, the G that attains it) over all gradients; (∞, None) if there is none.

        For every G the largest |ζ| is the peak if the turning point is within G, else the
        steepest entry's.
        """
        if sp.limit(self.steepest, G, sp.oo) == sp.oo:
            return sp.oo, None
        candidates = [(self.peak.subs(G, self.turns_within_from), self.turns_within_from)]
        steepest = sp.solve(sp.diff(self.steepest, G), G)
        candidates += [(self.steepest.subs(G, root), root) for root in steepest]
        value, where = max(candidates, key=lambda pair: float(pair[0]))
        return sp.nsimplify(sp.simplify(value)), where

    @cached_property
    def small_scale(self) -> Any:
        """Limit of ζ(λg)/λ for λ → 0: what small gradients give."""
        return sp.limit(self._scaled / scale, scale, 0, "+")

    @cached_property
    def large_scale(self) -> tuple[int, Any]:
        """(k, limit of λᵏ·ζ(λg) for λ → ∞): how large gradients vanish or grow."""
        for k in range(-1, 4):
            value = sp.limit(scale**k * self._scaled, scale, sp.oo)
            if value not in {0, sp.oo}:
                return k, sp.simplify(value)
        raise ValueError(f"ζ = {self.zeta} has no power law at infinity of degree -3 to 1")

    @property
    def _scaled(self) -> Any:
        return self.zeta.subs({g: scale * g, G: scale * G}, simultaneous=True)

    @cached_property
    def descent(self) -> Any:
        """The least ζ/g over the entries |g| ≤ G: ⟨ζ, g⟩ ≥ descent·‖g‖²."""
        quotient = sp.simplify(self.zeta / g)
        ends = [sp.limit(quotient, g, 0, "+"), quotient.subs(g, G)]
        turning = sp.solve(sp.diff(quotient, g), g)
        return sp.simplify(sp.Min(*ends, *(quotient.subs(g, root) for root in turning)))


FACTS: Mapping[str, ZetaFacts] = {reading: ZetaFacts(reading) for reading in READINGS}


def running_coefficient() -> sp.Expr:
    """Return β̂(t): the mean of t times β, and of 1 and 0, that is (βt + 1)/(t + 2).

    The paper starts the running average at ½, which is the mean of 1 (keep V) and 0 (take ζ), and
    lets every step add a β, so that it tends to β.
    """
    weights = [1, 0, sp.summation(beta, (sp.Symbol("k"), 1, t))]
    return sp.factor(sum(weights) / (2 + t))


def velocity_bound(first: Any, reading: str = "inverse_max") -> Any:
    """Return the bound of |V_t| for all t: max(|V₀|, sup|ζ|).

    V_t = β̂V_{t−1} + (1 − β̂)ζ is between V_{t−1} and ζ, as β̂ is between 0 and 1: it is the mean of
    numbers that are.
    """
    supremum, _ = FACTS[reading].supremum
    return sp.Max(sp.Abs(first), supremum)


def coefficient_product() -> sp.Expr:
    """Return Π β̂(s) over s = t₀, …, t₀ + n − 1 in closed form: what is left of V₀ after n steps.

    A quotient of linear functions of s, a(s + p)/(s + q), has the product aⁿ·(t₀ + p)ₙ/(t₀ + q)ₙ,
    with Gamma functions for the rising factorials.
    """
    (a, b), (c, d) = (
        sp.Poly(part, t).all_coeffs() for part in sp.fraction(sp.together(running_coefficient()))
    )
    numerator, denominator = (
        sp.gamma(start + offset + steps) / sp.gamma(start + offset) for offset in (b / a, d / c)
    )
    return (a / c) ** steps * numerator / denominator


def displacement(clock: int, decay_rate: float) -> float:
    """Return S, the sum of the products: V₀ alone displaces a weight by lr·V₀·S.

    S = Σ_{n ≥ 1} βⁿ(t₀ + 1/β)ₙ/(t₀ + 2)ₙ = ₂F₁(1, t₀ + 1/β; t₀ + 2; β) − 1.

    Parameters
    ----------
    clock
        t₀, the clock at the first update.
    decay_rate
        β in (0, 1).
    """
    value = sp.nsimplify(decay_rate)
    series = sp.hyper((1, clock + 1 / value), (clock + 2,), value)
    return float(sp.N(series - 1, 20))
