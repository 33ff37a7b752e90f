"""What a method finds of an entry."""

from collections.abc import Mapping
from dataclasses import dataclass, field

IN_RECORD = "stands in the record"
"""The note of what was checked elsewhere, by sources that have not changed since."""

STANDS, FAILS, NO_ANSWER, NOT_CHECKED = "stands", "fails", "no answer", "not checked here"


@dataclass(frozen=True)
class Outcome:
    """What a method finds of an entry.

    Attributes
    ----------
    status
        `STANDS`, `FAILS`, `NO_ANSWER` (in time) or `NOT_CHECKED` (on this machine).
    witness
        Numbers that meet the hypotheses; of a refutation, those at which the claim fails.
    counterexamples
        Of each mutant, numbers at which it fails.
    note
        What else there is to say, for a reader.
    """

    status: str
    witness: Mapping[str, float] = field(default_factory=dict)
    counterexamples: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    note: str = ""
