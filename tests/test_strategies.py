"""The strategies reach what they claim to reach, and nothing else."""

import math

import numpy as np
import pytest
from hypothesis import find, given, settings
from hypothesis import strategies as st

from tests import strategies

REACH = settings(max_examples=20_000, deadline=None, database=None)


@given(st.data(), st.sampled_from([1.0, 100.0, math.inf]))
def test_ratios_stay_below(data: st.DataObject, below: float) -> None:
    ratio = data.draw(strategies.ratios(below))
    assert 0 <= ratio < below


@given(st.data(), st.sampled_from([1.0, math.inf]))
def test_ratio_pairs_ascend_and_stay_below(data: st.DataObject, below: float) -> None:
    low, high = data.draw(strategies.ratio_pairs(below))
    assert 0 <= low <= high < below


@pytest.mark.parametrize(
    ("low", "high"), [(0, 0), (1e-300, 1e-200), (0.5, 1), (1, 1), (1 + 1e-9, 4), (1e200, 1e308)]
)
def test_ratios_reach_every_magnitude(low: float, high: float) -> None:
    assert low <= find(strategies.ratios(), lambda r: low <= r <= high, settings=REACH) <= high


@pytest.mark.parametrize(
    "wanted",
    [
        pytest.param(lambda v: v.size == 0, id="empty"),
        pytest.param(lambda v: v.ndim == 0, id="0-d"),
        pytest.param(lambda v: v.size > 1 and not v.any(), id="all-zero"),
        pytest.param(lambda v: np.abs(v).max(initial=0) > 1e297, id="huge"),
        pytest.param(lambda v: v.size > 1 and 0 < np.abs(v).max() < 1e-296, id="tiny"),
        pytest.param(
            lambda v: v.size > 1 and v.all() and np.ptp(np.log10(np.abs(v))) > 100, id="mixed"
        ),
    ],
)
def test_values_reach(wanted: object) -> None:
    find(strategies.values(strategies.shapes()), wanted, settings=REACH)  # type: ignore[arg-type]


@given(strategies.updates(tiny=1e-5, huge=1e5))
def test_values_keep_their_range(arrays: list[strategies.Array]) -> None:
    for array in arrays:
        size = np.abs(array)
        assert np.all((size == 0) | ((size >= 1e-5) & (size <= 1e5)))


@given(strategies.speed_limits(1e-3, 1e3))
def test_speed_limits_keep_their_range(limit: float) -> None:
    assert 1e-3 * (1 - 1e-12) <= limit <= 1e3 * (1 + 1e-12)


@given(strategies.gradients())
def test_gradients_have_entries(gradient: strategies.Array) -> None:
    assert gradient.ndim == 1
    assert gradient.size > 0
