"""Questions 1 to 4: learning rates that train, the best of a budget, and one fixed setting."""

import numpy as np

from paper.experiments.design import (
    CONFIRMATION,
    DEVELOPMENT,
    LIMITS,
    MAIN,
    MAP_LIMITS,
    MAPPED,
    SEEDS,
    rates_of,
)
from paper.experiments.evidence import Evidence, Scores
from paper.experiments.methods import CLIPPED, UNDECAYED, Method, limited
from paper.statistics import (
    Interval,
    holm,
    mean_interval,
    paired_difference_interval,
    regret,
    sign_flip_test,
    trained_share,
    window,
)
from paper.tasks import TASKS

from .answer import Answer, interval, number, share
from .factorial import factorial

EVERY_TASK = (*DEVELOPMENT, *CONFIRMATION)
BASELINES = (CLIPPED, UNDECAYED)
"""AdamW behind clipping, of which the better one is what others are held against."""

LEVEL = 0.05
MARGIN = 0.05
"""What is within noise: a share of what the tuned baseline has learned beyond the trivial score."""

NEARLY_EVERY = 7 / 8
"""Share of the tasks on which a setting has to hold."""


def of_main(evidence: Evidence, task: str, method: Method) -> Scores:
    """Return the scores of a method in the runs that every task has, (rates, seeds)."""
    return evidence.scores(task, method, rates_of(task), "cosine", SEEDS)


def methods_of(evidence: Evidence) -> dict[str, Method]:
    """Return the methods that every task has, and the two that the search has chosen."""
    found = {method.name: method for method in MAIN}
    for method in evidence.chosen.values():
        found.setdefault(method.name, method)
    return found


def tuned(scores: Scores) -> Scores:
    """Return the scores of the seeds at the rate with the best median."""
    return np.asarray(scores[np.argmin(np.median(scores, axis=1))])


def median_regret(task: str, scores: Scores, baseline: Scores) -> float:
    """Return the regret of a median score against that of a baseline."""
    tuned_score = float(np.median(baseline))
    return float(regret(np.median(scores), tuned_score, TASKS[task].trivial))


def baseline_of(evidence: Evidence, task: str) -> Scores:
    """Return the scores of AdamW behind clipping, at the best of its rates and decays."""
    return tuned(_better_baseline(evidence, task))


def baseline_rate(evidence: Evidence, task: str) -> float:
    """Return the learning rate of these scores."""
    medians = np.median(_better_baseline(evidence, task), axis=1)
    return evidence.profile.few(rates_of(task))[int(np.argmin(medians))]


def _better_baseline(evidence: Evidence, task: str) -> Scores:
    found = [of_main(evidence, task, method) for method in BASELINES]
    return min(found, key=lambda scores: float(np.median(tuned(scores))))


def window_widths(evidence: Evidence) -> Answer:
    """Answer question 1: how wide the window of learning rates is."""
    rows = [["task", *methods_of(evidence)]]
    counts: dict[str, dict[str, float]] = {name: {} for name in methods_of(evidence)}
    for task in EVERY_TASK:
        rates, goal = evidence.profile.few(rates_of(task)), TASKS[task].goal
        cells = []
        for name, method in methods_of(evidence).items():
            scores = of_main(evidence, task, method)
            found = window(rates, scores, goal)
            counts[name][task] = float(np.mean(scores <= goal))
            span = f"{found.lowest:g} … {found.highest:g}" if found.count else "–"
            cells.append(f"{share(found.count, len(rates))} ({span})")
        rows.append([task, *cells])
    shares = [mean_interval(list(found.values())) for found in counts.values()]
    rows.append(["share of runs", *(interval(found) for found in shares)])
    best = evidence.chosen["decayed"].name
    ours = np.array([counts[best][task] for task in CONFIRMATION])
    theirs = np.array(
        [max(counts[method.name][task] for method in BASELINES) for task in CONFIRMATION]
    )
    p = sign_flip_test(ours - theirs)
    return Answer(
        "How wide is the window of learning rates?",
        "Share of the runs, over three decades of rates, that reach the task's goal, on the "
        f"{len(CONFIRMATION)} tasks that the chosen decayed limit was not searched on; wider if it "
        f"is larger than that of {CLIPPED.name}, with or without decay, at p < {LEVEL:g} (tasks' "
        "signs flipped).",
        "wider" if p < LEVEL and ours.mean() > theirs.mean() else "not shown to be wider",
        f"{best}: {interval(mean_interval(ours))} of the runs; {CLIPPED.name}: "
        f"{interval(mean_interval(theirs))}; p = {number(p)}.",
        {"windows": rows},
    )


def best_of_a_budget(evidence: Evidence) -> Answer:
    """Answer question 2: which is best at tuned settings, with equal budgets."""
    rows = [["task", *methods_of(evidence)]]
    regrets: dict[str, dict[str, float]] = {name: {} for name in methods_of(evidence)}
    for task in EVERY_TASK:
        baseline = baseline_of(evidence, task)
        cells = []
        for name, method in methods_of(evidence).items():
            scores = tuned(of_main(evidence, task, method))
            regrets[name][task] = median_regret(task, scores, baseline)
            cells.append(number(float(np.median(scores)), 3))
        rows.append([task, *cells])
    means = {name: mean_interval(list(found.values())) for name, found in regrets.items()}
    rows.append(["mean regret", *(interval(found) for found in means.values())])
    best = evidence.chosen["decayed"].name
    confirmed = [regrets[best][task] for task in CONFIRMATION]
    mean, p = mean_interval(confirmed), sign_flip_test(confirmed)
    verdict = "no difference shown"
    if p < LEVEL:
        verdict = "better" if mean.estimate < 0 else "worse"
    fixed = [method.name for method in MAIN if method not in BASELINES]
    p_values = holm([sign_flip_test(list(regrets[name].values())) for name in fixed])
    shown = [
        f"{name} {interval(means[name])}{' *' if q < LEVEL else ''}"
        for name, q in zip(fixed, p_values, strict=True)
    ]
    return Answer(
        "Which is best at tuned settings, with equal budgets?",
        "Score at the best of the same learning rates, other options fixed; regret against "
        f"{CLIPPED.name}, with or without decay, as a share of what that has learned. The chosen "
        f"decayed limit is judged on the {len(CONFIRMATION)} tasks that it was not searched on, at "
        f"p < {LEVEL:g} (tasks' signs flipped); methods fixed beforehand on all, * after Holm.",
        f"{best}: {verdict}",
        f"Mean regret {interval(mean)}, p = {number(p)}; on all {len(EVERY_TASK)} tasks: "
        + "; ".join(shown)
        + ".",
        {"tuned": rows, "factorial": factorial(evidence)},
    )


def moved_tuning(evidence: Evidence) -> Answer:
    """Answer question 3: whether the tuning is merely moved from lr to c."""
    rows = [
        ["task", "c and lr", "cells that train", "speed limits at one rate", "rates at one limit"]
    ]
    widths: dict[str, list[float]] = {"constant": [], "decayed": []}
    for task, rates in MAPPED.items():
        for kind, found_widths in widths.items():
            trained = map_of(evidence, task, kind) <= TASKS[task].goal
            cells = np.median(trained, axis=2) >= 0.5  # noqa: PLR2004
            by_rate, by_limit = cells.sum(axis=1), cells.sum(axis=0)
            found_widths.append(float(np.median(by_rate)) / cells.shape[1])
            rows.append(
                [
                    task,
                    kind,
                    f"{trained_share(map_of(evidence, task, kind), TASKS[task].goal):.0%}",
                    f"{by_rate.min()} to {by_rate.max()} of {cells.shape[1]}",
                    f"{by_limit.min()} to {by_limit.max()} of {len(evidence.profile.few(rates))}",
                ]
            )
    found = {kind: mean_interval(values) for kind, values in widths.items()}
    moved = found["constant"].estimate < 0.5  # noqa: PLR2004
    return Answer(
        "Is the tuning merely moved from lr to c?",
        "Share of the speed limits, over 2.5 decades, that train at a learning rate (median over "
        "rates); moved if it is below one half with constant c.",
        ("moved" if moved else "not merely moved") + ", with constant c",
        f"Share of limits that train: constant {interval(found['constant'])}, decayed "
        f"{interval(found['decayed'])} (over {len(MAPPED)} tasks).",
        {"maps": rows},
    )


def map_of(evidence: Evidence, task: str, kind: str) -> Scores:
    """Return the scores of a map, (rates, limits, seeds)."""
    decayed = kind == "decayed"
    planes = [
        evidence.scores(
            task,
            limited(c, decayed=decayed),
            MAPPED[task],
            "cosine" if decayed else "constant",
            SEEDS,
        )
        for c in evidence.profile.few(MAP_LIMITS)
    ]
    return np.stack(planes, axis=1)


def fixed_setting(evidence: Evidence) -> Answer:
    """Answer question 4: whether one fixed setting is flat in lr on nearly every task."""
    method = evidence.chosen["decayed"]
    rows = [["task", "half", "tuned baseline", "largest regret", "at lr", "within noise at"]]
    flat: dict[str, list[bool]] = {"development": [], "confirmation": []}
    worst: list[float] = []
    outside = {"below": 0, "at or above": 0}
    at_highest = 0
    for half, tasks in (("development", DEVELOPMENT), ("confirmation", CONFIRMATION)):
        for task in tasks:
            rates = evidence.profile.few(rates_of(task))
            baseline = baseline_of(evidence, task)
            found = [
                _against(task, at_rate, baseline) for at_rate in of_main(evidence, task, method)
            ]
            within = [bound.high <= MARGIN for bound in found]
            largest = int(np.argmax([bound.estimate for bound in found]))
            flat[half].append(all(within))
            if half == "confirmation":
                worst.append(found[largest].estimate)
                best_rate = baseline_rate(evidence, task)
                at_highest += within[-1]
                for lr, well in zip(rates, within, strict=True):
                    outside["below" if lr < best_rate else "at or above"] += not well
            rows.append(
                [
                    task,
                    half,
                    number(float(np.median(baseline)), 3),
                    interval(found[largest]),
                    f"{rates[largest]:g}",
                    share(sum(within), len(rates)),
                ]
            )
    confirmed = sum(flat["confirmation"])
    exists = confirmed >= NEARLY_EVERY * len(CONFIRMATION)
    tried = evidence.profile.few(LIMITS[str(method.options["speed_unit"])])
    at_end = method.options["speed_limit"] in (tried[0], tried[-1])
    return Answer(
        "Does a decayed c make the result flat in lr: is there one fixed setting?",
        f"The setting that the search chose on {len(DEVELOPMENT)} tasks, at every rate over three "
        f"decades, against {CLIPPED.name} at its best rate, with or without decay: within noise "
        f"where the upper end of the 95 % interval of the regret is ≤ {MARGIN:g}; it exists if "
        f"that holds at every rate on {NEARLY_EVERY:.0%} of {len(CONFIRMATION)} other tasks.",
        "yes" if exists else "no",
        f"{method.name}{', the end of the grid of limits' if at_end else ''}: within noise at "
        f"every rate on {share(confirmed, len(CONFIRMATION))} tasks of confirmation and "
        f"{share(sum(flat['development']), len(DEVELOPMENT))} of development; largest regret on a "
        f"task of confirmation, mean {interval(mean_interval(worst))}. Cells of that half that "
        f"are not: {outside['below']} at rates below the baseline's best, {outside['at or above']} "
        "at it or above. At the highest rate, where c alone is the length of a step, within noise "
        f"on {share(at_highest, len(CONFIRMATION))}.",
        {"preset": rows},
    )


def _against(task: str, scores: Scores, baseline: Scores) -> Interval:
    """Return the regret against a baseline with its interval, seeds paired."""
    found, trivial = paired_difference_interval(scores, baseline), TASKS[task].trivial
    level = float(np.median(baseline))
    bounds = regret(level + np.array([found.estimate, found.low, found.high]), level, trivial)
    return Interval(*bounds.tolist())
