"""In a double well a limit keeps steps on their side of the ridge, and noise in its well."""

import numpy as np
import pytest

from analysis.double_well import ESCAPED, basins, escaped_share, orbits

CONTINUOUS = ["smooth_sqrt", "tanh", "hard_clip"]
STARTS = np.linspace(-1.97, 1.97, 42)  # not the ridge, and no multiple of c away from a well


@pytest.mark.parametrize("key", CONTINUOUS)
def test_a_limited_step_stays_on_its_side_of_the_ridge(key: str) -> None:
    """Who is farther than c from the ridge does not cross it, whatever the learning rate."""
    c = 0.25
    path = orbits(key, 50.0, c, STARTS, 400)
    far = np.abs(path[:-1]) >= c
    crossed = np.sign(path[1:]) != np.sign(path[:-1])
    assert not (far & crossed).any()
    assert (np.abs(np.diff(path, axis=0)) <= c * (1 + 1e-12)).all()


@pytest.mark.parametrize("key", [*CONTINUOUS, "newtonian"])
def test_a_small_rate_takes_every_start_to_its_own_well(key: str) -> None:
    assert (basins(key, 0.05, 0.25, STARTS, 2000) == np.sign(STARTS)).all()


@pytest.mark.parametrize("key", CONTINUOUS)
def test_above_the_rate_where_the_wells_repel_nobody_rests_or_leaves(key: str) -> None:
    """f″(±1) = 2: the wells attract for 2η < 2."""
    assert (basins(key, 0.9, 0.25, STARTS, 4000) == np.sign(STARTS)).all()
    assert (basins(key, 1.1, 0.25, STARTS, 4000) == 0).all()
    assert (np.abs(orbits(key, 1e6, 0.25, STARTS, 4000)[-1]) < 1 + 0.25).all()


def test_without_a_limit_a_large_rate_leaves_both_wells_for_good() -> None:
    assert basins("newtonian", 50.0, 1.0, 2.0, 400) == ESCAPED
    assert basins("smooth_sqrt", 50.0, 0.25, 2.0, 400) == 0


def test_who_is_close_to_the_ridge_may_cross_it() -> None:
    """The wells' basins are not the half-lines once ηf′ is longer than the way to the ridge."""
    near = np.linspace(0.3, 0.6, 31)
    assert (np.sign(orbits("newtonian", 3.0, 1.0, near, 1)[1]) == 1).all()  # f′ < 0: outward
    beyond = np.linspace(1.3, 1.6, 31)
    assert (np.sign(orbits("newtonian", 3.0, 1.0, beyond, 1)[1]) == -1).all()
    assert (np.sign(orbits("smooth_sqrt", 3.0, 0.25, beyond, 1)[1]) == 1).all()


@pytest.mark.parametrize("key", CONTINUOUS)
def test_a_smaller_limit_keeps_more_in_their_well(key: str) -> None:
    shares = [escaped_share(key, 0.05, c, 30.0, 300, 2000, 0) for c in (0.02, 0.05, 0.1, 0.3)]
    assert shares == sorted(shares)
    assert shares[0] < 0.05
    assert shares[-1] > 0.95
    assert escaped_share("newtonian", 0.05, 1.0, 30.0, 300, 2000, 0) > 0.95


def test_nobody_leaves_in_fewer_steps_than_the_well_is_limits_wide() -> None:
    assert escaped_share("smooth_sqrt", 0.05, 0.1, 1e6, 9, 10_000, 0) == 0
    assert escaped_share("hard_clip", 0.05, 0.1, 1e6, 11, 10_000, 0) > 0
    assert escaped_share("smooth_sqrt", 0.05, 0.1, 30.0, 100, 2000, 0) != escaped_share(
        "smooth_sqrt", 0.05, 0.1, 30.0, 100, 2000, 1
    )
