"""The claims of `reference.LAWS` as formulas: each law in two branches, each property once.

Notation: r the speed ratio, φ the gain, T = tanh r. Of tanh only its size, slope and small values
are used, which are entries of the registry themselves: `TANH_FACTS`. A claim that fails is a
statement too: at the witness that the reference gives, the property is false.
"""

from collections.abc import Callable, Mapping
from fractions import Fraction
from itertools import pairwise
from typing import Any

import z3

import reference
from reference import Law

from .formulas import Formula, number, reals

TANH_FACTS = ("tanh-from-exponential", "tanh-below-identity", "tanh-cubic-error")

Relation = Callable[[Any, Any, Any], list[Any]]
"""Constraints that make φ the gain at r; T is for laws that saturate."""


def _saturated(r: Any, gain: Any, tanh: Any) -> list[Any]:
    return [gain * r == tanh]


def _lorentz(sign: int) -> Relation:
    """φ = 1/√(1 ± r²)."""
    return lambda r, gain, _t: [gain > 0, gain * gain * (1 + sign * r * r) == 1]


def _unchanged(_r: Any, gain: Any, _t: Any) -> list[Any]:
    return [gain == 1]


_SMOOTH, _GAMMA = _lorentz(1), _lorentz(-1)

_BRANCHES: Mapping[str, tuple[Relation, Relation]] = {
    "newtonian": (_unchanged, _unchanged),
    "smooth_sqrt": (_SMOOTH, _SMOOTH),
    "tanh": (
        lambda r, gain, tanh: [z3.Or(r > 0, gain == 1), gain * r == tanh],
        _saturated,
    ),
    "hard_clip": (_unchanged, lambda r, gain, _t: [gain * r == 1]),
    "published": (lambda r, gain, _t: [gain >= 0, gain * gain == 1 - r * r], _saturated),
    "piecewise": (lambda r, gain, _t: [gain * (1 - r * r) == 1], _saturated),
    "gamma": (_GAMMA, lambda _r, _gain, _t: [z3.BoolVal(False)]),
}
"""Law → its gain where r < 1, and where r ≥ 1."""

_PROPERTIES: Mapping[str, Callable[..., Any]] = {
    "bounded": lambda r, p: r * p <= 1,
    "never_amplifies": lambda _r, p: p <= 1,
    "direction_preserving": lambda _r, p: p >= 0,
    "monotone": lambda r1, p1, r2, p2: r1 * p1 <= r2 * p2,
    "nonexpansive": lambda r1, p1, r2, p2: z3.And(
        r2 * p2 - r1 * p1 <= r2 - r1, r1 * p1 - r2 * p2 <= r2 - r1
    ),
    "small_update_identity": lambda r, p: z3.And(2 * (1 - p) <= r * r, 2 * (p - 1) <= r * r),
    "weak_small_update_identity": lambda r, p: z3.And(1 - p <= r * r, p - 1 <= r * r),
    "identity_near_zero": lambda r, p: z3.Or(
        2 * r > 1, z3.And(3 * (1 - p) <= 4 * r * r, 3 * (p - 1) <= 4 * r * r)
    ),
}
"""Property → what it says of ratios and their gains; "total", "continuous" and "differentiable"
are no constraints between numbers, and are left to Coq."""

_MENDED: Mapping[str, Callable[[Any], Any]] = {
    **dict.fromkeys(("bounded", "never_amplifies"), lambda gain: gain / 2),
    **dict.fromkeys(("direction_preserving", "monotone"), lambda gain: -gain),
    "nonexpansive": lambda gain: gain / 3,
    **dict.fromkeys([name for name in _PROPERTIES if "identity" in name], lambda gain: 2 * gain),
}
"""Property → what makes the law's gain again of one that is broken: twice it, −1 times, …"""


def _gain(law: Law, r: Any, gain: Any, tanh: Any) -> list[Any]:
    """Return what holds of φ and T at a ratio of the law's domain."""
    below, above = _BRANCHES[law.key]
    if below is above:
        return below(r, gain, tanh)
    branches = [z3.And(r < 1, *below(r, gain, tanh)), z3.And(r >= 1, *above(r, gain, tanh))]
    facts = [tanh >= 0, tanh < 1, tanh <= r, 3 * (r - tanh) <= r * r * r]
    return [z3.Or(*branches), *(facts if above is _saturated else [])]


def _formula(law: Law, name: str) -> Formula:
    claim = law.claims[name]
    count = 2 if claim.property.arguments == "ratios" else 1
    points = [reals(f"r{i} phi{i} T{i}") for i in range(1, count + 1)]

    def gains(mended: Callable[[Any], Any] = lambda gain: gain) -> list[Any]:
        return [c for r, gain, tanh in points for c in _gain(law, r, mended(gain), tanh)]

    ratios, _, tanhs = zip(*points, strict=True)
    known = [ratios[0] >= 0, *(low <= high for low, high in pairwise(ratios))]
    if _BRANCHES[law.key][1] is _saturated and count > 1:
        known += [tanhs[0] <= tanhs[1], tanhs[1] - tanhs[0] <= ratios[1] - ratios[0]]
    says = _PROPERTIES[name](*(x for r, gain, _ in points for x in (r, gain)))
    if claim.holds:
        return Formula([*known, *gains()], says, {"broken gain": [*known, *gains(_MENDED[name])]})
    (witness,) = [claim.witness or ()] if count == 1 else (claim.witness or ())
    at = [r == number(Fraction(x)) for r, x in zip(ratios, witness, strict=True)]
    return Formula([*known, *at, *gains()], z3.Not(says))


FORMULAS: Mapping[str, Formula] = {
    f"{law.key}.{name}": _formula(law, name)
    for law in reference.LAWS.values()
    for name in _PROPERTIES
}
"""Formulas by "law.claim"."""
