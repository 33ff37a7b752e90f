"""Statements over the reals as formulas, and their evaluation in floating point."""

import math
import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import z3


@dataclass(frozen=True)
class Formula:
    """A statement: under the hypotheses the goal holds.

    Attributes
    ----------
    hypotheses
        What is assumed: the law as polynomial equations, and the ranges; of a refutation, also the
        witness.
    goal
        What follows; of a refutation, that the claim is false.
    mutants
        By name, hypotheses of a broken law, under which the goal must be false.
    """

    hypotheses: Sequence[Any]
    goal: Any
    mutants: Mapping[str, Sequence[Any]] = field(default_factory=dict)


def reals(names: str) -> tuple[Any, ...]:
    """Return real variables, one per word."""
    return tuple(z3.Reals(names))


def number(value: Fraction | str | int) -> Any:
    """Return an exact rational constant."""
    return z3.RealVal(str(value))


ROUNDING = 1e-9
"""How far sides of a comparison may be off relative to their size: witnesses are rounded."""

_ARITHMETIC: Mapping[int, Callable[..., Any]] = {
    z3.Z3_OP_ADD: lambda *terms: sum(terms),
    z3.Z3_OP_SUB: operator.sub,
    z3.Z3_OP_UMINUS: operator.neg,
    z3.Z3_OP_MUL: lambda *factors: math.prod(factors),
    z3.Z3_OP_DIV: operator.truediv,
}

_COMPARISONS: Mapping[int, Callable[[float, float, float], bool]] = {
    z3.Z3_OP_LE: lambda a, b, slack: a <= b + slack,
    z3.Z3_OP_GE: lambda a, b, slack: a + slack >= b,
    z3.Z3_OP_LT: lambda a, b, slack: a < b + slack,
    z3.Z3_OP_GT: lambda a, b, slack: a + slack > b,
    z3.Z3_OP_EQ: lambda a, b, _: math.isclose(a, b, rel_tol=ROUNDING, abs_tol=ROUNDING),
}


def value_of(expression: Any, values: Mapping[str, float]) -> float:
    """Return what a term is for some values, in binary64 and apart from the solver."""
    if z3.is_rational_value(expression):
        return float(expression.as_fraction())
    if expression.num_args() == 0:
        return values[str(expression)]
    arguments = [value_of(argument, values) for argument in expression.children()]
    return float(_ARITHMETIC[expression.decl().kind()](*arguments))


def is_met(constraint: Any, values: Mapping[str, float], tolerance: float = ROUNDING) -> bool:
    """Return whether a constraint is met, equalities up to `ROUNDING`.

    Inequalities have the tolerance, relative to the size of their sides; below a negation it turns
    round, so that it makes no inequality harder to meet, and in an equivalence there is none.
    """
    parts = constraint.children()
    if z3.is_and(constraint):
        return all(is_met(part, values, tolerance) for part in parts)
    if z3.is_or(constraint):
        return any(is_met(part, values, tolerance) for part in parts)
    if z3.is_true(constraint) or z3.is_false(constraint):
        return bool(z3.is_true(constraint))
    if z3.is_not(constraint):
        return not is_met(parts[0], values, -tolerance)
    if z3.is_bool(parts[0]):
        one, other = (is_met(part, values, 0) for part in parts)
        return one == other
    left, right = (value_of(part, values) for part in parts)
    slack = tolerance * max(1.0, abs(left), abs(right))
    return _COMPARISONS[constraint.decl().kind()](left, right, slack)


def variables(expressions: Sequence[Any]) -> list[str]:
    """Return the names of the variables in expressions, sorted."""
    found: set[str] = set()
    pending = list(expressions)
    while pending:
        expression = pending.pop()
        pending += expression.children()
        if expression.num_args() == 0 and not z3.is_rational_value(expression):
            found.add(str(expression))
    return sorted(found - {"True", "False"})
