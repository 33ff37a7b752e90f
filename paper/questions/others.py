"""Questions 8 and 10: Gravity, and low precision."""

from collections.abc import Sequence

import numpy as np
import torch
from scipy.stats import spearmanr

from paper.experiments.design import NINE_RATES, TWINS, WHOLE_FACTORIAL, rates_of
from paper.experiments.evidence import Evidence
from paper.experiments.methods import CLIPPED, GRAVITIES, GRAVITY
from paper.statistics import mean_interval, window
from paper.tasks import TASKS
from reference import zeta

from .answer import Answer, interval, number, share
from .factorial import of_every
from .windows import EVERY_TASK, baseline_of, median_regret, methods_of, of_main, tuned


def gravity(evidence: Evidence) -> Answer:
    """Answer question 8: where Gravity works, and what m and V₀ do."""
    regrets, reached = [], 0
    for task in EVERY_TASK:
        scores, baseline = of_main(evidence, task, GRAVITY), baseline_of(evidence, task)
        regrets.append(median_regret(task, tuned(scores), baseline))
        reached += bool(np.median(tuned(scores)) <= TASKS[task].goal)
    rows = [["task", "method", "rates that train", "best score", "rank correlation of |ζ| and |g|"]]
    order = {task: reversal(task, 0) for task in WHOLE_FACTORIAL}
    for task in WHOLE_FACTORIAL:
        for method in GRAVITIES:
            rates = evidence.profile.few(NINE_RATES)
            scores = of_every(evidence, task, method)
            found = window(rates, scores, TASKS[task].goal)
            median = float(np.median(tuned(scores)))
            peak = "max_step_grad" in method.options
            rows.append(
                [
                    task,
                    method.name,
                    share(found.count, len(rates)),
                    number(median, 3),
                    number(order[task]["peak" if peak else "published"]),
                ]
            )
    mean = mean_interval(regrets)
    return Answer(
        "Gravity: where does it work, and what do m and V₀ do?",
        f"Tasks whose goal it reaches at its best rate; mean regret against {CLIPPED.name} tuned; "
        "rates that train with and without V₀, with m = 1/max|g| and m = max|g|.",
        f"it reaches the goal on {share(reached, len(EVERY_TASK))} tasks",
        f"Mean regret {interval(mean)}; rank correlation of |ζ| with |g| in the first gradient: "
        + ", ".join(
            f"{task} {number(found['published'])} (m = 1/max|g|), {number(found['peak'])} (max|g|)"
            for task, found in order.items()
        )
        + ".",
        {"gravity": rows},
    )


def reversal(task: str, seed: int) -> dict[str, float]:
    """Return the rank correlation of |ζ| and |g| in a task's first gradient, for both m.

    The mean over the tensors, of the gradient of the whole training set.
    """
    made = TASKS[task].make(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        made.loss(made.model(made.train[0]), made.train[1]).backward()  # type: ignore[no-untyped-call]
    found: dict[str, list[float]] = {"published": [], "peak": []}
    for parameter in made.model.parameters():
        g = np.asarray(parameter.grad, dtype=np.float64)
        for name, m in (("published", "inverse_max"), ("peak", 1.0)):
            term = zeta(g, m)
            found[name].append(float(spearmanr(np.abs(term).ravel(), np.abs(g).ravel()).statistic))
    return {name: float(np.nanmean(values)) for name, values in found.items()}


def _common(evidence: Evidence, task: str, tasks: Sequence[str]) -> list[int]:
    """Return where the learning rates that several tasks have are among those of one."""
    grids = [list(evidence.profile.few(rates_of(each))) for each in tasks]
    return [
        i
        for i, lr in enumerate(evidence.profile.few(rates_of(task)))
        if all(lr in grid for grid in grids)
    ]


def precision(evidence: Evidence) -> Answer:
    """Answer question 10: what low precision changes."""
    rows = [
        ["task", "method", "rates that train: binary32", "bfloat16", "best: binary32", "bfloat16"]
    ]
    lost: dict[str, int] = dict.fromkeys(methods_of(evidence), 0)
    fewer_by_seed: list[int] = []
    for task, narrow in TWINS.items():
        for name, method in methods_of(evidence).items():
            cells = []
            counts, bests, by_seed = [], [], []
            for key in (task, narrow):
                scores = of_main(evidence, key, method)[_common(evidence, key, (task, narrow))]
                trained = np.median(scores, axis=1) <= TASKS[key].goal
                counts.append(int(trained.sum()))
                by_seed.append((scores <= TASKS[key].goal).sum(axis=0))
                cells.append(share(counts[-1], len(trained)))
                bests.append(number(float(np.median(tuned(scores))), 3))
            lost[name] += max(0, counts[0] - counts[1])
            fewer_by_seed += (by_seed[0] - by_seed[1]).tolist()
            rows.append([task, name, *cells, *bests])
    fewer = [name for name, count in lost.items() if count > 0]
    return Answer(
        "What does low precision change?",
        "Learning rates that train in binary32 and under bfloat16 autocast; changed where fewer "
        "do.",
        f"in bfloat16 fewer rates train with {', '.join(fewer) or 'no method'}",
        f"Rates that train fewer, by seed: {interval(mean_interval(fewer_by_seed))}. Lost by the "
        "medians over both tasks: "
        + (", ".join(f"{name} {lost[name]}" for name in fewer) or "none, by any method")
        + ".",
        {"precision": rows},
    )
