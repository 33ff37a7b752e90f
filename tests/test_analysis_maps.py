"""What `analysis.maps` derives of the step as a map, against iterations and simulations."""

import math

import numpy as np
import pytest
import sympy as sp

import reference
from analysis.laws import r
from analysis.maps import MAPS, a, noise_floor, simulated_noise_floor

CONTINUOUS = ["smooth_sqrt", "tanh", "hard_clip"]
RATES = [2.5, 3.0, 5.0, 10.0, 20.0, 50.0]


def test_every_law_that_limits_for_every_ratio_has_a_map() -> None:
    assert list(MAPS) == ["smooth_sqrt", "tanh", "hard_clip", "published", "piecewise"]


@pytest.mark.parametrize("key", MAPS)
def test_zero_attracts_up_to_a_rate_of_two(key: str) -> None:
    assert sp.simplify(MAPS[key].multiplier_at_zero - (1 - a)) == 0
    assert MAPS[key].first_repelling == 2
    below, above = MAPS[key].orbit([1.9, 2.1], 1e-3, 2000, 1)[0]
    assert abs(below) < 1e-9
    assert abs(above) > 1e-2


@pytest.mark.parametrize("key", ["smooth_sqrt", "tanh"])
def test_at_a_rate_of_two_zero_still_attracts_but_slowly(key: str) -> None:
    """Like n^(−1/2): from the cubic term of ρ, y² ~ 1/(8·|ρ‴(0)/6|·n) each two steps."""
    n = 10_000
    early, late = (abs(MAPS[key].orbit(2.0, 0.3, steps, 1)[0]) for steps in (n, 4 * n))
    assert late == pytest.approx(early / 2, rel=0.01)


def test_smooth_sqrts_cycle_is_derived() -> None:
    """c·√(¼ − 1/(ηL)²), with the multiplier (1 − 8/(ηL)²)²."""
    ((ratio, start, end),) = MAPS["smooth_sqrt"].cycle_ratios
    assert (start, end) == (0, sp.oo)
    assert sp.simplify((ratio / a) ** 2 - (sp.Rational(1, 4) - 1 / a**2)) == 0
    multiplier = MAPS["smooth_sqrt"].cycle_multiplier(ratio)
    assert sp.simplify(multiplier - (1 - 8 / a**2) ** 2) == 0


@pytest.mark.parametrize("rate", RATES)
def test_smooth_sqrts_cycle_is_where_iteration_ends(rate: float) -> None:
    """To 1e-6 for ηL ≤ 50; its multiplier there is 0.994."""
    expected = math.sqrt(0.25 - 1 / rate**2)
    assert MAPS["smooth_sqrt"].cycle_amplitude(rate) == pytest.approx(expected, rel=1e-12)
    before, after = MAPS["smooth_sqrt"].orbit(rate, 0.3, 20_000, 2)
    assert abs(after) == pytest.approx(expected, abs=1e-6)
    assert after == pytest.approx(-before, abs=1e-6)


@pytest.mark.parametrize("rate", [100.0, 1e3, 1e6])
@pytest.mark.parametrize("key", CONTINUOUS)
def test_the_cycle_tends_to_half_the_limit(key: str, rate: float) -> None:
    """By root-finding, since the iteration's multiplier is near 1. It stays within c too."""
    assert MAPS[key].cycle_amplitude(rate) == pytest.approx(0.5, abs=2 / rate)
    starts = np.linspace(-3, 3, 13) + 0.01
    assert (np.abs(MAPS[key].orbit(rate, starts, 200, 50)) <= 1).all()


@pytest.mark.parametrize("key", CONTINUOUS)
@pytest.mark.parametrize("rate", RATES)
def test_cycles_of_every_continuous_law_solve_their_equation(key: str, rate: float) -> None:
    y = MAPS[key].cycle_amplitude(rate)
    (image,) = MAPS[key].orbit(rate, y, 1, 1)
    assert image == pytest.approx(-y, rel=1e-9)


@pytest.mark.parametrize("key", MAPS)
def test_below_a_rate_of_two_a_cycle_is_none_or_repels(key: str) -> None:
    """`piecewise` amplifies, and so has one that does not attract; the others have none."""
    amplitude = MAPS[key].cycle_amplitude(1.5)
    if key != "piecewise":
        assert math.isnan(amplitude)
        return
    ((ratio, start, end),) = MAPS[key].cycle_ratios
    assert start < ratio.subs(a, sp.Rational(3, 2)) < end
    assert MAPS[key].cycle_multiplier(ratio).subs(a, sp.Rational(3, 2)) > 1


@pytest.mark.parametrize("key", ["smooth_sqrt", "published", "piecewise"])
def test_derived_cycle_ratios_solve_their_equation(key: str) -> None:
    for ratio, start, end in MAPS[key].cycle_ratios:
        at = sp.Rational(5, 2) if key != "piecewise" else sp.Rational(3, 2)
        value = ratio.subs(a, at)
        assert start < value < end
        gain = MAPS[key].law.below.subs(r, value)
        assert sp.simplify(gain - 2 / at) == 0


# The linearisation takes x to be small beside the noise; at a = 0.1 it is off by up to 3 %, and
# the variance of 200 chains, correlated over 1/k steps, by 1 % besides.
@pytest.mark.parametrize("noise", [0.1, 1.0, 10.0])
@pytest.mark.parametrize("key", CONTINUOUS)
def test_the_noise_floor_is_the_simulated_one(key: str, noise: float) -> None:
    simulated = [simulated_noise_floor(key, 0.1, noise, 6000, 200, seed) for seed in (0, 1)]
    for value in simulated:
        assert value == pytest.approx(noise_floor(key, 0.1, noise), rel=0.04)
    assert simulated[0] != simulated[1]


def test_without_a_limit_the_noise_floor_is_that_of_sgd() -> None:
    """σ·√(η/(L(2 − a))), in units of c: n·√(1/(a(2 − a)))."""
    for rate in (0.01, 0.5):
        expected = 1e-4 * math.sqrt(1 / (rate * (2 - rate)))
        assert noise_floor("smooth_sqrt", rate, 1e-4) == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("key", CONTINUOUS)
def test_decaying_the_limit_removes_the_noise_floor(key: str) -> None:
    """At a given η and σ the floor of x falls like √c: steps and drift are in proportion to c."""
    floors = [c * noise_floor(key, 0.1, 1 / c) for c in (1e-3, 1e-4, 1e-5)]
    exponents = np.diff(np.log10(floors))
    np.testing.assert_allclose(exponents, -0.5, atol=0.01)


def test_the_maps_take_the_references_step() -> None:
    """One step of the map is `reference.limit` of the gradient step."""
    for key, mapping in MAPS.items():
        y, rate = 0.37, 3.3
        (limited,) = reference.limit([[rate * y]], 1.0, law=key)
        assert mapping.orbit(rate, y, 1, 1)[0] == pytest.approx(y - limited[0], rel=1e-14)
