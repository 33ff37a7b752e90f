"""Prints what is proved and refuted, and by what: ``python -m proofs``."""

import sys
from collections import Counter

from rich.console import Console
from rich.table import Table

from .check import Verdict, check
from .methods import METHODS
from .registry import read


def main() -> int:
    """Check every entry, print one row each, and return how many do not stand."""
    console = Console() if sys.stdout.isatty() else Console(width=160)
    table = Table("id", "statement", "status", "elsewhere", "mutants", "seconds")
    verdicts = [check(entry) for entry in read().values()]
    for verdict in verdicts:
        mutants = sum(len(outcome.counterexamples) for outcome in verdict.outcomes.values())
        entry = verdict.entry
        table.add_row(
            entry.id,
            entry.statement,
            verdict.status,
            verdict.elsewhere,
            str(mutants),
            f"{verdict.seconds:.2f}",
        )
    console.print(table)
    for line in summary(verdicts):
        console.print(line)
    return sum(verdict.fails for verdict in verdicts)


def summary(verdicts: list[Verdict]) -> list[str]:
    """Return lines that count the entries by kind, domain and method."""
    entries = [verdict.entry for verdict in verdicts]
    kinds = Counter((entry.kind, entry.domain) for entry in entries)
    counted = [f"{count} {kind}s about {domain}" for (kind, domain), count in kinds.items()]
    by = Counter(name for entry in entries for name in entry.methods)
    methods = [
        f"{name}: {by[name]} entries ({method.tier}); trusted: {method.trusted}."
        for name, method in METHODS.items()
    ]
    return [f"{len(entries)} entries: {', '.join(counted)}.", *methods]


if __name__ == "__main__":
    sys.exit(main())
