"""The graph of the experiments: pytask's tasks, each a batch of runs, and one that collects them.

A batch's product is named by its runs and the code behind them, so that what is up to date is
skipped, and what has changed is run. Inside a batch each run is skipped that is done.
"""

import hashlib
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import torch
from pytask import Product, task

from paper.training import Run

from . import store

BATCH = 20
"""Runs in a batch at most: minutes, so that workers are kept busy to the end."""


def batches(runs: Iterable[Run]) -> list[tuple[Run, ...]]:
    """Return runs in batches of one task and method each, in their order."""
    grouped: dict[tuple[str, str], list[Run]] = {}
    for run in runs:
        grouped.setdefault((run.task, run.method), []).append(run)
    return [
        tuple(group[i : i + BATCH])
        for group in grouped.values()
        for i in range(0, len(group), BATCH)
    ]


def tasks(runs: Sequence[Run], folder: Path, collected: Path) -> list[Callable[..., Any]]:
    """Return the tasks that perform runs and collect their records.

    Parameters
    ----------
    runs
        What is run.
    folder
        Where files of runs and of batches go.
    collected
        The file of all records.
    """
    made, parts = [], []
    for batch in batches(runs):
        names = "".join(store.key(run) for run in batch)
        digest = hashlib.sha256(names.encode()).hexdigest()[:24]
        part = store.collected(folder / "batches", digest)
        made.append(_performing(batch, folder / "runs", part))
        parts.append(part)
    return [*made, _collecting(parts, collected)]


def _performing(batch: tuple[Run, ...], runs: Path, part: Path) -> Any:
    first = batch[0]

    @task(name=f"{first.task}, {first.method}", id=part.stem)
    def perform_batch(part: Annotated[Path, Product] = part) -> None:
        torch.set_num_threads(1)
        torch.set_flush_denormal(True)
        store.write_collected(part, [store.load(store.perform(run, runs)) for run in batch])

    return perform_batch


def _collecting(parts: list[Path], collected: Path) -> Any:
    @task(name="collect", id=collected.stem)
    def collect(parts: list[Path] = parts, collected: Annotated[Path, Product] = collected) -> None:
        store.write_collected(
            collected, [record for part in parts for record in store.read_collected(part)]
        )

    return collect
