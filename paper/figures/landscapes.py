"""The figure of paths over landscapes: ``python -m paper.figures.landscapes --out FILE``."""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from paper.landscapes import LANDSCAPES, Array, heights, trajectory

from .drawing import STYLE, save

STEPS = 200

LIMIT = 0.1
"""What the length of a step is limited to, where it is: 2/√δ for RGD."""

RATES: Mapping[str, Mapping[str, float]] = {
    landscape: {
        **dict.fromkeys(("SGD", "RGD", "limited SGD"), of_slopes),
        **dict.fromkeys(("Adam", "RelativisticAdam", "RelativisticAdamW"), 0.5),
        "Gravity": 1e-2,
    }
    for landscape, of_slopes in (("Rosenbrock", 5e-4), ("Rastrigin", 1e-2))
}
"""Learning rates: with a limit the same as without, where steps are longer."""

SHOWN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "SGD, momentum 0.9": ("SGD", {"momentum": 0.9}),
    "RGD": ("RGD", {"delta": (2 / LIMIT) ** 2}),
    "Adam": ("Adam", {}),
    "RelativisticAdam": ("RelativisticAdam", {"speed_limit": LIMIT}),
    "Gravity, m = max|g|": ("Gravity", {"alpha": 0.0, "max_step_grad": 1.0}),
}
"""By what they are called, the optimizers of the figure and their other options."""

MESH = 160
"""Points of the contours' grid along each axis."""

PATH = "#0072B2"
"""Dark enough to stand out from the contours in grey."""


def draw_landscapes(paths: Mapping[str, Mapping[str, Array]], path: Path) -> None:
    """Draw paths, a row for each landscape and a column for each optimizer.

    Parameters
    ----------
    paths
        By landscape, then by what the optimizer is called, the same ones in each; of shape
        (points, 2). What leaves the extent of a landscape is cut off.
    path
        File to write.
    """
    names = list(next(iter(paths.values())))
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(
            len(paths),
            len(names),
            figsize=(1.8 * len(names), 2.4 * len(paths)),
            squeeze=False,
            sharex="row",
            sharey="row",
        )
        for row, (landscape, drawn) in zip(grid, paths.items(), strict=True):
            for axes, name in zip(row, names, strict=True):
                _draw_path(axes, landscape, drawn[name])
            row[0].set_ylabel(landscape, fontweight="bold")
        for axes, name in zip(grid[0], names, strict=True):
            axes.set_title(name, fontsize=9)
        lines, labels = grid[0, 0].get_legend_handles_labels()
        figure.legend(
            lines, labels, loc="outside lower center", ncols=min(len(labels), 2 * len(names))
        )
        save(figure, path)


def _draw_path(axes: Axes, landscape: str, points: Array) -> None:
    shown = LANDSCAPES[landscape]
    left, right, bottom, top = shown.extent
    x, y = np.linspace(left, right, MESH), np.linspace(bottom, top, MESH)
    surface = heights(landscape, np.stack(np.meshgrid(x, y), axis=-1))
    axes.contour(x, y, np.log1p(surface), levels=7, colors="0.82", linewidths=0.6, zorder=1)
    axes.plot(*points.T, color=PATH, linewidth=1, marker="o", markersize=2, label="steps", zorder=2)
    axes.plot(*shown.minimum, "k+", markersize=10, label="minimum", zorder=3)
    axes.plot(*points[0], "ks", markersize=6, markeredgecolor="w", label="start", zorder=4)
    axes.plot(*points[-1], "kX", markersize=7, markeredgecolor="w", label="end", zorder=5)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.grid(visible=False)
    axes.set_aspect("equal")
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_locator(MaxNLocator(4, integer=True))
    axes.tick_params(labelsize=8)
    longest = np.linalg.norm(np.diff(points, axis=0), axis=1).max(initial=0)
    axes.set_xlabel(
        f"height {heights(landscape, points)[-1]:.2g}\nlongest step {longest:.2g}", fontsize=8
    )


def landscapes(path: Path, shown: Mapping[str, tuple[str, Mapping[str, Any]]] = SHOWN) -> None:
    """Take the steps of optimizers and draw them.

    Parameters
    ----------
    path
        File to write.
    shown
        The optimizers, in the form of `SHOWN`, at the rates of `RATES`.
    """
    paths = {
        landscape: {
            name: trajectory(landscape, optimizer, {**options, "lr": rates[optimizer]}, steps=STEPS)
            for name, (optimizer, options) in shown.items()
        }
        for landscape, rates in RATES.items()
    }
    draw_landscapes(paths, path)


def main(argv: Sequence[str] | None = None) -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(prog="python -m paper.figures.landscapes", description=__doc__)
    parser.add_argument("--out", type=Path, required=True, help="file to write")
    path: Path = parser.parse_args(argv).out
    landscapes(path)
    print(path)


if __name__ == "__main__":
    main()
