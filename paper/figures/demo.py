"""The figure of the demo."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from paper.training import Result

from .drawing import DASHES, MARKERS, STYLE, save


def draw_demo(
    regression: Mapping[str, Sequence[Result]], digits: Mapping[str, Sequence[Result]], path: Path
) -> None:
    """Draw the demo: training loss by epoch, and accuracy by learning rate.

    Parameters
    ----------
    regression, digits
        Results by method; the first seed of each is drawn on the left, all of them on the right.
    path
        PNG to write, atomically.
    """
    with plt.style.context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4.5))
        _draw_losses(left, {name: runs[0] for name, runs in regression.items()})
        _draw_accuracies(right, digits)
        save(figure, path)


def _draw_losses(axes: Axes, results: Mapping[str, Result]) -> None:
    alive = {name: result for name, result in results.items() if not result.exploded}
    for (name, result), dashes, marker in zip(alive.items(), DASHES * 2, MARKERS * 2, strict=False):
        epochs = np.arange(1, len(result.train_loss) + 1)
        axes.plot(
            epochs,
            result.train_loss,
            linewidth=1.2,
            linestyle=dashes,
            marker=marker,
            markersize=4,
            markevery=max(1, len(epochs) // 8),
            label=name,
        )
    dead = sorted(
        (result.steps, name.replace("RelativisticAdam ", ""))
        for name, result in results.items()
        if result.exploded
    )
    note = ["Exploded at lr = 1", *(f"✕ {name}, after step {steps}" for steps, name in dead)]
    axes.text(0.02, 0.03, "\n".join(note), transform=axes.transAxes, fontsize=7, linespacing=1.4)
    axes.set_yscale("log")
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (mean squared error)")
    axes.set_title(
        "Published demo, lr = 1 unless said otherwise:\nwhich optimizers survive (one seed)"
    )
    _legend_below(axes)


def _legend_below(axes: Axes) -> None:
    axes.legend(
        fontsize=7, ncols=2, columnspacing=1.0, loc="upper center", bbox_to_anchor=(0.5, -0.13)
    )


def _draw_accuracies(axes: Axes, results: Mapping[str, Sequence[Result]]) -> None:
    for (name, runs), dashes, marker in zip(results.items(), DASHES, MARKERS, strict=False):
        rates = sorted({run.run.options["lr"] for run in runs})
        accuracies = np.array(
            [[r.validation_accuracy for r in runs if r.run.options["lr"] == lr] for lr in rates]
        )
        (line,) = axes.plot(
            rates, np.median(accuracies, axis=1), linestyle=dashes, marker=marker, label=name
        )
        axes.fill_between(
            rates,
            accuracies.min(axis=1),
            accuracies.max(axis=1),
            color=line.get_color(),
            alpha=0.15,
            linewidth=0,
        )
        count = accuracies.shape[1]
    axes.axhline(0.1, color="0.5", linewidth=0.8)
    axes.text(1e-4, 0.115, "chance", color="0.4", fontsize=8)
    axes.set_xscale("log")
    axes.set_ylim(0, 1.02)
    axes.set_xlabel("learning rate")
    axes.set_ylabel(f"validation accuracy (median and range of {count} seeds)")
    axes.set_title("Digits, six-layer network:\nwhich learning rates train")
    _legend_below(axes)
