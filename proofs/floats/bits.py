"""Theorems about all numbers of a 16-bit format, which z3 decides as bit vectors."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import z3

from ..outcome import FAILS, NO_ANSWER, STANDS, Outcome
from . import kernels
from .machines import FORMATS, MODES, NEAREST, Arrays, Machine, Symbolic

SECONDS = 180

Kernel = Callable[[Machine, Any, Any], Any]
Constraint = Callable[..., Any]
Goal = Callable[..., Any]


@dataclass(frozen=True)
class Theorem:
    """What a kernel does with all pairs of numbers of the formats.

    Attributes
    ----------
    kernel
        Takes a machine and two numbers.
    domain
        The pairs that it is about.
    goal
        What holds of the two numbers and the result; for a refutation, what is claimed of them.
    mutants
        By name, kernels of which it does not hold.
    modes
        Keys of `MODES`.
    holds
        Whether it is a theorem; if not, there is a pair in each format that violates it.
    """

    kernel: Kernel
    domain: Constraint
    goal: Goal
    mutants: Mapping[str, Kernel] = field(default_factory=dict)
    modes: Sequence[str] = tuple(MODES)
    holds: bool = True


def _is_finite(x: Any) -> Any:
    return z3.Not(z3.Or(z3.fpIsNaN(x), z3.fpIsInf(x)))


def _is_positive(x: Any) -> Any:
    return z3.And(z3.fpIsPositive(x), z3.Not(z3.fpIsZero(x)))


def _finite(x: Any, c: Any) -> Any:
    return z3.And(_is_finite(x), _is_finite(c), _is_positive(c))


def _limited(x: Any, c: Any, y: Any) -> Any:
    size = z3.fpAbs(y)
    return z3.And(_is_finite(y), z3.fpLEQ(size, c), z3.fpLEQ(size, z3.fpAbs(x)))


_NAIVE = {"naive": kernels.smooth_naive}

THEOREMS: Mapping[str, Theorem] = {
    "torch-kernel-in-16-bits": Theorem(kernels.smooth_torch, _finite, _limited, _NAIVE),
    "numpy-kernel-in-16-bits": Theorem(
        kernels.smooth_numpy, _finite, _limited, _NAIVE, modes=(NEAREST,)
    ),
    "torch-kernel-at-infinity": Theorem(
        kernels.smooth_torch,
        lambda x, c: z3.And(z3.fpIsInf(x), _is_finite(c), _is_positive(c)),
        lambda x, c, y: z3.fpEQ(y, z3.If(z3.fpIsNegative(x), z3.fpNeg(c), c)),
        _NAIVE,
    ),
    "torch-kernel-at-limit-zero": Theorem(
        kernels.smooth_torch,
        lambda x, c: z3.And(z3.Not(z3.fpIsNaN(x)), z3.fpIsZero(c)),
        lambda _x, _c, y: z3.fpIsZero(y),
        {"0/0 kept": kernels.smooth_unguarded},
    ),
    "zeta-in-16-bits": Theorem(
        kernels.zeta,
        lambda g, largest: z3.And(_is_finite(g), _is_finite(largest)),
        lambda g, _largest, y: z3.And(_is_finite(y), z3.fpLEQ(z3.fpAbs(y), z3.fpAbs(g))),
        {"½ + (gG)²": kernels.zeta_over_half},
    ),
    "naive-kernel-vanishes": Theorem(
        kernels.smooth_naive,
        _finite,
        lambda x, _c, y: z3.Or(z3.fpIsZero(x), z3.Not(z3.fpIsZero(y))),
        modes=(NEAREST,),
        holds=False,
    ),
    "naive-kernel-exceeds": Theorem(
        kernels.smooth_naive,
        _finite,
        lambda _x, c, y: z3.fpLEQ(z3.fpAbs(y), c),
        modes=(NEAREST,),
        holds=False,
    ),
    "kernel-strictly-below-the-limit": Theorem(
        kernels.smooth_torch,
        _finite,
        lambda _x, c, y: z3.fpLT(z3.fpAbs(y), c),
        modes=(NEAREST,),
        holds=False,
    ),
    "zeta-never-vanishes": Theorem(
        kernels.zeta_of_largest,
        lambda g, _unused: z3.And(_is_finite(g), _is_positive(g)),
        lambda _g, _unused, y: _is_positive(y),
        modes=(NEAREST,),
        holds=False,
    ),
}
"""Theorems, and statements that are refuted, by the id of their entry."""


def decide(name: str) -> Outcome:
    """Decide an entry in every format and mode that it is about.

    Raises
    ------
    ArithmeticError
        If NumPy's arithmetic does not violate what z3's numbers are said to violate.
    """
    theorem = THEOREMS[name]
    statuses: set[str] = set()
    witness: dict[str, float] = {}
    for format_name in FORMATS:
        for mode in theorem.modes:
            status, values = _violation(theorem, theorem.kernel, format_name, mode)
            statuses.add(status)
            witness |= values
    counterexamples = {
        mutant: {
            key: value
            for format_name in FORMATS
            for key, value in _violation(theorem, kernel, format_name, NEAREST)[1].items()
        }
        for mutant, kernel in theorem.mutants.items()
    }
    if "unknown" in statuses:
        return Outcome(NO_ANSWER)
    stands = statuses == {"unsat" if theorem.holds else "sat"} and _inhabited(theorem)
    stands = stands and all(len(found) == 2 * len(FORMATS) for found in counterexamples.values())
    return Outcome(STANDS if stands else FAILS, witness, counterexamples)


def _violation(
    theorem: Theorem, kernel: Kernel, format_name: str, mode: str
) -> tuple[str, Mapping[str, float]]:
    """Return z3's answer to whether a kernel violates a theorem, and two numbers if it does."""
    sort, dtype = FORMATS[format_name]
    pair = z3.FPs("x y", sort)
    solver = z3.Solver()
    solver.set("timeout", 1000 * SECONDS)
    solver.add(theorem.domain(*pair))
    solver.add(z3.Not(theorem.goal(*pair, kernel(Symbolic(sort, MODES[mode]), *pair))))
    status = str(solver.check())
    if status != "sat":
        return status, {}
    x, y = (_array(solver.model().eval(n, model_completion=True), dtype) for n in pair)
    with np.errstate(all="ignore"):
        result = kernel(Arrays(dtype), x, y)
    constants = [_constant(number, sort) for number in (x, y, np.asarray(result, dtype=dtype))]
    if not z3.is_false(z3.simplify(theorem.goal(*constants))):
        raise ArithmeticError(
            f"{x}, {y} in {format_name} were said to violate a theorem, and {result} does not"
        )
    return status, {f"{format_name} x": float(x), f"{format_name} y": float(y)}


def _inhabited(theorem: Theorem) -> bool:
    """Return whether there is a pair that the theorem is about, in each format."""
    solver = z3.Solver()
    for format_name, (sort, _) in FORMATS.items():
        solver.add(theorem.domain(*z3.FPs([f"{format_name}.x", f"{format_name}.y"], sort)))
    return str(solver.check()) == "sat"


def _array(number: Any, dtype: Any) -> Any:
    """Return a number of z3's as an array without dimensions, by its bits."""
    if z3.is_true(z3.simplify(z3.fpIsNaN(number))):
        return np.asarray(math.nan, dtype=dtype)
    bits = z3.simplify(z3.fpToIEEEBV(number)).as_long()
    return np.asarray(bits, dtype=np.uint16).view(dtype)


def _constant(array: Any, sort: Any) -> Any:
    """Return an array without dimensions as a number of z3's, by its bits."""
    return z3.fpBVToFP(z3.BitVecVal(int(array.view(np.uint16)), 16), sort)
