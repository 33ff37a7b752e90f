"""Prints what is proved and refuted, and by what: ``python -m proofs``."""

import sys

from rich.console import Console
from rich.table import Table

from .check import check
from .registry import read


def main() -> int:
    """Check every entry, print one row each, and return how many do not stand."""
    console = Console() if sys.stdout.isatty() else Console(width=140)
    table = Table("id", "statement", "status", "mutants", "seconds")
    failing = 0
    for entry in read().values():
        verdict = check(entry)
        failing += not verdict.stands
        word = "proved" if entry.kind == "theorem" else "refuted"
        status = (
            f"{word} by {', '.join(verdict.decided_by)}" if verdict.stands else "DOES NOT STAND"
        )
        mutants = str(len(verdict.counterexamples))
        table.add_row(entry.id, entry.statement, status, mutants, f"{verdict.seconds:.2f}")
    console.print(table)
    return failing


if __name__ == "__main__":
    sys.exit(main())
