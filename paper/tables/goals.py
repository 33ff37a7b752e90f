"""What ratios should be, beside what they are."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Goal(NamedTuple):
    """What a ratio must be at most, and what it would better be."""

    most: float
    aim: float


_CPU = ("1 tensor of 16M", "149 tensors, 31M", "64 tensors of 131,072", "1,000 tensors of 100")
_CUDA = ("1 tensor of 1B", "GPT-2 medium, 292 tensors, 355M")
_RUNS = (
    *(f"RelativisticAdamW, {mode}" for mode in ("per_component", "per_param", "global")),
    "Gravity",
)


def _column(name: str, path: str, *goals: tuple[float, float]) -> dict[tuple[str, str], Goal]:
    rows = (f"{run}, {path}" for run in _RUNS)
    return {(row, name): Goal(*goal) for row, goal in zip(rows, goals, strict=True)}


_OUT_OF_CACHE = ((1.05, 1.00), (1.45, 1.34), (1.46, 1.36), (1.00, 0.90))
_IN_CACHE = ((1.02, 0.94), (1.20, 1.10), (1.38, 1.30), (0.85, 0.77))
_TINY = ((0.95, 0.80), (0.95, 0.80), (0.95, 0.80), (0.85, 0.70))
_ONE_OF_1B = ((1.08, 1.02), (1.36, 1.30), (1.36, 1.30), (0.92, 0.87))
_GPT_2 = ((1.10, 1.03), (1.36, 1.10), (1.36, 1.30), (0.92, 0.80))
_FOREACH = ((5.5, 5.5), (3.0, 2.5), (3.0, 2.5), (4.5, 4.5))

GOALS: Mapping[str, Mapping[tuple[str, str], Goal]] = {
    "cpu": {
        **_column(_CPU[0], "fused", *_OUT_OF_CACHE),
        **_column(_CPU[1], "fused", *_OUT_OF_CACHE),
        **_column(_CPU[2], "fused", *_IN_CACHE),
        **_column(_CPU[3], "fused", *_TINY),
        **{k: goal for name in _CPU for k, goal in _column(name, "foreach", *_FOREACH).items()},
    },
    "cuda": {
        **_column(_CUDA[0], "fused", *_ONE_OF_1B),
        **_column(_CUDA[1], "fused", *_GPT_2),
    },
}
"""Of steps over those of AdamW(fused=True), by device, then by row and column."""


def rows(entries: Sequence[Mapping[str, Any]], device: str) -> list[Sequence[str]]:
    """Return a row per variant that has goals: ratios, and whether they are at most these."""
    goals = GOALS[device]
    found = [entry for entry in entries if (entry["row"], entry["column"]) in goals]
    columns = list(dict.fromkeys(entry["column"] for entry in found))
    cells: dict[str, dict[str, str]] = {}
    for entry in found:
        own = cells.setdefault(entry["row"], {})
        own[entry["column"]] = _cell(entry, goals[entry["row"], entry["column"]])
    made: list[Sequence[str]] = [("a step with", *columns)]
    made += [(row, *(of.get(column, "–") for column in columns)) for row, of in cells.items()]
    return made


def _cell(entry: Mapping[str, Any], goal: Goal) -> str:
    if not entry.get("judged"):
        return f"– ({goal.most:.2f})"
    ratio = round(entry["ratio"], 2)
    sign = "≤" if ratio <= goal.most else "**>**"
    better = f", aim {goal.aim:.2f}" if goal.aim < goal.most else ""
    return f"{ratio:.2f} {sign} {goal.most:.2f}{better}"
