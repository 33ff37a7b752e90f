"""The table of what `make test-thorough` has found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.forms import read_json

COUNTS = {"examples": int, "seconds": float, "failed": int}

FORM = {
    "asked": int,
    "date": str,
    "versions": {str: str},
    "properties": {str: {"variants": int, **COUNTS}},
    "begun": {str: {str: COUNTS}},
}
"""What the results hold."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make test-thorough`` has found."""
    results: dict[str, Any] = read_json(folder / "thorough.json", FORM)
    return results


def rows(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per property, the last one the sums."""
    found = results["properties"]
    keys = ("variants", "examples", "failed", "seconds")
    sums = {key: sum(counts[key] for counts in found.values()) for key in keys}
    table = {**{f"`{_short(name)}`": counts for name, counts in found.items()}, "all": sums}
    return [
        ("property", *keys),
        *((name, *(f"{counts[key]:,.0f}" for key in keys)) for name, counts in table.items()),
    ]


def _short(name: str) -> str:
    """Return a test's name without what all have in common."""
    return name.removeprefix("tests/test_").replace(".py::test_", ": ")


def environment(results: Mapping[str, Any]) -> str:
    """Return what it was found with, in words."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    found = results["properties"]
    fewer = sum(counts["examples"] < results["asked"] for counts in found.values())
    more = results["begun"].keys() - found.keys()  # what has failed is in both
    begun = f"; {len(more)} more are begun" if more else ""
    return (
        f"{len(found)} properties, of which {len(found) - fewer} have seen "
        f"{results['asked']:,} examples or more{begun}; ended on {results['date']}; {versions}."
    )
