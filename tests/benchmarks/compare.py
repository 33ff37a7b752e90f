"""``python -m tests.benchmarks.compare``: the change of every ratio since the committed results."""

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.files import markdown
from paper.tables import bench

WORSE = 1.25
"""A ratio that grew by this is a regression: the controls' bands explain (1.05/0.95)² = 1.22."""


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[bench.Rows, list[str]]:
    """Return a row per benchmark, and the names of those that became slower by `WORSE`."""
    before = {_key(entry): entry for entry in old["entries"]}
    rows: bench.Rows = [("benchmark", "committed", "now", "change", "")]
    worse = []
    for entry in new["entries"]:
        key = _key(entry)
        former = before.pop(key, None)
        if former is None or "error" in former or "error" in entry:
            rows.append((key, _ratio(former), _ratio(entry), "–", "only one was measured"))
            continue
        change = entry["ratio"] / former["ratio"]
        judged = entry["judged"] and former["judged"]
        slower = judged and change >= WORSE
        worse += [key] if slower else []
        verdict = "SLOWER" if slower else "" if judged else "not judged"
        rows.append((key, _ratio(former), _ratio(entry), f"{change - 1:+.0%}", verdict))
    rows += [(key, _ratio(entry), "–", "–", "is gone") for key, entry in before.items()]
    return rows, worse


def _key(entry: Mapping[str, Any]) -> str:
    return ", ".join((entry["table"], entry["row"], entry["column"]))


def _ratio(entry: Mapping[str, Any] | None) -> str:
    return f"{entry['ratio']:.2f}" if entry and "error" not in entry else "–"


def main(arguments: list[str] | None = None) -> int:
    """Print the changes; return 1 where something became slower by `WORSE`."""
    parser = argparse.ArgumentParser(description="Compares with the committed results.")
    parser.add_argument("--old", type=Path, default=Path("paper/results"), help="folder")
    parser.add_argument("--new", type=Path, default=Path("build/bench"), help="folder")
    parser.add_argument("--device", choices=bench.COMMANDS, default="cpu")
    given = parser.parse_args(arguments)
    committed = bench.file(given.old, given.device)
    if not committed.exists():
        print(f"there is no {committed}: `make bench-record` makes it")
        return 1
    rows, worse = changes(bench.read(committed), bench.read(given.new / f"{given.device}.json"))
    print(markdown(rows))
    print(f"{len(worse)} slower by a factor of {WORSE}" + "".join(f"\n  {key}" for key in worse))
    return bool(worse)


if __name__ == "__main__":
    sys.exit(main())
