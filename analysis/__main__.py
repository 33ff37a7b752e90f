"""Prints what follows from the laws, Gravity and the dynamics: ``python -m analysis``."""

import sys

from rich.console import Console
from rich.table import Table

from .tables import tables


def main() -> None:
    """Print every table as soon as it is derived."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    for title, facts in tables():
        table = Table("fact", "derived", title=title, title_justify="left", width=100)
        for name, value in facts.items():
            table.add_row(name, value)
        console.print(table)


if __name__ == "__main__":
    main()
