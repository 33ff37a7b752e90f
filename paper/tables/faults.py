"""Tables of what ``make faults`` has found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.files import markdown
from analysis.forms import read_json

MARKS = {
    "survived": "✓",
    "clear error": "error",
    "other error": "other error",
    "silent damage": "**damage**",
}
"""What the tables show of a verdict, the best first."""

ASKED = "as on_nonfinite='propagate' asks for"
"""How the detail of a damage ends that the options ask for."""

FORM = {
    "environment": dict.fromkeys(
        ("python", "torch", "relativistic-adam", "pytorch-optimizer"), str
    ),
    "steps": {"before": int, "after": int},
    "faults": {"steps": int, "states": int},
    "ours": [str],
    "verdicts": {str: {str: [set(MARKS), str]}},
}
"""What the results hold: of every optimizer a verdict on every fault, its kind and details."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make faults`` has found.

    Raises
    ------
    ValueError
        If the file has another form, or an optimizer has not met the faults that others have.
    """
    results: dict[str, Any] = read_json(folder / "faults.json", FORM)
    met = {name: sorted(found) for name, found in results["verdicts"].items()}
    for name, faults in met.items():
        if faults != _first(met):
            raise ValueError(f"faults.json: {name} has met {faults}: expected {_first(met)}")
    return results


def _first(found: Mapping[str, Any]) -> Any:
    """Return what is there of the first optimizer."""
    return next(iter(found.values()), {})


def counts(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per optimizer: how many faults it has met with what."""
    rows: list[Sequence[str]] = [("optimizer", *MARKS, "of these as asked for")]
    for name, found in results["verdicts"].items():
        kinds = Counter(kind for kind, _ in found.values())
        asked = sum(detail.endswith(ASKED) for _, detail in found.values())
        rows.append((name, *(str(kinds[kind]) for kind in MARKS), str(asked or "")))
    return rows


def cells(results: Mapping[str, Any], *, ours: bool) -> list[Sequence[str]]:
    """Return a row per fault and a column per optimizer."""
    verdicts = results["verdicts"]
    names = [name for name in verdicts if (name in results["ours"]) is ours]
    rows: list[Sequence[str]] = [("fault", *names)]
    for fault in _first(verdicts):
        found = [verdicts[name][fault] for name in names]
        rows.append((fault, *(_cell(kind, detail) for kind, detail in found)))
    return rows


def _cell(kind: str, detail: str) -> str:
    return f"{MARKS[kind]}, as asked" if detail.endswith(ASKED) else MARKS[kind]


def details(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per damage and other error: what it is, and who has it."""
    whose: dict[Sequence[str], list[str]] = {}
    for fault in _first(results["verdicts"]):
        for name, found in results["verdicts"].items():
            kind, detail = found[fault]
            if kind in {"silent damage", "other error"}:
                whose.setdefault((fault, kind, detail), []).append(name)
    rows: list[Sequence[str]] = [("fault", "", "what", "optimizers")]
    return rows + [(*what, "; ".join(names)) for what, names in whose.items()]


def environment(results: Mapping[str, Any]) -> str:
    """Return how many optimizers and faults there are, and of which versions, in words."""
    where, faults = results["environment"], results["faults"]
    return (
        f"{len(results['verdicts'])} optimizers, {faults['steps']} faults of steps, "
        f"{faults['states']} of states, {results['steps']['before']} steps before a fault and "
        f"{results['steps']['after']} judged after it; torch {where['torch']}, relativistic-adam "
        f"{where['relativistic-adam']}, pytorch-optimizer {where['pytorch-optimizer']}, Python "
        f"{where['python']}."
    )


def blocks(folder: Path) -> dict[str, str]:
    """Return what stands between the markers of the text, by marker."""
    results = read(folder)
    return {
        "faults-environment": environment(results),
        "faults-counts": markdown(counts(results)),
        "faults-ours": markdown(cells(results, ours=True)),
        "faults-rivals": markdown(cells(results, ours=False)),
        "faults-details": markdown(details(results)),
    }
