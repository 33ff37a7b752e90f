"""Gravity's gradient term, running coefficient and velocity.

Notation: g an entry, G = max|g| > 0, ζ = g/(1 + (gG)²), β̂ = (βt + 1)/(t + 2), V the velocity.
Formulas that are claims of `reference.GRAVITY_CLAIMS` are called "gravity.claim"; those that fail
have the reference's witness among their hypotheses.
"""

from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import z3

import reference

from .formulas import Formula, number, reals

g, largest, zeta, m, beta, t, beta_hat, v, after, bound = reals("g G zeta m beta t beta_hat V V1 B")
g1, zeta1, g2, zeta2 = reals("g1 zeta1 g2 zeta2")

_ZETA = [largest > 0, zeta * (1 + (g * largest) * (g * largest)) == g]
_ENTRY = [*_ZETA, -largest <= g, g <= largest]
_HALF = [largest > 0, zeta * (number("1/2") + (g * largest) * (g * largest)) == g]
_TWO = [
    largest > 0,
    zeta1 * (1 + (g1 * largest) * (g1 * largest)) == g1,
    zeta2 * (1 + (g2 * largest) * (g2 * largest)) == g2,
]
_MEAN = [beta >= 0, beta < 1, t >= 0, beta_hat * (t + 2) == beta * t + 1]
_WITHIN = [bound >= 0, -bound <= v, v <= bound, -bound <= zeta, zeta <= bound]

_UNUSED = reals("unused")[0]


def _at(claim: str, *entries: Any) -> list[Any]:
    """Return what makes the entries of a gradient those of the claim's witness."""
    witness = reference.GRAVITY_CLAIMS[claim].witness or ()
    return [x == number(Fraction(value)) for x, value in zip(entries, *witness, strict=True)]


FORMULAS: Mapping[str, Formula] = {
    "gravity.zeta_below_half_inverse_max": Formula(
        _ZETA,
        z3.And(2 * zeta * largest <= 1, 2 * zeta * largest >= -1),
        {"½ + (gG)²": _HALF, "no square": [largest > 0, zeta * (1 + g * g * largest) == g]},
    ),
    "zeta-bound-attained": Formula(
        [*_ZETA, 2 * zeta * largest == 1],
        g * largest == 1,
        {"½ + (gG)²": [*_HALF, 2 * zeta * largest == 1]},
    ),
    "gravity.zeta_below_gradient": Formula(
        _ZETA, z3.And(zeta * g >= 0, zeta * zeta <= g * g), {"½ + (gG)²": _HALF}
    ),
    "gravity.zeta_below_universal_bound": Formula(
        _ENTRY, 256 * zeta * zeta * zeta * zeta <= 27, {"an entry beyond the maximum": _ZETA}
    ),
    "zeta-monotone-for-gentle-slopes": Formula(
        [*_TWO, g1 >= 0, g1 < g2, g2 * largest <= 1],
        zeta1 < zeta2,
        {"beyond gG = 1": [*_TWO, g1 >= 0, g1 < g2, g2 <= largest]},
    ),
    "gravity.order_preserving": Formula(
        [*_TWO, *_at("order_preserving", g1, g2), largest == g1], zeta1 < zeta2
    ),
    "gravity.scale_equivariant": Formula(
        [
            *_at("scale_equivariant", g1, _UNUSED),
            zeta1 * (1 + g1 * g1 * g1 * g1) == g1,
            g2 == 2 * g1,
            zeta2 * (1 + g2 * g2 * g2 * g2) == g2,
        ],
        z3.Not(zeta2 == 2 * zeta1),
    ),
    "gravity.descends": Formula(
        _ENTRY,
        zeta * g * (1 + largest * largest * largest * largest) >= g * g,
        {
            "2 + (gG)²": [
                largest > 0,
                zeta * (2 + (g * largest) * (g * largest)) == g,
                g * g <= largest * largest,
            ]
        },
    ),
    "gravity.zeta_below_half_inverse_m_as_coded": Formula(
        [*_ZETA, *_at("zeta_below_half_inverse_m_as_coded", g, _UNUSED), largest == g, m * g == 1],
        2 * m * zeta > 1,
    ),
    "gravity.zeta_below_half_inverse_m_as_maximum": Formula(
        [
            *_at("zeta_below_half_inverse_m_as_maximum", m, _UNUSED),
            g == m,
            zeta * (m * m + g * g) == g * m * m,
        ],
        2 * m * zeta > 1,
    ),
    "running-coefficient": Formula(
        _MEAN,
        z3.And(beta_hat > 0, beta_hat < 1),
        {"βt + 2": [beta >= 0, beta < 1, t >= 0, beta_hat * (t + 2) == beta * t + 2]},
    ),
    "velocity-stays-within": Formula(
        [*_MEAN, *_WITHIN, after == beta_hat * v + (1 - beta_hat) * zeta],
        z3.And(-bound <= after, after <= bound),
        {"V + (1 − β̂)ζ": [*_MEAN, *_WITHIN, after == v + (1 - beta_hat) * zeta]},
    ),
}
