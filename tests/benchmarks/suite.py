"""Every benchmark: a table, a row and a column."""

import gc
import time
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch

from .contenders import copying, memory_peak, places_of, random_gradients, resuming, stepping
from .models import EQUAL, FEW, LARGE, LINE, MEDIUM, SMALL, Model
from .pairs import COSTS, FUSED, PARALLEL, PEERS, SCALING, SPREAD, STEPS, STEPS_ON_CPU, Pair
from .side_by_side import Repeat, SideBySide, judge, repeat
from .startup import Start, measure_start, starts

COPIED = {"cpu": 2**26, "cuda": 2**28}
"""Entries of the tensor whose copy tells the bandwidth: more than any cache holds."""

UNCACHED = 10_000_000
"""Entries of a model that no cache holds.

From there on the copy takes part, which would evict a smaller one, and the baseline again is the
same optimizer, which of a smaller one might find more in the caches.
"""


class Table(NamedTuple):
    """What a table shows and what is spent on it.

    Attributes
    ----------
    rows, models
        Its rows and columns.
    budget
        Seconds that an attempt at a cell may take, as far as that leaves it the fewest rounds.
    fewest
        Rounds of an attempt, at least.
    peaks
        Whether the memory of a step is measured, too.
    hosts
        Whether steps on as many tensors of one entry take part, which tell the host's share.
    """

    rows: Mapping[str, Pair] | Mapping[str, Start]
    models: Mapping[str, Model]
    budget: float
    fewest: int
    peaks: bool = False
    hosts: bool = False


def tables(device: str) -> Mapping[str, Table]:
    """Return what is measured on a device, by name."""
    models = {**LARGE[device], **SMALL}
    process = {"a fresh process": ()}
    if device == "cuda":  # a step takes milliseconds, a process seconds; the peers are not there
        return {
            "steps": Table(STEPS, models, 1, 7, peaks=True),
            "scaling": Table(SCALING, LINE[device], 0.5, 7),
            "costs": Table(COSTS, MEDIUM, 0.5, 7, peaks=True),
            "startup": Table(starts(device), process, 1, 1),
        }
    return {
        "steps": Table(STEPS_ON_CPU, models, 1.3, 7, peaks=True),
        "peers": Table(PEERS, models, 0.8, 5, peaks=True),
        "sizes": Table(FUSED, EQUAL, 0.4, 7, hosts=True),
        "scaling": Table(SCALING, LINE[device], 1, 3),
        "parallel": Table(PARALLEL, models, 0.5, 5),
        "spread": Table(SPREAD, FEW, 0.3, 7),
        "costs": Table(COSTS, MEDIUM, 0.6, 5, peaks=True),
        "startup": Table(starts(device), process, 1, 3),
    }


class Key(NamedTuple):
    """What one benchmark measures."""

    table: str
    row: str
    column: str


def keys(device: str) -> list[Key]:
    """Return every benchmark of a device, in the order of the tables."""
    return [
        Key(name, row, column)
        for name, table in tables(device).items()
        for row in table.rows
        for column in table.models
    ]


def measure(key: Key, device: str, *, timed: Repeat = repeat) -> dict[str, Any]:
    """Return what a benchmark finds.

    Returns
    -------
    dict
        What `judge` returns and the key; "over", the baseline's name; "took", the seconds that
        this took. Of steps, "entries" of the model and, where they are measured, "memory" (the
        peak of a step over the size of the parameters), "floor" (bytes per parameter) and "copy"
        (bytes per second).
    """
    started = time.perf_counter()
    table = tables(device)[key.table]
    row = table.rows[key.row]
    found = {**key._asdict(), "over": row.over}
    if isinstance(row, Start):
        found |= measure_start(row, table.budget, table.fewest, timed)
    else:
        model, usual = table.models[key.column], torch.get_num_threads()
        torch.set_num_threads(row.threads)
        try:
            found |= measure_steps(row, model, device, table, timed)
            found |= peak_of(row, model, device) if table.peaks else {}
        finally:
            torch.set_num_threads(usual)
            gc.collect()  # an optimizer's hooks may refer to it
    return found | {"took": time.perf_counter() - started}


def measure_steps(
    pair: Pair, model: Model, device: str, table: Table, timed: Repeat = repeat
) -> dict[str, Any]:
    """Return the ratio of a variant's step to its baseline's, and more, as `measure`."""
    gradients = random_gradients(model, device)
    places, entries = places_of(gradients), sum(model)
    makes = {"baseline": pair.baseline, "variant": pair.variant}
    makes |= {"again": pair.baseline} if entries < UNCACHED else {}
    contenders = {name: stepping(make, gradients, places) for name, make in makes.items()}
    contenders.setdefault("again", contenders["baseline"])
    if table.hosts:
        ones = random_gradients([1] * len(model), device)
        contenders["host"] = stepping(pair.variant, ones)
        contenders["baseline's host"] = stepping(pair.baseline, ones)
    if pair.floor and entries >= UNCACHED:
        contenders["copy"] = copying(COPIED[device], device)
    side = SideBySide(contenders, torch.cuda.synchronize if device == "cuda" else lambda: None)
    found = judge(side, budget=table.budget, fewest=table.fewest, timed=timed)
    if "copy" in contenders:
        found |= {"floor": pair.floor, "copy": 8 * COPIED[device] / found["seconds"]["copy"]}
    return found | {"entries": entries}


def peak_of(pair: Pair, model: Model, device: str) -> dict[str, Any]:
    """Return the "memory" of a variant's step, as `measure`."""
    peak = memory_peak(resuming(pair.variant, random_gradients(model, device)), device)
    return {"memory": peak / (4 * sum(model))}
