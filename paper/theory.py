"""The figures of the theory, from what `analysis` derives and `reference` computes.

``python -m paper.theory [--out FOLDER]`` writes them as PNGs.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reference
from analysis.flows import GEOMETRIES, Flow, Problem
from analysis.maps import MAPS
from analysis.rounding import FORMATS, KERNELS, curve

from . import theory_figures as figures


def laws(path: Path) -> None:
    """Gain and speed of every law."""
    ratios = np.linspace(0, 3, 1201)
    gains = {}
    for key, law in reference.LAWS.items():
        with np.errstate(all="ignore"):
            gains[key] = np.asarray(law.gain(ratios))
        if not law.claims["continuous"].holds:  # a line is not to be drawn across a jump
            gains[key][np.argmin(np.abs(ratios - 1))] = np.nan
    figures.draw_laws(ratios, gains, path)


def bifurcation(path: Path) -> None:
    """Where the step on a quadratic ends, for every law that limits."""
    rates = np.geomspace(0.5, 50, 500)
    starts = np.array([0.02, 0.3, 0.7, -0.45])[:, None]
    orbits = {key: mapping.orbit(rates, starts, 3000, 40) for key, mapping in MAPS.items()}
    figures.draw_bifurcation(rates, orbits, path)


def rounding(path: Path) -> None:
    """Kernels of the smooth law at c = 0.1 in every format."""
    curves = {
        name: {kernel: curve(kernel, name, 0.1, per_exponent=64) for kernel in KERNELS}
        for name in FORMATS
    }
    figures.draw_rounding(curves, path)


def zeta(path: Path) -> None:
    """Gravity's gradient term under scaling, as published and with the consistent m."""
    entries = np.array([1.0, 0.5, 0.1])
    scales = np.geomspace(1e-3, 1e3, 400)
    zetas = {
        title: np.array([reference.zeta(scale * entries, m) for scale in scales])
        for title, m in (("m = 1/max|g|, as published", "inverse_max"), ("m = max|g|", 1.0))
    }
    figures.draw_zeta(scales, zetas, list(entries), path)


def regimes(path: Path) -> None:
    """Where the published default c = 0.1 bites, and where an rms limit does."""
    entries, rates = np.geomspace(1, 1e9, 91), np.geomspace(1.1e-6, 11, 72)
    charts = {
        "c = 0.1 per tensor": ("per_param", "norm", 0.1),
        "c = 0.1 per entry": ("per_component", "norm", 0.1),
        "c = 10⁻³ rms per tensor": ("per_param", "rms", 1e-3),
    }
    names = {
        title: np.array(
            [
                [
                    reference.regime(rate, c, numel=int(n), mode=mode, unit=unit).name
                    for n in entries
                ]
                for rate in rates
            ]
        )
        for title, (mode, unit, c) in charts.items()
    }
    figures.draw_regimes(entries, rates, names, path)


def flows(path: Path) -> None:
    """Relativistic flows on a quartic bowl, and the discrete steps that tend to them."""
    problem = Problem(
        gradient=lambda x: np.array([x[0] ** 3 + x[0] / 2 + x[1] / 2, x[0] / 2 + 4 * x[1]]),
        mass=np.array([1.0, 0.3]),
        friction=0.8,
        limit=0.7,
        start=np.array([1.5, -1.0]),
    )
    times = np.linspace(0, 12, 400)
    paths, energies = {}, {}
    for geometry in GEOMETRIES:
        flow = Flow("smooth_sqrt", geometry)
        states = problem.trajectory(flow, times)
        paths[geometry] = states[:, :2]
        if geometry != "per_param":  # which has no energy
            energies[geometry] = problem.energy(flow, _bowl)(states)
    errors = {}
    for geometry, method, name in (
        ("per_component", "optimizer", "optimizer, per_component (order 1)"),
        ("per_param", "optimizer", "optimizer, per_param (order 1)"),
        ("per_component", "leapfrog", "conformal leapfrog (order 2)"),
    ):
        flow, counts = Flow("smooth_sqrt", geometry), np.array([25, 50, 100, 200, 400])
        end = problem.trajectory(flow, [0.0, 2.0])[-1, :2]
        step = getattr(problem, method)
        distances = [np.linalg.norm(step(flow, 2.0, int(n)) - end) for n in counts]
        errors[name] = (2.0 / counts, np.array(distances))
    figures.draw_flows(times, paths, energies, errors, path)


def _bowl(x: NDArray[np.float64]) -> NDArray[np.float64]:
    one, two = x[..., 0], x[..., 1]
    return np.asarray(one**4 / 4 + one**2 / 4 + one * two / 2 + 2 * two**2)


FIGURES = {
    function.__name__: function for function in (laws, bifurcation, rounding, zeta, regimes, flows)
}


def main(arguments: list[str] | None = None) -> None:
    """Write every figure."""
    parser = argparse.ArgumentParser(description="Writes the figures of the theory.")
    parser.add_argument("--out", type=Path, default=Path("build/theory"), help="folder of the PNGs")
    out: Path = parser.parse_args(arguments).out
    for name, function in FIGURES.items():
        function(out / f"{name}.png")
        print(out / f"{name}.png")


if __name__ == "__main__":
    main()
