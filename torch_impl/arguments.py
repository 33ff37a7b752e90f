"""Checks of the arguments: an error names the argument, its value and what was expected."""

import math
import sys
import warnings
from collections.abc import Callable, Collection, Sequence
from numbers import Integral, Rational, Real


def check_number(name: str, value: object, allowed: Callable[[float], bool], expected: str) -> None:
    """Raise ValueError unless ``value`` is a real number that is ``allowed``.

    Fractions are not numbers here: tensors do not take them.
    """
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    if not is_real or (isinstance(value, Rational) and not isinstance(value, Integral)):
        raise ValueError(f"{name}={value!r}: expected {expected}")
    try:
        accepted = allowed(float(value))  # type: ignore[arg-type]
    except OverflowError:
        accepted = False
    if not accepted:
        raise ValueError(f"{name}={value!r}: expected {expected}")


def check_at_least_zero(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is a finite number ≥ 0."""
    check_number(name, value, lambda x: 0 <= x < math.inf, "a finite number >= 0")


def check_fraction(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is a number in [0, 1)."""
    check_number(name, value, lambda x: 0 <= x < 1, "a number in [0, 1)")


def check_betas(value: object) -> None:
    """Raise ValueError unless ``value`` is a pair of numbers in [0, 1)."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:  # noqa: PLR2004
        raise ValueError(f"betas={value!r}: expected a pair of numbers in [0, 1)")
    for i, beta in enumerate(value):
        check_fraction(f"betas[{i}]", beta)


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: expected True or False")


def check_foreach(value: object) -> None:
    """Raise ValueError unless ``value`` is True, False or None."""
    if value is not None and not isinstance(value, bool):
        raise ValueError(f"foreach={value!r}: expected True, False, or None to let torch choose")


def check_one_of(name: str, value: object, allowed: Collection[str]) -> None:
    """Raise ValueError unless ``value`` is one of the ``allowed`` words."""
    if not isinstance(value, str) or value not in allowed:
        raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, allowed))}")


def warn_caller(message: str) -> None:
    """Warn at the line, outside this package and torch, from which the call came."""
    internal = {"torch", __name__.partition(".")[0]}
    frame, level = sys._getframe(1), 2
    while frame.f_globals.get("__name__", "").partition(".")[0] in internal and frame.f_back:
        frame, level = frame.f_back, level + 1
    warnings.warn(message, stacklevel=level)
