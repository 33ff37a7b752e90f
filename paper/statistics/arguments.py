"""Checks of the arguments: an error names the argument, its value and what was expected."""

import math

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]


def as_scores(name: str, values: npt.ArrayLike, axes: int) -> Array:
    """Return scores along so many axes, or raise ValueError."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != axes or found.size == 0 or not (found > -math.inf).all():
        raise ValueError(
            f"{name}={values!r}: expected scores along {axes} axes, one at least, none NaN or -inf"
        )
    return found


def as_finite(name: str, values: npt.ArrayLike, *, least: int = 1) -> Array:
    """Return finite numbers along one axis, or raise ValueError."""
    found = np.asarray(values, dtype=np.float64)
    if found.ndim != 1 or found.size < least or not np.isfinite(found).all():
        raise ValueError(
            f"{name}={values!r}: expected at least {least} finite numbers, on one axis"
        )
    return found


def check_share(name: str, value: float) -> None:
    """Raise ValueError unless the value is in (0, 1)."""
    if not 0 < value < 1:
        raise ValueError(f"{name}={value!r}: expected a number in (0, 1)")


def check_count(name: str, value: int) -> None:
    """Raise ValueError unless the value is a whole number ≥ 1."""
    if not isinstance(value, int) or value < 1:
        raise ValueError(f"{name}={value!r}: expected a whole number >= 1")
