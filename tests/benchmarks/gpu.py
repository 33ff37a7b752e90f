"""``python -m tests.benchmarks.gpu``: checks and measures a CUDA device, by torch and Triton alone.

What has been found is written after each benchmark. An interrupted run is continued by the next, as
is one in which something failed or could not be judged.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from .checks import check, first_line
from .records import Records
from .report import show
from .suite import Key, keys, measure, tables

SECONDS = 300
"""After these nothing new is begun: the longest benchmark, of fresh processes, takes minutes."""

Checks = Sequence[dict[str, Any]]


def checked(device: str) -> Checks:
    """Return what `check` finds, in a process of its own: what it breaks is gone with that."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        try:
            return pool.submit(check, device).result()
        except Exception as error:  # whatever it is, what can be measured is
            return [{"name": "the checks end", "passed": False, "found": first_line(error)}]


def measure_all(
    records: Records, chosen: Sequence[Key], device: str, found: Checks, *, until: float
) -> None:
    """Measure what has no record yet, until a time of the monotonic clock."""
    for key in chosen:
        if records.get(key):
            continue
        if time.monotonic() > until:
            return
        try:
            if device == "cuda":
                torch.cuda.empty_cache()
            record = measure(key, device)
        except Exception as error:  # out of memory, for one, on a smaller device
            record = _failed(key, device, error)
        records.put(key, record)
        records.write(checks=found)
        print(", ".join(key), _summary(record), flush=True)


def _failed(key: Key, device: str, error: Exception) -> dict[str, Any]:
    """Return the record of what could not be measured."""
    over = tables(device)[key.table].rows[key.row].over
    return {**key._asdict(), "over": over, "error": first_line(error), "judged": False}


def _summary(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"FAILED: {record['error']}"
    verdict = "" if record["judged"] else ", NOT JUDGED"
    return f"{record['ratio']:.3f} (control {record['control']:.3f}{verdict})"


def run(device: str, records: Records, seconds: float = SECONDS) -> int:
    """Check, measure and print; return 0 if every check passed and everything was measured."""
    until = time.monotonic() + seconds
    found = checked(device)
    for each in found:
        print(f"{'passed' if each['passed'] else 'FAILED'}: {each['name']}: {each['found']}")
    measure_all(records, keys(device), device, found, until=until)
    missing = records.finish(checks=found)
    show(records.file)
    for key in missing:
        print("missing, to be measured by the same command:", ", ".join(key))
    return int(bool(missing) or not all(each["passed"] for each in found))


def main(arguments: list[str] | None = None) -> int:
    """Run on CUDA; return 2 if there is none."""
    parser = argparse.ArgumentParser(description="Checks and measures fused steps on CUDA.")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder to write")
    parser.add_argument("--commit", help="of a tree that comes without its history")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device: nothing can be checked or measured here", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    return run("cuda", Records(given.out, "cuda", given.commit))


if __name__ == "__main__":
    sys.exit(main())
