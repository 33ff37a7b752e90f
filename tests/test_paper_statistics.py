"""The statistics of runs: known values, brute force on small cases, and what they cover."""

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy import stats

from paper.statistics import (
    Interval,
    Window,
    capped,
    detectable_difference,
    expected_best,
    holm,
    mean_interval,
    median_interval,
    paired_difference_interval,
    sign_flip_test,
    trained_share,
    window,
    windows_by_seed,
)

INF, NAN = math.inf, math.nan
RATES = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 10.0]


def scores(least: int, most: int) -> st.SearchStrategy[Any]:
    lengths = st.integers(least, most)
    # Multiples of 1/8, so that sums and differences are exact
    eighths = st.integers(-80, 80).map(lambda k: k / 8)
    return lengths.flatmap(lambda n: hnp.arrays(np.float64, n, elements=eighths))


# Scores


def test_capped_scores_are_none_worse_than_trivial() -> None:
    assert capped([[0.5, 3.0], [INF, NAN]], 2.0).tolist() == [[0.5, 2.0], [2.0, 2.0]]


# Intervals


def test_the_interval_of_five_medians_is_their_range() -> None:
    assert median_interval([3.0, 1.0, INF, 2.0, 5.0]) == Interval(3.0, 1.0, INF)


def test_a_bootstrap_of_few_seeds_enumerates_every_resample() -> None:
    counts = [2.0, 3.0, 7.0]
    means = sorted(sum(sample) / 3 for sample in itertools.product(counts, repeat=3))
    # 27 resamples: the bounds at 80 % leave 2 out on either side
    assert mean_interval(counts, level=0.8) == Interval(4.0, means[2], means[-3])


def test_a_drawn_bootstrap_agrees_with_scipys() -> None:
    values = np.random.default_rng(1).normal(size=20)
    ours = mean_interval(values)
    theirs = stats.bootstrap(
        (values,), np.mean, method="percentile", rng=np.random.default_rng(2)
    ).confidence_interval
    # Quantiles of 10,000 draws: a standard error of 1 % of the interval's width
    assert ours.low == pytest.approx(theirs.low, abs=0.05 * (ours.high - ours.low))
    assert ours.high == pytest.approx(theirs.high, abs=0.05 * (ours.high - ours.low))


def test_a_drawn_bootstrap_is_a_function_of_its_seed() -> None:
    values = np.random.default_rng(1).normal(size=20)
    assert mean_interval(values) == mean_interval(values)
    assert mean_interval(values) != mean_interval(values, seed=1)


def covered(
    interval: Callable[[Any], Interval], draw: Callable[[np.random.Generator], Any], truth: float
) -> float:
    generator = np.random.default_rng(0)
    found = [interval(draw(generator)) for _ in range(600)]
    return float(np.mean([each.low <= truth <= each.high for each in found]))


# Of 600 intervals a share has a standard error below 0.016; the tolerance is three of them.


def test_the_median_of_any_distribution_is_covered_as_often_as_binomials_say() -> None:
    share = covered(median_interval, lambda generator: generator.exponential(size=5), math.log(2))
    assert share == pytest.approx(1 - 2 * 0.5**5, abs=0.03)


def test_the_mean_of_five_is_covered_less_often_than_said() -> None:
    share = covered(mean_interval, lambda generator: generator.normal(size=5), 0.0)
    assert share == pytest.approx(0.84, abs=0.045)


def test_the_mean_of_thirty_is_covered_as_often_as_said() -> None:
    def interval(values: Any) -> Interval:
        return mean_interval(values, resamples=1000)

    share = covered(interval, lambda generator: generator.normal(size=30), 0.0)
    assert share == pytest.approx(0.95, abs=0.04)


def test_pairs_stay_pairs() -> None:
    first = np.array([1.0, 20.0, 300.0, 4000.0, 50000.0])
    assert paired_difference_interval(first + 2.0, first) == Interval(2.0, 2.0, 2.0)


@given(scores(1, 5), st.integers(-8, 8))
def test_a_difference_turns_with_the_order_and_moves_with_its_terms(x: Any, shift: int) -> None:
    y = np.sort(x)[::-1]
    there, back = paired_difference_interval(x + shift, y), paired_difference_interval(y, x)
    assert there.estimate == shift - back.estimate
    assert (there.low, there.high) == (shift - back.high, shift - back.low)


@given(scores(1, 5), st.randoms(use_true_random=False))
def test_an_interval_does_not_depend_on_the_order_of_seeds(x: Any, random: Any) -> None:
    order = random.sample(range(len(x)), len(x))
    assert median_interval(x[order]) == median_interval(x)


# Significance


def by_brute_force(differences: Any) -> float:
    total = abs(sum(differences))
    signs = list(itertools.product((1, -1), repeat=len(differences)))
    sums = [abs(sum(s * d for s, d in zip(each, differences, strict=True))) for each in signs]
    return float(np.mean([value >= total for value in sums]))


@given(scores(2, 8))
def test_a_sign_flip_test_of_few_pairs_is_exact(differences: Any) -> None:
    assert sign_flip_test(differences) == pytest.approx(by_brute_force(differences), abs=1e-12)


@given(scores(2, 8))
def test_a_sign_flip_test_takes_no_side_and_no_unit(differences: Any) -> None:
    p = sign_flip_test(differences)
    assert sign_flip_test(-differences) == p
    assert sign_flip_test(4 * differences) == p


def test_five_pairs_show_nothing_at_five_percent() -> None:
    assert sign_flip_test([1.0, 2.0, 3.0, 4.0, 5.0]) == 1 / 16


def test_a_drawn_sign_flip_test_is_near_the_exact_one_and_never_zero() -> None:
    differences = np.random.default_rng(3).normal(0.6, 1.0, 10)
    exact = sign_flip_test(differences)
    drawn = sign_flip_test(differences, draws=1000)
    # A standard error of √(p/1000), twice over for two sides
    assert drawn == pytest.approx(exact, abs=6 * math.sqrt(exact / 1000))
    assert sign_flip_test(differences, draws=1000) == drawn
    assert sign_flip_test(np.ones(40), draws=999) == 2 / 1000


def test_holms_method_on_a_worked_example() -> None:
    # 0.005·4, 0.01·3, 0.03·2, and 0.04·1, which is raised to the one before it
    adjusted = holm([0.01, 0.04, 0.03, 0.005])
    assert adjusted.tolist() == pytest.approx([0.03, 0.06, 0.06, 0.02], rel=1e-15)
    assert holm([0.5, 0.9]).tolist() == [1.0, 1.0]


@given(hnp.arrays(np.float64, st.integers(1, 6), elements=st.floats(0, 1)), st.floats(0.001, 0.5))
def test_holms_adjusted_values_reject_what_his_steps_reject(p_values: Any, level: float) -> None:
    rejected: set[int] = set()
    for step, i in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[i] * (len(p_values) - step) > level:
            break
        rejected.add(int(i))
    assert set(np.flatnonzero(holm(p_values) <= level).tolist()) == rejected


@pytest.mark.parametrize(("pairs", "tolerance"), [(6, 0.1), (8, 0.04), (11, 0.04)])
def test_a_detectable_difference_is_found_as_often_as_said(pairs: int, tolerance: float) -> None:
    signs = np.array(list(itertools.product((1.0, -1.0), repeat=pairs)))
    shift = detectable_difference(pairs)
    drawn = np.random.default_rng(0).normal(shift, 1.0, (1500, pairs))
    p = (np.abs(drawn @ signs.T) >= drawn.sum(1)[:, None] - 1e-9).mean(1)
    # The standard error of 1,500 is 0.01; sign flips differ from Student's test for few pairs
    assert (p <= 0.05).mean() == pytest.approx(0.8, abs=tolerance)


def test_a_detectable_difference_of_many_pairs_is_the_normals() -> None:
    normal = (stats.norm.isf(0.025) + stats.norm.isf(0.2)) / math.sqrt(5000)
    assert detectable_difference(5000) == pytest.approx(normal, rel=1e-3)


def test_five_pairs_detect_no_difference() -> None:
    assert detectable_difference(5) == INF
    assert detectable_difference(1, level=0.9, power=0.95) == INF
    assert detectable_difference(6, level=0.01) == INF


def test_more_pairs_detect_less() -> None:
    found = [detectable_difference(pairs) for pairs in range(6, 40)]
    # Not at every pair: the level attained jumps; but over any three
    assert all(later < earlier for earlier, later in zip(found, found[3:], strict=False))


# Tuning


@given(scores(1, 7), st.data())
def test_the_expected_best_is_the_mean_over_all_choices(values: Any, data: Any) -> None:
    draws = data.draw(st.integers(1, len(values)))
    choices = [min(chosen) for chosen in itertools.combinations(values, draws)]
    assert expected_best(values, draws) == pytest.approx(np.mean(choices), abs=1e-12)


def test_the_expected_best_knows_infinity() -> None:
    tried = [0.5, INF, 1.5, INF]
    assert [expected_best(tried, draws) for draws in (1, 2, 4)] == [INF, INF, 0.5]
    # Three drawn of four, two of them infinite, have one that is not: 3 in 4 the smallest
    assert expected_best(tried, 3) == pytest.approx(0.75 * 0.5 + 0.25 * 1.5)
    assert expected_best(capped(tried, 2.5), 1) == pytest.approx((0.5 + 1.5 + 2.5 + 2.5) / 4)


GRID = np.array(
    [
        [0.1, 0.1, 0.1],
        [0.1, 0.2, 0.9],
        [0.9, 0.9, 0.1],
        [0.1, 0.2, INF],
        [0.2, 0.1, 0.9],
        [0.2, INF, 0.1],
    ]
)
"""At a goal of 0.2 the medians of all rates but the third reach it."""


def test_a_window_is_the_longest_run_of_rates_that_train() -> None:
    found = window(RATES, GRID, 0.2)
    assert found == Window(lowest=1e-1, highest=10.0, count=5)
    assert found.decades == pytest.approx(2.0)


def test_of_equal_windows_the_lowest_is_told() -> None:
    assert window(RATES[:5], GRID[:5], 0.2).lowest == 1e-4


def test_a_window_has_no_length_without_two_neighbours_that_train() -> None:
    assert window(RATES[:1], [[0.1]], 0.2) == Window(1e-4, 1e-4, 1)
    assert window(RATES[:1], [[0.1]], 0.2).decades == 0.0
    none = window(RATES, GRID + 1, 0.2)
    assert math.isnan(none.lowest)
    assert (none.count, none.decades) == (0, 0.0)


def test_windows_by_seed_are_those_of_the_columns() -> None:
    by_seed = windows_by_seed(RATES, GRID, 0.2)
    assert [each.count for each in by_seed] == [5, 4, 3]
    assert [each.decades for each in by_seed] == pytest.approx([2.0, 1.0, 0.0])


@given(hnp.arrays(np.float64, (6, 3), elements=st.floats(0, 1)))
def test_a_wider_goal_has_a_wider_window(values: Any) -> None:
    narrow, wide = window(RATES, values, 0.4), window(RATES, values, 0.6)
    assert narrow.decades <= wide.decades
    assert narrow.count <= wide.count


def test_the_share_that_trains_counts_cells() -> None:
    assert trained_share(np.stack([GRID, GRID + 1], axis=1), 0.2) == 5 / 12


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: capped([1.0], INF), r"trivial=inf: expected a finite score"),
        (lambda: median_interval([]), r"scores=\[\]: expected scores along 1 axes"),
        (lambda: median_interval([1.0, NAN]), r"scores=\[1.0, nan\]: expected scores"),
        (lambda: median_interval([1.0], level=1.0), r"level=1.0: expected a number in \(0, 1\)"),
        (lambda: mean_interval([1.0], resamples=0), r"resamples=0: expected a whole number >= 1"),
        (lambda: mean_interval([1.0, INF]), r"counts=\[1.0, inf\]: expected at least 1 finite"),
        (lambda: paired_difference_interval([1.0], [INF]), r"second=\[inf\]: expected at least 1"),
        (lambda: paired_difference_interval([1.0], [1.0, 2.0]), r"first has 1 .* second 2"),
        (lambda: sign_flip_test([1.0]), r"differences=\[1.0\]: expected at least 2 finite numbers"),
        (lambda: sign_flip_test([1.0, INF]), r"differences=\[1.0, inf\]: expected at least 2"),
        (lambda: sign_flip_test([1.0, 2.0], draws=0), r"draws=0: expected a whole number >= 1"),
        (lambda: holm([0.1, 1.1]), r"p_values=\[0.1, 1.1\]: expected numbers in \[0, 1\]"),
        (lambda: detectable_difference(0), r"pairs=0: expected a whole number >= 1"),
        (lambda: detectable_difference(9, power=0.01), r"power=0.01: expected more than the level"),
        (lambda: expected_best([1.0], 2), r"draws=2: expected at most the 1 scores there are"),
        (lambda: window([1.0, 0.1], GRID[:2], 0.2), r"rates=\[1.0, 0.1\]: expected positive, incr"),
        (lambda: window(RATES, GRID[:2], 0.2), r"scores has 2 rows: expected one for each of 6"),
        (lambda: trained_share(GRID, 0.2), r"expected scores along 3 axes"),
    ],
)
def test_an_error_names_the_argument(call: Callable[[], Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()
