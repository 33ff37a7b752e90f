"""The laws of the reference: values, identities and the ends of the floating-point range."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import from_dtype
from numpy.typing import NDArray

from reference import LAWS
from tests import strategies

# ρ at r = .5, .9, .999, 1.001, 5, to the digits that the formulas themselves give.
SPEEDS = {
    "newtonian": (0.5, 0.9, 0.999, 1.001, 5.0),
    "gamma": (0.5773503, 2.0647416, 22.3439, math.nan, math.nan),
    "piecewise": (0.6666667, 4.7368421, 499.75, 0.7620135, 0.9999092),
    "published": (0.4330127, 0.3923009, 0.0446654, 0.7620135, 0.9999092),
    "smooth_sqrt": (0.4472136, 0.6689647, 0.7067531, 0.7074602, 0.9805807),
    "tanh": (0.4621172, 0.7162979, 0.7611740, 0.7620135, 0.9999092),
    "hard_clip": (0.5, 0.9, 0.999, 1.0, 1.0),
}


@pytest.mark.parametrize("key", LAWS)
def test_speed_at_chosen_ratios(key: str) -> None:
    speeds = LAWS[key].speed([0.5, 0.9, 0.999, 1.001, 5.0])
    np.testing.assert_allclose(speeds, SPEEDS[key], rtol=1e-5)


@given(strategies.ratios(math.inf))
def test_the_bounded_laws_are_ordered(ratio: float) -> None:
    """smooth_sqrt ≤ tanh ≤ hard_clip ≤ r, by less than 0.0737, and 1 − ρ ≤ 1/(2r²); to 4 ulp."""
    smooth, tanh, clipped = (
        float(LAWS[key].speed(ratio)) for key in ("smooth_sqrt", "tanh", "hard_clip")
    )
    ulps = 4 * 2.0**-53
    assert smooth <= tanh * (1 + ulps)
    assert tanh <= clipped * (1 + ulps)
    assert clipped <= ratio
    assert tanh - smooth < 0.0737
    if ratio > 1e-100:
        assert 1 - smooth <= 0.5 / ratio / ratio + ulps


@pytest.mark.parametrize("key", LAWS)
def test_gain_keeps_the_shape_of_the_ratio(key: str) -> None:
    assert LAWS[key].gain(0.5).shape == ()
    assert LAWS[key].gain(np.full((2, 3), 0.5)).shape == (2, 3)
    assert LAWS[key].speed(np.zeros((0, 4))).shape == (0, 4)


@pytest.mark.parametrize("key", LAWS)
def test_gain_at_the_ends(key: str) -> None:
    law = LAWS[key]
    assert law.gain(0.0) == 1
    assert math.isnan(law.gain(math.nan))
    assert math.isnan(law.speed(math.nan))
    at_infinity = {"newtonian": (1.0, math.inf), "gamma": (math.nan, math.nan)}
    expected = at_infinity.get(key, (0.0, 1.0))
    np.testing.assert_equal((law.gain(math.inf), law.speed(math.inf)), expected)


@pytest.mark.parametrize("key", LAWS)
def test_gain_refuses_negative_ratios(key: str) -> None:
    with pytest.raises(ValueError, match=r"ratio=-1.0: expected numbers >= 0"):
        LAWS[key].gain(-1.0)


@given(strategies.ratios(1.0))
def test_smooth_sqrt_is_the_inverse_of_gamma(velocity: float) -> None:
    momentum = LAWS["gamma"].speed(velocity)
    # dv = dp/γ³ and a relative error of p is a relative error of v divided by γ²: no amplification,
    # but 1 − v² itself carries the rounding of v, of relative size 2⁻⁵³/(1 − v).
    error = 8 * 2.0**-53 * (1 + 1 / (1 - velocity)) / (1 + momentum**2)
    assert LAWS["smooth_sqrt"].speed(momentum) == pytest.approx(velocity, rel=error + 2.0**-50)


@given(strategies.ratios())
def test_speed_is_ratio_times_gain(ratio: float) -> None:
    for law in LAWS.values():
        if ratio < law.domain and ratio < 1e300:  # above, the gain is subnormal
            assert law.speed(ratio) == pytest.approx(ratio * law.gain(ratio), rel=1e-14)


BOUNDED = [key for key, law in LAWS.items() if law.claims["bounded"].holds]


@pytest.mark.parametrize("key", BOUNDED)
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_limited_entries_at_the_ends(key: str, dtype: type) -> None:
    update: NDArray[Any] = np.array([math.inf, -math.inf, math.nan, 0.0, -0.0], dtype=dtype)
    limited = LAWS[key].limit_entries(update, 0.5)
    assert limited.dtype == dtype
    np.testing.assert_array_equal(limited, np.array([0.5, -0.5, math.nan, 0, 0], dtype=dtype))
    np.testing.assert_array_equal(LAWS[key].limit_entries(update, 0.0), np.zeros(5))
    np.testing.assert_array_equal(LAWS[key].limit_entries(update, math.inf), update)


def test_newtonian_entries_ignore_the_limit() -> None:
    update = np.array([3.0, math.inf])
    np.testing.assert_array_equal(LAWS["newtonian"].limit_entries(update, 1.0), update)
    assert LAWS["newtonian"].above(4.0, 0.5) == 8.0  # c·ρ(1/t) = c/t = |u|


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@given(data=st.data())
def test_smooth_sqrt_entries_never_exceed_limit_or_update(dtype: type, data: st.DataObject) -> None:
    finite = from_dtype(np.dtype(dtype), allow_nan=False, allow_infinity=False)
    update: NDArray[Any] = np.array(data.draw(st.lists(finite)), dtype=dtype)
    c = data.draw(finite.map(abs).filter(bool))
    size = np.abs(LAWS["smooth_sqrt"].limit_entries(update, c))
    assert np.isfinite(size).all()
    assert (size <= c).all()
    assert (size <= np.abs(update)).all()


@pytest.mark.parametrize(
    ("update", "c", "message"),
    [
        (np.array([1, 2]), 1.0, "update has dtype int64: expected a floating one"),
        (np.ones(2), -1.0, "speed_limit=-1.0: expected numbers >= 0"),
        (np.ones(2), math.nan, "speed_limit=nan: expected numbers >= 0"),
    ],
)
def test_limited_entries_refuse(update: NDArray[Any], c: float, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LAWS["smooth_sqrt"].limit_entries(update, c)


@pytest.mark.parametrize("c", [0.1, 0.3, 1.0, 6e-8, 6e4])
def test_smooth_sqrt_entries_on_every_binary16_input(c: float) -> None:
    update = np.arange(2**16, dtype=np.uint16).view(np.float16)
    limited = LAWS["smooth_sqrt"].limit_entries(update, c)
    finite = np.isfinite(update)
    size = np.abs(limited[finite])
    assert (size.astype(np.float64) <= c).all()
    assert (size <= np.abs(update[finite])).all()
    assert ((size > 0) | (np.abs(update[finite]) < 2.0**-23)).all(), "an update vanished"
    np.testing.assert_array_equal(np.isnan(limited), np.isnan(update))
