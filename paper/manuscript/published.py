"""What Gravity's authors have published as measured: their own final numbers."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.forms import POSITIVE, read_json

METHODS = ("Gravity", "Adam", "RMSprop")

FORM = {
    "source": str,
    "runs": [{"data": str, "network": str, **dict.fromkeys(METHODS, POSITIVE)}],
    "tuning": [{"max_step_grad": str, "accuracy": POSITIVE}],
}
"""What gravity-published.json holds."""


def read(folder: Path) -> dict[str, Any]:
    """Return the published numbers, with their source."""
    found: dict[str, Any] = read_json(folder / "gravity-published.json", FORM)
    return found


def rows(found: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per cell of the published benchmark, the best of each in bold."""
    table: list[Sequence[str]] = [("data", "network", *METHODS)]
    for run in found["runs"]:
        best = max(run[method] for method in METHODS)
        accuracies = (
            f"**{run[method]:.4f}**" if run[method] == best else f"{run[method]:.4f}"
            for method in METHODS
        )
        table.append((run["data"], run["network"], *accuracies))
    return table


def wins(found: Mapping[str, Any]) -> int:
    """Return in how many cells Gravity is the best of the three."""
    return sum(run["Gravity"] == max(run[method] for method in METHODS) for run in found["runs"])
