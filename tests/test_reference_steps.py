"""The reference's steps: what the formulas say at points where the answer is known."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import reference
from reference import (
    AdamState,
    GravityState,
    adam_direction,
    beta_hat,
    gravity_step,
    initial_velocity,
    readme_limit,
    readme_step,
    relativistic_adam_step,
    relativistic_adamw_step,
    zeta,
)
from reference.gravity import CLOCKS, ZETA_SUPREMUM
from tests import strategies
from tests.strategies import Array


@given(
    grads=st.lists(strategies.values(st.just((3,)), 1e-100, 1e100), min_size=1, max_size=40),
    betas=st.sampled_from([(0.9, 0.999), (0.5, 0.9), (0.0, 0.9)]),
)
def test_adams_own_bound(grads: list[Array], betas: tuple[float, float]) -> None:
    """m² ≤ K·v, K = β₂(1−β₁)²/((1−β₂)(β₂−β₁²)): at the defaults |m| ≤ 7.27·√v."""
    beta1, beta2 = betas
    bound = beta2 * (1 - beta1) ** 2 / ((1 - beta2) * (beta2 - beta1**2))
    state = None
    for g in grads:
        _, state = adam_direction(g, state, betas=betas)
        limit = math.sqrt(bound) * np.sqrt(state.exp_avg_sq)
        assert (np.abs(state.exp_avg) <= limit * (1 + 100 * 2.0**-53) + 1e-150).all()


def test_adams_bound_at_the_defaults() -> None:
    bound = 0.999 * 0.1**2 / (0.001 * (0.999 - 0.81))
    assert math.sqrt(bound) == pytest.approx(7.27, abs=5e-3)


def test_weight_decay_is_outside_the_limit_of_adamw() -> None:
    params, _ = relativistic_adamw_step([[2.0]], [[1e9]], lr=1.0, weight_decay=0.5, speed_limit=0.1)
    np.testing.assert_allclose(params[0], 2.0 * 0.5 - 0.1, atol=1e-3)
    params, _ = relativistic_adam_step([[2.0]], [[1e9]], lr=1.0, weight_decay=0.5, speed_limit=0.1)
    np.testing.assert_allclose(params[0], 2.0 - 0.1, atol=1e-3)


@pytest.mark.parametrize(
    ("adaptive_speed", "warmup", "expected"),
    [(False, 10, 1.0), (True, 10, 0.3), (True, 2, 1.0), (True, 0, 1.0), (True, -5, 1.0)],
)
def test_warm_up_of_the_speed_limit(adaptive_speed: bool, warmup: int, expected: float) -> None:
    options: dict[str, Any] = {"lr": 1e9, "law": "hard_clip", "speed_limit": 1.0}
    state = AdamState(2, np.ones(1), np.ones(1))
    (theta,), _ = relativistic_adam_step(
        [[0.0]],
        [[1.0]],
        [state],
        adaptive_speed=adaptive_speed,
        speed_warmup_steps=warmup,
        **options,
    )
    np.testing.assert_allclose(theta, -expected, rtol=1e-12)


def test_parameters_without_gradient_are_left_alone_and_outside_the_norm() -> None:
    options: dict[str, Any] = {"lr": 1.0, "law": "hard_clip", "mode": "global", "speed_limit": 1.0}
    thetas, states = relativistic_adam_step([[5.0], [5.0]], [None, [1.0]], **options)
    np.testing.assert_allclose(thetas, [[5.0], [4.0]], rtol=1e-7)
    assert states[0] is None
    assert states[1] is not None


def test_steps_mutate_nothing() -> None:
    params, grads = [np.ones(2)], [np.full(2, 3.0)]
    state = AdamState(1, np.ones(2), np.ones(2), np.ones(2))
    relativistic_adam_step(params, grads, [state], amsgrad=True)
    gravity_step(params, grads, [GravityState(0, state.exp_avg)])
    readme_step(params, grads, [state])
    for array in (params[0], state.exp_avg, state.exp_avg_sq, state.max_exp_avg_sq):
        np.testing.assert_array_equal(array, np.ones(2))
    np.testing.assert_array_equal(grads[0], [3.0, 3.0])


def test_readme_step_literally() -> None:
    """One β, no square root, no bias correction; below c it amplifies, above it loses the sign."""
    (theta,), (state,) = readme_step([[1.0]], [[2.0]], lr=0.1, beta=0.5, eps=0.0, speed_limit=1.0)
    update = 0.1 * (0.5 * 2) / (0.5 * 4)
    np.testing.assert_allclose(theta, 1 - update / (1 - update**2))
    assert state is not None
    assert (state.exp_avg[0], state.exp_avg_sq[0]) == (1.0, 2.0)
    lost = readme_limit([-3.0, 0.0], 1.0)
    np.testing.assert_array_equal(lost, [math.tanh(3)] * 2)
    kept = readme_limit([-3.0, 0.0], 1.0, reading="directional")
    np.testing.assert_array_equal(kept, [-math.tanh(3), 0.0])
    assert readme_step([[1.0]], [None])[1] == [None]


@given(strategies.values(st.just((4,)), 1e-3, 1e3), strategies.speed_limits(1e-2, 1e2))
def test_directional_reading_is_the_law_piecewise(update: Array, c: float) -> None:
    ratio = float(np.linalg.norm(update)) / c
    if not 1 - 1e-6 < ratio < 1 + 1e-6:
        (expected,) = reference.limit([update], c, law="piecewise")
        actual = readme_limit(update, c, reading="directional")
        np.testing.assert_allclose(actual, expected, rtol=1e-8)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 1e9))
def test_beta_hat_is_between_zero_and_one(beta: float, t: float) -> None:
    assert 0 < beta_hat(beta, t) < 1


@given(
    grads=st.lists(strategies.gradients(), min_size=1, max_size=20),
    beta=st.floats(0, 1, exclude_max=True),
    clock=st.sampled_from(sorted(CLOCKS)),
    v0=st.floats(-2, 2),
)
def test_velocity_stays_below_its_start_and_the_supremum_of_zeta(
    grads: list[Array], beta: float, clock: str, v0: float
) -> None:
    states = [GravityState(0, np.array([v0]))]
    for g in grads:
        _, states = gravity_step([[0.0]], [g[:1]], states, beta=beta, clock=clock)
        bound = max(abs(v0), ZETA_SUPREMUM) * (1 + 100 * 2.0**-53)
        assert abs(states[0].velocity[0]) <= bound


def test_zeta_keeps_the_order_of_gentle_gradients() -> None:
    """Of entries up to 1/G: the term of gG = 1 is the largest, and the others are in order."""
    for largest in (1e-3, 0.5, 1.0, 7.0, 1e4):
        below = np.linspace(0, 1 / largest, 1000)
        terms = zeta([*below[below <= largest], largest])[:-1]
        assert (np.diff(terms) >= 0).all()
        assert (np.diff(terms)[: len(terms) // 2] > 0).all()


def test_zeta_reverses_the_order_of_steep_gradients() -> None:
    grad = 10 * np.random.default_rng(0).standard_normal(1000)
    order = np.argsort(np.abs(grad))
    ranks = np.argsort(np.argsort(np.abs(zeta(grad))[order]))
    assert np.corrcoef(ranks, np.arange(1000))[0, 1] < -0.995


@pytest.mark.parametrize(("clock", "total"), [("pytorch", 2.831), ("keras", 1.9155)])
def test_initial_velocity_displaces_by_a_multiple_of_alpha(clock: str, total: float) -> None:
    theta, states = [np.zeros(1)], [GravityState(0, np.ones(1))]
    for _ in range(4000):
        theta, states = gravity_step(theta, [[0.0]], states, lr=1.0, clock=clock)
    np.testing.assert_allclose(-theta[0], total, rtol=2e-4)


def test_keras_decays_the_learning_rate() -> None:
    options: dict[str, Any] = {"lr": 1.0, "beta": 0.5, "clock": "keras", "decay": 0.5}
    state = GravityState(4, np.array([1.0]))
    (theta,), _ = gravity_step([[0.0]], [[0.0]], [state], **options)
    np.testing.assert_allclose(theta, -beta_hat(0.5, 4) / (1 + 0.5 * 4))


@pytest.mark.parametrize("max_step_grad", ["inverse_max", 0.5])
def test_zeta_of_gradients_that_are_not_finite(max_step_grad: Any) -> None:
    values = zeta([math.inf, 2.0, 0.0], max_step_grad)
    assert math.isnan(values[0])
    assert np.isfinite(values[1:]).all()
    assert values[2] == 0
    assert zeta([], max_step_grad).shape == (0,)
    np.testing.assert_array_equal(zeta([0.0, -0.0], max_step_grad), [0, 0])


def test_zeta_is_equivariant_with_kappa() -> None:
    grad = np.array([3.0, -1.0, 0.1])
    np.testing.assert_allclose(zeta(1e9 * grad, 0.7), 1e9 * zeta(grad, 0.7), rtol=1e-14)


def test_initial_velocity_has_the_published_deviation() -> None:
    (v0,) = initial_velocity([np.zeros(100_000)], np.random.default_rng(0), lr=0.5, alpha=0.1)
    assert np.std(v0) == pytest.approx(0.2, rel=0.02)
    (still,) = initial_velocity([np.zeros(3)], np.random.default_rng(0), lr=0.0)
    assert not still.any()
    with pytest.warns(UserWarning, match="standard deviation alpha/lr = 10 exceeds 1"):
        initial_velocity([np.zeros(1)], np.random.default_rng(0), lr=1e-3)


ADAM: dict[str, Any] = {"params": [[1.0]], "grads": [[1.0]]}
GRAVITY: dict[str, Any] = {**ADAM, "states": [GravityState(0, np.zeros(1))]}


@pytest.mark.parametrize(
    ("call", "valid", "wrong", "message"),
    [
        (relativistic_adam_step, ADAM, {"lr": -1.0}, "lr=-1.0: expected a finite number >= 0"),
        (relativistic_adam_step, ADAM, {"lr": [1.0, 2.0]}, r"lr=\[1.0, 2.0\]: expected one number"),
        (relativistic_adam_step, ADAM, {"betas": 0.9}, "betas=0.9: expected a pair"),
        (relativistic_adam_step, ADAM, {"betas": (1.0, 0.9)}, r"betas\[0\]=1.0: expected a number"),
        (relativistic_adam_step, ADAM, {"eps": math.nan}, "eps=nan: expected a finite number"),
        (relativistic_adam_step, ADAM, {"weight_decay": -1}, "weight_decay=-1: expected"),
        (relativistic_adam_step, ADAM, {"speed_warmup_steps": "x"}, "speed_warmup_steps='x'"),
        (relativistic_adam_step, ADAM, {"maximize": "no"}, "maximize='no': expected True or False"),
        (relativistic_adam_step, ADAM, {"amsgrad": 1}, "amsgrad=1: expected True or False"),
        (relativistic_adam_step, ADAM, {"adaptive_speed": None}, "adaptive_speed=None: expected"),
        (reference.published_step, ADAM, {"decoupled": 0}, "decoupled=0: expected True or False"),
        (gravity_step, GRAVITY, {"maximize": 1}, "maximize=1: expected True or False"),
        (relativistic_adam_step, ADAM, {"grads": []}, "grads has 0 arrays and states 1: expected"),
        (relativistic_adam_step, ADAM, {"states": []}, "grads has 1 arrays and states 0: expected"),
        (relativistic_adam_step, ADAM, {"grads": [[1.0, 2.0]]}, r"grads\[0\] has shape \(2,\)"),
        (
            relativistic_adam_step,
            ADAM,
            {"states": [AdamState(1, np.zeros(2), np.zeros(2))]},
            r"grad\[0\] has shape \(1,\): expected \(2,\), as state\[0\] has",
        ),
        (reference.published_step, ADAM, {"mode": "tensor"}, "mode='tensor': expected one of"),
        (reference.published_step, ADAM, {"speed_limit": 0.0}, "speed_limit=0.0: expected"),
        (readme_step, ADAM, {"reading": "free"}, "reading='free': expected one of 'literal'"),
        (readme_step, ADAM, {"beta": 1.0}, r"betas\[0\]=1.0: expected a number in \[0, 1\)"),
        (gravity_step, GRAVITY, {"clock": "sun"}, "clock='sun': expected one of"),
        (gravity_step, GRAVITY, {"decay": -1.0}, "decay=-1.0: expected"),
        (gravity_step, GRAVITY, {"beta": 1.0}, r"beta=1.0: expected a number in \[0, 1\)"),
        (gravity_step, GRAVITY, {"max_step_grad": 0}, "max_step_grad=0: expected"),
        (gravity_step, GRAVITY, {"max_step_grad": "max"}, "max_step_grad='max': expected"),
        (gravity_step, GRAVITY, {"grads": []}, "grads has 0 arrays: expected 1"),
        (gravity_step, GRAVITY, {"grads": [[1.0, 2.0]]}, r"grads\[0\] has shape \(2,\)"),
        (gravity_step, GRAVITY, {"states": []}, "states' velocities has 0 arrays: expected 1"),
        (beta_hat, {"beta": 0.5}, {"t": -1}, "t=-1: expected a finite number >= 0"),
    ],
)
def test_invalid_arguments_are_named(
    call: Any, valid: dict[str, Any], wrong: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        call(**{**valid, **wrong})
