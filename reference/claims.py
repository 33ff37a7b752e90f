"""Claims: statements that hold, or fail with a witness. Both kinds are tested.

A `Property` is an inequality that can be evaluated; a `Claim` says whether it holds and, where it
fails, at which arguments. The properties of a speed law are listed here, once for all laws; each
law says in `reference.laws` which of them fail.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike


class SpeedLaw(Protocol):
    """What the properties ask of a law: its gain φ(r) and its speed ρ(r) = r·φ(r)."""

    def gain(self, ratio: ArrayLike) -> Any:
        """Return φ(r)."""

    def speed(self, ratio: ArrayLike) -> Any:
        """Return ρ(r)."""


@dataclass(frozen=True)
class Property:
    """A statement that can be evaluated.

    Attributes
    ----------
    statement
        The statement in words, with φ the gain, ρ(r) = r·φ(r) the speed and r the speed ratio.
    arguments
        What `excess` takes after the subject: "ratio", "ratios" (two, ascending) or "gradient".
    excess
        Left side minus right side of the inequality, relative to the size of the right side where
        that is above 1: positive where the statement is violated, up to rounding.
    """

    statement: str
    arguments: str
    excess: Callable[..., float]


@dataclass(frozen=True)
class Claim:
    """A property together with the verdict on it.

    Attributes
    ----------
    property
        What is claimed.
    holds
        Whether it is true.
    witness
        Arguments at which it is violated, where it is false.
    """

    property: Property
    holds: bool
    witness: tuple[Any, ...] | None = None


def claims_from(
    properties: Mapping[str, Property], fails: Mapping[str, tuple[Any, ...]]
) -> Mapping[str, Claim]:
    """Pair every property with its verdict: ``fails`` maps the false ones to their witnesses."""
    unknown = fails.keys() - properties.keys()
    if unknown:
        raise ValueError(f"fails={sorted(unknown)}: expected names among {sorted(properties)}")
    return {
        name: Claim(item, name not in fails, fails.get(name)) for name, item in properties.items()
    }


def relative_excess(left: float, right: float) -> float:
    """Return left − right, relative to |right| where that is above 1; −1 if only right is ∞."""
    if right == math.inf and left < math.inf:
        return -1.0
    return float((left - right) / max(1.0, abs(right)))


# A jump is told from a slope by a gap of 2⁻⁴⁰·max(1, r) that ρ must cross in less than 2⁻²⁰, and a
# kink from curvature by slopes over 2⁻²⁰·max(1, r) that must differ by less than 0.01.
_GAP, _JUMP, _STRIDE, _KINK = 2.0**-40, 2.0**-20, 2.0**-20, 1e-2


def _jump(law: SpeedLaw, ratio: float) -> float:
    gap = _GAP * max(1.0, ratio)
    before, after = law.speed(np.array([max(0.0, ratio - gap), ratio + gap]))
    return relative_excess(abs(after - before), _JUMP * max(1.0, ratio))


def _kink(law: SpeedLaw, ratio: float) -> float:
    stride = _STRIDE * max(1.0, ratio)
    here = max(ratio, stride)
    left, middle, right = law.speed(np.array([here - stride, here, here + stride]))
    return relative_excess(abs((right - middle) - (middle - left)) / stride, _KINK)


def _identity_excess(coefficient: float) -> Callable[[SpeedLaw, float], float]:
    def excess(law: SpeedLaw, ratio: float) -> float:
        return relative_excess(abs(law.gain(ratio) - 1), coefficient * ratio * ratio)

    return excess


def _speeds(law: SpeedLaw, ratios: Sequence[float]) -> tuple[float, float]:
    low, high = law.speed(np.array(ratios))
    return float(low), float(high)


def _decrease(law: SpeedLaw, ratios: Sequence[float]) -> float:
    low, high = _speeds(law, ratios)
    return relative_excess(low, high) if high == 0 else relative_excess(low / high, 1.0)


def _expansion(law: SpeedLaw, ratios: Sequence[float]) -> float:
    low, high = _speeds(law, ratios)
    size = ratios[1] or 1.0
    return relative_excess(abs(high - low) / size, (ratios[1] - ratios[0]) / size)


LAW_PROPERTIES: Mapping[str, Property] = {
    "total": Property(
        "φ(r) is a finite number for every finite r ≥ 0",
        "ratio",
        lambda law, r: 0.0 if np.isfinite(law.gain(r)) else 1.0,
    ),
    "bounded": Property(
        "ρ(r) ≤ 1: the applied update never exceeds the speed limit",
        "ratio",
        lambda law, r: relative_excess(law.speed(r), 1.0),
    ),
    "never_amplifies": Property(
        "φ(r) ≤ 1: the applied update is never longer than the proposed one",
        "ratio",
        lambda law, r: relative_excess(law.gain(r), 1.0),
    ),
    "direction_preserving": Property(
        "φ(r) ≥ 0: the applied update points where the proposed one does",
        "ratio",
        lambda law, r: relative_excess(0.0, law.gain(r)),
    ),
    "monotone": Property(
        "ρ is nondecreasing: a larger proposed update is never applied as a smaller one",
        "ratios",
        _decrease,
    ),
    "continuous": Property("ρ has no jump", "ratio", _jump),
    "differentiable": Property("ρ has no kink", "ratio", _kink),
    "nonexpansive": Property(
        "|ρ(a) − ρ(b)| ≤ |a − b|: the law is 1-Lipschitz", "ratios", _expansion
    ),
    "small_update_identity": Property(
        "|φ(r) − 1| ≤ r²/2, that is |s − u| ≤ |u|·r²/2", "ratio", _identity_excess(0.5)
    ),
    "weak_small_update_identity": Property(
        "|φ(r) − 1| ≤ r², that is |s − u| ≤ |u|·r²", "ratio", _identity_excess(1.0)
    ),
    "identity_near_zero": Property(
        "|φ(r) − 1| ≤ 4r²/3 for r ≤ 1/2: φ(r) = 1 + O(r²)",
        "ratio",
        lambda law, r: _identity_excess(4 / 3)(law, min(r, 0.5)),
    ),
}
"""What can be claimed of a speed law: name → property."""
