"""The derived bounds of displacement and growth hold, and steps in one direction attain them."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import sympy as sp

import reference
from analysis.bounds import (
    SCHEDULES,
    T,
    c,
    d,
    displacement,
    growth,
    growth_under,
    norm,
    resting_norm,
    t,
    w,
)

STEPS = 20
VALUES = {c: sp.Rational(1, 4), T: sp.Integer(STEPS), w: sp.Integer(6)}


def schedule_of(name: str) -> Callable[[int], float]:
    limit = SCHEDULES[name].subs(VALUES)
    return lambda step: float(limit.subs(t, step))


@pytest.mark.parametrize("name", SCHEDULES)
def test_displacement_is_the_sum_of_the_limits(name: str) -> None:
    limit = schedule_of(name)
    total = sum(limit(step) for step in range(1, STEPS + 1))
    assert float(displacement(name).subs(VALUES)) == pytest.approx(total, rel=1e-12)
    assert growth_under(limit, 0.0, 0.0, STEPS) == pytest.approx(total, rel=1e-12)


def test_growth_is_its_recursion_and_rests_at_the_limit_over_the_decay() -> None:
    values = {**VALUES, d: sp.Rational(1, 10), norm: sp.Integer(3)}
    bound = growth_under(lambda _: 0.25, 0.1, 3.0, STEPS)
    assert float(growth().subs(values)) == pytest.approx(bound, rel=1e-12)
    assert sp.simplify(resting_norm() - c / d) == 0
    assert growth_under(lambda _: 0.25, 0.1, 3.0, 2000) == pytest.approx(2.5, rel=1e-12)


def end_of(
    limits: Callable[[int], float], law: str, decay: float, grads: Callable[[], Any]
) -> float:
    """Return ‖θ_T‖ of the reference's AdamW at a huge learning rate, from θ₀ = 0."""
    theta: list[Any] = [np.zeros(4)]
    state: list[Any] = [None]
    for step in range(1, STEPS + 1):
        theta, state = reference.relativistic_adamw_step(
            theta,
            [grads()],
            state,
            lr=1e6,
            eps=0.0,
            weight_decay=decay / 1e6,
            speed_limit=limits(step) or math.ulp(0.0),
            law=law,
        )
    return float(np.linalg.norm(theta[0]))


@pytest.mark.parametrize("decay", [0.0, 0.1])
@pytest.mark.parametrize("name", SCHEDULES)
def test_full_speed_in_one_direction_attains_the_bound(name: str, decay: float) -> None:
    limits = schedule_of(name)
    reached = end_of(limits, "hard_clip", decay, lambda: np.ones(4))
    assert reached == pytest.approx(growth_under(limits, decay, 0.0, STEPS), rel=1e-9)


@pytest.mark.parametrize("law", ["smooth_sqrt", "tanh", "hard_clip", "published"])
@pytest.mark.parametrize("name", SCHEDULES)
def test_no_gradients_exceed_the_bound(name: str, law: str) -> None:
    limits = schedule_of(name)
    rng = np.random.default_rng(0)
    for scale in (1e-6, 1.0, 1e6):
        for decay in (0.0, 0.1):
            reached = end_of(limits, law, decay, functools.partial(rng.normal, scale=scale, size=4))
            assert reached <= growth_under(limits, decay, 0.0, STEPS) * (1 + 1e-12)
