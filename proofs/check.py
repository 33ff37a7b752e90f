"""Checks an entry of the registry: hypotheses that can be met, the goal, and every mutant."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import z3

from .formulas import is_met, variables
from .registry import Entry
from .solvers import by_cvc5, by_z3


@dataclass(frozen=True)
class Verdict:
    """What was found of an entry on this machine.

    Attributes
    ----------
    entry
        Whose it is.
    decided_by
        The solvers that prove or refute it, z3 first; empty if it is not so.
    witness
        Of a refutation, the numbers at which the claim fails.
    counterexamples
        Of each mutant, numbers at which the goal fails.
    seconds
        How long it took.
    """

    entry: Entry
    decided_by: tuple[str, ...]
    witness: Mapping[str, float]
    counterexamples: Mapping[str, Mapping[str, float]]
    seconds: float

    @property
    def stands(self) -> bool:
        """Whether the entry is what the registry says."""
        return bool(self.decided_by)


def check(entry: Entry) -> Verdict:
    """Decide an entry.

    A theorem stands if its hypotheses can be met, with the goal false they cannot, and under every
    mutant the goal can be false; a refutation if the claim can be false. Every model that says so
    is evaluated in binary64, apart from the solver.

    Raises
    ------
    ArithmeticError
        If a solver's model is none.
    """
    start = time.perf_counter()
    formula = entry.formula
    expected = "unsat" if entry.kind == "theorem" else "sat"
    violated = [*formula.hypotheses, z3.Not(formula.goal)]
    stands = by_z3(violated).status == expected and bool(_model(formula.hypotheses))
    counterexamples = {
        name: _model(hypotheses, formula.goal) for name, hypotheses in formula.mutants.items()
    }
    stands = stands and all(counterexamples.values())
    solvers = ("z3", *(["cvc5"] if by_cvc5(violated) == expected else []))
    witness = _model(formula.hypotheses, formula.goal) if entry.kind == "refutation" else {}
    seconds = time.perf_counter() - start
    return Verdict(entry, solvers if stands else (), witness, counterexamples, seconds)


def _model(constraints: Sequence[Any], violated: Any = None) -> Mapping[str, float]:
    """Return numbers that meet constraints and violate a goal; none if the solver finds none."""
    all_of_it = [*constraints, *([] if violated is None else [z3.Not(violated)])]
    answer = by_z3(all_of_it)
    if answer.status != "sat":
        return {}
    values = {**dict.fromkeys(variables(all_of_it), 0.0), **answer.values}
    for constraint in constraints:
        if not is_met(constraint, values):
            raise ArithmeticError(f"{values} was said to meet {constraint}, and does not")
    if violated is not None and is_met(violated, values, tolerance=0):
        raise ArithmeticError(f"{values} was said to violate {violated}, and does not")
    return values
