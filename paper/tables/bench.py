"""Tables of what ``make bench`` and ``make bench-gpu`` have measured."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from analysis.files import markdown
from analysis.forms import POSITIVE, read_json

Entry = Mapping[str, Any]
Rows = list[Sequence[str]]

COMMANDS = {"cpu": "make bench", "cuda": "make bench-gpu"}
"""What measures on a device."""

ADAMW_FLOOR = 28
"""Bytes per float32 parameter that AdamW has to move: θ, m and v twice, g once."""

FORM = {
    "environment": {
        **dict.fromkeys(("processor", "commit", "day"), str),
        "gpu": (str, None),
        "threads": int,
        "versions": {str: str},
    },
    "checks?": [{"name": str, "found": str, str: object}],
    "entries": [
        {
            **dict.fromkeys(("table", "row", "column", "over"), str),
            **dict.fromkeys(("ratio?", "control?", "floor?", "copy?"), POSITIVE),
            **dict.fromkeys(("attempts?", "rounds?", "entries?"), int),
            "judged?": bool,
            "error?": str,
            "memory?": float,
            "seconds?": {"variant": POSITIVE, "baseline": POSITIVE, str: POSITIVE},
        }
    ],
}
"""What the results hold."""


def file(folder: Path, device: str) -> Path:
    """Return where the committed results of a device are."""
    return folder / f"bench-{device}.json"


def read(path: Path) -> dict[str, Any]:
    """Return the results in a file."""
    results: dict[str, Any] = read_json(path, FORM)
    return results


def entries_of(results: Mapping[str, Any], *tables: str) -> list[Entry]:
    """Return what was measured for some tables."""
    return [entry for entry in results["entries"] if entry["table"] in tables]


def ratios(results: Mapping[str, Any], table: str) -> Rows:
    """Return a row per variant and a column per model: the ratios of their times."""
    return _grid(entries_of(results, table), ("a step with", "over one of"), _ratio)


def every(results: Mapping[str, Any]) -> Rows:
    """Return a row per benchmark: ratio, control, memory and bandwidth where they were measured."""
    rows: Rows = [("benchmark", "over", "ratio", "control", "memory peak", "of a copy's bandwidth")]
    for entry in results["entries"]:
        name = ", ".join((entry["table"], entry["row"], entry["column"]))
        numbers = (
            f"{entry['control']:.2f}" if "control" in entry else "–",
            f"{entry['memory']:.2f}" if "memory" in entry else "–",
            f"{_bandwidth(entry, 'variant'):.0%}" if "copy" in entry and entry["judged"] else "–",
        )
        rows.append((name, entry["over"], _cell(entry, _ratio), *numbers))
    return rows


def memory(results: Mapping[str, Any]) -> Rows:
    """Return the peak of a step, as a multiple of the parameters."""
    found = entries_of(results, "steps", "peers")
    over = [{**entry, "over": None} for entry in found]
    return _grid(over, ("a step with",), lambda entry: f"{entry['memory']:.2f}")


def bandwidth(results: Mapping[str, Any]) -> Rows:
    """Return the share of a copy's bandwidth at which steps move what they have to move."""
    found = [entry for entry in entries_of(results, "steps") if "copy" in entry]
    return _shares(found, ("a step with", "bytes per parameter"), _bandwidth, _floor)


def hosts(results: Mapping[str, Any]) -> Rows:
    """Return the share of steps that one on as many tensors of one entry takes."""

    def share(entry: Entry, contender: str) -> float:
        host = {"variant": "host", "baseline": "baseline's host"}[contender]
        return float(entry["seconds"][host] / entry["seconds"][contender])

    return _shares(entries_of(results, "sizes"), ("a step with",), share)


def _floor(entry: Entry, contender: str) -> int:
    """Return the bytes per parameter that a contender has to move."""
    return ADAMW_FLOOR if contender == "baseline" else int(entry["floor"])


def _bandwidth(entry: Entry, contender: str) -> float:
    """Return the bandwidth of a contender over that of the copy beside it."""
    moved = _floor(entry, contender) * entry["entries"]
    return float(moved / entry["seconds"][contender] / entry["copy"])


def _shares(
    found: Sequence[Entry],
    head: Sequence[str],
    share: Callable[[Entry, str], float],
    over: Callable[[Entry, str], Any] = lambda _entry, _contender: None,
) -> Rows:
    """Return a row for AdamW, the median over what it was the baseline of, and one per variant."""
    baselines: dict[str, list[Entry]] = {}
    for entry in found:
        if entry["judged"]:
            baselines.setdefault(entry["column"], []).append(entry)
    shares = [
        {
            "row": "AdamW, fused",
            "over": over(mine[0], "baseline"),
            "column": column,
            "judged": True,
            "share": statistics.median(share(entry, "baseline") for entry in mine),
        }
        for column, mine in baselines.items()
    ]
    shares += [
        {**entry, "over": over(entry, "variant"), "share": share(entry, "variant")}
        for entry in found
    ]
    return _grid(
        shares, head, lambda entry: f"{entry['share']:.0%}" if entry["judged"] else "not judged"
    )


def scaling(results: Mapping[str, Any]) -> Rows:
    """Return how the time of a step grows with the number of parameters."""
    rows: Rows = [
        (
            "a step with",
            "parameters",
            "exponent",
            "farthest from a + b·n",
            "a / b",
            "over AdamW, fused",
        )
    ]
    found = [entry for entry in entries_of(results, "scaling") if "error" not in entry]
    baselines: dict[int, list[float]] = {}
    for entry in found:
        baselines.setdefault(entry["entries"], []).append(entry["seconds"]["baseline"])
    if baselines:
        medians = {n: statistics.median(times) for n, times in baselines.items()}
        rows.append(("AdamW, fused", *_growth(medians), "1"))
    for row in dict.fromkeys(entry["row"] for entry in found):
        mine = [entry for entry in found if entry["row"] == row]
        over = [entry["ratio"] for entry in mine if entry["judged"]]
        of_all = f" ({len(over)} of {len(mine)} judged)" if len(over) < len(mine) else ""
        ratios = f"{min(over):.2f} to {max(over):.2f}{of_all}" if over else "not judged"
        times = {entry["entries"]: entry["seconds"]["variant"] for entry in mine}
        rows.append((row, *_growth(times), ratios))
    return rows


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


def startup(results: Mapping[str, Any]) -> Rows:
    """Return what fresh processes take."""
    rows: Rows = [("a process with", "over one with", "ratio", "seconds", "over seconds")]
    for entry in entries_of(results, "startup"):
        times = entry.get("seconds", {})
        seconds = (f"{times[name]:.2f}" if times else "–" for name in ("variant", "baseline"))
        rows.append((entry["row"], entry["over"], _cell(entry, _ratio), *seconds))
    return rows


def checks(results: Mapping[str, Any]) -> Rows:
    """Return what was checked before anything was measured."""
    found = results["checks"]
    return [("check", "found"), *((check["name"], check["found"]) for check in found)]


def environment(results: Mapping[str, Any]) -> str:
    """Return what was measured how, and on what, in words."""
    where, found = results["environment"], results["entries"]
    measured = [entry for entry in found if "error" not in entry]
    rounds = [entry["rounds"] for entry in measured]
    judged = sum(entry["judged"] for entry in measured)
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    machine = f"{where['gpu']}; {where['processor']}" if where["gpu"] else where["processor"]
    return (
        f"Measured on {where['day']} at commit {where['commit']} on {machine}; {versions}; torch's "
        f"threads: {where['threads']}. Medians of {min(rounds, default=0)} to "
        f"{max(rounds, default=0)} rounds; of {len(found)} benchmarks {judged} have a control "
        "within 0.95 to 1.05."
    )


TABLES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "every": every,
    "steps": lambda results: ratios(results, "steps"),
    "peers": lambda results: ratios(results, "peers"),
    "costs": lambda results: ratios(results, "costs"),
    "memory": memory,
    "bandwidth": bandwidth,
    "sizes": lambda results: ratios(results, "sizes"),
    "hosts": hosts,
    "scaling": scaling,
    "startup": startup,
    "checks": checks,
    "environment": environment,
}
"""Tables by name; "environment" is a sentence."""

OF_DEVICE = {
    "cpu": [name for name in TABLES if name not in {"every", "checks"}],
    "cuda": [name for name in TABLES if name not in {"every", "peers", "sizes", "hosts"}],
}
"""The tables of a device that the texts show."""


def blocks(folder: Path, wanted: Mapping[str, Sequence[str]] = OF_DEVICE) -> dict[str, str]:
    """Return tables as Markdown under the names of their markers.

    Parameters
    ----------
    folder
        Of the committed results.
    wanted
        Names of `TABLES` by device.
    """
    made = {}
    for device, names in wanted.items():
        path = file(folder, device)
        results = read(path) if path.exists() else None
        for name in names:
            made[f"bench-{device}-{name}"] = (
                f"Not yet measured: `{COMMANDS[device]}` measures it."
                if results is None
                else text(results, name)
            )
    return made


def text(results: Mapping[str, Any], name: str) -> str:
    """Return one of `TABLES` as Markdown."""
    made = TABLES[name](results)
    return made if isinstance(made, str) else markdown(made)


def _grid(found: Sequence[Entry], head: Sequence[str], cell: Callable[[Entry], str]) -> Rows:
    """Return a row per (row, over) and a column per model."""
    columns = list(dict.fromkeys(entry["column"] for entry in found))
    cells: dict[tuple[str, ...], dict[str, str]] = {}
    for entry in found:
        key = (entry["row"], str(entry["over"])) if entry["over"] else (entry["row"],)
        cells.setdefault(key, {})[entry["column"]] = _cell(entry, cell)
    rows: Rows = [(*head, *columns)]
    rows += [(*key, *(of.get(column, "–") for column in columns)) for key, of in cells.items()]
    return rows


def _cell(entry: Entry, cell: Callable[[Entry], str]) -> str:
    return f"not measured: {entry['error']}" if "error" in entry else cell(entry)


def _ratio(entry: Entry) -> str:
    if not entry["judged"]:
        return f"not judged (control {entry['control']:.2f})"
    return f"{entry['ratio']:.2f}"
