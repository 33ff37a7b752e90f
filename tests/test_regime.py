"""Adam's own bound and the regime of a speed limit: derived, attained, and as published."""

import math
from typing import Any

import numpy as np
import pytest
import sympy as sp

from analysis import adam
from reference import LAWS, adam_direction, largest_adam_entry, regime, speed_ratios
from reference.regime import LINEAR_BELOW, SATURATED_ABOVE

BETAS = [(0.9, 0.999), (0.5, 0.9), (0.9, 0.99), (0.1, 0.5), (0.9, 0.85)]


def test_the_constant_is_the_papers() -> None:
    b1, b2 = adam.beta1, adam.beta2
    expected = b2 * (1 - b1) ** 2 / ((1 - b2) * (b2 - b1**2))
    assert sp.simplify(adam.limit_constant() - expected) == 0


@pytest.mark.parametrize("betas", BETAS)
def test_reference_takes_the_derived_constant(betas: tuple[float, float]) -> None:
    constant = adam.limit_constant().subs(dict(zip((adam.beta1, adam.beta2), betas, strict=True)))
    assert largest_adam_entry(betas) == pytest.approx(math.sqrt(constant), rel=1e-13)


@pytest.mark.parametrize("betas", BETAS)
def test_the_bound_rises_to_its_limit_over_the_steps(betas: tuple[float, float]) -> None:
    bound = sp.lambdify(
        adam.t, adam.corrected_bound().subs(dict(zip((adam.beta1, adam.beta2), betas, strict=True)))
    )
    values = [float(bound(t)) for t in range(1, 5000)]
    assert values[0] == pytest.approx(1, rel=1e-12)
    assert (np.diff(values) >= -1e-12).all()
    assert values[-1] == pytest.approx(largest_adam_entry(betas), rel=2e-2)
    assert max(values) <= largest_adam_entry(betas) * (1 + 1e-12)


@pytest.mark.parametrize("betas", BETAS)
def test_the_bound_is_attained_by_gradients_that_grow(betas: tuple[float, float]) -> None:
    """Equality in Cauchy and Schwarz: g_{t−i} proportional to aᵢ/bᵢ = (β₁/β₂)ⁱ."""
    steps = 60
    state, update = None, np.zeros(1)
    for i in reversed(range(steps)):
        grad = (betas[0] / betas[1]) ** i
        update, state = adam_direction([grad], state, lr=1.0, betas=betas, eps=0.0)
    bound = adam.corrected_bound().subs({adam.beta1: betas[0], adam.beta2: betas[1], adam.t: steps})
    assert update[0] == pytest.approx(float(bound), rel=1e-10)


def test_there_is_no_bound_where_the_sum_diverges() -> None:
    assert largest_adam_entry((0.9, 0.81)) == math.inf
    assert largest_adam_entry((0.9, 0.5)) == math.inf
    assert largest_adam_entry((0.0, 0.75)) == 2.0
    assert regime(1e-3, 0.1, betas=(0.9, 0.5)).largest_ratio == math.inf
    assert regime(0.0, 0.1, betas=(0.9, 0.5)).largest_ratio == 0


def test_the_published_default_is_idle_per_component_and_critical_at_ten_thousand_entries() -> None:
    assert regime(1e-3, 0.1, mode="per_component", numel=10**6).name == "linear"
    at = {n: regime(1e-3, 0.1, numel=n) for n in (1, 10**4, 10**8)}
    assert [at[n].name for n in at] == ["linear", "transition", "saturated"]
    assert at[10**4].typical_ratio == pytest.approx(1)


@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
def test_typical_ratio_is_that_of_an_update_of_lr_everywhere(mode: str, unit: str) -> None:
    params = [np.full(50, 3.0)]
    (ratio, *_) = speed_ratios([np.full(50, 0.02)], 0.1, params=params, mode=mode, unit=unit)
    told = regime(0.02, 0.1, numel=50, mode=mode, unit=unit, param_rms=3.0)
    assert told.typical_ratio == pytest.approx(float(np.ravel(ratio)[0]), rel=1e-12)


@pytest.mark.parametrize("key", ["smooth_sqrt", "tanh", "hard_clip"])
def test_names_mean_half_a_percent(key: str) -> None:
    assert LAWS[key].gain(LINEAR_BELOW) >= 1 - 0.005
    assert LAWS[key].speed(SATURATED_ABOVE) >= 1 - 0.005


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"lr": -1}, "lr=-1: expected a finite number >= 0"),
        ({"speed_limit": 0}, "speed_limit=0: expected a number > 0"),
        ({"speed_limit": math.nan}, "speed_limit=nan: expected a number"),
        ({"betas": (0.9, 1.0)}, r"betas\[1\]=1.0: expected"),
        ({"numel": 0}, "numel=0: expected a whole number >= 1"),
        ({"numel": 1.5}, "numel=1.5: expected a whole number >= 1"),
        ({"numel": math.inf}, "numel=inf: expected a whole number >= 1"),
        ({"mode": "tensor"}, "mode='tensor': expected one of"),
        ({"unit": "meter"}, "unit='meter': expected one of"),
        ({"param_rms": -1}, "param_rms=-1: expected"),
    ],
)
def test_invalid_arguments_are_named(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        regime(**{"lr": 1e-3, "speed_limit": 0.1, **wrong})
