"""The laws as polynomial equations, and what is proved or refuted of them.

Notation: c the speed limit, u the proposed entry, s the applied one; w the root in a law, with
c²w² = c² ± u². In Rⁿ two updates are given by their Gram matrix, a = |u|²/c², b = |v|²/c² and
d = ⟨u, v⟩/c², of which |d|² ≤ ab is all that n leaves, with the gains p = φ(√a) and q = φ(√b).
tanh r = (1 − E)/(1 + E) with E = e^(−2r).
"""

from collections.abc import Mapping
from typing import Any

import z3

from .formulas import Formula, number, reals

c, u, s, w, u1, s1, w1, u2, s2, w2, x, y, e = reals("c u s w u1 s1 w1 u2 s2 w2 x y e")
a, b, d, p, q, big = reals("a b d p q M")

_LIMIT = [c > 0]


def _smooth(update: Any, root: Any, applied: Any) -> list[Any]:
    return [root > 0, c * c * root * root == c * c + update * update, applied * root == update]


def _half(update: Any, root: Any, applied: Any) -> list[Any]:
    """Return a law with ½ + r² under the root."""
    half = c * c / 2 + update * update
    return [root > 0, c * c * root * root == half, applied * root == update]


def _published(update: Any, root: Any, applied: Any) -> list[Any]:
    """Below the limit: s = u·√(1 − r²)."""
    return [
        update * update < c * c,
        root >= 0,
        c * c * root * root == c * c - update * update,
        applied == update * root,
    ]


_SMOOTH = _LIMIT + _smooth(u, w, s)
_TWO = _LIMIT + _smooth(u1, w1, s1) + _smooth(u2, w2, s2)
_GAMMA = [*_LIMIT, x * x < c * c, y > 0, y * y * (c * c - x * x) == c * c, u == y * x]
_PIECEWISE = [*_LIMIT, x >= 0, x < c, u * (c * c - x * x) == x * c * c]
_PUBLISHED = _LIMIT + _published(u, w, s)
_GRAM = [a >= 0, b >= 0, d * d <= a * b, p > 0, q > 0]
_GAINS = [*_GRAM, p * p * (1 + a) == 1, q * q * (1 + b) == 1]
_TOO_LARGE = [*_GRAM, p * p * (number("1/2") + a) == 1, q * q * (number("1/2") + b) == 1]
_PUBLISHED_GAINS = [*_GRAM, a < 1, b < 1, p * p == 1 - a, q * q == 1 - b]

FORMULAS: Mapping[str, Formula] = {
    "smooth-sqrt-bounded": Formula(
        _SMOOTH,
        z3.And(s < c, -c < s),
        {
            "twice the limit in the law": [
                *_LIMIT,
                w > 0,
                4 * c * c * w * w == 4 * c * c + u * u,
                s * w == u,
            ]
        },
    ),
    "smooth-sqrt-gap": Formula(
        [*_SMOOTH, u > 0],
        (c - s) * 2 * u * u <= c * c * c,
        {"half the limit": [*_LIMIT, w > 0, c * c * w * w == c * c + u * u, 2 * s * w == u, u > 0]},
    ),
    "smooth-sqrt-inverse-of-gamma": Formula(
        [*_SMOOTH, y > 0, y * y * (c * c - s * s) == c * c],
        z3.And(s * s < c * c, y * s == u),
        {"1 + s² for 1 − s²": [*_SMOOTH, y > 0, y * y * (c * c + s * s) == c * c]},
    ),
    "gamma-inverse-of-smooth-sqrt": Formula(
        [*_GAMMA, *_smooth(u, w, s)],
        s == x,
        {"½ + r² under the root": [*_GAMMA, *_half(u, w, s)]},
    ),
    "smooth-sqrt-bounded-in-n": Formula(
        [a >= 0, p > 0, p * p * (1 + a) == 1],
        p * p * a < 1,
        {"½ + r² for 1 + r²/2": [a >= 0, p > 0, p * p * (1 + a / 2) == 1]},
    ),
    "smooth-sqrt-nonexpansive-in-n": Formula(
        _GAINS,
        p * p * a + q * q * b - 2 * p * q * d <= a + b - 2 * d,
        {"½ + r² under the root": _TOO_LARGE},
    ),
    "smooth-sqrt-monotone-in-n": Formula(
        _GAINS, p * a + q * b - (p + q) * d >= 0, {"published": _PUBLISHED_GAINS}
    ),
    "smooth-sqrt-firmly-nonexpansive-in-n": Formula(
        _GAINS,
        p * a + q * b - (p + q) * d >= p * p * a + q * q * b - 2 * p * q * d,
        {"½ + r² under the root": _TOO_LARGE},
    ),
    "tanh-from-exponential": Formula(
        [e > 0, e <= 1, s * (1 + e) == 1 - e],
        z3.And(s >= 0, s < 1, 1 - s * s > 0, 1 - s * s <= 1),
        {"1 − 3E": [e > 0, e <= 1, s * (1 + e) == 1 - 3 * e]},
    ),
    "gamma-amplifies": Formula(
        [*_GAMMA, z3.Not(x == 0)],
        u * u > x * x,
        {
            "√(1 + r²)": [
                *_LIMIT,
                z3.Not(x == 0),
                x * x < c * c,
                y > 0,
                y * y * (c * c + x * x) == c * c,
                u == y * x,
            ]
        },
    ),
    "gamma-unbounded": Formula(
        [
            *_LIMIT,
            big > 0,
            w > 0,
            c * c * w * w == c * c + big * big,
            x * w == big,
            y > 0,
            y * y * (c * c - x * x) == c * c,
            u == y * x,
        ],
        u == big,
        {
            "half of x": [
                *_LIMIT,
                big > 0,
                w > 0,
                c * c * w * w == c * c + big * big,
                2 * x * w == big,
                y > 0,
                y * y * (c * c - x * x) == c * c,
                u == y * x,
            ]
        },
    ),
    "piecewise-amplifies": Formula(
        [*_PIECEWISE, x > 0],
        u > x,
        {"1 + r²": [*_LIMIT, x > 0, x < c, u * (c * c + x * x) == x * c * c]},
    ),
    "piecewise-exceeds-from-the-golden-ratio": Formula(
        _PIECEWISE,
        (u > c) == (x * x + c * x - c * c > 0),
        {"1 − r²/2": [*_LIMIT, x >= 0, x < c, u * (c * c - x * x / 2) == x * c * c]},
    ),
    "published-at-most-half": Formula(
        _PUBLISHED,
        z3.And(2 * s <= c, -c <= 2 * s),
        {
            "1 − r²/4": [
                *_LIMIT,
                u * u < c * c,
                w >= 0,
                4 * c * c * w * w == 4 * c * c - u * u,
                s == u * w,
            ]
        },
    ),
    "published-peak": Formula(
        [*_PUBLISHED, 2 * s == c],
        2 * u * u == c * c,
        {
            "1 − r²/4": [
                *_LIMIT,
                u * u < c * c,
                w >= 0,
                4 * c * c * w * w == 4 * c * c - u * u,
                s == u * w,
                2 * s == c,
            ]
        },
    ),
    "published-left-limit": Formula(
        [*_PUBLISHED, e > 0, u > 0, (c - u) * 2 * c <= e * e],
        s <= e,
        {
            "1 − r²/2": [
                *_LIMIT,
                u * u < c * c,
                w >= 0,
                2 * c * c * w * w == 2 * c * c - u * u,
                s == u * w,
                e > 0,
                u > 0,
                (c - u) * 2 * c <= e * e,
            ]
        },
    ),
}
