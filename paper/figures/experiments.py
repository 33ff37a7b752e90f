"""Figures of the experiments, each drawn from the evidence."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import Locator, LogLocator, MaxNLocator, NullFormatter
from numpy.typing import NDArray

from paper.experiments.design import (
    DEVELOPMENT,
    EVERY_METHOD,
    LIMITS,
    MAP_LIMITS,
    MAPPED,
    NINE_RATES,
    SEEDS,
    SPIKE_METHODS,
    SPIKED,
    TRANSFER_RATE,
    WHOLE_FACTORIAL,
    WIDTHS,
    rates_of,
)
from paper.experiments.evidence import Evidence, Scores
from paper.experiments.methods import CLIPPED, limited
from paper.questions.factorial import explosions, of_every
from paper.questions.limits import spiked_pairs
from paper.questions.windows import (
    EVERY_TASK,
    MARGIN,
    baseline_of,
    map_of,
    median_regret,
    methods_of,
    of_main,
)
from paper.tasks import TASKS

from .drawing import DASHES, MARKERS, STYLE, save

COLUMNS = 4


def draw_windows(evidence: Evidence, path: Path) -> None:
    """Draw the score by learning rate, a panel for each task, with the range of the seeds."""
    methods = methods_of(evidence)
    rows = -(-len(EVERY_TASK) // COLUMNS)
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(rows, COLUMNS, figsize=(8.5, 1.9 * rows))
        panels = grid.flat
        for task, axes in zip(EVERY_TASK, panels, strict=False):
            rates = evidence.profile.few(rates_of(task))
            for i, method in enumerate(methods.values()):
                scores = of_main(evidence, task, method)
                _line(axes, i, rates, np.median(scores, axis=1), method.name)
                axes.fill_between(
                    rates,
                    scores.min(axis=1),
                    scores.max(axis=1),
                    color=f"C{i}",
                    alpha=0.12,
                    linewidth=0,
                )
            axes.axhline(TASKS[task].goal, color="0.4", linewidth=0.8, linestyle=":")
            axes.set_xscale("log")
            axes.set_yscale("log")
            _plain_numbers(axes)
            axes.set_title(task.replace("_", " "), fontsize=9)
        for axes in panels:
            axes.axis("off")
        _legend_below(figure, figure.axes[0])
        for axes in grid[-1]:
            axes.set_xlabel("learning rate")
        for axes in grid[:, 0]:
            axes.set_ylabel("validation score")
        save(figure, path)


def _line(axes: Axes, i: int, x: Sequence[float], y: object, label: str) -> None:
    axes.plot(
        x,
        y,  # type: ignore[arg-type]
        color=f"C{i}",
        linestyle=DASHES[i % len(DASHES)],
        marker=MARKERS[i % len(MARKERS)],
        markersize=3,
        markevery=max(1, len(x) // 12),
        linewidth=1.1,
        label=label,
    )


def _plain_numbers(axes: Axes) -> None:
    """Label what has been drawn over a logarithmic axis without powers of ten, four times or so."""
    low, high = axes.get_ylim()
    if high < 10 * low:
        locator: Locator = MaxNLocator(4)
    elif high < 100 * low:
        locator = LogLocator(subs=(1, 3))
    else:
        locator = LogLocator(numticks=4)
    axes.yaxis.set_major_locator(locator)
    axes.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.yaxis.set_minor_formatter(NullFormatter())


def _legend_below(figure: Figure, source: Axes) -> None:
    handles, labels = source.get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=4, fontsize=7.5, handlelength=3
    )


def draw_preset(evidence: Evidence, path: Path) -> None:
    """Draw the regret of the chosen decayed setting, and of the tuned baseline's method."""
    chosen = evidence.chosen["decayed"]
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(1, 2, figsize=(8.5, 3.4), sharey=True)
        for axes, method in zip(panels, (CLIPPED, chosen), strict=True):
            for i, task in enumerate(EVERY_TASK):
                baseline = baseline_of(evidence, task)
                scores = of_main(evidence, task, method)
                medians = [median_regret(task, row, baseline) for row in scores]
                half = "" if task in DEVELOPMENT else " *"
                label = task.replace("_", " ") + half
                _line(axes, i, evidence.profile.few(rates_of(task)), medians, label)
            axes.axhspan(-MARGIN, MARGIN, color="0.9", zorder=0)
            axes.set_xscale("log")
            axes.set_xlabel("learning rate")
            axes.set_title(method.name)
        panels[0].set_ylabel("regret against the tuned baseline")
        panels[1].legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5), handlelength=3)
        save(figure, path)


def draw_factorial(evidence: Evidence, path: Path) -> None:
    """Draw the score of every method at every learning rate, a panel for each task."""
    rates = evidence.profile.few(NINE_RATES)
    names = [method.name for method in EVERY_METHOD]
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(
            1, len(WHOLE_FACTORIAL), figsize=(8.5, 0.6 + 0.165 * len(names)), sharey=True
        )
        for axes, task in zip(panels, WHOLE_FACTORIAL, strict=True):
            medians = [np.median(of_every(evidence, task, each), axis=1) for each in EVERY_METHOD]
            exploded = [explosions(evidence, task, each) for each in EVERY_METHOD]
            _cells(axes, np.array(medians), task, np.array(exploded))
            axes.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates], fontsize=6)
            axes.set_yticks(range(len(names)), names, fontsize=6)
            axes.invert_yaxis()
            axes.set_title(task.replace("_", " "), fontsize=9)
            axes.set_xlabel("learning rate")
        save(figure, path)


def _cells(axes: Axes, scores: Scores, task: str, exploded: NDArray[np.int64]) -> None:
    """Draw scores of shape (rows, columns), lighter where more is learned; 1 is the goal."""
    trivial, goal = TASKS[task].trivial, TASKS[task].goal
    learned = (trivial - scores) / (trivial - goal)
    axes.imshow(learned, origin="lower", aspect="auto", cmap="cividis", vmin=0, vmax=1.2)
    for (y, x), value in np.ndenumerate(scores):
        score = "" if value >= trivial else f"{value:.2g}"
        missed = "" if value <= goal else "×"
        count = f"({exploded[y, x]})" if exploded[y, x] else ""
        text = " ".join(filter(None, (score, missed, count)))
        color = "w" if learned[y, x] < 0.7 else "k"  # noqa: PLR2004
        axes.text(x, y, text, ha="center", va="center", fontsize=5.5, color=color)
    axes.grid(visible=False)


def draw_maps(evidence: Evidence, path: Path) -> None:
    """Draw which learning rates and speed limits train, both constant and both decayed."""
    limits = evidence.profile.few(MAP_LIMITS)
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(2, len(MAPPED), figsize=(8.5, 5), squeeze=False)
        for column, (task, all_rates) in enumerate(MAPPED.items()):
            rates = evidence.profile.few(all_rates)
            for row, kind in enumerate(("constant", "decayed")):
                axes = grid[row, column]
                scores = np.median(map_of(evidence, task, kind), axis=2)
                _cells(axes, scores.T, task, np.zeros_like(scores.T, dtype=np.int64))
                axes.set_xticks(range(len(rates)), [f"{lr:g}" for lr in rates], fontsize=7)
                axes.set_yticks(range(len(limits)), [f"{c:g}" for c in limits], fontsize=7)
                axes.set_title(f"{task.replace('_', ' ')}, c and lr {kind}", fontsize=9)
        for axes in grid[-1]:
            axes.set_xlabel("learning rate")
        for axes in grid[:, 0]:
            axes.set_ylabel("speed limit c (rms)")
        save(figure, path)


def draw_spikes(evidence: Evidence, path: Path) -> None:
    """Draw the training loss after a spike, over that of the same run without."""
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(1, len(SPIKED), figsize=(8.5, 3.2))
        for axes, task in zip(panels, SPIKED, strict=True):
            for i, method in enumerate(SPIKE_METHODS):
                pairs = spiked_pairs(evidence, task, method)
                length = min(len(result.train_loss) for pair in pairs for result in pair)
                ratios = [
                    np.divide(hit.train_loss[:length], plain.train_loss[:length])
                    for plain, hit in pairs
                ]
                steps = (np.arange(length) + 1) * pairs[0][0].run.span
                _line(axes, i, list(steps), np.median(ratios, axis=0), method.name)
            axes.set_yscale("log")
            _plain_numbers(axes)
            axes.set_xlabel("step")
            axes.set_title(task.replace("_", " "))
        panels[0].set_ylabel("training loss, over that without the spike")
        _legend_below(figure, panels[0])
        save(figure, path)


def draw_widths(evidence: Evidence, path: Path) -> None:
    """Draw the score by speed limit for networks of five widths, a panel for each unit."""
    with plt.style.context(STYLE):
        figure, panels = plt.subplots(1, len(LIMITS), figsize=(8.5, 2.8), sharey=True)
        for axes, (unit, all_limits) in zip(panels, LIMITS.items(), strict=True):
            limits = evidence.profile.few(all_limits)
            for i, width in enumerate(evidence.profile.few(WIDTHS)):
                medians = [
                    float(
                        np.median(
                            evidence.scores(
                                width, limited(c, unit=unit), (TRANSFER_RATE,), "constant", SEEDS
                            )
                        )
                    )
                    for c in limits
                ]
                label = width.rpartition("_")[2].replace("digits", "128")
                _line(axes, i, limits, medians, f"width {label}")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_xlabel(f"speed limit c ({unit})")
            axes.set_title(unit)
        panels[0].set_ylabel("validation error")
        _legend_below(figure, panels[0])
        save(figure, path)


FIGURES: Mapping[str, Callable[[Evidence, Path], None]] = {
    "windows": draw_windows,
    "preset": draw_preset,
    "factorial": draw_factorial,
    "maps": draw_maps,
    "spikes": draw_spikes,
    "widths": draw_widths,
}
"""The figures, by the name of their file."""
