"""Arithmetic that rounds: z3's, for all numbers of a format at once, and NumPy's, for arrays.

A kernel is written once, on a `Machine`; so what is proved is what is run against the product's
own kernels (tests/test_conformance.py).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import ml_dtypes
import numpy as np
import z3


class Machine(Protocol):
    """The operations of a kernel; all but sqrt, add, mul and div are exact."""

    def number(self, value: float) -> Any:
        """Return a constant."""

    def add(self, x: Any, y: Any) -> Any:
        """Return x + y."""

    def mul(self, x: Any, y: Any) -> Any:
        """Return x·y."""

    def div(self, x: Any, y: Any) -> Any:
        """Return x/y."""

    def sqrt(self, x: Any) -> Any:
        """Return √x."""

    def size(self, x: Any) -> Any:
        """Return |x|."""

    def signed(self, x: Any, like: Any) -> Any:
        """Return |x| with the sign of ``like``."""

    def less(self, x: Any, y: Any) -> Any:
        """Return whether x < y."""

    def is_nan(self, x: Any) -> Any:
        """Return whether x is NaN."""

    def choose(self, condition: Any, x: Any, y: Any) -> Any:
        """Return x where a condition is met, else y."""


@dataclass(frozen=True)
class Symbolic:
    """z3's floating-point numbers.

    Attributes
    ----------
    sort, mode
        The format and the rounding mode, as z3 has them.
    """

    sort: Any
    mode: Any

    def number(self, value: float) -> Any:  # noqa: D102
        return z3.FPVal(value, self.sort)

    def add(self, x: Any, y: Any) -> Any:  # noqa: D102
        return z3.fpAdd(self.mode, x, y)

    def mul(self, x: Any, y: Any) -> Any:  # noqa: D102
        return z3.fpMul(self.mode, x, y)

    def div(self, x: Any, y: Any) -> Any:  # noqa: D102
        return z3.fpDiv(self.mode, x, y)

    def sqrt(self, x: Any) -> Any:  # noqa: D102
        return z3.fpSqrt(self.mode, x)

    def size(self, x: Any) -> Any:  # noqa: D102
        return z3.fpAbs(x)

    def signed(self, x: Any, like: Any) -> Any:  # noqa: D102
        return z3.If(z3.fpIsNegative(like), z3.fpNeg(z3.fpAbs(x)), z3.fpAbs(x))

    def less(self, x: Any, y: Any) -> Any:  # noqa: D102
        return z3.fpLT(x, y)

    def is_nan(self, x: Any) -> Any:  # noqa: D102
        return z3.fpIsNaN(x)

    def choose(self, condition: Any, x: Any, y: Any) -> Any:  # noqa: D102
        return z3.If(condition, x, y)


@dataclass(frozen=True)
class Arrays:
    """NumPy's arrays of one format, rounded to nearest with ties to even.

    Attributes
    ----------
    dtype
        binary16, binary32, binary64, or bfloat16 as ml_dtypes defines it.
    """

    dtype: Any

    def number(self, value: float) -> Any:  # noqa: D102
        return np.asarray(value, dtype=self.dtype)

    def add(self, x: Any, y: Any) -> Any:  # noqa: D102
        return np.add(x, y)

    def mul(self, x: Any, y: Any) -> Any:  # noqa: D102
        return np.multiply(x, y)

    def div(self, x: Any, y: Any) -> Any:  # noqa: D102
        return np.divide(x, y)

    def sqrt(self, x: Any) -> Any:  # noqa: D102
        return np.sqrt(x)

    def size(self, x: Any) -> Any:  # noqa: D102
        return np.abs(x)

    def signed(self, x: Any, like: Any) -> Any:  # noqa: D102
        return np.copysign(x, like)

    def less(self, x: Any, y: Any) -> Any:  # noqa: D102
        return np.less(x, y)

    def is_nan(self, x: Any) -> Any:  # noqa: D102
        return np.isnan(x)

    def choose(self, condition: Any, x: Any, y: Any) -> Any:  # noqa: D102
        return np.where(condition, x, y)


FORMATS: Mapping[str, tuple[Any, Any]] = {
    "binary16": (z3.FPSort(5, 11), np.dtype(np.float16)),
    "bfloat16": (z3.FPSort(8, 8), np.dtype(ml_dtypes.bfloat16)),
}
"""The 16-bit formats: name → z3's sort and NumPy's dtype."""

MODES: Mapping[str, Any] = {
    "to nearest, ties to even": z3.RNE(),
    "to nearest, ties away": z3.RNA(),
    "up": z3.RTP(),
    "down": z3.RTN(),
    "toward zero": z3.RTZ(),
}
"""The rounding modes of IEEE 754."""

NEAREST = "to nearest, ties to even"
