"""The smooth law in floating point: where the obvious formulas vanish or exceed the limit.

Notation: x an entry of a proposed update, c the speed limit; exact is x/√(1 + (x/c)²). Formats are
binary16, bfloat16 (as ml_dtypes defines it) and binary32; every operation is rounded in the format.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import ml_dtypes
import numpy as np
import sympy as sp
from numpy.typing import NDArray

import reference

Kernel = Callable[[NDArray[Any], Any], NDArray[Any]]

FORMATS: Mapping[str, Any] = {
    "binary16": np.dtype(np.float16),
    "bfloat16": np.dtype(ml_dtypes.bfloat16),
    "binary32": np.dtype(np.float32),
}


def _naive(x: NDArray[Any], c: Any) -> NDArray[Any]:
    quotient = x / c
    return np.asarray(x / np.sqrt(1 + quotient * quotient))


def _hypot(x: NDArray[Any], c: Any) -> NDArray[Any]:
    """Hypot is taken in binary64 and rounded, as good as a library can have it."""
    quotient = (x / c).astype(np.float64)
    return np.asarray(x / np.hypot(1.0, quotient).astype(x.dtype))


def _safe(x: NDArray[Any], c: Any) -> NDArray[Any]:
    return reference.LAWS["smooth_sqrt"].limit_entries(x, float(c))


KERNELS: Mapping[str, Kernel] = {"naive": _naive, "hypot": _hypot, "safe": _safe}
"""x/√(1 + (x/c)²) as written, with hypot, and as `reference.Law.limit_entries` has it."""


@dataclass(frozen=True)
class Curve:
    """What a kernel makes of positive numbers of a format.

    Attributes
    ----------
    x, limited
        The numbers, ascending, and the kernel's results, as binary64.
    error
        |limited − exact| in units of the last place of the exact result.
    limit
        c, rounded into the format toward zero.
    """

    x: NDArray[np.float64]
    limited: NDArray[np.float64]
    error: NDArray[np.float64]
    limit: float

    @property
    def vanishes_from(self) -> float:
        """The least x ≥ c whose result is 0; ∞ for none."""
        gone = self.x[(self.limited == 0) & (self.x >= self.limit)]
        return float(gone[0]) if len(gone) else np.inf

    @property
    def share_exceeding(self) -> float:
        """The share of the numbers whose result exceeds c or themselves."""
        return float(np.mean((self.limited > self.limit) | (self.limited > self.x)))

    @property
    def excess(self) -> float:
        """The largest result over c."""
        return float(np.max(self.limited) / self.limit)


def positive_numbers(format_name: str, per_exponent: int = 256) -> NDArray[Any]:
    """Return positive finite numbers of a format, ascending: all 16-bit ones, else stratified.

    Of binary32, ``per_exponent`` of every exponent, evenly spaced and with both ends.
    """
    dtype = FORMATS[format_name]
    if dtype.itemsize == 2:  # noqa: PLR2004
        numbers = np.arange(1, 2**15, dtype=np.uint16).view(dtype)
        with np.errstate(invalid="ignore"):  # the payloads of NaNs
            return np.asarray(numbers[np.isfinite(numbers.astype(np.float64))])
    mantissas = np.linspace(0, 2**23 - 1, per_exponent).astype(np.uint32)
    exponents = np.arange(255, dtype=np.uint32) << 23
    bits = (exponents[:, None] | mantissas[None, :]).ravel()
    return np.asarray(bits[bits > 0].view(np.float32))


def rounded_limit(limit: float, format_name: str) -> Any:
    """Return c as a number of the format, toward zero."""
    dtype = FORMATS[format_name]
    rounded = dtype.type(limit)
    return rounded if float(rounded) <= limit else np.nextafter(rounded, dtype.type(0))


def curve(kernel: str, format_name: str, limit: float, per_exponent: int = 256) -> Curve:
    """Return what a kernel makes of the positive numbers of a format.

    Parameters
    ----------
    kernel
        Key of `KERNELS`.
    format_name
        Key of `FORMATS`.
    limit
        c > 0.
    per_exponent
        See `positive_numbers`.
    """
    numbers, c = positive_numbers(format_name, per_exponent), rounded_limit(limit, format_name)
    with np.errstate(all="ignore"):
        limited = KERNELS[kernel](numbers, c).astype(np.float64)
    x, wide = numbers.astype(np.float64), float(c)
    slow = np.minimum(x, wide) / np.sqrt(1 + (np.minimum(x, wide) / np.maximum(x, wide)) ** 2)
    units = np.spacing(slow.astype(FORMATS[format_name])).astype(np.float64)
    return Curve(x, limited, np.abs(limited - slow) / units, wide)


def gain_of_block(norm: float, limit: float, dtype: Any) -> float:
    """Return the smooth gain of a block of ‖u‖ = ``norm`` ≥ c, rounded into a dtype."""
    quotient = limit / norm
    with np.errstate(under="ignore"):
        return float(np.asarray(quotient / np.sqrt(1 + quotient * quotient)).astype(dtype))


def gain_sensitivities() -> tuple[Any, dict[str, Any]]:
    """Return how the gain of a block answers to its roundings: exact gain, and name → coefficient.

    Each operation of the kernel, t = c/N, q = t², w = 1 + q, √w, t/√w, and the norm N itself get a
    relative error δ; the coefficient is ∂ log gain/∂δ at δ = 0, as a function of t in [0, 1].
    """
    t = sp.Symbol("t", positive=True)
    names = ("norm", "quotient", "square", "sum", "root", "division")
    errors = dict(zip(names, sp.symbols("delta_:6"), strict=True))
    quotient = t / (1 + errors["norm"]) * (1 + errors["quotient"])
    square = quotient**2 * (1 + errors["square"])
    root = sp.sqrt((1 + square) * (1 + errors["sum"])) * (1 + errors["root"])
    gain = quotient / root * (1 + errors["division"])
    exactly = dict.fromkeys(errors.values(), 0)
    return gain.subs(exactly), {
        name: sp.simplify(sp.diff(sp.log(gain), error).subs(exactly))
        for name, error in errors.items()
    }


def gain_error() -> tuple[Any, Any]:
    """Return (A, B): a gain is off by at most A·ν + B·η₀ relatively, to first order.

    ν is the relative error of the norm and η₀ the unit roundoff in which the kernel computes. From
    the largest size of each coefficient over t in [0, 1].
    """
    _, coefficients = gain_sensitivities()
    (t,) = set().union(*(value.free_symbols for value in coefficients.values()))
    largest = {
        name: sp.maximum(sp.Abs(value), t, sp.Interval(0, 1))
        for name, value in coefficients.items()
    }
    return largest.pop("norm"), sum(largest.values())


def block_excess(entries: int, limited_in: float, computed_in: float = 2.0**-53) -> float:
    """Return the relative bound of ‖s‖ over c for a block, to first order.

    Parameters
    ----------
    entries
        n; a norm of n squares added in order is off by at most (n + 2)/2 roundoffs, of which the
        root halves all but its own.
    limited_in
        Unit roundoff of the entries of s, which are rounded once.
    computed_in
        Unit roundoff of norm and gain.
    """
    of_norm, of_kernel = (float(part) for part in gain_error())
    norm = (entries + 2) / 2 * computed_in
    return of_norm * norm + of_kernel * computed_in + limited_in
