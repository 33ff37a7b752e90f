"""The speed laws: how much of a proposed update is applied.

Notation: u the proposed update, c the speed limit, r = ‖u‖/c the speed ratio, φ(r) the gain of the
law (the applied update is s = φ(r)·u) and ρ(r) = r·φ(r) = ‖s‖/c the speed. The norm ranges over a
block (see `reference.limit`).

Every law is two formulas in a quotient that never exceeds 1, so that nothing overflows on the way:
below the limit (r < 1) in r, at and above it in t = 1/r.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .arguments import Array
from .claims import LAW_PROPERTIES, Claim, claims_from

Formula = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Law:
    """A speed law: the record that everything else iterates over.

    Attributes
    ----------
    key
        Name under which the law is registered in `LAWS`.
    equation
        The gain φ(r).
    source
        Where the law comes from.
    below
        ``below(x, r)`` is φ(r)·x for 0 ≤ r < 1.
    above
        ``above(c, t)`` is c·ρ(1/t) for 0 ≤ t ≤ 1.
    domain
        The law is defined for r < domain.
    limits
        Whether the law looks at the speed limit at all.
    claims
        Every property of `reference.LAW_PROPERTIES` with its verdict for this law.
    """

    key: str
    equation: str
    source: str
    below: Formula
    above: Formula
    claims: Mapping[str, Claim]
    domain: float = math.inf
    limits: bool = True

    def gain(self, ratio: ArrayLike) -> Any:
        """Return φ(r), the fraction of the proposed update that is applied.

        Parameters
        ----------
        ratio
            Speed ratio r = ‖u‖/c ≥ 0, any shape, dimensionless; ∞ is allowed and NaN stays NaN.

        Returns
        -------
        float64 scalar or array of the same shape.

        Raises
        ------
        ValueError
            If a ratio is negative.

        Examples
        --------
        >>> float(LAWS["hard_clip"].gain(4.0))
        0.25
        """
        r = _ratios(ratio)
        return self._piecewise(r, one=np.ones_like(r), outside=lambda t, above: t * above)

    def speed(self, ratio: ArrayLike) -> Any:
        """Return ρ(r) = r·φ(r) = ‖s‖/c; parameters, shape and errors as for `gain`.

        Examples
        --------
        >>> float(LAWS["tanh"].speed(np.inf))
        1.0
        """
        r = _ratios(ratio)
        return self._piecewise(r, one=r, outside=lambda _t, above: above)

    def _piecewise(self, r: Array, one: Array, outside: Formula) -> Any:
        if not self.limits:
            return np.where(np.isnan(r), np.nan, one)[()]
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            slow = self.below(one, np.minimum(r, 1.0))
            t = 1 / np.maximum(r, 1.0)
            fast = outside(t, self.above(np.ones_like(r), t))
        return np.where(np.isnan(r), np.nan, np.where(r < 1, slow, fast))[()]

    def limit_entries(self, update: NDArray[Any], speed_limit: Any) -> NDArray[Any]:
        """Limit every entry by itself: entry x becomes φ(|x|/c)·x.

        In the dtype of ``update`` (binary16, binary32, binary64, or bfloat16 as the ml_dtypes
        package defines it), every operation rounded once.
        For `smooth_sqrt` the result is finite, ≤ c and ≤ |x| for every finite x and c > 0; in every
        bounded law ±∞ becomes ±c·ρ(∞). NaN stays NaN, and c = 0 gives 0
        whatever the update.

        Parameters
        ----------
        update
            Proposed update u, any shape, in parameter units, of a floating dtype.
        speed_limit
            c ≥ 0 in parameter units: a number, or an array of the shape of ``update``. It is
            rounded toward zero into the update's dtype.

        Returns
        -------
        Array of the shape and dtype of ``update``.

        Raises
        ------
        ValueError
            If an argument is not as described.

        Examples
        --------
        >>> LAWS["smooth_sqrt"].limit_entries(np.array([-0.75, 1e300]), 1.0)
        array([-0.6,  1. ])
        """
        if update.dtype.kind != "f" and update.dtype.name != "bfloat16":
            raise ValueError(f"update has dtype {update.dtype}: expected a floating one")
        if not np.all(np.asarray(speed_limit) >= 0):
            raise ValueError(f"speed_limit={speed_limit!r}: expected numbers >= 0")
        limit = np.broadcast_to(_toward_zero(speed_limit, update.dtype), update.shape)
        if not self.limits:
            return update.copy()
        with np.errstate(all="ignore"):
            size = np.abs(update)
            slow = self.below(update, np.minimum(size / limit, 1))
            fast = np.copysign(self.above(limit, np.minimum(limit / size, 1)), update)
            limited = np.where(size < limit, slow, fast)
            limited = np.where(np.isnan(update) | np.isinf(limit), update, limited)
        return np.where(limit == 0, np.zeros_like(update), limited)


def _ratios(ratio: ArrayLike) -> Array:
    r = np.asarray(ratio, dtype=np.float64)
    if np.any(r < 0):
        raise ValueError(f"ratio={ratio!r}: expected numbers >= 0")
    return r


def _toward_zero(value: Any, dtype: Any) -> NDArray[Any]:
    """Round numbers ≥ 0 into a dtype, toward zero."""
    exact = np.asarray(value, dtype=np.float64)
    with np.errstate(over="ignore"):
        rounded = exact.astype(dtype)
    return np.where(rounded > exact, np.nextafter(rounded, dtype.type(0)), rounded)


def _unchanged(x: Any, _quotient: Any) -> Any:
    return x


def _over_lorentz_sum(x: Any, quotient: Any) -> Any:
    """x/√(1 + q²); for t = 1/r this is again the smooth law: ρ(1/t) = 1/√(1 + t²)."""
    return x / np.sqrt(1 + quotient * quotient)


def _tanh_below(x: Any, r: Any) -> Any:
    """x·tanh(r)/r, with its limit x at r = 0."""
    return x * np.where(r > 0, np.tanh(r) / r, 1).astype(np.asarray(r).dtype)


def _tanh_above(c: Any, t: Any) -> Any:
    return c * np.tanh(1 / t)


def _one_minus_square(r: Any) -> Any:
    """1 − r², without cancellation near r = 1."""
    return (1 - r) * (1 + r)


def _published_below(x: Any, r: Any) -> Any:
    return x * np.sqrt(_one_minus_square(r))


def _piecewise_below(x: Any, r: Any) -> Any:
    return x / _one_minus_square(r)


def _gamma_below(x: Any, r: Any) -> Any:
    return x / np.sqrt(_one_minus_square(r))


def _unlimited(c: Any, t: Any) -> Any:
    return c / t


def _undefined(c: Any, t: Any) -> Any:
    return np.full_like(c * t, np.nan)


def _law(fails: Mapping[str, tuple[Any, ...]], **record: Any) -> Law:
    return Law(claims=claims_from(LAW_PROPERTIES, fails), **record)


LAWS: Mapping[str, Law] = {
    law.key: law
    for law in (
        _law(
            key="newtonian",
            equation="φ(r) = 1",
            source="plain Adam: the limit c = ∞ of every law",
            below=_unchanged,
            above=_unlimited,
            limits=False,
            fails={"bounded": (2.0,)},
        ),
        _law(
            key="smooth_sqrt",
            equation="φ(r) = 1/√(1 + r²)",
            source="the inverse of the README's display equation: momentum to velocity",
            below=_over_lorentz_sum,
            above=_over_lorentz_sum,
            fails={},
        ),
        _law(
            key="tanh",
            equation="φ(r) = tanh(r)/r",
            source="the saturation that relativistic-adam's README describes, applied everywhere",
            below=_tanh_below,
            above=_tanh_above,
            fails={},
        ),
        _law(
            key="hard_clip",
            equation="φ(r) = min(1, 1/r)",
            source="gradient clipping's map, the baseline",
            below=_unchanged,
            above=_unchanged,
            fails={"differentiable": (1.0,)},
        ),
        _law(
            key="published",
            equation="φ(r) = √(1 − r²) if r < 1, else tanh(r)/r",
            source="the code of relativistic-adam 1.0.0",
            below=_published_below,
            above=_tanh_above,
            fails={
                "monotone": ((0.75, 0.95),),
                "continuous": (1.0,),
                "differentiable": (1.0,),
                "nonexpansive": ((0.999, 1.001),),
                "small_update_identity": (0.5,),
            },
        ),
        _law(
            key="piecewise",
            equation="φ(r) = 1/(1 − r²) if r < 1, else tanh(r)/r",
            source="relativistic-adam's README, 'The Core Algorithm', read with its direction kept",
            below=_piecewise_below,
            above=_tanh_above,
            fails={
                "bounded": (0.9,),
                "never_amplifies": (0.5,),
                "monotone": ((0.9, 1.1),),
                "continuous": (1.0,),
                "differentiable": (1.0,),
                "nonexpansive": ((0.8, 0.9),),
                "small_update_identity": (0.5,),
                "weak_small_update_identity": (0.5,),
            },
        ),
        _law(
            key="gamma",
            equation="φ(r) = 1/√(1 − r²), r < 1 only",
            source="relativistic-adam's README, display equation: velocity to momentum",
            below=_gamma_below,
            above=_undefined,
            fails={
                "total": (1.0,),
                "bounded": (0.9,),
                "never_amplifies": (0.5,),
                "nonexpansive": ((0.8, 0.9),),
                "small_update_identity": (0.5,),
                "weak_small_update_identity": (0.9,),
            },
            domain=1.0,
        ),
    )
}
"""The registry of laws: key → record. Tests, tables and figures iterate over it."""
