"""Checks of the arguments: an error names the argument, its value and what was expected."""

import math
import sys
import warnings
from collections.abc import Callable, Collection, Mapping, Sequence
from numbers import Integral, Rational, Real
from typing import Any

from torch import Tensor


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


def check_scalar(name: str, value: object, allowed: Callable[[float], bool], expected: str) -> None:
    """Raise ValueError unless ``value`` is an ``allowed`` number or a tensor of one such."""
    if not isinstance(value, Tensor):
        check_number(name, value, allowed, expected)
        return
    if value.numel() != 1:
        raise ValueError(f"Tensor {name} must be 1-element")
    check_number(name, as_number(value), allowed, expected)


def as_number(value: float | Tensor) -> float:
    """Return the number that is given, or that a tensor holds."""
    return float(value.detach().item()) if isinstance(value, Tensor) else value


def check_at_least_zero(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is a finite number ≥ 0, or a tensor of one."""
    check_scalar(name, value, lambda x: 0 <= x < math.inf, "a finite number >= 0")


def check_fraction(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is a number in [0, 1), or a tensor of one."""
    check_scalar(name, value, lambda x: 0 <= x < 1, "a number in [0, 1)")


def check_betas(value: object) -> None:
    """Raise ValueError unless ``value`` is a pair of numbers in [0, 1), or tensors of such."""
    if not isinstance(value, Sequence) or isinstance(value, str) or len(value) != 2:  # noqa: PLR2004
        raise ValueError(f"betas={value!r}: expected a pair of numbers in [0, 1)")
    if isinstance(value[0], Tensor) != isinstance(value[1], Tensor):
        raise ValueError("betas must be either both floats or both Tensors")
    for i, beta in enumerate(value):
        check_fraction(f"betas[{i}]", beta)


def check_flag(name: str, value: object) -> None:
    """Raise ValueError unless ``value`` is True or False."""
    if not isinstance(value, bool):
        raise ValueError(f"{name}={value!r}: expected True or False")


def check_paths(options: Mapping[str, Any]) -> None:
    """Check what chooses how a step is computed, with torch's messages where it has one.

    Raises
    ------
    ValueError
        If one is not a flag, or the learning rate or a beta is a tensor where ``foreach=True``
        without ``capturable=True`` does not take it.
    RuntimeError
        If two contradict each other.
    """
    needing_kernels = ("stochastic_rounding", "narrow_state")
    for name in ("capturable", "differentiable", *needing_kernels):
        check_flag(name, options[name])
    for name in ("foreach", "fused"):
        if options[name] is not None and not isinstance(options[name], bool):
            raise ValueError(
                f"{name}={options[name]!r}: expected True, False, or None to let torch choose"
            )
    if options["foreach"] and not options["capturable"]:
        betas = {f"betas[{i}]": beta for i, beta in enumerate(options.get("betas", ()))}
        for name, value in {"lr": options["lr"], **betas}.items():
            if isinstance(value, Tensor):
                raise ValueError(
                    f"{name} as a Tensor is not supported for capturable=False and foreach=True"
                )
    if options["foreach"] and options["differentiable"]:
        raise RuntimeError("`foreach` does not support `differentiable`")
    if options["fused"]:
        if options["differentiable"]:
            raise RuntimeError("`fused` does not support `differentiable`")
        if options["foreach"]:
            raise RuntimeError("`fused` and `foreach` cannot be `True` together.")
        return
    for name in needing_kernels:
        if options[name]:
            raise RuntimeError(f"`{name}` needs `fused=True`")


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
