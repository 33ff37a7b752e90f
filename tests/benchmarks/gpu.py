"""``python -m tests.benchmarks.gpu``: checks and measures a CUDA device, by torch and Triton alone.

An interrupted run is continued by the next.
"""

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from paper.tables.bench import read

from .checks import check
from .records import Records
from .report import show
from .suite import Key, keys, measure, tables

SECONDS = 400
"""After these nothing new is begun, so that a run ends within eight minutes."""


def measure_all(records: Records, chosen: Sequence[Key], device: str, *, until: float) -> None:
    """Measure what has no record yet, until a time of the monotonic clock."""
    for key in chosen:
        if records.get(key):
            continue
        if time.monotonic() > until:
            return
        try:
            record = measure(key, device)
        except RuntimeError as error:  # out of memory, for one, on a smaller device
            record = _failed(key, device, error)
        records.put(key, record)
        print(", ".join(key), _summary(record), flush=True)
        if device == "cuda":
            torch.cuda.empty_cache()


def _failed(key: Key, device: str, error: RuntimeError) -> dict[str, Any]:
    """Return the record of what could not be measured."""
    over = tables(device)[key.table].rows[key.row].over
    lines = str(error).splitlines() or [type(error).__name__]
    return {**key._asdict(), "over": over, "error": lines[0], "judged": False}


def _summary(record: dict[str, Any]) -> str:
    if "error" in record:
        return f"FAILED: {record['error']}"
    verdict = "" if record["judged"] else ", NOT JUDGED"
    return f"{record['ratio']:.3f} (control {record['control']:.3f}{verdict})"


def run(device: str, folder: Path, seconds: float = SECONDS) -> int:
    """Check, measure and print; return 0 if every check passed and everything was measured."""
    until = time.monotonic() + seconds
    found = check(device)
    for each in found:
        print(f"{'passed' if each['passed'] else 'FAILED'}: {each['name']}: {each['found']}")
    records = Records(folder, device)
    measure_all(records, keys(device), device, until=until)
    missing = records.finish(checks=found)
    show(records.file)
    for key in missing:
        print("missing, to be measured by the same command:", ", ".join(key))
    failed = any("error" in entry for entry in read(records.file)["entries"])
    return int(bool(missing) or failed or not all(each["passed"] for each in found))


def main(arguments: list[str] | None = None) -> int:
    """Run on CUDA; return 2 if there is none."""
    parser = argparse.ArgumentParser(description="Checks and measures fused steps on CUDA.")
    parser.add_argument("--out", type=Path, default=Path("build/bench"), help="folder to write")
    given = parser.parse_args(arguments)
    if not torch.cuda.is_available():
        print("no CUDA device: nothing can be checked or measured here", file=sys.stderr)
        return 2
    torch.set_num_threads(1)
    return run("cuda", given.out)


if __name__ == "__main__":
    sys.exit(main())
