"""Questions 5, 6, 7 and 9: spikes, widths, the law's shape, the mode."""

import itertools
from dataclasses import replace

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
from paper.experiments.methods import ADAMW, Method, limited
from paper.statistics import (
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
BACK = 1.1
"""A run is back when its loss is at most this times that of the same run without the spike."""


def spikes(evidence: Evidence) -> Answer:
    """Answer question 5: what a spike does, by where the limit is placed."""
    rows = [["task", "method", "steps until it is back", "score, over that without"]]
    recovery: dict[tuple[str, str], float] = {}
    for task in SPIKED:
        for method in SPIKE_METHODS:
            pairs = spiked_pairs(evidence, task, method)
            steps = median_interval([_steps_to_recover(plain, hit) for plain, hit in pairs])
            trivial = TASKS[task].trivial
            costs = [min(hit.score, trivial) - min(plain.score, trivial) for plain, hit in pairs]
            recovery[task, method.name] = steps.estimate
            rows.append([task, method.name, interval(steps, 3), interval(mean_interval(costs))])
    update, gradient = SPIKE_METHODS[-2].name, SPIKE_METHODS[-1].name
    faster = [recovery[task, gradient] < recovery[task, update] for task in SPIKED]
    return Answer(
        "What does a spike of the gradient do, with a limit of the update or of the gradient?",
        f"Steps until the training loss is back within {BACK - 1:.0%} of the same run's without "
        f"the spike, after one gradient {SPIKE:g} times as large; which placement is faster on "
        "every task.",
        "gradients limited: faster" if all(faster) else "no placement is faster on every task",
        "; ".join(f"{task}: {_listed(task, recovery)}" for task in SPIKED) + " steps.",
        {"spikes": rows},
    )


def _listed(task: str, recovery: dict[tuple[str, str], float]) -> str:
    shown = (ADAMW, *SPIKE_METHODS[-2:])
    return ", ".join(f"{m.name} {number(recovery[task, m.name], 3)}" for m in shown)


def spiked_pairs(evidence: Evidence, task: str, method: Method) -> list[tuple[Result, Result]]:
    """Return each seed's run without the spike and with it."""
    pairs = []
    for run in evidence.profile.cells([task], [method], (1e-3,), "constant", SEEDS):
        base = replace(run, span=max(1, run.steps // SPIKE_POINTS))
        pairs.append((evidence.result(base), evidence.result(replace(base, spike=SPIKE))))
    return pairs


def _steps_to_recover(plain: Result, hit: Result) -> float:
    """Return how many steps after the spike the loss is back; those that are left if it is not."""
    first = hit.run.steps // 2 // hit.run.span + 1
    left = float(hit.run.steps - hit.run.steps // 2)
    for i, (before, after) in enumerate(itertools.zip_longest(plain.train_loss, hit.train_loss)):
        if i >= first and before is not None and after is not None and after <= BACK * before:
            return float((i + 1) * hit.run.span - hit.run.steps // 2)
    return left


def transfer(evidence: Evidence) -> Answer:
    """Answer question 6: whether c transfers over widths, in each unit."""
    widths = evidence.profile.few(WIDTHS)
    rows = [["unit", *widths, "largest over smallest"]]
    spread: dict[str, float] = {}
    for unit in LIMITS:
        best = []
        for width in widths:
            limits = evidence.profile.few(LIMITS[unit])
            medians = [np.median(_at_limit(evidence, width, unit, c)) for c in limits]
            best.append(limits[int(np.argmin(medians))])
        spread[unit] = max(best) / min(best)
        rows.append([unit, *(f"{c:g}" for c in best), number(spread[unit])])
    steady = [unit for unit, found in spread.items() if found <= 3.5]  # noqa: PLR2004
    return Answer(
        "Does c transfer over widths, in each unit?",
        "The c with the best median score at each width; a unit transfers if it varies by no more "
        "than one place of the grid (a factor of 3.3) from the narrowest to the widest network.",
        f"transfers: {', '.join(steady) or 'none'}",
        "Largest over smallest best c: "
        + ", ".join(f"{unit} {number(found)}" for unit, found in spread.items())
        + f", over {len(widths)} widths.",
        {"widths": rows},
    )


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
    power = detectable_difference(pairs) if pairs > 5 else float("nan")  # noqa: PLR2004
    deviation = max(float(np.std(values)) for values in differences.values())
    return Answer(
        "Does the shape of the law matter?",
        f"Scores paired over tasks and seeds (mean over {len(SHAPE_RATES)} rates, c decayed), "
        f"signs flipped; it matters for a law with p < {LEVEL:g} (Holm).",
        f"shown for: {', '.join(found) or 'none'}",
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
        "against per_param: " + ", ".join(f"{mode} {verdict}" for mode, verdict, _, _ in shown),
        "; ".join(
            f"{mode}: {interval(difference)}, p = {number(float(p))}"
            for mode, _, difference, p in shown
        )
        + ".",
        {"modes": rows},
    )
