"""Questions 5, 6, 7 and 9: spikes, widths, the law's shape, the mode."""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from paper.experiments.design import (
    LIMITS,
    MANY_SEEDS,
    MODE_RATES,
    MODED,
    MODES,
    SEEDS,
    SHAPE_RATES,
    SHAPED,
    SHAPES,
    SPIKE,
    SPIKE_METHODS,
    SPIKE_POINTS,
    SPIKED,
    TRANSFER_RATE,
    WIDTHS,
)
from paper.experiments.evidence import Evidence, Scores
from paper.experiments.methods import Method, limited
from paper.statistics import (
    bootstrap_interval,
    detectable_difference,
    holm,
    mean_interval,
    median_interval,
    sign_flip_test,
)
from paper.tasks import TASKS
from paper.training import Result

from .answer import Answer, interval, number

LEVEL = 0.05
BACK, NEAR = 1.1, 0.01
"""A run is back when its loss is at most 1.1 times that of the same run without the spike, or more
than that by no more than a hundredth of the loss that they began with."""


def spikes(evidence: Evidence) -> Answer:
    """Answer question 5: what a spike does, by where the limit is placed."""
    rows = [["task", "method", "steps until it is back", "score minus that without"]]
    steps: dict[tuple[str, str], list[float]] = {}
    for task in SPIKED:
        for method in SPIKE_METHODS:
            pairs = spiked_pairs(evidence, task, method)
            found = [steps_until_back(plain, hit) for plain, hit in pairs]
            steps[task, method.name] = found
            trivial = TASKS[task].trivial
            costs = [min(hit.score, trivial) - min(plain.score, trivial) for plain, hit in pairs]
            cells = [interval(median_interval(found), 3), interval(mean_interval(costs))]
            rows.append([task, method.name, *cells])
    faster = np.concatenate(
        [
            np.subtract(steps[task, update.name], steps[task, gradient.name])
            for task in SPIKED
            for update, gradient in PLACED
        ]
    )
    mean, p = mean_interval(faster), sign_flip_test(faster)
    verdict = "no difference shown"
    if p < LEVEL:
        pair = ("gradients", "updates") if mean.estimate > 0 else ("updates", "gradients")
        verdict = "back sooner with limited {} than with limited {}".format(*pair)
    return Answer(
        "What does a spike of the gradient do, with a limit of the update or of the gradient?",
        f"Steps until the training loss is back (at most {BACK:g} times that of the same run "
        f"without the spike, or {NEAR:.0%} of the first loss more), after one gradient {SPIKE:g} "
        "times as large, in spans of 5; a placement is faster if it is so at "
        f"p < {LEVEL:g}, paired over tasks, seeds and modes (signs flipped).",
        verdict,
        f"A limit of the gradient is back {interval(mean)} steps earlier than one of the update, "
        f"p = {number(p)}. Undisturbed on every task (median): "
        f"{'; '.join(_undisturbed(steps)) or 'none'}.",
        {"spikes": rows},
    )


PLACED = tuple(zip(SPIKE_METHODS[-4:-2], SPIKE_METHODS[-2:], strict=True))
"""A limit of the update and one of the gradient, in the same mode."""


def _undisturbed(steps: dict[tuple[str, str], list[float]]) -> list[str]:
    return [
        method.name
        for method in SPIKE_METHODS
        if all(np.median(steps[task, method.name]) == 0 for task in SPIKED)
    ]


def spiked_pairs(evidence: Evidence, task: str, method: Method) -> list[tuple[Result, Result]]:
    """Return each seed's run without the spike and with it."""
    pairs = []
    for run in evidence.profile.cells([task], [method], (1e-3,), "constant", SEEDS):
        base = replace(run, span=max(1, run.steps // SPIKE_POINTS))
        pairs.append((evidence.result(base), evidence.result(replace(base, spike=SPIKE))))
    return pairs


def steps_until_back(plain: Result, hit: Result) -> float:
    """Return how many steps after the spike the loss is back for the first time.

    0 if it is never away; those that are left if it is not back.
    """
    spike, span = hit.run.steps // 2, hit.run.span
    near = NEAR * next(iter(plain.train_loss), 0.0)
    pairs = list(itertools.zip_longest(plain.train_loss, hit.train_loss))[spike // span :]
    away = [
        before is None or after is None or after > max(BACK * before, before + near)
        for before, after in pairs
    ]
    if not any(away):
        return 0.0
    back = next((i for i in range(away.index(True), len(away)) if not away[i]), None)
    left = hit.run.steps - spike
    return float(left if back is None else min(left, (spike // span + back) * span - spike))


def transfer(evidence: Evidence) -> Answer:
    """Answer question 6: whether c transfers over widths, in each unit."""
    widths = evidence.profile.few(WIDTHS)
    rows = [["unit", "c", *widths, "largest over smallest"]]
    verdicts, findings = [], []
    for unit in LIMITS:
        limits = evidence.profile.few(LIMITS[unit])
        scores = np.array([[_at_limit(evidence, w, unit, c)[0] for c in limits] for w in widths])
        goals = np.array([TASKS[width].goal for width in widths])
        spreads = []
        for what, over_widths in (
            ("best", partial(_best, limits)),
            ("largest that trains", partial(_largest_trained, limits, goals)),
        ):
            found = over_widths(scores).tolist()
            spreads.append(interval(bootstrap_interval(scores, partial(_spread, over_widths))))
            rows.append([unit, what, *(f"{c:g}" for c in found), spreads[-1]])
        best = _best(limits, scores).tolist()
        findings.append(f"{unit} {spreads[0]} and {spreads[1]}")
        steady = max(best) / min(best) <= ONE_PLACE
        at_end = {limits[0], limits[-1]} & set(best)
        word = "at the end of the grid" if at_end else "transfers" if steady else "moves"
        verdicts.append(f"{unit}: {word}")
    return Answer(
        "Does c transfer over widths, in each unit?",
        "The c with the best median score at each width; a unit transfers if it varies by no more "
        "than one place of the grid (a factor of 3.3) and is nowhere at its end. Beside it, chosen "
        "after the first runs, the largest c that reaches the goal.",
        f"the best limit in {'; '.join(verdicts)}",
        f"Largest over smallest c over {len(widths)} widths, of the best and of the largest that "
        f"trains: {'; '.join(findings)}.",
        {"widths": rows},
    )


ONE_PLACE = 3.5
"""Between the factor of one place of a grid of half decades and that of two."""


def _best(limits: Sequence[float], scores: Scores) -> Scores:
    """Return the limit with the least median over the last axis, of (widths, limits, …, seeds)."""
    found: Scores = np.asarray(limits)[np.median(scores, axis=-1).argmin(axis=1)]
    return found


def _largest_trained(limits: Sequence[float], goals: Scores, scores: Scores) -> Scores:
    """Return the largest limit whose median reaches the goal of its width; NaN where none does."""
    medians = np.moveaxis(np.median(scores, axis=-1), 1, -1)  # (widths, …, limits)
    trained = medians <= goals.reshape(-1, *[1] * (medians.ndim - 1))
    largest = np.where(trained, limits, -np.inf).max(axis=-1)
    return np.where(np.isfinite(largest), largest, np.nan)


def _spread(over_widths: Callable[[Scores], Scores], scores: Scores) -> Scores:
    """Return the largest over the smallest of the limits that each width has."""
    limits = over_widths(scores)
    return np.asarray(limits.max(axis=0) / limits.min(axis=0))


def _at_limit(evidence: Evidence, task: str, unit: str, c: float) -> Scores:
    return evidence.scores(task, limited(c, unit=unit), (TRANSFER_RATE,), "constant", SEEDS)


def shapes(evidence: Evidence) -> Answer:
    """Answer question 7: whether the shape of the law matters."""
    means = {method.name: _by_task_and_seed(evidence, method) for method in SHAPES}
    usual, *others = SHAPES
    differences = {m.name: means[m.name] - means[usual.name] for m in others}
    p_values = holm([sign_flip_test(values) for values in differences.values()])
    p = dict(zip(differences, p_values, strict=True))
    rows = [["law", "score minus that of smooth_sqrt, as a share of the trivial score", "p (Holm)"]]
    for method in others:
        values = differences[method.name]
        law = str(method.options["law"])
        rows.append([law, interval(mean_interval(values)), number(float(p[method.name]))])
    found = [str(m.options["law"]) for m in others if p[m.name] < LEVEL]
    pairs = len(differences[others[0].name])
    level = LEVEL / len(others)  # what Holm asks of the smallest
    power = detectable_difference(pairs, level=level) if pairs > 7 else math.nan  # noqa: PLR2004
    deviation = max(float(np.std(values)) for values in differences.values())
    return Answer(
        "Does the shape of the law matter?",
        f"Scores paired over tasks and seeds (mean over {len(SHAPE_RATES)} rates, c decayed), "
        f"signs flipped; it matters for a law with p < {LEVEL:g} (Holm).",
        f"a difference is shown for {', '.join(found) or 'no law'}",
        "; ".join(f"{row[0]}: {row[1]}, p = {row[2]}" for row in rows[1:])
        + f". With {pairs} pairs a mean difference of {number(power * deviation)} would be found "
        "with a probability of 80 %.",
        {"shape": rows},
    )


def _by_task_and_seed(evidence: Evidence, method: Method) -> Scores:
    """Return scores over the trivial one, a mean over rates for each task and seed."""
    return np.concatenate(
        [
            evidence.scores(task, method, SHAPE_RATES, "cosine", MANY_SEEDS).mean(axis=0)
            / TASKS[task].trivial
            for task in SHAPED
        ]
    )


def modes(evidence: Evidence) -> Answer:
    """Answer question 9: which mode is best."""
    rows = [["task", *MODES]]
    best: dict[str, list[float]] = {mode: [] for mode in MODES}
    for task in MODED:
        cells = []
        for mode in MODES:
            found = [
                evidence.scores(task, limited(c, mode=mode), MODE_RATES, "constant", SEEDS)
                for c in evidence.profile.few(LIMITS["rms"])
            ]
            tuned = min(np.concatenate(found), key=lambda scores: float(np.median(scores)))
            best[mode] += [float(score) / TASKS[task].trivial for score in tuned]
            cells.append(interval(median_interval(tuned), 3))
        rows.append([task, *cells])
    others = [mode for mode in MODES if mode != "per_param"]
    p_values = holm([sign_flip_test(np.subtract(best[m], best["per_param"])) for m in others])
    shown = []
    for mode, p in zip(others, p_values, strict=True):
        difference = mean_interval(np.subtract(best[mode], best["per_param"]))
        verdict = "better" if difference.estimate < 0 else "worse"
        shown.append((mode, verdict if p < LEVEL else "no difference shown", difference, p))
    return Answer(
        "per_component, per_param or global?",
        "Best score over the same speed limits and rates, paired over tasks and seeds with that of "
        f"per_param, as a share of the trivial score; different at p < {LEVEL:g} (signs flipped, "
        "Holm).",
        "against per_param, " + "; ".join(f"{mode}: {verdict}" for mode, verdict, _, _ in shown),
        "Change of the score, lower is better: "
        + "; ".join(
            f"{mode}: {interval(difference)}, p = {number(float(p))}"
            for mode, _, difference, p in shown
        )
        + ".",
        {"modes": rows},
    )
