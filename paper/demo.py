"""The demo: where Adam explodes and a speed-limited optimizer trains, and where neither helps.

``python -m paper.demo [--out FOLDER]`` trains, prints two tables and writes demo.json and demo.png.
"""

import argparse
import json
import platform
import statistics
import sys
from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TimeRemainingColumn
from rich.table import Table

from analysis.files import write_atomically
from analysis.forms import read_json

from .figures.demo import draw_demo
from .forms import RESULT
from .training import Result, Run, train

SEEDS = (42, 43, 44)
REGRESSION_STEPS = 200
DIGITS_STEPS = 180
DIGITS_EPOCH = 12
LEARNING_RATES = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0, 10.0)
DIGITS_SPEED_LIMIT = 1e-3
TRAINED = 0.9

FORM = {"versions": {str: str}, "results": [RESULT]}
"""What demo.json holds."""


@dataclass(frozen=True)
class Size:
    """How much the demo trains."""

    seeds: Sequence[int] = SEEDS
    regression_steps: int = REGRESSION_STEPS
    digits_steps: int = DIGITS_STEPS
    learning_rates: Sequence[float] = LEARNING_RATES


def regression_runs(size: Size) -> Iterable[Run]:
    """Yield the runs of the published demo: learning rate 1, and two others to compare."""
    methods: list[tuple[str, str, dict[str, Any], float | None]] = [
        ("Adam", "Adam", {"lr": 1.0}, None),
        ("Adam + clip_grad_norm_", "Adam", {"lr": 1.0}, 1.0),
    ]
    for mode in ("per_param", "per_component"):
        for law in ("published", "smooth_sqrt", "tanh"):
            options = {"lr": 1.0, "law": law, "relativistic_mode": mode}
            methods.append((f"RelativisticAdam {law}, {mode}", "RelativisticAdam", options, None))
    methods += [
        ("Gravity", "Gravity", {"lr": 1.0}, None),
        ("Gravity, lr = 0.1 (its default)", "Gravity", {"lr": 0.1}, None),
        ("Adam, lr = 0.001 (its default)", "Adam", {"lr": 1e-3}, None),
    ]
    for name, optimizer, options, clip_norm in methods:
        for seed in size.seeds:
            steps = size.regression_steps
            yield Run(name, "published_regression", optimizer, options, steps, seed, clip_norm)


def digits_runs(size: Size) -> Iterable[Run]:
    """Yield the runs on the digits, one per method, learning rate and seed."""
    limited = {"speed_unit": "rms", "speed_limit": DIGITS_SPEED_LIMIT}
    methods: list[tuple[str, str, dict[str, Any], float | None]] = [
        ("Adam", "Adam", {}, None),
        ("AdamW + clip_grad_norm_", "AdamW", {}, 1.0),
        (f"RelativisticAdam, rms c = {DIGITS_SPEED_LIMIT:g}", "RelativisticAdam", limited, None),
        ("Gravity", "Gravity", {}, None),
    ]
    for name, optimizer, options, clip_norm in methods:
        for lr in size.learning_rates:
            for seed in size.seeds:
                chosen = {**options, "lr": lr}
                steps, span = size.digits_steps, DIGITS_EPOCH
                yield Run(name, "digits", optimizer, chosen, steps, seed, clip_norm, span=span)


def start_worker() -> None:
    """Give a worker one thread, and no slow subnormal numbers."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)


def train_all(runs: Sequence[Run], console: Console, workers: int) -> list[Result]:
    """Train in worker processes, showing progress; results come in the order of the runs."""
    results: dict[int, Result] = {}
    columns = (SpinnerColumn(), *Progress.get_default_columns()[:3], MofNCompleteColumn())
    context = get_context("spawn")
    with (
        Progress(*columns, TimeRemainingColumn(), console=console) as progress,
        ProcessPoolExecutor(workers, mp_context=context, initializer=start_worker) as pool,
    ):
        bar = progress.add_task("training", total=len(runs))
        futures = {pool.submit(train, run, measure=True): i for i, run in enumerate(runs)}
        for future in as_completed(futures):
            results[futures[future]] = future.result()
            progress.advance(bar)
    return [results[i] for i in range(len(runs))]


def by_method(results: Iterable[Result], task: str) -> dict[str, list[Result]]:
    """Return a task's results by method, in the order of the runs."""
    grouped: dict[str, list[Result]] = {}
    for result in results:
        if result.run.task == task:
            grouped.setdefault(result.run.method, []).append(result)
    return grouped


def regression_rows(results: Iterable[Result]) -> list[list[str]]:
    """Return the first table: a row per method, medians over the seeds."""
    rows = [
        ["lr = 1, 200 epochs", "exploded", "train loss", "validation", "largest r", "r ≥ 1"],
    ]
    for method, runs in by_method(results, "published_regression").items():
        alive = [run for run in runs if not run.exploded]
        dead = [run for run in runs if run.exploded]
        steps = f", after {_range([run.steps for run in dead])} steps" if dead else ""
        rows.append(
            [
                method,
                f"{len(dead)} of {len(runs)}{steps}",
                _median([run.train_loss[-1] for run in alive], ".2g"),
                _median([run.validation_loss for run in alive], ".2g"),
                _median([run.largest_ratio for run in runs], ".4g"),
                _median([run.saturated for run in runs], ".0%"),
            ]
        )
    return rows


def digits_rows(results: Iterable[Result]) -> list[list[str]]:
    """Return the second table: accuracy by learning rate, a column per method."""
    grouped = by_method(results, "digits")
    rates = sorted({run.run.options["lr"] for runs in grouped.values() for run in runs})
    limited = next(name for name in grouped if name.startswith("RelativisticAdam"))
    rows = [["learning rate", *grouped, "largest r of RelativisticAdam", "its r ≥ 1"]]
    for lr in rates:
        at = {
            name: [r for r in runs if r.run.options["lr"] == lr] for name, runs in grouped.items()
        }
        cells = []
        for runs in at.values():
            dead = sum(run.exploded for run in runs)
            accuracy = _median([run.validation_accuracy for run in runs], ".3f")
            cells.append(f"{accuracy}{f' ({dead} of {len(runs)} exploded)' if dead else ''}")
        cells.append(_median([run.largest_ratio for run in at[limited]], ".3g"))
        cells.append(_median([run.saturated for run in at[limited]], ".0%"))
        rows.append([f"{lr:g}", *cells])
    train = [_trained(runs, rates) for runs in grouped.values()]
    return [*rows, [f"rates with ≥ {TRAINED:g}", *train, "", ""]]


def _trained(runs: Sequence[Result], rates: Sequence[float]) -> str:
    """Say at how many learning rates the median accuracy reaches `TRAINED`."""
    reached = 0
    for lr in rates:
        accuracies = [run.validation_accuracy or 0 for run in runs if run.run.options["lr"] == lr]
        reached += statistics.median(accuracies) >= TRAINED
    return f"{reached} of {len(rates)}"


def _median(values: Sequence[float | None], form: str) -> str:
    present = [value for value in values if value is not None]
    return format(statistics.median(present), form) if present else "–"


def _range(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low}–{high}"


def write(results: Sequence[Result], out: Path) -> None:
    """Write demo.json and demo.png."""
    versions = {
        "python": platform.python_version(),
        "torch": torch.__version__,
        "numpy": np.__version__,
        "machine": platform.machine(),
    }
    record = {"versions": versions, "results": [result.as_record() for result in results]}
    write_atomically(out / "demo.json", json.dumps(record, indent=1, allow_nan=False) + "\n")
    draw_demo(
        by_method(results, "published_regression"), by_method(results, "digits"), out / "demo.png"
    )


def read(folder: Path) -> list[Result]:
    """Return the results in a folder's demo.json."""
    record = read_json(folder / "demo.json", FORM)
    return [Result.from_record(result) for result in record["results"]]


def show(rows: Sequence[Sequence[str]], title: str, console: Console) -> None:
    """Print rows as a table, the first one its head."""
    table = Table(title=title, title_justify="left")
    for name in rows[0]:
        table.add_column(name, overflow="fold")
    for row in rows[1:]:
        table.add_row(*row)
    console.print(table)


def main(arguments: Sequence[str], size: Size, workers: int = 2) -> None:
    """Run the demo."""
    parser = argparse.ArgumentParser(prog="python -m paper.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/demo"), help="folder to write to")
    out: Path = parser.parse_args(arguments).out
    console = Console() if sys.stdout.isatty() else Console(width=120)
    runs = [*regression_runs(size), *digits_runs(size)]
    results = train_all(runs, console, workers)
    write(results, out)
    seeds = f"medians over {len(size.seeds)} seeds"
    show(regression_rows(results), f"The published demo, {seeds}", console)
    show(digits_rows(results), f"Digits: validation accuracy, {seeds}", console)
    console.print(f"Written: {out / 'demo.json'} and {out / 'demo.png'}")


if __name__ == "__main__":
    main(sys.argv[1:], Size())
