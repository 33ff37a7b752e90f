"""Tables of what ``make bench`` and ``make bench-gpu`` have measured."""

import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.files import markdown
from analysis.forms import POSITIVE, read_json

from . import goals, growth

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
        "vectors?": str,
        "caches?": {str: str},
        "huge pages?": str,
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
            **dict.fromkeys(("memory?", "took?"), float),
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


def memory(results: Mapping[str, Any], *tables: str) -> Rows:
    """Return the peak of a step, as a multiple of the parameters."""
    found = entries_of(results, *tables)
    over = [{**e, "over": None} for e in found if "memory" in e or "error" in e]
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
        shares,
        head,
        lambda entry: f"{entry['share']:.0%}" if entry["judged"] else "not judged",
        columns_of(found),
    )


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


def hardware(results: Mapping[str, Any]) -> str:
    """Return what device was measured, with which torch, at which commit and when."""
    where = results["environment"]
    versions = where["versions"]
    device = where["gpu"] or where["processor"]
    return f"{device}, torch {versions['torch']}, commit {where['commit']}, {where['day']}"


def environment(results: Mapping[str, Any]) -> str:
    """Return what was measured how, and on what, in words."""
    where, found = results["environment"], results["entries"]
    measured = [entry for entry in found if "error" not in entry]
    rounds = [entry["rounds"] for entry in measured]
    judged = sum(entry["judged"] for entry in measured)
    took, processes = (
        sum(x.get("took", 0) for x in found if (x.get("table") == "startup") == apart) / 60
        for apart in (False, True)
    )
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    caches = [f"{level} {size}" for level, size in where.get("caches", {}).items()]
    pages = f"huge pages: {where['huge pages']}" if "huge pages" in where else None
    known = where["gpu"], where["processor"], where.get("vectors"), ", ".join(caches), pages
    machine = "; ".join(filter(None, known))
    return (
        f"Measured on {where['day']} at commit {where['commit']} on {machine}; {versions}; torch's "
        f"threads: {where['threads']}. Medians of {min(rounds, default=0)} to "
        f"{max(rounds, default=0)} rounds; of {len(found)} benchmarks {judged} have a control "
        f"within 0.95 to 1.05. Steps took {took:.0f} min, fresh processes {processes:.0f}."
    )


TABLES: Mapping[str, Callable[[Mapping[str, Any]], Any]] = {
    "every": every,
    "steps": lambda results: ratios(results, "steps"),
    "peers": lambda results: ratios(results, "peers"),
    "costs": lambda results: ratios(results, "costs"),
    "memory": lambda results: memory(results, "steps", "peers"),
    "costs-memory": lambda results: memory(results, "costs"),
    "goals": lambda results: goals.rows(
        entries_of(results, "steps"), "cuda" if results["environment"]["gpu"] else "cpu"
    ),
    "parallel": lambda results: ratios(results, "parallel"),
    "spread": lambda results: ratios(results, "spread"),
    "bandwidth": bandwidth,
    "sizes": lambda results: ratios(results, "sizes"),
    "hosts": hosts,
    "scaling": lambda results: growth.rows(entries_of(results, "scaling")),
    "startup": startup,
    "checks": checks,
    "environment": environment,
}
"""Tables by name; "environment" is a sentence."""

NOT_ON_CUDA = {"every", "peers", "sizes", "hosts", "parallel", "spread"}

OF_DEVICE = {
    "cpu": [name for name in TABLES if name not in {"every", "checks"}],
    "cuda": [name for name in TABLES if name not in NOT_ON_CUDA],
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


def columns_of(found: Sequence[Entry]) -> list[str]:
    """Return the models of entries, in their order."""
    return list(dict.fromkeys(entry["column"] for entry in found))


def _grid(
    found: Sequence[Entry],
    head: Sequence[str],
    cell: Callable[[Entry], str],
    columns: Sequence[str] = (),
) -> Rows:
    """Return a row per (row, over) and a column per model, unless told in the order of entries."""
    columns = columns or columns_of(found)
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
