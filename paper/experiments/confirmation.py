"""One fixed setting: chosen on half of the tasks, confirmed on the other half."""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from paper.tasks import TASKS
from paper.training import Run

from . import store
from .design import (
    CONFIRMATION,
    COSTLY,
    DEVELOPMENT,
    FIVE_RATES,
    SEEDS,
    SEVEN_RATES,
    Profile,
)
from .methods import Method


def confirmation(profile: Profile, searched: Iterable[Mapping[str, Any]]) -> Iterator[Run]:
    """Yield the chosen settings, one with c constant and one with c decayed, on every task."""
    for method in chosen(searched).values():
        for task in (*DEVELOPMENT, *CONFIRMATION):
            rates = FIVE_RATES if task in COSTLY else SEVEN_RATES
            yield from profile.cells([task], [method], rates, "cosine", SEEDS)


def chosen(searched: Iterable[Mapping[str, Any]]) -> dict[str, Method]:
    """Return the setting with the least mean regret, with c "constant" and "decayed".

    A setting's regret on a task at a learning rate is how much worse its median score over the
    seeds is than that of AdamW + clip_grad_norm_ at its best rate, as a share of the way from the
    trivial score to that; between −1 and 1. The mean is over rates and tasks.
    """
    medians: dict[tuple[str, str, float], list[float]] = {}
    methods: dict[str, Mapping[str, Any]] = {}
    for record in searched:
        run = record["run"]
        methods[run["method"]] = run
        place = (run["task"], run["method"], run["options"]["lr"])
        medians.setdefault(place, []).append(store.result(dict(record)).score)
    scores = {place: statistics.median(values) for place, values in medians.items()}
    best: dict[str, tuple[float, Method]] = {}
    for name, run in methods.items():
        if run["optimizer"] != "RelativisticAdam":
            continue
        mean = statistics.fmean(_regrets(name, scores))
        kind = "decayed" if run["options"]["speed_follows_lr"] else "constant"
        options = {k: v for k, v in run["options"].items() if k != "lr"}
        if kind not in best or mean < best[kind][0]:
            best[kind] = (mean, Method(name, run["optimizer"], options))
    return {kind: method for kind, (_, method) in sorted(best.items())}


def _regrets(name: str, scores: Mapping[tuple[str, str, float], float]) -> Sequence[float]:
    regrets = []
    for (task, method, _), score in scores.items():
        if method != name:
            continue
        tuned = min(
            s for (t, m, _), s in scores.items() if (t, m) == (task, "AdamW + clip_grad_norm_")
        )
        regrets.append(regret(score, tuned, TASKS[task].trivial))
    return regrets


def regret(score: float, tuned: float, trivial: float) -> float:
    """Return how much worse a score is than the tuned one, in the unit of what that has learned."""
    return max(-1.0, min(1.0, (score - tuned) / max(trivial - tuned, 1e-12)))
