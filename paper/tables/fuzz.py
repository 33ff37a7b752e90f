"""The table of what `make fuzz` has found."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.forms import read_json

_COUNTS = ("inputs", "taken", "refused", "findings")

FORM = {
    "seed": int,
    "versions": {str: str},
    "targets": {
        str: {
            **dict.fromkeys(_COUNTS, int),
            "seconds": float,
            "first of each finding": {str: int},
        }
    },
}
"""What the results hold."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make fuzz`` has found."""
    results: dict[str, Any] = read_json(folder / "fuzz.json", FORM)
    return results


def rows(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per target, the last one the sums."""
    targets = results["targets"]
    sums = {key: sum(found[key] for found in targets.values()) for key in _COUNTS}
    table = {**{f"`{name}`": found for name, found in targets.items()}, "all": sums}
    return [
        ("read by", *_COUNTS),
        *((name, *(f"{found[key]:,}" for key in _COUNTS)) for name, found in table.items()),
    ]


def environment(results: Mapping[str, Any]) -> str:
    """Return how it was found, in words."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    seconds = sum(found["seconds"] for found in results["targets"].values())
    return (
        f"Seed {results['seed']}; {versions}; {seconds:,.0f} s summed over targets, two at a time, "
        "pauses included."
    )
