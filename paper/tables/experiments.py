"""The tables of what the experiments are."""

from collections import Counter
from pathlib import Path

from analysis.files import markdown
from paper.experiments.design import CONFIRMATION, DEVELOPMENT, EXPERIMENTS, PROFILES
from paper.experiments.plan import planned
from paper.manuscript import answers
from paper.tasks import TASKS


def plan() -> list[list[str]]:
    """Return a row per experiment: what it runs, and how many runs it adds to those before it."""
    plans = {name: planned(profile) for name, profile in PROFILES.items()}
    rows = [["experiment", *(f"runs, {name}" for name in plans), "what"]]
    for name, function in EXPERIMENTS.items():
        counts = [f"{len(runs[name]):,}" for runs in plans.values()]
        what = (function.__doc__ or "").partition("\n")[0].removeprefix("Yield ").rstrip(".")
        rows.append([name, *counts, what])
    sums = [f"{sum(map(len, runs.values())):,}" for runs in plans.values()]
    return [*rows, ["all", *sums, ""]]


def tasks() -> list[list[str]]:
    """Return a row per task: its half, its steps, what it is judged by, and its goal."""
    halves = {**dict.fromkeys(DEVELOPMENT, "development"), **dict.fromkeys(CONFIRMATION, "other")}
    runs = Counter(run.task for found in planned(PROFILES["full"]).values() for run in found)
    rows = [["task", "half", "runs", "steps", "score", "goal", "learns nothing"]]
    for name, problem in TASKS.items():
        cells = [f"{problem.steps}", problem.score, f"{problem.goal:g}", f"{problem.trivial:.3g}"]
        rows.append([name, halves.get(name, "–"), f"{runs[name]:,}", *cells])
    return rows


def blocks(folder: Path) -> dict[str, str]:
    """Return what stands between the markers of the text on experiments, by marker.

    Of the answers in a folder.
    """
    found = answers.read(folder) or {}
    factorial = found.get("factorial")
    return {
        "experiments-plan": markdown(plan()),
        "experiments-tasks": markdown(tasks()),
        "experiments-factorial": markdown(factorial) if factorial else answers.NOT_YET,
    }
