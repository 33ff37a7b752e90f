"""Facts about tanh for every ratio r ≥ 0, by Arb's interval arithmetic.

Notation: T = tanh r. A fact says that a margin, a polynomial in r and T, is never negative. It is
shown in three ranges that meet:

- Next to 0 with r = 3y and T = 3y − 9y³ + κy⁵, where Taylor's theorem encloses κ; the powers of y
  that all terms share are taken out, so that a margin that is 0 at 0 can be decided.
- Between, by bisection.
- From `FAR` on with y = 1/r and E = e^(−2r) = εy⁴, where 0 < ε ≤ 3/2 because e^(2r) ≥ (2r)⁴/24;
  T = (1 − E)/(1 + E). There a fact gives its margin with y and ε, times a positive scale; that it
  is the same margin is checked at more places than the degree of these polynomials.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial, reduce
from typing import Any

from flint import arb, arb_poly, arb_series, ctx

from .outcome import FAILS, STANDS, Outcome

NEAR, FAR, BITS, NARROWEST, PIECES = 0.25, 8.0, 80, 2.0**-20, 512
PLACES = [FAR * 1.25**k for k in range(20)]

Margin = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Fact:
    """A margin that is never negative.

    Attributes
    ----------
    margin
        From r and T, which are intervals or polynomials.
    tail
        From y = 1/r and ε, the same times a scale.
    scale
        That scale, positive for y > 0.
    mutants
        By name, margins that are negative somewhere.
    """

    margin: Margin
    tail: Margin
    scale: Margin
    mutants: Mapping[str, Margin]


def _tanh_far(y: Any, e: Any) -> Any:
    return (1 - e * y**4) / (1 + e * y**4)


_CLOSE = arb("0.0737")

FACTS: Mapping[str, Fact] = {
    "tanh-below-identity": Fact(
        lambda r, tanh: r - tanh,
        lambda y, e: 1 - y * _tanh_far(y, e),
        lambda y, _e: y,
        {"below 99 %": lambda r, tanh: 99 * r - 100 * tanh},
    ),
    "tanh-cubic-error": Fact(
        lambda r, tanh: r * r * r - 3 * (r - tanh),
        lambda y, e: 1 - 3 * y**2 * (1 - y * _tanh_far(y, e)),
        lambda y, _e: y**3,
        {"r³/4": lambda r, tanh: r * r * r - 4 * (r - tanh)},
    ),
    "tanh-above-smooth-sqrt": Fact(
        lambda r, tanh: tanh * tanh * (1 + r * r) - r * r,
        lambda y, e: (1 - e * y**4) ** 2 - 4 * e * y**2,
        lambda y, e: (1 + e * y**4) ** 2,
        {"above it by 1 %": lambda r, tanh: 100 * tanh * tanh * (1 + r * r) - 101 * r * r},
    ),
    "tanh-near-smooth-sqrt": Fact(
        lambda r, tanh: _CLOSE - tanh + r / (1 + r * r).sqrt(),
        lambda y, e: _CLOSE - _tanh_far(y, e) + 1 / (1 + y**2).sqrt(),
        lambda _y, _e: arb(1),
        {"0.0736": lambda r, tanh: arb("0.0736") - tanh + r / (1 + r * r).sqrt()},
    ),
}
"""Facts by the id of their entry."""


def decide(name: str) -> Outcome:
    """Decide a fact, and find where each of its mutants is negative."""
    fact = FACTS[name]
    counterexamples = {mutant: _counterexample(margin) for mutant, margin in fact.mutants.items()}
    stands = _holds(fact) and all(counterexamples.values())
    return Outcome(STANDS if stands else FAILS, {"r": 1.0}, counterexamples)


def _holds(fact: Fact) -> bool:
    ctx.prec, ctx.cap = BITS, 6
    near = _between(fact.margin, 0, NEAR) or _next_to_zero(fact.margin)
    beyond = fact.tail(_interval(0, 1 / FAR), _interval(0, 1.5))
    between = _between(fact.margin, NEAR, FAR)
    return near and between and bool(beyond > 0) and all(map(partial(_agrees, fact), PLACES))


def _agrees(fact: Fact, place: float) -> bool:
    """Return whether the tail is the margin times its scale at a ratio, to 40 bits."""
    ctx.prec = 3 * BITS  # of which large ratios cancel some
    r = arb(place)
    y, e = 1 / r, (-2 * r).exp() * r**4
    one, other = fact.margin(r, r.tanh()) * fact.scale(y, e), fact.tail(y, e)
    return bool(abs(one - other) < 2.0**-40)


def _interval(low: float, high: float) -> Any:
    """Return the ball from one number to the other, which are exact."""
    return arb((low + high) / 2, (high - low) / 2)


def _next_to_zero(margin: Margin) -> bool:
    """Return whether a polynomial margin, over its power of y, is positive from 0 to `NEAR`."""
    end = NEAR / 3
    pieces = [_interval(end * i / PIECES, end * (i + 1) / PIECES) for i in range(PIECES)]
    fifths = [(1 - 2 / ((6 * arb_series([piece, 1])).exp() + 1))[5] for piece in pieces]
    kappa = reduce(arb.union, fifths)
    terms = list(margin(arb_poly([0, 3]), arb_poly([0, 3, 0, -9, 0, kappa])))
    while terms[0].is_zero():
        del terms[0]
    return bool(arb_poly(terms)(_interval(0, end)) > 0)


def _between(margin: Margin, start: float, end: float) -> bool:
    """Return whether a margin is positive, halving the ranges that are not decided at once."""
    pending = [(start, end)]
    while pending:
        low, high = pending.pop()
        r = _interval(low, high)
        if not margin(r, r.tanh()) > 0:
            if high - low < NARROWEST:
                return False
            middle = (low + high) / 2
            pending += [(low, middle), (middle, high)]
    return True


def _counterexample(margin: Margin) -> Mapping[str, float]:
    """Return a ratio at which a margin is negative; none if there is none on a grid."""
    for step in range(1, 200):
        r = arb(step / 16)
        if margin(r, r.tanh()) < 0:
            return {"r": step / 16}
    return {}
