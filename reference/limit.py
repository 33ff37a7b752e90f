"""The limit: proposed updates in, applied updates out.

Notation: u an update, θ the parameters, c the speed limit, r = ‖u‖/c. The norm ranges over a block:
every array of the list (``mode="global"``), each array (``"per_param"``) or each entry
(``"per_component"``).
"""

import math
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike

from .arguments import Array, PerArray, arrays, one_of, per_array, same_shapes, speed_limit_of
from .laws import LAWS, Law

MODES = ("global", "per_param", "per_component")

RELATIVE_FLOOR = 1e-3
"""The relative unit takes a block's root mean square to be at least this."""

UNITS: Mapping[str, Callable[[float, int, float], float]] = {
    "norm": lambda c, _n, _theta: c,
    "rms": lambda c, n, _theta: c * math.sqrt(n),
    "relative": lambda c, n, theta: c * max(theta, RELATIVE_FLOOR * math.sqrt(n)),
}
"""Unit → the limit in parameter units, from c, the block's number of entries n and its ‖θ‖."""


def limit(
    updates: Sequence[ArrayLike],
    speed_limit: PerArray,
    *,
    params: Sequence[ArrayLike] | None = None,
    law: str = "smooth_sqrt",
    mode: str = "per_param",
    unit: str = "norm",
) -> list[Array]:
    """Apply a speed law: s = φ(‖u‖/c)·u for every block.

    With ``mode="global"`` and several limits, the norm is that of the whole update and each array
    applies its own c: ‖s‖ ≤ max c, and the direction is kept only if all c agree.

    Parameters
    ----------
    updates
        Proposed updates u, one array per parameter, learning rate included (parameter units).
    speed_limit
        c ≥ 0: one number, or one per array. ∞ leaves the update as it is, 0 stops it.
    params
        Parameters θ in the shapes of ``updates``; needed by ``unit="relative"`` only.
    law
        Key of `LAWS`.
    mode
        "global", "per_param" or "per_component": the block over which the norm is taken.
    unit
        What c is measured in, with n and θ the block's: "norm" (c), "rms" (c·√n) or "relative"
        (c·max(‖θ‖, 10⁻³·√n)).

    Returns
    -------
    Applied updates s, float64, in the shapes of ``updates``. A NaN makes its block NaN; an infinite
    entry becomes ±c·ρ(∞) per component and NaN in a larger block, whose other entries become 0.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> limit([[3.0, 4.0]], speed_limit=5.0, law="hard_clip")
    [array([3., 4.])]
    >>> limit([[3.0, 4.0]], speed_limit=1.0, law="hard_clip")
    [array([0.6, 0.8])]
    """
    one_of("law", law, LAWS)
    us, thetas, limits = _checked(updates, speed_limit, params, mode, unit)
    if not LAWS[law].limits:
        return [u.copy() for u in us]
    if mode == "per_component":
        return [
            LAWS[law].limit_entries(u, _entry_limits(c, unit, u, theta))
            for u, c, theta in zip(us, limits, thetas, strict=True)
        ]
    limited = []
    for block, u, c in zip(_blocks(us, mode), us, limits, strict=True):
        c_block = UNITS[unit](c, _size(us, block), _norm(thetas, block))
        limited.append(_limit_block(LAWS[law], u, [us[i] for i in block], c_block))
    return limited


def speed_ratios(
    updates: Sequence[ArrayLike],
    speed_limit: PerArray,
    *,
    params: Sequence[ArrayLike] | None = None,
    mode: str = "per_param",
    unit: str = "norm",
) -> list[Array]:
    """Return the speed ratio r = ‖u‖/c of every block.

    Parameters and errors are those of `limit`.

    Returns
    -------
    One float64 array per update: 0-d, or of the update's shape with ``mode="per_component"``. The
    ratio of a zero update is 0, also at c = 0.

    Examples
    --------
    >>> speed_ratios([[3.0, 4.0]], speed_limit=2.0)
    [array(2.5)]
    """
    us, thetas, limits = _checked(updates, speed_limit, params, mode, unit)
    if mode == "per_component":
        with np.errstate(all="ignore"):
            return [
                np.where(u == 0, 0.0, np.abs(u) / _entry_limits(c, unit, u, theta))
                for u, c, theta in zip(us, limits, thetas, strict=True)
            ]
    ratios = []
    for block, c in zip(_blocks(us, mode), limits, strict=True):
        c_block = UNITS[unit](c, _size(us, block), _norm(thetas, block))
        ratios.append(np.array(_ratio(*_scaled_norm([us[i] for i in block]), c_block)))
    return ratios


def _checked(
    updates: Sequence[ArrayLike],
    speed_limit: PerArray,
    params: Sequence[ArrayLike] | None,
    mode: str,
    unit: str,
) -> tuple[list[Array], list[Array], list[float]]:
    one_of("mode", mode, MODES)
    one_of("unit", unit, UNITS)
    us = arrays("updates", updates)
    if params is None:
        if unit == "relative":
            raise ValueError("params=None: expected the parameters, which unit='relative' measures")
        thetas = us
    else:
        thetas = arrays("params", params)
        same_shapes("params", thetas, "updates", us)
    return us, thetas, per_array("speed_limit", speed_limit, len(us), speed_limit_of)


def _blocks(us: Sequence[Array], mode: str) -> list[list[int]]:
    """Return, for each array, the indices of the arrays in its block."""
    everything = list(range(len(us)))
    return [everything if mode == "global" else [i] for i in everything]


def _size(values: Sequence[Array], block: Sequence[int]) -> int:
    return sum(values[i].size for i in block)


def _norm(values: Sequence[Array], block: Sequence[int]) -> float:
    scaled, exponent = _scaled_norm([values[i] for i in block])
    with np.errstate(over="ignore"):
        return float(np.ldexp(scaled, exponent))


def _scaled_norm(block: Sequence[Array]) -> tuple[float, int]:
    """Return a, k with ‖block‖ = a·2ᵏ, where squaring neither overflows nor underflows."""
    peak = float(np.max([np.max(np.abs(u), initial=0.0) for u in block], initial=0.0))
    if not math.isfinite(peak):
        return peak, 0
    _, exponent = math.frexp(peak)
    with np.errstate(under="ignore"):
        squares = [np.sum(np.square(np.ldexp(u, -exponent))) for u in block]
    return math.sqrt(math.fsum(squares)), exponent


def _ratio(scaled: float, exponent: int, c: float) -> float:
    """Return a·2ᵏ/c, overflowing only if the result does; 0 for a zero norm."""
    mantissa, power = math.frexp(c)
    with np.errstate(all="ignore"):
        return float(np.ldexp(np.divide(scaled, mantissa), exponent - power)) if scaled else 0.0


def _entry_limits(c: float, unit: str, u: Array, theta: Array) -> Array:
    """Return each entry's limit in parameter units: the entry is its own block."""
    in_units = [UNITS[unit](c, 1, abs(float(entry))) for entry in theta.ravel()]
    return np.array(in_units, dtype=np.float64).reshape(u.shape)


def _limit_block(law: Law, u: Array, block: Sequence[Array], c: float) -> Array:
    """Return the part of a block's applied update that belongs to ``u``."""
    if c == 0 or math.isinf(c):
        return np.zeros_like(u) if c == 0 else u.copy()
    scaled, exponent = _scaled_norm(block)
    r = _ratio(scaled, exponent, c)
    with np.errstate(all="ignore"):
        if r < 1:
            return np.asarray(law.below(u, np.float64(r)))
        direction = np.ldexp(u, -exponent) / scaled
        return np.asarray(direction * law.above(np.float64(c), np.float64(1 / r)))
