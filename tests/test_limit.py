"""`reference.limit`: blocks, units, bounds in every mode, and what does not depend on scale."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from reference import LAWS, limit, speed_ratios
from tests import strategies
from tests.strategies import Array

MODES = ["global", "per_param", "per_component"]

BOUNDED = [key for key, law in LAWS.items() if law.claims["bounded"].holds]
NONEXPANSIVE = [key for key, law in LAWS.items() if law.claims["nonexpansive"].holds]

# Relative error of a limited block of n entries: the norm (n + 2 roundings at most), the ratio, the
# gain (four operations, tanh 2 ulp) and the products: n + 16 units of 2⁻⁵³, and 2⁻¹⁰⁷⁵ an entry
# where the result is subnormal.
UNIT = 2.0**-53


def norm(values: Any) -> float:
    """The Euclidean norm of an array, which does not overflow before the result does."""
    return math.hypot(*np.ravel(values))


def blocks(arrays: list[Array], mode: str) -> list[Array]:
    flat = [np.ravel(a) for a in arrays]
    if mode == "global":
        return [np.concatenate(flat)]
    if mode == "per_param":
        return flat
    return [np.array([entry]) for a in flat for entry in a]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", BOUNDED)
@given(updates=strategies.updates(), c=strategies.speed_limits(1e-300, 1e300))
@example(updates=[np.full(100, 1e300)], c=1e-300)
@example(updates=[np.full(100, 5e-324)], c=1e-6)
@example(updates=[np.full(4, 1.7e308), np.array(1e-308)], c=1.0)
def test_norm_never_exceeds_speed_limit(
    key: str, mode: str, updates: list[Array], c: float
) -> None:
    limited = limit(updates, c, law=key, mode=mode)
    for before, after in zip(blocks(updates, mode), blocks(limited, mode), strict=True):
        n = before.size
        slack = 1 + (n + 16) * UNIT
        assert norm(after) <= c * slack + math.sqrt(n) * 2.0**-1075
        assert norm(after / 2) <= norm(before / 2) * slack + math.sqrt(n) * 2.0**-1075


SMALL_UPDATE = [
    (key, mode, 0.5 if law.claims["small_update_identity"].holds else 1.0)
    for key, law in LAWS.items()
    for mode in MODES
    if law.claims["weak_small_update_identity"].holds
]


@pytest.mark.parametrize(("key", "mode", "coefficient"), SMALL_UPDATE)
@given(updates=strategies.updates(1e-12, 1e12), c=strategies.speed_limits())
def test_small_updates_pass_nearly_unchanged(
    key: str, mode: str, coefficient: float, updates: list[Array], c: float
) -> None:
    limited = limit(updates, c, law=key, mode=mode)
    for before, after in zip(blocks(updates, mode), blocks(limited, mode), strict=True):
        size = norm(before)
        rounding = (before.size + 16) * UNIT * size
        assert norm(before - after) <= coefficient * size * (size / c) ** 2 + rounding


@pytest.mark.parametrize("key", ["gamma", "piecewise"])
def test_laws_that_amplify_break_the_small_update_identity(key: str) -> None:
    (limited,) = limit([[0.3, 0.4]], 1.0, law=key)
    assert norm(limited - [0.3, 0.4]) > 0.5 * 0.5**2 / 2 * 1.01


@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("key", LAWS)
@given(updates=strategies.updates(1e-6, 1e6), c=strategies.speed_limits())
def test_direction_is_kept(key: str, mode: str, updates: list[Array], c: float) -> None:
    assume(all(r < LAWS[key].domain for r in speed_ratios(updates, c, mode=mode)))
    limited = limit(updates, c, law=key, mode=mode)
    for before, after in zip(blocks(updates, mode), blocks(limited, mode), strict=True):
        assert (np.sign(after) == np.sign(before)).all()
        assert norm(after * norm(before) - before * norm(after)) <= (
            (2 * before.size + 32) * UNIT * norm(before) * norm(after)
        )


@pytest.mark.parametrize("key", NONEXPANSIVE)
@given(
    first=strategies.values(st.just((4,)), 1e-3, 1e3),
    second=strategies.values(st.just((4,)), 1e-3, 1e3),
    c=strategies.speed_limits(1e-2, 1e2),
)
def test_limit_is_nonexpansive_in_n_dimensions(
    key: str, first: Array, second: Array, c: float
) -> None:
    ((one,), (two,)) = (limit([u], c, law=key) for u in (first, second))
    rounding = 20 * UNIT * (norm(first) + norm(second))
    assert norm(one - two) <= norm(first - second) + rounding


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", LAWS)
@given(updates=strategies.updates(1e-3, 1e3), c=strategies.speed_limits(), power=st.integers(-9, 9))
def test_scaling_update_and_limit_together_scales_the_step(
    key: str, mode: str, updates: list[Array], c: float, power: int
) -> None:
    scale = 2.0**power
    plain = limit(updates, c, law=key, mode=mode)
    scaled = limit([scale * u for u in updates], scale * c, law=key, mode=mode)
    for one, other in zip(plain, scaled, strict=True):
        np.testing.assert_array_equal(scale * one, other)


def test_global_mode_takes_one_norm_over_all_arrays() -> None:
    limited = limit([[3.0], [4.0]], 1.0, law="hard_clip", mode="global")
    np.testing.assert_allclose(limited, [[0.6], [0.8]], rtol=1e-15)


def test_global_mode_applies_each_array_its_own_limit() -> None:
    limited = limit([[3.0], [4.0]], [1.0, 10.0], law="hard_clip", mode="global")
    np.testing.assert_allclose(limited, [[0.6], [4.0]], rtol=1e-15)


@pytest.mark.parametrize(
    ("unit", "mode", "expected"),
    [
        ("norm", "per_param", [2.0, 2.0]),
        ("rms", "per_param", [2.0 * 2.0, 2.0 * 3.0]),
        ("relative", "per_param", [2.0 * 10.0, 2.0 * 1e-3 * 3.0]),
        ("norm", "global", [2.0, 2.0]),
        ("rms", "global", [2.0 * math.sqrt(13)] * 2),
        ("relative", "global", [2.0 * 10.0] * 2),
    ],
)
def test_unit_of_a_block(unit: str, mode: str, expected: list[float]) -> None:
    params = [np.full(4, 5.0), np.zeros(9)]
    updates = [np.full(4, 1e9), np.full(9, 1e9)]
    limited = limit(updates, 2.0, params=params, law="hard_clip", mode=mode, unit=unit)
    if mode == "global":
        assert norm(np.concatenate(limited)) == pytest.approx(expected[0], rel=1e-14)
    else:
        assert [norm(s) for s in limited] == pytest.approx(expected, rel=1e-14)
    sizes = [norm(np.concatenate(updates))] * 2 if mode == "global" else [norm(u) for u in updates]
    ratios = speed_ratios(updates, 2.0, params=params, mode=mode, unit=unit)
    assert [float(r) for r in ratios] == pytest.approx(
        [size / c for size, c in zip(sizes, expected, strict=True)], rel=1e-14
    )


def test_unit_of_an_entry_is_the_entrys_own() -> None:
    params = [np.array([5.0, -1e-9])]
    updates = [np.array([1e9, -1e9])]
    options: dict[str, Any] = {"params": params, "mode": "per_component"}
    expected: Any
    for unit, expected in {"norm": [2, -2], "rms": [2, -2], "relative": [10, -2e-3]}.items():
        (limited,) = limit(updates, 2.0, law="hard_clip", unit=unit, **options)
        np.testing.assert_allclose(limited, expected, rtol=1e-15)
        (ratio,) = speed_ratios(updates, 2.0, unit=unit, **options)
        np.testing.assert_allclose(ratio, updates[0] / expected, rtol=1e-15)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("key", [key for key in LAWS if key != "gamma"])
def test_limits_at_their_ends(key: str, mode: str) -> None:
    updates = [np.array([3.0, -4.0, 0.0]), np.array(1e-9)]
    unlimited = limit(updates, math.inf, law=key, mode=mode)
    np.testing.assert_array_equal(np.concatenate([u.ravel() for u in unlimited]), [3, -4, 0, 1e-9])
    if LAWS[key].limits:
        for stopped in limit(updates, 0.0, law=key, mode=mode):
            assert not stopped.any()
    for still in limit([np.zeros(3), np.zeros(())], 0.1, law=key, mode=mode):
        assert not still.any()


@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("key", BOUNDED)
def test_a_block_that_is_not_finite(key: str, mode: str) -> None:
    np.testing.assert_array_equal(limit([[math.inf, 1.0]], 1.0, law=key, mode=mode), [[np.nan, 0]])
    np.testing.assert_array_equal(limit([[math.nan, 1.0]], 1.0, law=key, mode=mode), [[np.nan] * 2])


def test_a_limit_may_be_an_array() -> None:
    for c in (np.array(0.5), np.array([0.5, 0.5])):
        limited = limit([[2.0], [3.0]], c, law="hard_clip")  # type: ignore[arg-type]
        np.testing.assert_array_equal(limited, [[0.5], [0.5]])


def test_ratio_of_a_zero_update_is_zero_at_a_limit_of_zero() -> None:
    assert speed_ratios([[0.0]], 0.0) == [0.0]
    assert speed_ratios([[1.0]], 0.0) == [math.inf]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"law": "newton"}, r"law='newton': expected one of 'newtonian', 'smooth_sqrt'"),
        ({"law": None}, r"law=None: expected one of"),
        ({"mode": "tensor"}, r"mode='tensor': expected one of 'global', 'per_param'"),
        ({"unit": "meter"}, r"unit='meter': expected one of 'norm', 'rms', 'relative'"),
        ({"unit": "relative"}, r"params=None: expected the parameters"),
        ({"speed_limit": -1.0}, r"speed_limit=-1.0: expected a number >= 0"),
        ({"speed_limit": math.nan}, r"speed_limit=nan: expected a number >= 0"),
        ({"speed_limit": "fast"}, r"speed_limit='fast': expected a number >= 0"),
        ({"speed_limit": 10**400}, r"speed_limit=1000.*: expected a number >= 0"),
        ({"speed_limit": True}, r"speed_limit=True: expected a number >= 0"),
        ({"speed_limit": [1.0, -2.0]}, r"speed_limit\[1\]=-2.0: expected a number >= 0"),
        ({"speed_limit": [1.0]}, r"speed_limit=\[1.0\]: expected one number, or one per array"),
        ({"params": [[1.0]]}, r"params has 1 arrays: expected 2, as updates has"),
        ({"params": [[1.0], [1.0]]}, r"params\[0\] has shape \(1,\): expected \(2,\)"),
        ({"updates": [[1j]], "speed_limit": 1.0}, r"updates\[0\] has dtype complex128"),
    ],
)
def test_invalid_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    valid: dict[str, Any] = {"updates": [[1.0, 2.0], [3.0]], "speed_limit": 1.0}
    with pytest.raises(ValueError, match=message):
        limit(**{**valid, **arguments})


def test_nothing_is_mutated() -> None:
    update = np.array([3.0, 4.0])
    for key in LAWS:
        for mode in MODES:
            for c in (0.0, 1.0, 10.0, math.inf):
                (limited,) = limit([update], c, law=key, mode=mode)
                limited += 1
    np.testing.assert_array_equal(update, [3.0, 4.0])
