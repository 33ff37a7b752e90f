"""The figures of the theory, from what `analysis` derives and `reference` computes.

``python -m paper.theory [--out FOLDER]`` writes them as PNGs.
"""

import argparse
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import reference
from analysis import adam_flow, double_well
from analysis.flows import GEOMETRIES, Flow, Problem
from analysis.maps import MAPS
from analysis.rounding import FORMATS, KERNELS, curve

from .figures import dynamics as dynamics_figures
from .figures import theory as theory_figures


def laws(path: Path) -> None:
    """Gain and speed of every law."""
    ratios = np.linspace(0, 3, 1201)
    gains = {}
    for key, law in reference.LAWS.items():
        with np.errstate(all="ignore"):
            gains[key] = np.asarray(law.gain(ratios))
        if not law.claims["continuous"].holds:  # a line is not to be drawn across a jump
            gains[key][np.argmin(np.abs(ratios - 1))] = np.nan
    theory_figures.draw_laws(ratios, gains, path)


def bifurcation(path: Path) -> None:
    """Where the step on a quadratic ends, for every law that limits."""
    rates = np.geomspace(0.5, 50, 500)
    starts = np.array([0.02, 0.3, 0.7, -0.45])[:, None]
    orbits = {key: mapping.orbit(rates, starts, 3000, 40) for key, mapping in MAPS.items()}
    dynamics_figures.draw_bifurcation(rates, orbits, path)


def rounding(path: Path) -> None:
    """Kernels of the smooth law at c = 0.1 in every format."""
    curves = {
        name: {kernel: curve(kernel, name, 0.1, per_exponent=64) for kernel in KERNELS}
        for name in FORMATS
    }
    theory_figures.draw_rounding(curves, path)


def zeta(path: Path) -> None:
    """Gravity's gradient term under scaling, as published and with the consistent m."""
    entries = np.array([1.0, 0.5, 0.1])
    scales = np.geomspace(1e-3, 1e3, 400)
    zetas = {
        title: np.array([reference.zeta(scale * entries, m) for scale in scales])
        for title, m in (("m = 1/max|g|, as published", "inverse_max"), ("m = max|g|", 1.0))
    }
    theory_figures.draw_zeta(scales, zetas, list(entries), path)


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
    theory_figures.draw_regimes(entries, rates, names, path)


def flows(path: Path) -> None:
    """Flows on a quartic bowl, and the discrete steps that tend to them."""
    problem = Problem(
        gradient=_bowl_gradient,
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
        ("per_component", "optimizer", "per_component: order 1"),
        ("per_param", "optimizer", "per_param: order 1"),
        ("per_component", "leapfrog", "leapfrog: order 2"),
    ):
        flow, counts = Flow("smooth_sqrt", geometry), np.array([25, 50, 100, 200, 400])
        end = problem.trajectory(flow, [0.0, 2.0])[-1, :2]
        step = getattr(problem, method)
        distances = [np.linalg.norm(step(flow, 2.0, int(n)) - end) for n in counts]
        errors[name] = (2.0 / counts, np.array(distances))
    adam = adam_flow.Problem(
        gradient=_bowl_gradient,
        start=problem.start,
        rate=0.6,
        limit=problem.limit,
        forgetting=(1.0, 0.1),
        eps=1e-3,
        law="smooth_sqrt",
        mode="per_component",
    )
    after_start = times[1:]
    states = adam.trajectory(after_start)
    name = "Adam, per_component"
    paths[name] = np.vstack([problem.start, states[:, :2]])
    energies[name] = np.concatenate([[np.nan], adam.energies(_bowl, after_start, states)])
    end = adam.trajectory([2.0])[-1, :2]
    distances = [np.linalg.norm(adam.optimizer(2.0, int(n)) - end) for n in counts]
    errors["Adam, per_component: order 1"] = (2.0 / counts, np.array(distances))
    dynamics_figures.draw_flows(times, paths, energies, errors, path)


def _bowl_gradient(x: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.array([x[0] ** 3 + x[0] / 2 + x[1] / 2, x[0] / 2 + 4 * x[1]])


def _bowl(x: NDArray[np.float64]) -> NDArray[np.float64]:
    one, two = x[..., 0], x[..., 1]
    return np.asarray(one**4 / 4 + one**2 / 4 + one * two / 2 + 2 * two**2)


def portraits(path: Path) -> None:
    """Phase portraits of the flow in a double well, without and with a limit."""
    drawn: dict[str, list[tuple[NDArray[np.float64], NDArray[np.float64]]]] = {}
    for law, title in (
        ("newtonian", "without a limit"),
        ("smooth_sqrt", "smooth_sqrt, C = ½"),
        ("published", "published, C = ½"),
    ):
        flow, drawn[title] = Flow(law, "per_component"), []
        for x0 in np.linspace(-2.4, 2.4, 12):
            problem = Problem(
                gradient=lambda x: x * (x * x - 1),
                mass=np.ones(2),
                friction=0.25,
                limit=0.5,
                start=np.array([x0, 1.0]),
            )
            states = problem.trajectory(flow, np.linspace(0, 30, 600))
            drawn[title].append((states[:, 0], states[:, 2]))
    dynamics_figures.draw_portraits(drawn, path)


def wells(path: Path) -> None:
    """Basins of a double well over the learning rate, and escape under gradient noise."""
    # 200 starts miss the ridge and the wells themselves, where every step is 0.
    starts, rates = np.linspace(-2, 2, 200), np.geomspace(0.03, 10, 200)
    ends = {
        title: double_well.basins(law, rates, c, starts[:, None], 1500)
        for title, law, c in (
            ("Without a limit", "newtonian", 1.0),
            ("smooth_sqrt, c = 1", "smooth_sqrt", 1.0),
            ("smooth_sqrt, c = 0.25", "smooth_sqrt", 0.25),
        )
    }
    limits = np.geomspace(0.01, 1, 13)
    shares = {
        title: np.array(
            [double_well.escaped_share(law, 0.05, c, 30.0, 300, 2000, 0) for c in limits]
        )
        for law, title in (
            ("smooth_sqrt", "smooth_sqrt"),
            ("tanh", "tanh"),
            ("hard_clip", "hard_clip"),
            ("newtonian", "without a limit"),
        )
    }
    dynamics_figures.draw_wells(starts, rates, ends, limits, shares, path)


FIGURES = {
    function.__name__: function
    for function in (laws, bifurcation, rounding, zeta, regimes, flows, portraits, wells)
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
