"""Gravity's flow: derived from β̂, approached by the optimizer, and where energy falls."""

from typing import Any

import numpy as np
import pytest
import sympy as sp

from analysis.flows import orders
from analysis.gravity_flow import energy_rate, optimizer, rate, s, tau, trajectory

START, MEMORY, TIME = np.array([1.2, -0.6]), 2.0, 3.0
KAPPAS: list[Any] = ["inverse_max", 1.0]


def gradient(x: np.ndarray) -> np.ndarray:
    return np.array([x[0] ** 3 + x[1] / 2, x[0] / 2 + 2 * x[1]])


def loss(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[:, 0] ** 4 / 4 + x[:, 0] * x[:, 1] / 2 + x[:, 1] ** 2)


def error(steps: int, kappa: Any, *, from_rest: bool) -> float:
    end, _ = trajectory(gradient, START, MEMORY, [TIME], kappa)
    reached = optimizer(gradient, START, MEMORY, TIME, steps, kappa=kappa, from_rest=from_rest)
    return float(np.linalg.norm(reached - end[-1]))


def test_the_rate_is_the_limit_of_the_running_coefficient() -> None:
    assert sp.simplify(rate() - (1 / s + 1 / tau)) == 0


def test_the_energy_with_the_identity_falls() -> None:
    """E′ = −|V|²·(1 − τ²/(2(τ + s)²)), which is negative for every s."""
    assert not energy_rate().has(sp.Derivative)
    assert sp.simplify(energy_rate() + 1 - tau**2 / (2 * (tau + s) ** 2)) == 0
    times = np.linspace(0.01, 12, 400)
    x, v = trajectory(gradient, START, MEMORY, times, None)
    energy = loss(x) + (v**2).sum(axis=1) / (2 * (1 / times + 1 / MEMORY))
    assert (np.diff(energy) <= 1e-9).all()  # the integrator's tolerance is 1e-11 a step


def test_with_the_published_term_the_energy_is_none() -> None:
    """Down a gentle slope and up a steep wall, where ζ all but vanishes: f rises, V goes on."""
    times = np.linspace(0.01, 8, 400)
    x, v = trajectory(lambda x: np.where(x > 0, 0.5, 1000 * x), [2.0], MEMORY, times, "inverse_max")
    slope_and_wall = np.where(x > 0, x / 2, 500 * x**2).sum(axis=1)
    energy = slope_and_wall + (v**2).sum(axis=1) / (2 * (1 / times + 1 / MEMORY))
    assert energy.max() > 10 * energy[0]


@pytest.mark.parametrize("kappa", KAPPAS)
def test_from_the_gradient_term_the_optimizer_converges_at_order_one(kappa: Any) -> None:
    errors = [error(n, kappa, from_rest=False) for n in (100, 200, 400, 800, 1600, 3200)]
    measured = orders(errors)
    assert ((measured > 0.9) & (measured < 1.1)).all(), measured


@pytest.mark.parametrize("kappa", KAPPAS)
def test_from_rest_its_error_is_that_times_a_logarithm(kappa: Any) -> None:
    """h·log(1/h): what V₀ = 0 lacks is made up for like 1/t, whose sum is the logarithm."""
    counts = np.array([200, 400, 800, 1600, 3200, 6400])
    errors = np.array([error(int(n), kappa, from_rest=True) for n in counts])
    assert errors[-1] > 2 * error(int(counts[-1]), kappa, from_rest=False)
    h = TIME / counts
    design = np.stack([h * np.log(1 / h), h], axis=1)
    coefficients, *_ = np.linalg.lstsq(design / errors[:, None], np.ones(6), rcond=None)
    # What is left is of order h²·log²(1/h), and h·log(1/h) spans a factor of 20 here.
    np.testing.assert_allclose(design @ coefficients, errors, rtol=0.05)
    assert coefficients[0] > 0.05
