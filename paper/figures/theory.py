"""Figures of laws, rounding, ζ and regimes: each written by a function that takes its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.colors import BoundaryNorm, ListedColormap
from numpy.typing import NDArray

from analysis.rounding import Curve

from .drawing import DASHES, STYLE, save

Array = NDArray[np.float64]

REGIMES = {"linear": "#CFE8F5", "transition": "#FBE3B3", "saturated": "#F2B8A0"}
"""Colours of the regimes, in the order of the ratio."""


def draw_laws(ratios: Array, gains: Mapping[str, Array], path: Path) -> None:
    """Draw gain and speed of every law over the speed ratio.

    Parameters
    ----------
    ratios
        r, ascending, shape (n,).
    gains
        φ(r) by law, NaN where the law is not defined, each of shape (n,).
    path
        File to write.
    """
    with plt.style.context(STYLE):
        figure, (left, right) = plt.subplots(1, 2, figsize=(8, 3.5))
        for (law, gain), dashes in zip(gains.items(), DASHES * 2, strict=False):
            left.plot(ratios, gain, linestyle=dashes, label=law)
            right.plot(ratios, ratios * gain, linestyle=dashes, label=law)
        right.axhline(1, color="0.4", linewidth=0.8)
        right.text(ratios[-1], 1.03, "speed limit", color="0.4", fontsize=8, ha="right")
        for axes, label in ((left, "gain φ(r)"), (right, "speed ρ(r) = r·φ(r)")):
            axes.axvline(1, color="0.85", linewidth=0.8, zorder=0)
            axes.set_ylim(0, 2.5)
            axes.set_xlim(0, ratios[-1])
            axes.set_xlabel("speed ratio r = ‖u‖/c")
            axes.set_ylabel(label)
        left.set_title("What part of a proposed update is applied")
        right.set_title("How fast it is then")
        left.legend(fontsize=8, ncols=2)
        save(figure, path)


def draw_rounding(curves: Mapping[str, Mapping[str, Curve]], path: Path) -> None:
    """Draw result over limit for every kernel and format: where it vanishes, where it exceeds.

    Parameters
    ----------
    curves
        By format, then by kernel.
    path
        File to write.
    """
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(2, len(curves), figsize=(2.6 * len(curves), 3.8), sharex="col")
        for (above, below), (name, kernels) in zip(grid.T, curves.items(), strict=True):
            for (kernel, curve), dashes in zip(kernels.items(), DASHES, strict=False):
                above.plot(curve.x, curve.limited / curve.limit, linestyle=dashes, label=kernel)
                error = np.where(curve.limited > 0, curve.error, np.nan)
                below.plot(curve.x, error, ",", label=kernel, rasterized=True)
            above.set_title(name)
            above.set_xscale("log")
            above.set_ylim(-0.05, 1.1)
            below.set_ylim(0, 2.5)
            below.set_xlabel("proposed entry x")
        grid[0][0].set_ylabel("result / c")
        grid[1][0].set_ylabel("error in ulp")
        grid[0][0].legend(fontsize=8, loc="center left")
        save(figure, path)


def draw_zeta(
    scales: Array, zetas: Mapping[str, Array], entries: Sequence[float], path: Path
) -> None:
    """Draw ζ of some entries as the gradient is scaled.

    Parameters
    ----------
    scales
        λ, shape (n,).
    zetas
        ζ(λg) by reading of m, each of shape (n, entries).
    entries
        The entries of g.
    path
        File to write.
    """
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(1, len(zetas), figsize=(3.1 * len(zetas), 2.5))
        for axes, (reading, values) in zip(np.atleast_1d(grid), zetas.items(), strict=True):
            for column, entry, dashes in zip(values.T, entries, DASHES, strict=False):
                axes.plot(scales, column, linestyle=dashes, label=f"g = {entry:g}·λ")
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.set_title(reading)
            axes.set_xlabel("scale λ of the gradient")
            axes.set_ylabel("gradient term ζ")
            axes.legend(fontsize=8)
        save(figure, path)


def draw_regimes(
    entries: Array, rates: Array, names: Mapping[str, NDArray[np.str_]], path: Path
) -> None:
    """Draw the regime of a speed limit over tensor size and learning rate.

    Parameters
    ----------
    entries, rates
        n and lr, shapes (columns,) and (rows,).
    names
        `reference.Regime.name` by title, each of shape (rows, columns).
    path
        File to write.
    """
    kinds, colours = list(REGIMES), ListedColormap(list(REGIMES.values()))
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(1, len(names), figsize=(3 * len(names), 2.9), sharey=True)
        for axes, (title, table) in zip(np.atleast_1d(grid), names.items(), strict=True):
            codes = np.vectorize(kinds.index)(table)
            norm = BoundaryNorm(np.arange(4) - 0.5, 3)
            axes.pcolormesh(
                entries, rates, codes, cmap=colours, norm=norm, shading="nearest", rasterized=True
            )
            for code, kind in enumerate(kinds):
                where = np.argwhere(codes == code)
                if len(where):
                    middle = np.exp(np.log(entries[where[:, 1]]).mean())
                    height = np.exp(np.log(rates[where[:, 0]]).mean())
                    axes.text(middle, height, kind, ha="center", va="center", fontsize=9)
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.grid(visible=False)
            axes.set_title(title)
            axes.set_xlabel("entries n of the tensor")
        np.atleast_1d(grid)[0].set_ylabel("learning rate")
        save(figure, path)
