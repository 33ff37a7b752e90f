"""``python -m tests.benchmarks.report``: one file of a run's records, and its tables."""

import sys
from pathlib import Path

import torch

from analysis.files import markdown
from paper import bench

from .records import Records


def main(folder: Path = Path("build/bench")) -> int:
    """Print the tables of the CPU; return 1 where a benchmark has no record."""
    torch.set_num_threads(1)
    records = Records(folder, "cpu")
    missing = records.finish()
    show(records.file)
    for key in missing:
        print("missing:", ", ".join(key))
    return bool(missing)


def show(path: Path) -> None:
    """Print the tables of a file of results."""
    results = bench.read(path)
    for name in bench.OF_DEVICE[path.stem]:
        made = bench.TABLES[name](results)
        print(f"\n{name}\n\n{made if isinstance(made, str) else markdown(made)}")


if __name__ == "__main__":
    sys.exit(main())
