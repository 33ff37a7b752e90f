"""One fixed setting: chosen on half of the tasks, confirmed on the other half."""

import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from paper.statistics import capped, regret
from paper.tasks import TASKS
from paper.training import Run

from . import store
from .design import SEEDS, WHOLE, Profile, rates_of
from .methods import CLIPPED, UNDECAYED, Method

BASELINES = (CLIPPED.name, UNDECAYED.name)


def confirmation(profile: Profile, searched: Iterable[Mapping[str, Any]]) -> Iterator[Run]:
    """Yield the chosen settings, one with c constant and one with c decayed, on every task."""
    for method in chosen(searched).values():
        for task in WHOLE:
            yield from profile.cells([task], [method], rates_of(task), "cosine", SEEDS)


def chosen(searched: Iterable[Mapping[str, Any]]) -> dict[str, Method]:
    """Return the setting with the least mean regret, with c "constant" and "decayed".

    Against the median score of AdamW + clip_grad_norm_ at its best rate and decay; the mean is over
    tasks and learning rates, of medians over the seeds.
    """
    scores: dict[tuple[str, str, float], list[float]] = {}
    methods: dict[str, Mapping[str, Any]] = {}
    for record in searched:
        run = record["run"]
        methods[run["method"]] = run
        place = (run["method"], run["task"], run["options"]["lr"])
        scores.setdefault(place, []).append(store.result(dict(record)).score)
    medians = {
        place: statistics.median(capped(values, TASKS[place[1]].trivial))
        for place, values in scores.items()
    }
    best: dict[str, tuple[float, Method]] = {}
    for name, run in methods.items():
        if name in BASELINES:
            continue
        mean = statistics.fmean(_regrets(name, medians))
        kind = "decayed" if run["options"]["speed_follows_lr"] else "constant"
        options = {k: v for k, v in run["options"].items() if k != "lr"}
        if kind not in best or mean < best[kind][0]:
            best[kind] = (mean, Method(name, run["optimizer"], options))
    return {kind: method for kind, (_, method) in sorted(best.items())}


def _regrets(name: str, medians: Mapping[tuple[str, str, float], float]) -> list[float]:
    """Return a method's regrets, of every task and learning rate."""
    tuned: dict[str, float] = {}
    for (method, task, _), score in medians.items():
        if method in BASELINES:
            tuned[task] = min(score, tuned.get(task, math.inf))
    return [
        float(regret(score, tuned[task], TASKS[task].trivial))
        for (method, task, _), score in medians.items()
        if method == name
    ]
