"""Fuzzes every reader of files and every loader of state: ``python -m tests.fuzz [--share X]``.

Results go to paper/results/fuzz.json, those of some targets (``--target``) beside those of others
that are there; findings make the exit status 1.
"""

import argparse
import json
import platform
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import torch

from analysis.files import write_atomically
from analysis.forms import read_json
from paper.readme import RESULTS
from paper.tables.fuzz import FORM
from tests.fuzz.run import SEED, fuzzed, start_worker
from tests.fuzz.targets import TARGETS


def main(arguments: list[str]) -> int:
    """Fuzz all targets, or some, and return how many findings there are."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--share", type=float, default=1.0, help="of the inputs of a whole run")
    parser.add_argument("--target", action="append", choices=TARGETS, help="all by default")
    parser.add_argument("--out", type=Path, default=RESULTS / "fuzz.json", help="file to write")
    given = parser.parse_args(arguments)
    known = read_json(given.out, FORM)["targets"] if given.out.exists() else {}
    found = {}
    context = get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context, initializer=start_worker) as pool:
        futures = {
            name: pool.submit(fuzzed, name, max(1, round(TARGETS[name].inputs * given.share)))
            for name in given.target or TARGETS
        }
        for name, future in futures.items():
            found[name] = future.result()
            sys.stdout.write(f"{name}: {found[name]}\n")
            sys.stdout.flush()
    versions = {"python": platform.python_version(), "torch": torch.__version__}
    both = {**known, **found}
    targets = {name: both[name] for name in TARGETS if name in both}
    record = {"seed": SEED, "versions": versions, "targets": targets}
    write_atomically(given.out, json.dumps(record, indent=1) + "\n")
    return sum(each["findings"] for each in found.values())


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
