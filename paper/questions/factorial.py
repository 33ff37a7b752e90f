"""Every method at nine learning rates: what the whole factorial shows."""

import numpy as np

from paper.experiments.design import EVERY_METHOD, NINE_RATES, SEEDS, WHOLE_FACTORIAL
from paper.experiments.evidence import Evidence, Scores
from paper.experiments.methods import Method
from paper.tasks import TASKS

from .answer import number, share


def of_every(evidence: Evidence, task: str, method: Method) -> Scores:
    """Return the scores of a method at constant rates, (rates, seeds)."""
    return evidence.scores(task, method, NINE_RATES, "constant", SEEDS)


def explosions(evidence: Evidence, task: str, method: Method) -> list[int]:
    """Return how many runs of a method exploded, by learning rate."""
    runs = evidence.profile.cells([task], [method], NINE_RATES, "constant", SEEDS)
    exploded = np.array([evidence.result(run).exploded for run in runs])
    by_rate = exploded.reshape(len(evidence.profile.few(NINE_RATES)), -1)
    return [int(count) for count in by_rate.sum(axis=1)]


def factorial(evidence: Evidence) -> list[list[str]]:
    """Return a row per method: its best score, the rates that train, and the runs that exploded."""
    heads = [
        f"{task.replace('_', ' ')}: {what}"
        for task in WHOLE_FACTORIAL
        for what in ("best error", "rates that train", "runs exploded")
    ]
    return [["method", *heads], *(_row(evidence, method) for method in EVERY_METHOD)]


def _row(evidence: Evidence, method: Method) -> list[str]:
    cells = [method.name]
    for task in WHOLE_FACTORIAL:
        scores = of_every(evidence, task, method)
        medians = np.median(scores, axis=1)
        cells += [
            number(float(medians.min()), 3),
            share(int((medians <= TASKS[task].goal).sum()), len(medians)),
            share(sum(explosions(evidence, task, method)), scores.size),
        ]
    return cells
