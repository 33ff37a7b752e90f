"""The obvious kernels vanish and exceed the limit in every format; the safe one does neither."""

import math

import numpy as np
import pytest
import sympy as sp

from analysis.rounding import (
    FORMATS,
    KERNELS,
    block_excess,
    curve,
    gain_error,
    gain_of_block,
    gain_sensitivities,
    positive_numbers,
)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("limit", [0.1, 0.3, 1.0, 100.0])
def test_the_safe_kernel_neither_vanishes_nor_exceeds(format_name: str, limit: float) -> None:
    found = curve("safe", format_name, limit)
    assert math.isinf(found.vanishes_from)
    assert found.share_exceeding == 0
    assert np.isfinite(found.limited).all()
    # Four roundings of at most half a unit each, one of them under a root, and two binades.
    assert found.error.max() <= 3


@pytest.mark.parametrize(
    ("kernel", "format_name", "where"),
    [
        ("naive", "binary16", 0.1 * math.sqrt(2) * 2**7.5),
        ("naive", "bfloat16", 0.1 * 2.0**64),
        ("naive", "binary32", 0.1 * 2.0**64),
        ("hypot", "binary16", 0.1 * 2.0**16),
        ("hypot", "bfloat16", 0.1 * 2.0**128),
        ("hypot", "binary32", 0.1 * 2.0**128),
    ],
)
def test_the_obvious_kernels_vanish_where_their_quotient_overflows(
    kernel: str, format_name: str, where: float
) -> None:
    """(x/c)² from 2⁸ (binary16) or 2⁶⁴, x/c itself from 2¹⁶ or 2¹²⁸."""
    found = curve(kernel, format_name, 0.1, per_exponent=4096)
    assert found.vanishes_from == pytest.approx(where, rel=0.01)
    assert math.isinf(curve("safe", format_name, 0.1).vanishes_from)


@pytest.mark.parametrize("format_name", FORMATS)
@pytest.mark.parametrize("kernel", ["naive", "hypot"])
def test_the_obvious_kernels_exceed_the_limit_by_a_unit(kernel: str, format_name: str) -> None:
    found = curve(kernel, format_name, 0.1, per_exponent=4096)
    one_unit = float(np.spacing(FORMATS[format_name].type(0.1)))
    assert found.share_exceeding > 1e-3
    assert found.excess == pytest.approx(1 + one_unit / found.limit, rel=1e-12)


def test_the_numbers_are_all_or_stratified() -> None:
    assert len(positive_numbers("binary16")) == 31_743
    assert len(positive_numbers("bfloat16")) == 32_639
    numbers = positive_numbers("binary32", 16)
    assert len(numbers) == 255 * 16 - 1
    assert (np.diff(numbers) > 0).all()
    assert numbers[-1] == np.finfo(np.float32).max


def test_the_gain_of_a_block_must_be_wider_than_binary32() -> None:
    """10⁶ entries of 1e38 at c = 1e-6: the gain is 1e-47, and 0 in binary32."""
    norm = 1e38 * 1e3
    assert gain_of_block(norm, 1e-6, np.float32) == 0
    assert gain_of_block(norm, 1e-6, np.float64) == pytest.approx(1e-6 / norm, rel=1e-15)


def test_the_roundings_of_the_gain_are_derived() -> None:
    """Beyond the limit a norm's error costs at most itself; 1 + t² and its root at most half."""
    gain, coefficients = gain_sensitivities()
    (t,) = gain.free_symbols
    assert sp.simplify(gain - t / sp.sqrt(1 + t**2)) == 0
    assert sp.simplify(coefficients["norm"] + 1 / (1 + t**2)) == 0
    assert coefficients["root"] == -1
    of_norm, of_kernel = gain_error()
    assert of_norm == 1
    # quotient 1, square 1/4 (at t = 1), sum 1/2, root 1, division 1
    assert of_kernel == sp.Rational(15, 4)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("n", [1, 7, 1000])
def test_a_block_exceeds_its_limit_by_no_more_than_derived(n: int, dtype: type) -> None:
    """Norm, gain and product rounded in the dtype: 3,000 blocks, r from 1 to 10⁶."""
    rng = np.random.default_rng(0)
    roundoff = float(np.finfo(dtype).eps) / 2
    worst = -1.0
    for _ in range(3000):
        c = dtype(0.1)
        u: np.ndarray = rng.standard_normal(n).astype(dtype)
        u *= dtype(c * 10 ** rng.uniform(0, 6)) / np.linalg.norm(u)
        norm = np.sqrt(np.cumsum(u * u, dtype=dtype)[-1])  # added in order
        if norm < c:
            continue
        t = c / norm
        gain = t / np.sqrt(1 + t * t)
        exact = 1 / np.sqrt(1 + (np.linalg.norm(u.astype(np.longdouble)) / np.longdouble(c)) ** 2)
        size = np.linalg.norm((gain * u).astype(np.longdouble))
        allowed = np.linalg.norm(u.astype(np.longdouble)) * exact
        worst = max(worst, float(size / allowed - 1))
    assert worst > 0
    assert worst <= block_excess(n, roundoff, roundoff) * (1 + n * roundoff)


def test_every_kernel_is_the_law_where_nothing_overflows() -> None:
    for kernel in KERNELS:
        found = curve(kernel, "binary32", 1.0)
        near = (found.x > 1e-3) & (found.x < 1e3)
        expected = found.x[near] / np.sqrt(1 + found.x[near] ** 2)
        np.testing.assert_allclose(found.limited[near], expected, rtol=4 * 2.0**-24)
