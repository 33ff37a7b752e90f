"""Points at which Coq's own evaluation of the kernels must be NumPy's, bit for bit."""

import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np

from ..floats import kernels
from ..floats.machines import Arrays, Machine

Kernel = Callable[[Machine, Any, Any], Any]

POINTS = 12
"""How many points of each kernel are drawn, beside those at its edges."""

KERNELS: Mapping[str, Kernel] = {
    "smooth_torch": kernels.smooth_torch,
    "smooth_numpy": kernels.smooth_numpy,
    "smooth_naive": kernels.smooth_naive,
    "zeta": kernels.zeta,
}
"""Kernel in proofs/coq/floats/Kernels.v → the same here."""

EDGES = (
    (1.0, 1.0),
    (2.0**64, 1.0),
    (-(2.0**-149), 2.0**-149),
    (2.0**127, 2.0**-126),
    (0.5, 2.0**100),
)

HEAD = """From Coq Require Import ZArith.
From Flocq Require Import Core BinarySingleNaN.
From Subluminal.floats Require Import Kernels.
Open Scope Z_scope.
Local Instance digits : Prec_gt_0 24 := eq_refl.
Local Instance exponents : Prec_lt_emax 24 128 := eq_refl.
Definition number (m e : Z) : binary_float 24 128 :=
  binary_normalize 24 128 digits exponents mode_NE m e false.
"""


def coq_source() -> str:
    """Return a source that Coq accepts only if it computes what NumPy does."""
    return HEAD + "".join(
        f"Goal B2SF ({name} mode_NE {_number(x)} {_number(c)}) = {_result(name, x, c)}.\n"
        "Proof. vm_compute. reflexivity. Qed.\n"
        for name in KERNELS
        for x, c in points()
    )


def points() -> Iterator[tuple[np.float32, np.float32]]:
    """Yield pairs of binary32: x of either sign, c > 0; of all sizes, and near each other."""
    generator = np.random.default_rng(7)
    drawn = [(x, c) for x, c in EDGES]
    for _ in range(POINTS):
        mantissas, exponent = generator.uniform(-2, 2, 2), generator.integers(-120, 120)
        drawn.append((mantissas[0] * 2.0**exponent, abs(mantissas[1]) * 2.0**exponent))
    yield from ((np.float32(x), np.float32(c)) for x, c in drawn)


def _number(value: np.float32) -> str:
    mantissa, exponent = math.frexp(float(value))
    return f"(number ({int(mantissa * 2**24)}) ({exponent - 24}))"


def _result(name: str, x: np.float32, c: np.float32) -> str:
    """Return the result as Coq's standard library writes a number."""
    with np.errstate(all="ignore"):
        result = float(KERNELS[name](Arrays(np.dtype(np.float32)), x, c))
    sign = str(math.copysign(1, result) < 0).lower()
    if result == 0:
        return f"SpecFloat.S754_zero {sign}"
    mantissa, exponent = math.frexp(abs(result))
    digits = 24 + min(0, exponent + 125)  # fewer in a subnormal
    return f"SpecFloat.S754_finite {sign} {int(mantissa * 2**digits)} ({exponent - digits})"
