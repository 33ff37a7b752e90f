"""What the explorer computes, compared with the reference, wherever its script runs."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np

import reference
from analysis.maps import MAPS
from paper.landscapes import LANDSCAPES, heights
from reference.limit import MODES, UNITS

Call = tuple[str, *tuple[Any, ...]]
Run = Callable[[Sequence[Call]], list[Any]]
"""Calls functions of the page's formulas by name; what is not a number comes back as None."""

FEW_ULPS = 1e-14
"""Some forty roundings of 2⁻⁵³: a formula of a few operations, in two libraries of mathematics."""

RATIOS = [0.0, 1e-8, 0.01, 0.3, 0.5, 0.75, 0.9, 0.999, 1.0, 1.001, 2.0, 5.0, 1e3, 1e8]


def numbers(found: Any) -> Any:
    """Return what a page has computed as an array."""
    return np.array(found, dtype=np.float64)


def check_laws(run: Run) -> None:
    (laws,) = run([("laws",)])
    assert laws == list(reference.LAWS)
    for kind in ("gain", "speed"):
        found = numbers(run([(kind, law, ratio) for law in laws for ratio in RATIOS]))
        expected = np.array([getattr(reference.LAWS[law], kind)(RATIOS) for law in laws])
        np.testing.assert_allclose(found.reshape(expected.shape), expected, rtol=FEW_ULPS)


def check_limits(run: Run) -> None:
    (units,) = run([("units",)])
    assert units == list(UNITS)
    cases: list[tuple[Any, float, dict[str, Any]]] = [
        (u, c, {"law": law, "mode": mode, "unit": unit, "params": theta})
        for law, mode, unit in product(reference.LAWS, MODES, UNITS)
        for u, theta in (([0.3, -0.4], [3.0, -2.0]), ([30.0, 1e-3], [0.0, 1e-6]))
        for c in (0.01, 0.6, 1e3)
    ]
    found = run([("limit", *case) for case in cases])
    for result, (u, c, options) in zip(found, cases, strict=True):
        (expected,) = reference.limit([u], c, **{**options, "params": [options["params"]]})
        # A ratio beside 1 may be rounded across it, but no case is so near.
        np.testing.assert_allclose(numbers(result), expected, rtol=FEW_ULPS)


def check_regimes(run: Run) -> None:
    cases: list[dict[str, Any]] = [
        {"lr": lr, "speedLimit": c, "numel": numel, "mode": mode, "unit": unit}
        for lr, c, numel in product((0.0, 1e-5, 1e-3, 0.7), (1e-3, 0.3), (1, 1000, 10**8))
        for mode, unit in product(MODES, UNITS)
    ]
    for found, case in zip(run([("regime", case) for case in cases]), cases, strict=True):
        expected = reference.regime(
            case["lr"],
            case["speedLimit"],
            numel=case["numel"],
            mode=case["mode"],
            unit=case["unit"],
        )
        assert found["name"] == expected.name, case
        assert math.isclose(found["typical"], expected.typical_ratio, rel_tol=FEW_ULPS)
        assert math.isclose(found["largest"], expected.largest_ratio, rel_tol=FEW_ULPS)


def check_orbits(run: Run) -> None:
    rates, start, steps = [0.5, 1.7, 2.5, 8.0, 40.0], 0.3, 60
    for law, mapping in MAPS.items():
        orbits = run([("orbit", law, rate, start, steps, steps) for rate in rates])
        for rate, orbit in zip(rates, orbits, strict=True):
            # Some orbits are chaotic: each step is compared from the point where the page was.
            points = numbers([start, *orbit])
            expected = mapping.orbit(rate, points[:-1], 1, 1)[0]
            np.testing.assert_allclose(points[1:], expected, rtol=FEW_ULPS, atol=FEW_ULPS)
            whole = mapping.orbit(rate, start, 5, 5)
            # Five steps stretch a rounding by at most (1 + 40)⁵ = 10⁸.
            np.testing.assert_allclose(orbit[:5], whole, rtol=1e-7, atol=1e-7)


def slope(landscape: str, point: Any) -> Any:
    x, y = point
    if landscape == "Rosenbrock":
        return np.array([-2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)])
    return 2 * point + 20 * np.pi * np.sin(2 * np.pi * point)


def check_trajectories(run: Run) -> None:
    names, directions = run([("landscapes",), ("directions",)])
    assert names == list(LANDSCAPES)
    settings = [
        *((law, "per_param", "norm") for law in reference.LAWS),
        *(("smooth_sqrt", mode, unit) for mode in MODES for unit in UNITS),
    ]
    cases = [
        {"landscape": landscape, "direction": direction, "lr": lr, "speedLimit": 0.1, "steps": 40}
        | dict(zip(("law", "mode", "unit"), setting, strict=True))
        for landscape, direction in product(names, directions)
        for setting in settings
        for lr in (1e-3, 0.5)
    ]
    for found, case in zip(run([("trajectory", case) for case in cases]), cases, strict=True):
        check_path(numbers(found), case)
    points = [(name, point) for name in names for point in ([0.5, -0.7], [2.0, 2.5])]
    for found, (name, point) in zip(run([("height", *p) for p in points]), points, strict=True):
        assert math.isclose(found, heights(name, np.array(point)), rel_tol=FEW_ULPS)


def check_path(points: Any, case: Mapping[str, Any]) -> None:
    """Compare each step of a path with the reference's.

    Paths may be chaotic: each step is taken from the page's point, with the moments of the
    gradients at its points.
    """
    options = {key: case[key] for key in ("law", "mode", "unit")}
    lr, c = case["lr"], case["speedLimit"]
    assert points[0].tolist() == list(LANDSCAPES[case["landscape"]].start)
    states: Any = None
    for here, there in pairwise(points):
        gradient = slope(case["landscape"], here)
        if case["direction"] == "Adam":
            (after,), states = reference.relativistic_adam_step(
                [here], [gradient], states, lr=lr, speed_limit=c, **options
            )
        else:
            (step,) = reference.limit([lr * gradient], c, params=[here], **options)
            after = here - step
        # A slope of 1 may be left of terms of 1e3, which makes of 1e-16 a relative error of 1e-13;
        # where the law is not bounded a step is as large as the points are.
        atol = 1e-11 * max(1.0, float(np.abs(there).max()))
        np.testing.assert_allclose(there, after, rtol=1e-11, atol=atol)


CHECKS = (check_laws, check_limits, check_regimes, check_orbits, check_trajectories)
