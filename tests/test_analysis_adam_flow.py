"""Adam's flow: the optimizer tends to it, and its energy falls while β₂ is large enough."""

import numpy as np
import pytest
import sympy as sp

from analysis import adam_flow
from analysis.adam_flow import C, Problem, eps, eta, kappa1, kappa2, m, s, slope, v
from analysis.calculus import potential
from analysis.flows import orders
from analysis.laws import LAWS, r

ANALYTIC = ["newtonian", "smooth_sqrt", "tanh"]
SOMEWHERE = {
    s: sp.Rational(7, 10),
    kappa1: sp.Integer(2),
    kappa2: sp.Rational(3, 10),
    eta: sp.Rational(6, 5),
    eps: sp.Rational(1, 100),
    C: sp.Rational(4, 5),
    m: sp.Rational(3, 2),
    v: sp.Rational(11, 10),
    slope: sp.Rational(-5, 3),
}


def gradient(x: np.ndarray) -> np.ndarray:
    return np.array([x[0] ** 3 + x[1] / 2, x[0] / 2 + 4 * x[1]])


def loss(x: np.ndarray) -> np.ndarray:
    return np.asarray(x[:, 0] ** 4 / 4 + x[:, 0] * x[:, 1] / 2 + 2 * x[:, 1] ** 2)


def problem(law: str, mode: str = "per_component") -> Problem:
    return Problem(gradient, np.array([1.5, -1.0]), 0.6, 0.7, (1.0, 0.2), 1e-2, law, mode)


@pytest.mark.parametrize("mode", ["per_component", "per_param"])
@pytest.mark.parametrize("law", ANALYTIC)
def test_the_optimizer_converges_to_the_flow_at_order_one(law: str, mode: str) -> None:
    """With bias correction there is no logarithm, unlike Gravity's start from rest."""
    end = problem(law, mode).trajectory([3.0])[-1, :2]
    errors = [
        float(np.linalg.norm(problem(law, mode).optimizer(3.0, n) - end))
        for n in (50, 100, 200, 400, 800, 1600)
    ]
    assert ((orders(errors) > 0.9) & (orders(errors) < 1.1)).all(), orders(errors)


@pytest.mark.parametrize("law", ANALYTIC)
def test_the_energy_rate_is_friction_less_what_the_preconditioner_gives_back(law: str) -> None:
    """(C²/B)·(−rρ + (rρ − P)·(B′/B)/κ₁); the slope of the loss has cancelled."""
    b = adam_flow.responsiveness()
    growth = (sp.diff(b, s) + sp.diff(b, v) * kappa2 * (slope**2 - v)) / b
    ratio = b * m / C
    work = (r**2 * LAWS[law].gain).subs(r, ratio)
    stored = potential(LAWS[law]).subs(r, ratio)
    expected = C**2 / b * (-work + (work - stored) * growth / kappa1)
    difference = (adam_flow.energy_rate(law) - expected).subs(SOMEWHERE)
    assert abs(sp.N(difference, 30)) < 1e-25


def test_the_stiffening_is_least_friction_at_twice_and_four_times_the_rate() -> None:
    """B′/B ≤ κ₂/(2b₂) − κ₁/b₁ + κ₁, which for all s is at most κ₁ if κ₂ ≤ 2κ₁, 2κ₁ if ≤ 4κ₁."""
    b1, b2 = 1 - sp.exp(-kappa1 * s), 1 - sp.exp(-kappa2 * s)
    closed = kappa2 / (2 * b2) - kappa1 / b1 + kappa1
    assert sp.simplify(adam_flow.stiffening() - closed) == 0
    times = np.geomspace(1e-3, 1e3, 4000)
    for most, factor in ((2, 1), (4, 2)):
        at = sp.lambdify(s, closed.subs({kappa1: 1, kappa2: most}), "numpy")
        assert (at(times) <= factor * (1 + 1e-12)).all()
        beyond = sp.lambdify(s, closed.subs({kappa1: 1, kappa2: 1.01 * most}), "numpy")
        assert (beyond(times) > factor).any()


def test_the_worst_case_of_the_stiffening_is_a_vanished_gradient_and_no_eps() -> None:
    b = adam_flow.responsiveness()
    growth = (sp.diff(b, s) + sp.diff(b, v) * kappa2 * (slope**2 - v)) / b
    worst = float(adam_flow.stiffening().subs(SOMEWHERE))
    for g in (0.0, 0.3, 3.0):
        for epsilon in (0.0, 0.1, 10.0):
            at = SOMEWHERE | {slope: g, eps: epsilon}
            assert float(growth.subs(at)) <= worst + 1e-12


@pytest.mark.parametrize("law", ["newtonian", "smooth_sqrt", "tanh", "hard_clip"])
def test_of_a_concave_speed_at_most_half_the_work_comes_back(law: str) -> None:
    """rρ − P ≤ rρ/2, so that the energy falls for β₂ ≥ β₁⁴."""
    work, stored = r**2 * LAWS[law].gain, potential(LAWS[law])
    for ratio in np.geomspace(1e-3, 1e3, 60):
        done, kept = (float(e.subs(r, sp.Float(ratio, 30))) for e in (work, stored))
        assert -1e-12 * done <= done - kept <= done / 2 * (1 + 1e-12)


@pytest.mark.parametrize("law", ANALYTIC)
def test_the_energy_never_rises_along_a_trajectory(law: str) -> None:
    times = np.linspace(0.01, 20, 1000)
    energies = problem(law).energies(loss, times, problem(law).trajectory(times))
    assert (np.diff(energies) <= 1e-9).all()  # the integrator's tolerance is 1e-11 a step
    assert energies[-1] < 1e-2 * energies[0]


@pytest.mark.parametrize(("factor", "rises"), [(3.9, False), (8.0, True)])
def test_where_v_forgets_too_fast_the_energy_rises(factor: float, rises: bool) -> None:
    """Down a slope into a plain: the moment coasts while v, and what held it back, fades."""
    plain = Problem(
        lambda x: np.where(x > 0, 2 * x, 1e-3),
        np.array([1.0]),
        1.0,
        1e3,
        (0.2, 0.2 * factor),
        0.0,
        "newtonian",
        "per_component",
    )
    times = np.linspace(0.01, 12, 1000)
    slope_and_plain = lambda x: np.where(x > 0, x * x, 1e-3 * x).sum(axis=1)  # noqa: E731
    energies = plain.energies(slope_and_plain, times, plain.trajectory(times))
    assert (np.diff(energies).max() > 1e-3) == rises


def test_a_law_with_an_edge_is_refused() -> None:
    with pytest.raises(ValueError, match="law='hard_clip': expected one that is analytic"):
        problem("hard_clip")
