"""Figures of maps and flows: each written by a function that takes its data."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import BoundaryNorm, ListedColormap
from matplotlib.patches import Patch
from matplotlib.ticker import NullFormatter
from numpy.typing import NDArray

from analysis.double_well import ESCAPED

from .drawing import DASHES, MARKERS, STYLE, save

Array = NDArray[np.float64]

ENDS = {
    -1: ("rests in the left well", "#9ECAE1"),
    1: ("rests in the right well", "#FDD49E"),
    0: ("restless, near the wells", "#969696"),
    ESCAPED: ("gone for good", "#252525"),
}
"""Codes of `analysis.double_well.basins` as text and colour; they differ in grey too."""


def draw_bifurcation(rates: Array, orbits: Mapping[str, Array], path: Path) -> None:
    """Draw where the step on a quadratic ends, over the product of rate and curvature.

    Parameters
    ----------
    rates
        ηL, shape (n,).
    orbits
        Last points of the map by law, in units of c, each of shape (points, starts, n).
    path
        File to write.
    """
    with plt.style.context(STYLE):
        figure, grid = plt.subplots(1, len(orbits), figsize=(1.9 * len(orbits), 2.7), sharey=True)
        for axes, (law, points) in zip(np.atleast_1d(grid), orbits.items(), strict=True):
            flat = points.reshape(-1, len(rates))
            dots = {"markersize": 1.5, "markeredgewidth": 0, "color": "C0", "rasterized": True}
            axes.plot(rates, flat.T, ".", **dots)
            axes.axvline(2, color="0.6", linewidth=0.8)
            for half in (-0.5, 0.5):
                axes.axhline(half, color="C1", linewidth=0.8, linestyle="--")
            axes.set_title(law)
            axes.set_xlabel("ηL")
            axes.set_xscale("log")
            axes.set_ylim(-1.15, 1.15)
        first: Axes = np.atleast_1d(grid)[0]
        first.set_ylabel("x/c after many steps")
        first.text(2.1, -1.1, "ηL = 2", fontsize=8, color="0.4")
        first.text(rates[0], 0.53, "c/2", fontsize=8, color="C1")
        save(figure, path)


def draw_flows(
    times: Array,
    paths: Mapping[str, Array],
    energies: Mapping[str, Array],
    errors: Mapping[str, tuple[Array, Array]],
    path: Path,
) -> None:
    """Draw the flows: their paths, their energies, and how fast the optimizers approach them.

    Parameters
    ----------
    times
        Shape (n,).
    paths
        x by geometry, each of shape (n, 2).
    energies
        E by geometry, each of shape (n,).
    errors
        (time steps, distances at the end) by method.
    path
        File to write.
    """
    with plt.style.context(STYLE):
        figure, (left, middle, right) = plt.subplots(1, 3, figsize=(8.6, 3.2))
        for (name, x), dashes in zip(paths.items(), DASHES, strict=False):
            left.plot(x[:, 0], x[:, 1], linestyle=dashes, label=name)
        left.plot(0, 0, "k+", markersize=10)
        left.set_title("Where they go")
        left.set_xlabel("x₁")
        left.set_ylabel("x₂")
        for i, name in enumerate(paths):
            if name in energies:
                style = {"linestyle": DASHES[i], "color": f"C{i}"}
                middle.plot(times, energies[name], label=name, **style)
        middle.set_yscale("log")
        middle.set_title("Their energy never rises")
        middle.set_xlabel("time")
        middle.set_ylabel("energy")
        for (name, (steps, distances)), dashes, marker in zip(
            errors.items(), DASHES, MARKERS, strict=False
        ):
            right.plot(steps, distances, linestyle=dashes, marker=marker, markersize=4, label=name)
        right.set_xscale("log")
        right.set_yscale("log")
        right.xaxis.set_minor_formatter(NullFormatter())
        right.set_ylim(bottom=right.get_ylim()[0] / 40)  # room for the legend
        right.set_title("How near a discrete step comes")
        right.set_xlabel("time step h")
        right.set_ylabel("distance from the flow at the end")
        for axes in (left, middle, right):
            axes.legend(fontsize=7)
        save(figure, path)


def draw_portraits(portraits: Mapping[str, Sequence[tuple[Array, Array]]], path: Path) -> None:
    """Draw phase portraits of the flow in one dimension.

    Parameters
    ----------
    portraits
        Orbits (x, p) by title, each an array of shape (n,).
    path
        File to write.
    """
    with plt.style.context(STYLE):
        columns = len(portraits)
        figure, grid = plt.subplots(1, columns, figsize=(3.2 * columns, 3), sharey=True)
        for axes, (title, orbits) in zip(np.atleast_1d(grid), portraits.items(), strict=True):
            for x, p in orbits:
                towards = "C0" if x[-1] < 0 else "C1"
                axes.plot(x, p, color=towards, linewidth=1, linestyle="-" if x[-1] < 0 else "--")
                axes.plot(x[0], p[0], ".", color=towards, markersize=5)
            axes.plot([-1, 1], [0, 0], "k+", markersize=9)
            axes.set_title(title)
            axes.set_xlabel("position x")
        np.atleast_1d(grid)[0].set_ylabel("momentum p")
        save(figure, path)


def draw_wells(
    starts: Array,
    rates: Array,
    ends: Mapping[str, NDArray[np.int_]],
    limits: Array,
    shares: Mapping[str, Array],
    path: Path,
) -> None:
    """Draw where starts in a double well end, and how many leave their well under noise.

    Parameters
    ----------
    starts, rates
        x₀ and η, shapes (rows,) and (columns,).
    ends
        Codes of `ENDS` by title, each of shape (rows, columns).
    limits
        c, shape (n,).
    shares
        Escaped share of chains by title, each of shape (n,).
    path
        File to write.
    """
    codes = list(ENDS)
    colours = ListedColormap([colour for _, colour in ENDS.values()])
    with plt.style.context(STYLE):
        columns = len(ends) + 1
        figure, (*maps, right) = plt.subplots(1, columns, figsize=(2.6 * columns, 2.8))
        for axes, (title, table) in zip(maps, ends.items(), strict=True):
            picture = np.vectorize(codes.index)(table)
            norm = BoundaryNorm(np.arange(len(codes) + 1) - 0.5, len(codes))
            axes.pcolormesh(
                rates, starts, picture, cmap=colours, norm=norm, shading="nearest", rasterized=True
            )
            axes.set_xscale("log")
            axes.grid(visible=False)
            axes.set_title(title)
            axes.set_xlabel("learning rate η")
        maps[0].set_ylabel("start x₀")
        patches = [Patch(color=colour, label=text) for text, colour in ENDS.values()]
        figure.legend(handles=patches, fontsize=8, ncols=len(codes), loc="outside lower center")
        for (law, share), dashes, marker in zip(shares.items(), DASHES, MARKERS, strict=False):
            right.plot(limits, share, linestyle=dashes, marker=marker, markersize=4, label=law)
        right.set_xscale("log")
        right.set_title("Who leaves under noise")
        right.set_xlabel("speed limit c")
        right.set_ylabel("share of chains")
        right.legend(fontsize=7, loc="center left")
        save(figure, path)
