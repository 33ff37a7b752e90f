"""Decides statements over the reals: hypotheses that can be met, the goal, and every mutant."""

from collections.abc import Mapping, Sequence
from typing import Any

import z3

from ..outcome import FAILS, NO_ANSWER, STANDS, Outcome
from . import adam, claims, flows, gravity, laws
from .formulas import Formula, is_met, variables
from .solvers import by_cvc5, by_z3

FORMULAS: Mapping[str, Formula] = {
    **claims.FORMULAS,
    **laws.FORMULAS,
    **gravity.FORMULAS,
    **adam.FORMULAS,
    **flows.FORMULAS,
}
"""Formulas by the id of their entry."""

NO_SECOND_ANSWER = {"smooth-sqrt-nonexpansive-in-n"}
"""What cvc5 does not decide in the time it is given, and is not asked."""

TWICE = set(FORMULAS) - NO_SECOND_ANSWER
"""What cvc5 decides too."""


def decide_by_z3(name: str) -> Outcome:
    """Decide an entry.

    It stands if its hypotheses can be met, with the goal false they cannot, and under every mutant
    the goal can be false. Every model that says so is evaluated in binary64, apart from the solver.

    Raises
    ------
    ArithmeticError
        If a solver's model is none.
    """
    formula = FORMULAS[name]
    answer = by_z3([*formula.hypotheses, z3.Not(formula.goal)]).status
    witness = _model(formula.hypotheses)
    counterexamples = {
        mutant: _model(hypotheses, formula.goal) for mutant, hypotheses in formula.mutants.items()
    }
    if answer == "unknown":
        return Outcome(NO_ANSWER, witness, counterexamples)
    stands = answer == "unsat" and bool(witness) and all(counterexamples.values())
    return Outcome(STANDS if stands else FAILS, witness, counterexamples)


def decide_by_cvc5(name: str) -> Outcome:
    """Decide an entry's goal, without its mutants, for a second opinion."""
    formula = FORMULAS[name]
    answer = by_cvc5([*formula.hypotheses, z3.Not(formula.goal)])
    return Outcome({"unsat": STANDS, "sat": FAILS}.get(answer, NO_ANSWER))


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
