"""Solvers of polynomial constraints over the reals: z3, and cvc5 for a second opinion."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import z3

ROOT = Path(__file__).parents[2]


class Answer(NamedTuple):
    """What a solver says of constraints.

    Attributes
    ----------
    status
        "sat", "unsat" or "unknown".
    values
        Where they hold, for each variable, rounded to binary64; empty unless "sat".
    """

    status: str
    values: dict[str, float]


def by_z3(constraints: Sequence[Any], seconds: float = 20) -> Answer:
    """Return z3's answer."""
    solver = z3.SolverFor("QF_NRA")
    solver.set("timeout", round(1000 * seconds))
    solver.add(*constraints)
    status = str(solver.check())
    if status != "sat":
        return Answer(status, {})
    model = solver.model()
    named = (name for name in model.decls() if name.arity() == 0)  # not 1/0, which it makes up
    return Answer(status, {str(name): _number(model[name]) for name in named})


def by_cvc5(constraints: Sequence[Any], seconds: float = 8) -> str:
    """Return cvc5's answer to the same, as text of SMT-LIB: "sat", "unsat" or "unknown".

    It has a process of its own, since its time limit does not always stop it.
    """
    writer = z3.Solver()
    writer.add(*constraints)
    lines = (line for line in writer.to_smt2().splitlines() if not line.startswith("(set-"))
    try:
        done = subprocess.run(
            [sys.executable, "-m", "proofs.reals.cvc5_process"],
            input="\n".join(lines),
            capture_output=True,
            check=True,
            cwd=ROOT,
            text=True,
            timeout=seconds,
        )
    except subprocess.TimeoutExpired:
        return "unknown"
    return done.stdout.strip()


def _number(value: Any) -> float:
    """Return a rational or algebraic number of z3, rounded."""
    if z3.is_algebraic_value(value):
        value = value.approx(20)
    return float(value.as_fraction())
