"""The tables of what `make mutants` has found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.forms import read_json

_OUTCOMES = ("killed", "timeouts", "survived", "not run")

FORM = {
    "versions": {str: str},
    "targets": {
        str: {
            "tests": [str],
            "files": {str: {f"{outcome}?": int for outcome in _OUTCOMES}},
            "survivors": [{"file": str, "function": str, "change": [str], "reason": str}],
        }
    },
}
"""What the results hold."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make mutants`` has found."""
    results: dict[str, Any] = read_json(folder / "mutants.json", FORM)
    return results


def rows(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per file, the last one the sums."""
    files = {
        file: Counter[str](counts)
        for target in results["targets"].values()
        for file, counts in target["files"].items()
        if counts
    }
    table = {**{f"`{file}`": counts for file, counts in files.items()}}
    table["all"] = sum(files.values(), Counter[str]())
    return [
        ("file", "mutants", *_OUTCOMES, "score"),
        *((name, str(counts.total()), *_cells(counts)) for name, counts in table.items()),
    ]


def _cells(counts: Mapping[str, int]) -> Sequence[str]:
    found = counts["killed"] + counts["timeouts"]
    judged = found + counts["survived"]
    score = f"{found / judged:.1%}" if judged else "–"
    return (*(str(counts[outcome]) for outcome in _OUTCOMES), score)


def survivors(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per reason, with how many mutants it leaves, and where."""
    left: dict[str, list[str]] = {}
    for target in results["targets"].values():
        for survivor in target["survivors"]:
            reason = survivor["reason"] or "**no reason yet**"
            left.setdefault(reason, []).append(f"{survivor['file']}:{survivor['function']}")
    table: list[Sequence[str]] = [("reason", "mutants", "in")]
    for reason, places in sorted(left.items(), key=lambda item: -len(item[1])):
        where = ", ".join(f"`{place}`" for place in dict.fromkeys(places))
        table.append((reason, str(len(places)), where))
    return table
