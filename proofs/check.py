"""Checks an entry of the registry by all of its methods."""

import time
from collections.abc import Mapping
from dataclasses import dataclass

from .entry import Entry
from .methods import DEFAULT, METHODS
from .outcome import FAILS, NOT_CHECKED, STANDS, Outcome


@dataclass(frozen=True)
class Verdict:
    """What was found of an entry on this machine.

    Attributes
    ----------
    entry
        Whose it is.
    outcomes
        What each of its methods finds.
    seconds
        How long it took.
    """

    entry: Entry
    outcomes: Mapping[str, Outcome]
    seconds: float

    @property
    def fails(self) -> bool:
        """Whether a method contradicts the registry, or none that ought to answer here does."""
        statuses = [outcome.status for outcome in self.outcomes.values()]
        here = [name for name in self.outcomes if METHODS[name].tier == DEFAULT]
        return FAILS in statuses or (bool(here) and STANDS not in statuses)

    @property
    def status(self) -> str:
        """The verdict in words."""
        if self.fails:
            return "DOES NOT STAND"
        by = [name for name, outcome in self.outcomes.items() if outcome.status == STANDS]
        if not by:
            return NOT_CHECKED
        return f"{'proved' if self.entry.kind == 'theorem' else 'refuted'} by {', '.join(by)}"

    @property
    def elsewhere(self) -> str:
        """What is not checked on this machine, in words."""
        return "; ".join(
            f"{name}: {outcome.status}" + (f", {outcome.note}" if outcome.note else "")
            for name, outcome in self.outcomes.items()
            if outcome.status not in {STANDS, FAILS}
        )


def check(entry: Entry) -> Verdict:
    """Decide an entry by all of its methods.

    Raises
    ------
    ArithmeticError
        If a solver's model is none.
    """
    start = time.perf_counter()
    outcomes = {name: METHODS[name].decide(entry) for name in entry.methods}
    return Verdict(entry, outcomes, time.perf_counter() - start)
