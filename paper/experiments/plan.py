"""The runs of a profile, each once, and what they cost."""

import math
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from paper.training import Run

from . import store
from .confirmation import confirmation
from .design import EXPERIMENTS, Profile


def unique(runs: Iterable[Run], known: set[str]) -> list[Run]:
    """Return the runs that are not known yet, and know them from now on."""
    found = []
    for run in runs:
        told = store.configuration(run)
        if told not in known:
            known.add(told)
            found.append(run)
    return found


def planned(profile: Profile) -> dict[str, list[Run]]:
    """Return the runs of every experiment, each run in the first that has it."""
    known: set[str] = set()
    return {name: unique(runs(profile), known) for name, runs in EXPERIMENTS.items()}


def confirming(profile: Profile, results: Path) -> dict[str, list[Run]]:
    """Return the runs that confirm what the search has found; none until all of it is there."""
    plan = planned(profile)
    known = {store.configuration(run) for runs in plan.values() for run in runs}
    path = store.collected(results, "search")
    searched = store.read_collected(path) if path.exists() else []
    found = {store.configuration(Run(**record["run"])) for record in searched}
    if any(store.configuration(run) not in found for run in plan["search"]):
        return {}
    return {"confirmation": unique(confirmation(profile, searched), known)}


def cost(runs: Iterable[Run], records: Iterable[Mapping[str, Any]]) -> float:
    """Return the seconds that runs will take, by what a task's steps have taken; NaN if unknown."""
    rates: dict[str, list[float]] = {}
    for record in records:
        if record["steps"]:
            rate = record["seconds"] / record["steps"]
            rates.setdefault(record["run"]["task"], []).append(rate)
    known = {task: statistics.median(values) for task, values in rates.items()}
    return sum(run.steps * known.get(run.task, math.nan) for run in runs)
