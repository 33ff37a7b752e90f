"""Checks of the arguments: an error names the argument, its value and what was expected."""

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
PerArray = float | Sequence[float]


def number(name: str, value: object, allowed: Callable[[float], bool], expected: str) -> float:
    """Return ``value`` as a float, or raise ValueError if it is no number that is ``allowed``."""
    if isinstance(value, Real) and not isinstance(value, bool):
        try:
            converted = float(value)
        except OverflowError:
            converted = math.nan
        if allowed(converted):
            return converted
    raise ValueError(f"{name}={value!r}: expected {expected}")


def flag(name: str, value: object) -> bool:
    """Return True or False, or raise ValueError if ``value`` is neither."""
    if isinstance(value, bool):
        return value
    raise ValueError(f"{name}={value!r}: expected True or False")


def at_least_zero(name: str, value: object) -> float:
    """Return a finite number ≥ 0."""
    return number(name, value, lambda x: 0 <= x < math.inf, "a finite number >= 0")


def speed_limit_of(name: str, value: object) -> float:
    """Return a speed limit: ≥ 0, ∞ included."""
    return number(name, value, lambda x: x >= 0, "a number >= 0 (inf means no limit)")


def fraction(name: str, value: object) -> float:
    """Return a number in [0, 1)."""
    return number(name, value, lambda x: 0 <= x < 1, "a number in [0, 1)")


def pair_of_betas(value: object) -> tuple[float, float]:
    """Return the two decay rates of the moments, each in [0, 1)."""
    if not isinstance(value, Sequence) or len(value) != 2:  # noqa: PLR2004
        raise ValueError(f"betas={value!r}: expected a pair of numbers in [0, 1)")
    return fraction("betas[0]", value[0]), fraction("betas[1]", value[1])


def one_of(name: str, value: Any, allowed: Collection[str]) -> str:
    """Return ``value`` if it is one of the ``allowed`` words."""
    if isinstance(value, str) and value in allowed:
        return value
    raise ValueError(f"{name}={value!r}: expected one of {', '.join(map(repr, allowed))}")


def per_array(
    name: str, value: Any, count: int, check: Callable[[str, object], float]
) -> list[float]:
    """Return ``value`` for each of ``count`` arrays: one number for all, or one per array."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        if len(value) != count:
            raise ValueError(f"{name}={value!r}: expected one number, or one per array ({count})")
        return [check(f"{name}[{i}]", item) for i, item in enumerate(value)]
    return [check(name, value)] * count


def arrays(name: str, values: Iterable[ArrayLike]) -> list[Array]:
    """Return ``values`` as a list of float64 arrays."""
    converted = [np.asarray(value) for value in values]
    for i, value in enumerate(converted):
        if value.dtype.kind not in "fiu":
            raise ValueError(f"{name}[{i}] has dtype {value.dtype}: expected real numbers")
    return [value.astype(np.float64) for value in converted]


def same_shapes(name: str, values: Sequence[Array], other: str, shapes_of: Sequence[Array]) -> None:
    """Raise ValueError unless the two lists have the same shapes in the same order."""
    if len(values) != len(shapes_of):
        raise ValueError(
            f"{name} has {len(values)} arrays: expected {len(shapes_of)}, as {other} has"
        )
    for i, (value, model) in enumerate(zip(values, shapes_of, strict=True)):
        if value.shape != model.shape:
            raise ValueError(
                f"{name}[{i}] has shape {value.shape}: expected {model.shape}, as {other}[{i}] has"
            )
