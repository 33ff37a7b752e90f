"""``python -m tests.benchmarks.report``: one file of a run's records, and its tables."""

import sys
from pathlib import Path

import torch

from paper.tables import bench

from .records import Records


def main(folder: Path = Path("build/bench")) -> int:
    """Print the tables of the CPU; return 1 where a benchmark of `make bench` is missing."""
    torch.set_num_threads(1)
    records = Records(folder, "cpu")
    missing = records.finish()
    show(records.file)
    for key in missing:
        command = "make bench-startup" if key.table == "startup" else "make bench"
        print(f"missing, to be measured by {command}:", ", ".join(key))
    return any(key.table != "startup" for key in missing)


def show(path: Path) -> None:
    """Print a file of results: every ratio with its memory, and what is fitted to them."""
    results = bench.read(path)
    for name in ("every", "scaling", "startup", "environment"):
        print(f"\n{bench.text(results, name)}")


if __name__ == "__main__":
    sys.exit(main())
