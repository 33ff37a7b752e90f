"""How times grow with the number of parameters."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


def rows(entries: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """Return how the time of a step grows with the number of parameters."""
    made: list[Sequence[str]] = [
        (
            "a step with",
            "parameters",
            "exponent",
            "farthest from a + b·n",
            "a / b",
            "over AdamW, fused",
        )
    ]
    found = [entry for entry in entries if "error" not in entry]
    baselines: dict[int, list[float]] = {}
    for entry in found:
        baselines.setdefault(entry["entries"], []).append(entry["seconds"]["baseline"])
    if baselines:
        medians = {n: statistics.median(times) for n, times in baselines.items()}
        made.append(("AdamW, fused", *_growth(medians), "1"))
    for row in dict.fromkeys(entry["row"] for entry in found):
        mine = [entry for entry in found if entry["row"] == row]
        over = [entry["ratio"] for entry in mine if entry["judged"]]
        of_all = f" ({len(over)} of {len(mine)} judged)" if len(over) < len(mine) else ""
        ratios = f"{min(over):.2f} to {max(over):.2f}{of_all}" if over else "not judged"
        times = {entry["entries"]: entry["seconds"]["variant"] for entry in mine}
        made.append((row, *_growth(times), ratios))
    return made


def _growth(times: Mapping[int, float]) -> tuple[str, ...]:
    """Return the range of sizes, and how times grow with them."""
    fitted = fit([*times], [*times.values()])
    return (
        f"{min(times):,} to {max(times):,}",
        f"{fitted['exponent']:.3f}",
        f"{fitted['deviation']:.0%}",
        f"{fitted['fixed']:,.0f}",
    )


def fit(sizes: Sequence[float], times: Sequence[float]) -> dict[str, float]:
    """Return how times grow with sizes.

    Returns
    -------
    dict
        "exponent" of the power of n that is nearest in the logarithms; of the line a + b·n that is
        nearest relative to the times, "fixed", a/b, and "deviation", its largest relative error.
    """
    n, t = np.asarray(sizes, dtype=float), np.asarray(times, dtype=float)
    terms = np.stack([1 / t, n / t], axis=1)
    line, *_ = np.linalg.lstsq(terms, np.ones_like(t), rcond=None)
    _, exponent = np.polynomial.polynomial.polyfit(np.log(n), np.log(t), 1)
    return {
        "exponent": float(exponent),
        "fixed": float(line[0] / line[1]),
        "deviation": float(np.abs(terms @ line - 1).max()),
    }
