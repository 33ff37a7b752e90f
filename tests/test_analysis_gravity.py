"""What `analysis` derives about Gravity: agrees with the reference and with spelled-out sums."""

import math

import numpy as np
import pytest
import sympy as sp

import reference
from analysis.gravity import (
    FACTS,
    READINGS,
    G,
    beta,
    coefficient_product,
    displacement,
    g,
    inclined_plane,
    m,
    running_coefficient,
    start,
    steps,
    t,
    velocity_bound,
)

KAPPA: dict[str, str | float] = {"inverse_max": "inverse_max", "max": 1.0}


def same(one: sp.Expr, other: sp.Expr) -> bool:
    return bool(sp.simplify(one - other) == 0)


def test_the_inclined_plane_gives_zeta() -> None:
    assert same(inclined_plane(), g / (1 + (g / m) ** 2))
    assert same(inclined_plane().subs(m, 1), g / (1 + g**2))


@pytest.mark.parametrize("reading", READINGS)
def test_zeta_is_the_references(reading: str) -> None:
    value = sp.lambdify((g, G), FACTS[reading].zeta)
    for entry in np.geomspace(1e-3, 1e3, 20):
        for largest in entry * np.geomspace(1, 1e3, 10):
            expected = reference.zeta([entry, largest], KAPPA[reading])[0]
            assert value(entry, largest) == pytest.approx(expected, rel=1e-14, abs=0)


def test_both_readings_of_the_papers_bound() -> None:
    """|ζ| ≤ 1/(2G) holds for m = 1/G and 1/(2m) = G/2 is what m = G gives."""
    assert same(FACTS["inverse_max"].peak, 1 / (2 * G))
    assert same(FACTS["max"].peak, G / 2)
    assert same(FACTS["inverse_max"].turning_point, 1 / G)
    assert FACTS["inverse_max"].turns_within_from == 1
    assert FACTS["max"].turns_within_from == 0


def test_universal_bound_and_where_it_is_attained() -> None:
    value, where = FACTS["inverse_max"].supremum
    assert same(value, sp.Integer(3) ** sp.Rational(3, 4) / 4)
    assert same(where, sp.Integer(3) ** sp.Rational(-1, 4))
    assert float(value) == pytest.approx(reference.gravity.ZETA_SUPREMUM, rel=1e-15)
    assert FACTS["max"].supremum == (sp.oo, None)
    attained = reference.zeta([float(where)])
    assert attained[0] == pytest.approx(float(value), rel=1e-15)


def test_steepest_entry_nearly_freezes() -> None:
    assert same(FACTS["inverse_max"].steepest, G / (1 + G**4))
    assert same(FACTS["max"].steepest, G / 2)


def test_scaling_limits() -> None:
    """SGD for λ → 0, freezing like λ⁻³ for λ → ∞; m = max|g| scales with the gradient."""
    published, repaired = FACTS["inverse_max"], FACTS["max"]
    assert same(published.small_scale, g)
    power, value = published.large_scale
    assert power == 3
    assert same(value, 1 / (g * G**2))
    assert same(repaired.small_scale, repaired.zeta)
    assert repaired.large_scale[0] == -1
    assert same(repaired.large_scale[1], repaired.zeta)


def test_descent() -> None:
    assert same(FACTS["inverse_max"].descent, 1 / (1 + G**4))
    assert same(FACTS["max"].descent, sp.Rational(1, 2))


def test_running_coefficient_goes_from_one_half_to_beta() -> None:
    assert running_coefficient().subs(t, 0) == sp.Rational(1, 2)
    assert sp.limit(running_coefficient(), t, sp.oo) == beta
    value = sp.lambdify((beta, t), running_coefficient())
    for step in range(5):
        assert value(0.9, step) == pytest.approx(reference.beta_hat(0.9, step), rel=1e-15)


@pytest.mark.parametrize("clock", [0, 1])
@pytest.mark.parametrize("rate", [0.3, 0.9, 0.999])
def test_product_of_the_coefficients(clock: int, rate: float) -> None:
    for n in (1, 2, 10, 100):
        expected = math.prod(reference.beta_hat(rate, clock + s) for s in range(n))
        closed = coefficient_product().subs({beta: sp.nsimplify(rate), start: clock, steps: n})
        assert float(sp.N(closed, 20)) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(("clock", "total"), [(1, 2.831), (0, 1.9155)])
def test_reach_of_the_initial_velocity(clock: int, total: float) -> None:
    assert displacement(clock, 0.9) == pytest.approx(total, rel=2e-4)
    product, summed = 1.0, 0.0
    for s in range(1000):
        product *= reference.beta_hat(0.9, clock + s)
        summed += product
    assert displacement(clock, 0.9) == pytest.approx(summed, rel=1e-12)


def test_the_running_coefficient_is_a_mean() -> None:
    assert same(running_coefficient(), (beta * t + 1) / (t + 2))
    assert running_coefficient().subs(t, 0) == sp.Rational(1, 2)
    assert sp.limit(running_coefficient(), t, sp.oo) == beta


@pytest.mark.parametrize("clock", reference.CLOCKS)
@pytest.mark.parametrize("first", [-3.0, 0.1])
def test_no_velocity_exceeds_its_bound(first: float, clock: str) -> None:
    """For gradients of any size; those that make ζ largest come near it."""
    bound = float(velocity_bound(sp.Float(first)))
    assert bound == pytest.approx(max(abs(first), 3**0.75 / 4), rel=1e-14)
    rng = np.random.default_rng(0)
    params, states = [np.zeros(5)], [reference.GravityState(0, np.full(5, first))]
    for step in range(60):
        grad = 10.0 ** rng.uniform(-3, 3) * rng.standard_normal(5)
        if step >= 30:
            grad = np.full(5, 3**-0.25)
        params, states = reference.gravity_step(params, [grad], states, clock=clock)
        assert np.abs(states[0].velocity).max() <= bound * (1 + 1e-12)
    assert states[0].velocity.max() > 0.5
