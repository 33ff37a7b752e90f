"""Checks the deep tier and writes its record: ``python -m proofs.deep``."""

import json
import sys

from analysis.files import write_atomically

from ..registry import read
from .check import install, run
from .record import RECORD


def main() -> None:
    """Install what is missing, check everything, and write the record."""
    install()
    record = run(read().values())
    write_atomically(RECORD, json.dumps(record, indent=1) + "\n")
    theorems, seconds = len(record["statements"]), record["seconds"]["all"]
    sys.stdout.write(f"{theorems} statements and mutants checked in {seconds} s\n")


if __name__ == "__main__":
    main()
