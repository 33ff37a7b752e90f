"""The methods of proof: which tier each is of, what it knows, and what has to be trusted."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass

from . import exhaustive, intervals
from .deep import record
from .entry import Entry
from .floats import bits, enumeration
from .outcome import Outcome
from .reals import polynomials

DEFAULT, DEEP, EXHAUSTIVE = "default", "make proofs", "make enumerate"


@dataclass(frozen=True)
class Method:
    """A method of proof.

    Attributes
    ----------
    tier
        What runs it: `DEFAULT` is ``python -m proofs`` and ``make test``.
    subjects
        The ids of the entries that it knows; None for those that the registry says itself.
    decide
        Takes an entry and returns what it finds.
    trusted
        What has to be right for its word to be worth anything.
    """

    tier: str
    subjects: Collection[str] | None
    decide: Callable[[Entry], Outcome]
    trusted: str


def _by_id(decide: Callable[[str], Outcome]) -> Callable[[Entry], Outcome]:
    return lambda entry: decide(entry.id)


METHODS: Mapping[str, Method] = {
    "z3": Method(
        DEFAULT,
        polynomials.FORMULAS,
        _by_id(polynomials.decide_by_z3),
        "z3's decision procedure for polynomials",
    ),
    "cvc5": Method(
        DEFAULT,
        polynomials.TWICE,
        _by_id(polynomials.decide_by_cvc5),
        "cvc5's decision procedure for polynomials",
    ),
    "Arb": Method(
        DEFAULT,
        intervals.FACTS,
        _by_id(intervals.decide),
        "Arb's interval arithmetic",
    ),
    "z3 bits": Method(
        DEFAULT,
        bits.THEOREMS,
        _by_id(bits.decide),
        "z3's model of IEEE 754 and its SAT solver",
    ),
    "NumPy": Method(
        DEFAULT,
        enumeration.SWEEPS,
        _by_id(enumeration.decide),
        "NumPy, ml_dtypes and the processor, as they are where it runs, on every 16-bit input",
    ),
    "Coq": Method(
        DEEP,
        None,
        record.decide,
        "Coq's kernel, and the axioms of its real numbers",
    ),
    "Gappa": Method(
        DEEP,
        record.BOUNDS,
        record.decide,
        "Coq's kernel, its axioms, and Gappa's translation of the statement",
    ),
    "C": Method(
        EXHAUSTIVE,
        exhaustive.EXPECTATIONS,
        _by_id(exhaustive.decide),
        "the C compiler, libm and the processor that the report names, on every 32-bit input",
    ),
}
"""Methods by name."""
