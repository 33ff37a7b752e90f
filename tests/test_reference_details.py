"""What the other tests of the reference would let change: defaults, names in errors, edges."""

import math
import sys
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from reference import (
    GRAVITY_CLAIMS,
    LAW_PROPERTIES,
    LAWS,
    README_READINGS,
    AdamState,
    GravityState,
    adam_direction,
    gravity_step,
    initial_velocity,
    largest_adam_entry,
    limit,
    published_direction,
    published_step,
    readme_direction,
    readme_limit,
    readme_step,
    regime,
    relativistic_adam_step,
    relativistic_adamw_step,
    speed_ratios,
    zeta,
)
from reference.claims import relative_excess

PARAMS, GRADS = [[1.0, -2.0], [0.5]], [[0.3, -4.0], [1.5]]
ADAM: dict[str, Any] = {"lr": 1e-3, "betas": (0.9, 0.999), "eps": 1e-8, "amsgrad": False}
LIMITED: dict[str, Any] = {
    **ADAM,
    "speed_limit": 0.1,
    "weight_decay": 0.0,
    "mode": "per_param",
    "adaptive_speed": False,
    "speed_warmup_steps": 1000,
}
STEP: dict[str, Any] = {
    **LIMITED,
    "law": "smooth_sqrt",
    "unit": "norm",
    "placement": "update",
    "maximize": False,
}
README: dict[str, Any] = {"lr": 1e-3, "beta": 0.9, "eps": 1e-8}
GRAVITY: dict[str, Any] = {
    "lr": 0.1,
    "beta": 0.9,
    "clock": "pytorch",
    "decay": 0.0,
    "weight_decay": 0.0,
    "max_step_grad": "inverse_max",
    "maximize": False,
}

STEPS: list[tuple[Any, dict[str, Any]]] = [
    (relativistic_adam_step, STEP),
    (relativistic_adamw_step, {**STEP, "weight_decay": 1e-2}),
    (published_step, {**LIMITED, "decoupled": False}),
    (readme_step, {**README, "speed_limit": 0.1, "reading": "literal"}),
]


def numbers(steps: Any) -> list[list[float]]:
    return [theta.tolist() for theta in steps[0]]


@pytest.mark.parametrize(("step", "defaults"), STEPS)
def test_a_step_without_options_is_the_one_with_the_documented_ones(
    step: Any, defaults: dict[str, Any]
) -> None:
    grads = [[0.03, -0.004], [1.5]]
    for more in ({}, {"adaptive_speed": True} if "adaptive_speed" in defaults else {}):
        given = {**defaults, **more}
        theta, states = step(PARAMS, grads, **more)
        expected, expected_states = step(PARAMS, grads, **given)
        assert numbers((theta,)) == numbers((expected,))
        for later in (GRADS, grads):  # smaller ones again: AMSGrad would remember
            theta, states = step(theta, later, states, **more)
            expected, expected_states = step(expected, later, expected_states, **given)
            assert numbers((theta,)) == numbers((expected,))
        assert [state.step for state in states] == [3, 3]


@pytest.mark.parametrize(
    ("direction", "defaults"),
    [(adam_direction, ADAM), (published_direction, ADAM), (readme_direction, README)],
)
def test_a_direction_without_options_is_the_one_with_the_documented_ones(
    direction: Any, defaults: dict[str, Any]
) -> None:
    u, state = direction([1e-3, -4.0])
    expected, expected_state = direction([1e-3, -4.0], **defaults)
    assert u.tolist() == expected.tolist()
    assert state.max_exp_avg_sq is expected_state.max_exp_avg_sq is None
    assert direction([0.5, 1.0], state)[0].tolist() != direction([0.5, 1.0])[0].tolist()


def test_gravity_without_options_has_the_documented_ones() -> None:
    states = [GravityState(3, np.array([0.5, 1.0])), GravityState(0, np.array([0.1]))]
    expected = gravity_step(PARAMS, GRADS, states, **GRAVITY)
    assert numbers(gravity_step(PARAMS, GRADS, states)) == numbers(expected)
    (v0,) = initial_velocity([np.zeros(5)], np.random.default_rng(0))
    (same,) = initial_velocity([np.zeros(5)], np.random.default_rng(0), lr=0.1, alpha=0.01)
    assert v0.tolist() == same.tolist()
    assert v0.any()


def test_a_regime_without_options_has_the_documented_ones() -> None:
    spelled = {"betas": (0.9, 0.999), "numel": 1, "mode": "per_param", "unit": "norm"}
    assert regime(1.0, 3.0) == regime(1.0, 3.0, **spelled, param_rms=1.0)  # type: ignore[arg-type]
    assert regime(1.0, 3.0, unit="relative") == regime(1.0, 3.0, unit="relative", param_rms=1.0)
    assert largest_adam_entry() == largest_adam_entry((0.9, 0.999))


def test_a_regime_ends_beyond_its_edge() -> None:
    assert regime(0.05, 1.0, betas=(0.0, 0.75)).largest_ratio == 0.1
    assert regime(0.05, 1.0, betas=(0.0, 0.75)).name == "transition"
    assert regime(10.0, 1.0).typical_ratio == 10
    assert regime(10.0, 1.0).name == "transition"
    assert largest_adam_entry((0.0, 0.0)) == 1


NEGATIVE: list[tuple[Any, dict[str, Any], list[str]]] = [
    (relativistic_adam_step, {}, ["lr", "eps", "speed_limit", "weight_decay"]),
    (relativistic_adamw_step, {}, ["lr", "eps", "speed_limit", "weight_decay"]),
    (published_step, {}, ["lr", "eps", "speed_limit", "weight_decay"]),
    (readme_step, {}, ["lr", "eps", "speed_limit"]),
    (
        gravity_step,
        {"states": [GravityState(0, np.zeros(1))]},
        ["lr", "beta", "decay", "weight_decay", "max_step_grad"],
    ),
]


@pytest.mark.parametrize(("step", "more", "names"), NEGATIVE)
def test_a_negative_number_is_refused_by_its_name(
    step: Any, more: dict[str, Any], names: list[str]
) -> None:
    for name in names:
        with pytest.raises(ValueError, match=rf"^{name}=-1\.0: expected "):
            step([[1.0]], [[1.0]], **more, **{name: -1.0})


ERRORS: list[tuple[Any, str]] = [
    (lambda: relativistic_adam_step(["a"], [[1.0]]), "params[0] has dtype <U1: expected real"),
    (lambda: published_step(["a"], [[1.0]]), "params[0] has dtype <U1: expected real"),
    (lambda: readme_step(["a"], [[1.0]]), "params[0] has dtype <U1: expected real"),
    (lambda: readme_limit(["a"], 1.0), "update[0] has dtype <U1: expected real"),
    (lambda: readme_limit([1.0], -1.0), "speed_limit=-1.0: expected a number > 0"),
    (lambda: zeta(["a"]), "grad[0] has dtype <U1: expected real"),
    (lambda: adam_direction(["a"]), "grad[0] has dtype <U1: expected real"),
    (lambda: limit(["a"], 1.0), "updates[0] has dtype <U1: expected real"),
    (lambda: limit([1.0], 1.0, params=["a"], unit="relative"), "params[0] has dtype <U1: exp"),
    (
        lambda: limit([1.0], 1.0, unit="relative"),
        "params=None: expected the parameters, which unit='relative' measures",
    ),
    (
        lambda: initial_velocity(["a"], np.random.default_rng(0)),
        "params[0] has dtype <U1: expected real",
    ),
    (lambda: initial_velocity([], np.random.default_rng(0), lr=-1.0), "lr=-1.0: expected"),
    (lambda: initial_velocity([], np.random.default_rng(0), alpha=-1.0), "alpha=-1.0: expected"),
    (
        lambda: relativistic_adam_step([[1.0]], [[1.0]], lr=math.inf),
        "lr=inf: expected a finite number >= 0",
    ),
    (
        lambda: relativistic_adam_step([[1.0]], [[1.0]], speed_limit=[1.0, 2.0]),
        "speed_limit=[1.0, 2.0]: expected one number, or one per array (1)",
    ),
    (
        lambda: relativistic_adam_step([[1.0]], [[1.0]], placement="x"),
        "placement='x': expected one of 'update', 'gradient'",
    ),
    (
        lambda: relativistic_adam_step([[1.0]], [[1.0]], speed_warmup_steps=math.inf),
        "speed_warmup_steps=inf: expected a finite number\n",
    ),
    (
        lambda: relativistic_adam_step([[1.0]], []),
        "grads has 0 arrays and states 1: expected 1 each, as params has\n",
    ),
    (lambda: relativistic_adam_step([[1.0]], ["a"]), "grads[0] has dtype <U1: expected real"),
    (
        lambda: relativistic_adam_step([[1.0]], [[1.0, 2.0]]),
        "grads[0] has shape (2,): expected (1,), as params[0] has\n",
    ),
    (
        lambda: gravity_step(["a"], [[1.0]], [GravityState(0, np.zeros(1))]),
        "params[0] has dtype <U1: expected real",
    ),
    *(
        (
            lambda kappa=kappa: zeta([1.0], kappa),
            f'max_step_grad={kappa}: expected "inverse_max" or a number > 0',
        )
        for kappa in (0.0, math.inf)
    ),
    (
        lambda: gravity_step([[1.0]], [["a"]], [GravityState(0, np.zeros(1))]),
        "grad[0] has dtype <U1: expected real",
    ),
    (
        lambda: gravity_step([[1.0]], [[1.0]], [GravityState(0, np.zeros(2))]),
        "states' velocities[0] has shape (2,): expected (1,), as params[0] has",
    ),
    (
        lambda: gravity_step([[1.0]], [[1.0, 2.0]], [GravityState(0, np.zeros(1))]),
        "grads[0] has shape (2,): expected (1,), as params[0] has",
    ),
    (
        lambda: gravity_step([[1.0]], [], [GravityState(0, np.zeros(1))]),
        "grads has 0 arrays: expected 1, as params has (None where a parameter has no gradient)",
    ),
    *(
        (
            lambda direction=direction: direction([1.0], AdamState(1, np.zeros(2), np.zeros(2))),
            "grad[0] has shape (1,): expected (2,), as state[0] has",
        )
        for direction in (adam_direction, published_direction, readme_direction)
    ),
]


@pytest.mark.parametrize(("call", "message"), ERRORS)
def test_an_error_begins_with_what_is_wrong(call: Any, message: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011  # compared from its first letter
        call()
    assert f"{caught.value}\n".startswith(message)


def test_the_published_step_decays_in_the_gradient_unless_told_otherwise() -> None:
    plain = numbers(published_step(PARAMS, GRADS, weight_decay=0.1))
    assert plain == numbers(published_step(PARAMS, GRADS, weight_decay=0.1, decoupled=False))
    assert plain != numbers(published_step(PARAMS, GRADS, weight_decay=0.1, decoupled=True))


def test_a_warm_up_begins_with_the_first_step() -> None:
    options: dict[str, Any] = {"lr": 1.0, "speed_limit": 4.0, "law": "hard_clip", "eps": 0.0}
    options |= {"adaptive_speed": True, "speed_warmup_steps": 16}
    theta, states = relativistic_adam_step([[0.0]], [[1.0]], **options)
    assert theta[0].tolist() == [-0.25]
    theta, _ = relativistic_adam_step(theta, [[1.0]], states, **options)
    assert theta[0].tolist() == [-0.75]


def test_a_velocity_beyond_one_warns_and_one_does_not() -> None:
    rng = np.random.default_rng(0)
    initial_velocity([np.zeros(1)], rng, lr=0.5, alpha=0.5)
    message = (
        r"^the initial velocity's standard deviation alpha/lr = 1\.5 exceeds 1, more than any "
        "later velocity can reach$"
    )
    with pytest.warns(UserWarning, match=message):
        initial_velocity([np.zeros(1)], rng, lr=0.5, alpha=0.75)


def test_the_penalty_is_a_gradient_of_its_own() -> None:
    penalised = [[0.3 + 0.1 * 1.0, -4.0 + 0.1 * -2.0], [1.5 + 0.1 * 0.5]]
    step = relativistic_adam_step(PARAMS, GRADS, weight_decay=0.1, lr=1.0, eps=1.0)
    plain = relativistic_adam_step(PARAMS, penalised, lr=1.0, eps=1.0)
    np.testing.assert_allclose(step[0][0], plain[0][0], rtol=1e-15)
    states = [GravityState(0, np.zeros(2)), GravityState(0, np.zeros(1))]
    damped = gravity_step(PARAMS, GRADS, states, weight_decay=0.1)
    np.testing.assert_allclose(
        damped[0][0], gravity_step(PARAMS, penalised, states)[0][0], rtol=1e-15
    )
    decayed = relativistic_adamw_step(PARAMS, GRADS, lr=0.5, weight_decay=0.1, speed_limit=0.0)
    np.testing.assert_allclose(decayed[0][0], np.multiply(PARAMS[0], 0.95), rtol=1e-15)


def test_ascent_is_descent_of_the_opposite() -> None:
    opposite = [np.negative(g) for g in GRADS]
    for step in (relativistic_adam_step, relativistic_adamw_step):
        ascent = numbers(step(PARAMS, GRADS, maximize=True, weight_decay=0.1))
        assert ascent == numbers(step(PARAMS, opposite, weight_decay=0.1))
    states = [GravityState(0, np.zeros(2)), GravityState(0, np.zeros(1))]
    ascent = numbers(gravity_step(PARAMS, GRADS, states, maximize=True, weight_decay=0.1))
    assert ascent == numbers(gravity_step(PARAMS, opposite, states, weight_decay=0.1))


def test_what_follows_a_parameter_without_gradient_is_stepped() -> None:
    states = [GravityState(0, np.zeros(2)), GravityState(0, np.zeros(1))]
    for after, _ in (
        gravity_step(PARAMS, [None, [1.5]], states),
        relativistic_adam_step(PARAMS, [None, [1.5]]),
        published_step(PARAMS, [None, [1.5]]),
        readme_step(PARAMS, [None, [1.5]]),
    ):
        assert after[0].tolist() == PARAMS[0]
        assert after[1].tolist() != PARAMS[1]


@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
def test_a_step_is_a_direction_behind_the_limit(mode: str, unit: str) -> None:
    how: dict[str, Any] = {"params": PARAMS, "law": "tanh", "mode": mode, "unit": unit}
    options: dict[str, Any] = {"lr": 0.5, "speed_limit": 0.3, "law": "tanh"}
    after, _ = relativistic_adam_step(PARAMS, GRADS, **options, mode=mode, unit=unit)
    applied = limit([adam_direction(g, lr=0.5)[0] for g in GRADS], 0.3, **how)
    for theta, s, found in zip(PARAMS, applied, after, strict=True):
        assert found.tolist() == (np.asarray(theta) - s).tolist()
    options |= {"placement": "gradient", "weight_decay": 0.1}
    after, states = relativistic_adam_step(PARAMS, GRADS, **options, mode=mode, unit=unit)
    limited = limit(GRADS, 0.3, **how)
    for theta, g, state, found in zip(PARAMS, limited, states, after, strict=True):
        penalised = g + 0.1 * np.asarray(theta)
        assert state is not None
        np.testing.assert_allclose(state.exp_avg, 0.1 * penalised, rtol=1e-15)
        u = adam_direction(penalised, lr=0.5)[0]
        np.testing.assert_allclose(found, theta - u, rtol=1e-15)


def test_the_readme_step_keeps_its_state_and_adds_epsilon() -> None:
    first, states = readme_step([[1.0]], [[1.0]], beta=0.5, eps=0.5, lr=0.01, speed_limit=1e9)
    assert first[0][0] == pytest.approx(1 - 0.01 * 0.5 / (0.5 + 0.5), rel=1e-15)
    again, _ = readme_step(first, [[1.0]], states, beta=0.5, eps=0.5, lr=0.01, speed_limit=1e9)
    assert again[0][0] == pytest.approx(first[0][0] - 0.01 * 0.75 / (0.75 + 0.5), rel=1e-15)
    _, state = readme_direction([2.0], None, beta=0.5)
    u, state = readme_direction([0.0], state, beta=0.5, eps=0.25, lr=1.0)
    assert u[0] == 0.5 / (1.0 + 0.25)
    assert state.max_exp_avg_sq is None


@pytest.mark.parametrize("mode", ["per_param", "per_component"])
def test_at_the_limit_the_published_laws_have_jumped(mode: str) -> None:
    at = limit([[0.25]], 0.25, law="published", mode=mode)[0]
    assert at[0] == 0.25 * math.tanh(1)
    step, _ = published_step(
        [[0.0]], [[1.0]], lr=0.25, betas=(0.0, 0.0), eps=0.0, speed_limit=0.25, mode=mode
    )
    np.testing.assert_allclose(step[0], -0.25 * math.tanh(1), rtol=1e-15)
    beyond, _ = published_step(
        [[0.0]], [[1.0]], lr=0.375, betas=(0.0, 0.0), eps=0.0, speed_limit=0.25, mode=mode
    )
    np.testing.assert_allclose(beyond[0], -0.25 * math.tanh(1.5), rtol=1e-15)


def test_ratios_of_entries_are_those_of_their_own() -> None:
    updates, params = [[0.0, 1.0, -3.0], [0.5]], [[1.0, 1.0, 2.0], [4.0]]
    found = speed_ratios(updates, 2.0, mode="per_component")
    assert [r.tolist() for r in found] == [[0.0, 0.5, 1.5], [0.25]]
    found = speed_ratios(updates, 2.0, params=params, mode="per_component", unit="relative")
    assert [r.tolist() for r in found] == [[0.0, 0.5, 0.75], [0.0625]]
    assert speed_ratios([[0.0, 1.0]], 0.0, mode="per_component")[0].tolist() == [0.0, math.inf]


@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
def test_no_limit_and_a_limit_of_zero(mode: str) -> None:
    update = np.array([3.0, -4.0])
    assert limit([update], math.inf, mode=mode)[0].tolist() == [3.0, -4.0]
    assert limit([update], 0.0, mode=mode)[0].tolist() == [0.0, 0.0]
    for law in LAWS.values():
        (stopped,) = limit([update], 0.0, mode=mode, law=law.key)
        assert stopped.tolist() == ([0.0, 0.0] if law.limits else [3.0, -4.0])
    assert limit([update], 1.0, mode=mode, law="newtonian")[0].tolist() == [3.0, -4.0]
    assert limit([], 1.0, mode=mode) == []
    assert limit([[]], 1.0, mode=mode)[0].size == 0


def test_the_callers_error_state_does_not_matter() -> None:
    with np.errstate(all="raise", under="ignore"):
        for direction in (adam_direction, published_direction, readme_direction):
            assert math.isnan(direction([0.0], eps=0.0)[0][0])  # 0/0
            assert direction([1e-200], eps=0.0)[0][0] == math.inf  # v has vanished
        assert readme_limit([1e200], 1.0)[0] == 1
        speed_ratios([[0.0, 1.0]], 0.0, mode="per_component")
        half = np.array([70.0], dtype=np.float16)
        assert LAWS["smooth_sqrt"].limit_entries(half, 1e300)[0] == 70
    with np.errstate(under="raise"):
        assert limit([[1e-300, 1e300]], 1.0)[0].tolist() == [0.0, 1.0]


def test_a_gain_is_of_binary64_whatever_the_ratio_is() -> None:
    for law in LAWS.values():
        for gain in (law.gain(np.float32(0.1)), law.speed(np.float32(0.1))):
            assert gain.dtype == np.float64
        assert law.gain(np.float32(0.1)) == law.gain(float(np.float32(0.1)))


def test_entries_of_bfloat16_are_limited_and_integers_refused() -> None:
    update = np.array([3.0, -0.5], dtype=ml_dtypes.bfloat16)
    limited = LAWS["hard_clip"].limit_entries(update, 1.0)
    assert limited.dtype == update.dtype
    assert limited.tolist() == [1.0, -0.5]
    with pytest.raises(ValueError, match=r"^update has dtype int64: expected a floating one$"):
        LAWS["hard_clip"].limit_entries(np.array([3]), 1.0)


def test_numbers_of_any_real_kind_become_binary64() -> None:
    for kind in (np.float32, np.int8, np.uint16):
        (after,), _ = relativistic_adam_step([np.ones(1, kind)], [np.ones(1, kind)])
        assert after.dtype == np.float64
    with pytest.raises(ValueError, match=r"^params\[0\] has dtype bool: expected real numbers$"):
        relativistic_adam_step([[True]], [[1.0]])


def test_an_excess_is_zero_where_a_claim_is_tight() -> None:
    """One entry g = G: ⟨ζ, g⟩ is g²/(1 + g⁴), and at G = 1 |ζ| is 1/(2G)."""
    for g in (0.5, 1.0, 2.0):
        descends = GRAVITY_CLAIMS["descends"].property.excess
        assert descends([g]) == pytest.approx(0, abs=1e-15)
    assert GRAVITY_CLAIMS["zeta_below_half_inverse_max"].property.excess([1.0]) == 0
    assert GRAVITY_CLAIMS["zeta_below_half_inverse_m_as_coded"].property.excess([1.0]) == 0
    order = GRAVITY_CLAIMS["order_preserving"].property.excess
    assert order([1.0, 3.0]) == pytest.approx(1 / 10 - 3 / 82, rel=1e-14)
    assert order([0.1, 0.2]) == 0


def test_a_jump_and_a_kink_are_measured_at_the_scale_of_the_ratio() -> None:
    law = LAWS["newtonian"]
    jump, kink = (law.claims[name].property.excess for name in ("continuous", "differentiable"))
    for ratio in (0.25, 1.0, 8.0):
        scale = max(1.0, ratio)
        allowed = 2.0**-20 * scale
        assert jump(law, ratio) == (2 * 2.0**-40 * scale - allowed) / max(1.0, allowed)
        assert kink(law, ratio) == pytest.approx(-0.01, abs=1e-9)


def test_the_excess_of_a_law_is_that_of_its_speeds() -> None:
    law = LAWS["newtonian"]
    monotone, expansion = (
        law.claims[name].property.excess for name in ("monotone", "nonexpansive")
    )
    assert monotone(law, (4.0, 8.0)) == monotone(law, (0.125, 0.25)) == -0.5
    assert expansion(law, (4.0, 8.0)) == 0
    assert expansion(law, (0.0, 0.0)) == 0


def test_a_claim_has_its_property_and_a_witness_if_it_fails() -> None:
    subjects = {
        **{law.key: law.claims for law in LAWS.values()},
        **{reading.key: reading.claims for reading in README_READINGS.values()},
        "gravity": GRAVITY_CLAIMS,
    }
    for claims in subjects.values():
        for claim in claims.values():
            assert callable(claim.property.excess)
            assert claim.property.statement
            assert claim.holds is (claim.witness is None)
    failing = {key: sum(not c.holds for c in claims.values()) for key, claims in subjects.items()}
    assert failing == {
        "newtonian": 1,
        "smooth_sqrt": 0,
        "tanh": 0,
        "hard_clip": 1,
        "published": 5,
        "piecewise": 8,
        "gamma": 6,
        "literal": 3,
        "directional": 2,
        "gravity": 4,
    }
    assert list(LAWS["tanh"].claims) == list(LAW_PROPERTIES)


@pytest.mark.parametrize("key", README_READINGS)
def test_a_reading_measures_what_it_says(key: str) -> None:
    reading = README_READINGS[key]
    assert reading.key == key
    assert reading.equation.startswith("s = u/(1 − r²) if r < 1, else ")
    assert reading.source == "relativistic-adam's README, 'The Core Algorithm'"
    points, bounded, amplifies = (
        reading.claims[name].property
        for name in ("direction_preserving", "bounded", "never_amplifies")
    )
    assert (points.statement, points.arguments) == ("s points where u does", "update")
    assert (bounded.statement, bounded.arguments) == ("‖s‖ ≤ c", "update")
    assert (amplifies.statement, amplifies.arguments) == ("‖s‖ ≤ ‖u‖", "update")
    assert bounded.excess((0.6, 0.0)) == pytest.approx(0.6 / 0.64 - 1, rel=1e-14)
    assert bounded.excess((0.9, 0.0)) == pytest.approx(0.9 / 0.19 - 1, rel=1e-14)
    assert amplifies.excess((0.6, 0.0)) == pytest.approx(0.6 / 0.64 - 0.6, rel=1e-14)
    assert amplifies.excess((3.0, 0.0)) < 0
    assert points.excess((0.3, 0.4)) == pytest.approx(0, abs=1e-15)
    lost = 1 + (7 / 5) / math.sqrt(2) if key == "literal" else 0
    assert points.excess((-3.0, -4.0)) == pytest.approx(lost, abs=1e-14)


def test_laws_are_their_formulas_below_and_above() -> None:
    expected = {
        "newtonian": (1.0, 1.0),
        "smooth_sqrt": (0.8, 0.6),
        "tanh": (math.tanh(0.75) / 0.75, 0.75 * math.tanh(4 / 3)),
        "hard_clip": (1.0, 0.75),
        "published": (math.sqrt(7) / 4, 0.75 * math.tanh(4 / 3)),
        "piecewise": (16 / 7, 0.75 * math.tanh(4 / 3)),
        "gamma": (4 / math.sqrt(7), math.nan),
    }
    for key, (below, above) in expected.items():
        found = LAWS[key].gain(0.75), LAWS[key].gain(4 / 3)
        np.testing.assert_allclose(found, (below, above), rtol=1e-15)


def test_an_excess_over_infinity_is_one_below() -> None:
    assert relative_excess(1.0, math.inf) == -1
    assert math.isnan(relative_excess(math.inf, math.inf))


def test_amsgrad_can_begin_after_other_steps() -> None:
    _, state = adam_direction([4.0], betas=(0.0, 0.5))
    _, state = adam_direction([1.0], state, betas=(0.0, 0.5), amsgrad=True)
    assert state.max_exp_avg_sq == 4.5  # v itself: what was larger before is not known


def test_a_step_limit_that_overflows_is_the_largest_number() -> None:
    largest = sys.float_info.max
    assert zeta([1e308], 10.0)[0] == pytest.approx(1e308 / (1 + (1e308 / largest) ** 2), rel=1e-15)
