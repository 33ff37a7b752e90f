"""What is proved of rounding, sampled: averages, sums, norms, gains, and the kernels' witnesses.

binary16 is exact enough to be judged by binary64: its products have 22 digits. What binary64 itself
rounds is judged in fractions.
"""

import math
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from proofs.floats import kernels
from proofs.floats.machines import Arrays
from torch_impl import LAWS
from torch_impl.arithmetic import Arithmetic
from torch_impl.limit import round_toward_zero
from torch_impl.measures import powers_near

HALF, ETA = 2.0**-11, 2.0**-24
"""Half an ulp of 1 and the smallest number of binary16."""

WIDE = Fraction(1, 2**53)
"""Half an ulp of 1 in binary64."""


def halves(rng: np.random.Generator, n: int) -> NDArray[np.float16]:
    """Numbers of binary16 of all sizes up to 1, subnormal ones too."""
    return (rng.uniform(-1, 1, n) * 2.0 ** rng.integers(-24, 1, n)).astype(np.float16)


def test_a_moving_average_is_off_by_two_half_units() -> None:
    """And half of that is exceeded: |fl − exact| ≤ 2u(|bv| + |wg|) + (1 + u)η."""
    rng = np.random.default_rng(0)
    b, v, w, g = (halves(rng, 1_000_000) for _ in range(4))
    computed = (b * v + w * g).astype(np.float64)
    one, other = (x.astype(np.float64) * y.astype(np.float64) for x, y in ((b, v), (w, g)))
    error, size = np.abs(computed - (one + other)), np.abs(one) + np.abs(other)
    assert (error <= 2 * HALF * size + (1 + HALF) * ETA).all()
    assert (error > HALF * size + (1 + HALF) * ETA).any()


def summed(x: NDArray[np.float16], rng: np.random.Generator) -> tuple[np.float16, int]:
    """Return a sum of squares in a random order of additions, and the order's height."""
    parts = [(np.float16(square), 0) for square in x * x]
    while len(parts) > 1:
        i, j = sorted(rng.choice(len(parts), 2, replace=False))
        (one, low), (other, high) = parts[i], parts.pop(j)
        parts[i] = (np.float16(one + other), 1 + max(low, high))
    return parts[0]


@pytest.mark.parametrize("seed", range(40))
def test_a_sum_of_squares_is_off_by_its_depth(seed: int) -> None:
    """In any order, within (1 + u)^(h + 1) and the underflow; of entries up to 1 it is below n."""
    rng = np.random.default_rng(seed)
    x = halves(rng, int(rng.integers(2, 60)))
    computed, height = summed(x, rng)
    exact = float(np.sum(x.astype(np.float64) ** 2))
    factor, underflow = (1 + HALF) ** (height + 1), len(x) * ETA / 2
    assert float(computed) <= factor * (exact + underflow)
    assert exact <= factor * float(computed) + underflow
    assert float(computed) <= len(x) * (1 + HALF) ** height


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1.0, 1e30, 1e300])
def test_a_norm_is_off_by_its_depth(scale: float) -> None:
    """The norm that torch_impl takes, in binary64 after a division by a power of two."""
    rng = np.random.default_rng(1)
    arithmetic = Arithmetic()
    for n in (1, 3, 100, 5000):
        update = torch.from_numpy(rng.standard_normal(n) * scale)
        powers = powers_near([update], arithmetic)
        (scaled,) = arithmetic.div([update], list(powers.unbind()), fresh=True)
        (norm,) = arithmetic.norms([scaled], 2, torch.float64)
        entries = [Fraction(x) for x in scaled.tolist()]
        assert Fraction(1, 2) <= max(map(abs, entries)) <= 2
        square = sum(x * x for x in entries)
        factor = (1 + WIDE) ** (n + 4)  # no order of n terms is higher
        assert Fraction(norm.item()) ** 2 <= factor * square
        assert square <= factor * Fraction(norm.item()) ** 2
        assert [Fraction(x) * Fraction(powers.item()) for x in scaled.tolist()] == [
            Fraction(x) for x in update.tolist()
        ]


def test_scaling_by_a_power_of_two_is_exact() -> None:
    rng = np.random.default_rng(2)
    x = halves(rng, 100_000)
    for k in range(-12, 13):
        exact = x.astype(np.float64) * 2.0**k
        is_normal = np.abs(exact) >= 2.0**-14
        scaled = (x * np.float16(2.0**k)).astype(np.float64)
        np.testing.assert_array_equal(scaled[is_normal], exact[is_normal])


def test_a_computed_gain_is_within_two_half_units() -> None:
    """K·N ≤ (1 + u)²·c for the gain that torch_impl computes in binary64."""
    rng = np.random.default_rng(3)
    one = torch.ones((), dtype=torch.float64)
    for _ in range(3000):
        norm, c = (float(rng.uniform(1, 2) * 2.0 ** rng.integers(-40, 40)) for _ in range(2))
        ratio = torch.tensor(norm / c, dtype=torch.float64)
        gain = LAWS["smooth_sqrt"].factors(ratio, one, one).item()
        assert Fraction(gain) * Fraction(norm) <= (1 + WIDE) ** 2 * Fraction(c)


@pytest.mark.parametrize("c", [1e-3, 0.1, 1.0])
def test_no_entry_is_applied_a_unit_below_a_smaller_one(c: float) -> None:
    """More than a unit; by one, some are. All of binary16, and runs of neighbours in binary32."""
    rng = np.random.default_rng(4)
    starts = rng.integers(0, 0x7F000000, 400, dtype=np.uint32)
    runs = (starts[:, None] + np.arange(1000, dtype=np.uint32)).view(np.float32)
    falls = 0
    for x in (np.arange(0x7C00, dtype=np.uint16).view(np.float16)[None], runs):
        update = torch.from_numpy(x)
        limit = torch.tensor(round_toward_zero(c, update.dtype), dtype=update.dtype)
        limited = LAWS["smooth_sqrt"].limit_entries(update, limit).numpy()
        bits = limited.view(f"u{limited.itemsize}").astype(np.int64)
        below = np.maximum.accumulate(bits, axis=1) - bits
        assert below.max() <= 1
        falls += int((below == 1).sum())
    assert falls > 0


def test_torchs_root_of_binary64_is_at_least_one() -> None:
    """From 1 to 2, which is all that the limit asks of it: it is not correctly rounded."""
    rng = np.random.default_rng(5)
    y = np.concatenate([rng.uniform(1, 2, 1_000_000), 1 + np.arange(100_000) * 2.0**-52, [2.0]])
    roots = torch.from_numpy(y).sqrt().numpy()
    assert (roots >= 1).all()
    assert (roots <= 2).all()
    np.testing.assert_allclose(roots, np.sqrt(y), rtol=2.0**-52)
    for key in ("smooth_sqrt", "tanh"):
        x = torch.from_numpy(y * 10.0 ** rng.integers(-9, 9, y.size))
        limited = LAWS[key].limit_entries(x, torch.tensor(0.7, dtype=torch.float64))
        assert bool((limited <= 0.7).all())
        assert bool((limited <= x).all())


def run(kernel: Any, dtype: Any, *numbers: float) -> float:
    with np.errstate(all="ignore"):
        return float(kernel(Arrays(np.dtype(dtype)), *(np.asarray(n, dtype) for n in numbers)))


def test_the_witnesses_of_the_kernels() -> None:
    """Of the refutations in Coq, in NumPy: vanishing, exceeding, reaching, falling, NaN."""
    single, half, brain = np.float32, np.float16, ml_dtypes.bfloat16
    tenth = {single: 13421773 * 2.0**-27, half: 819 * 2.0**-13, brain: 205 * 2.0**-11}
    naive, smooth = kernels.smooth_naive, kernels.smooth_torch
    assert run(naive, single, 2.0**64, 1) == 0
    assert run(naive, half, 819 * 2.0**-5, tenth[half]) == 0
    assert run(naive, half, 818.5 * 2.0**-5, tenth[half]) > 0
    assert run(naive, brain, 205 * 2.0**53, tenth[brain]) == 0
    assert run(naive, single, 13421777 * 2.0**-15, tenth[single]) > tenth[single]
    assert run(naive, half, 1645 * 2.0**-9, tenth[half]) > tenth[half]
    assert run(naive, brain, 209 * 2.0**-7, tenth[brain]) > tenth[brain]
    for x in (2.0**64, 13421777 * 2.0**-15):
        assert 0 < run(smooth, single, x, tenth[single]) <= tenth[single]
    assert run(smooth, single, 2.0**64, 1) == 1
    falling = [run(smooth, single, x * 2.0**-30, 1) for x in (10741508, 10741509)]
    assert falling[0] > falling[1]
    with np.errstate(all="ignore"):
        for dtype, x in ((single, 2.0**64), (half, 2.0**8)):
            assert dtype(x) * (dtype(1) / np.sqrt(dtype(x) * dtype(x))) == 0
        large = single(13421773 * 2.0**101)
        assert large / np.hypot(single(1), large / single(tenth[single])) == 0
    assert run(kernels.zeta_of_largest, half, 17, 0) == 0
    assert run(kernels.zeta_of_largest, half, 15, 0) > 0
    assert run(kernels.zeta_of_largest, brain, 2.0**40, 0) == 0
    inverse = 1 / 2.0**127
    assert 0 < inverse < np.finfo(single).tiny  # what is flushed is 0, and 0/0 no number
    assert math.isnan(run(lambda machine, g, m: machine.div(g, m), single, 0, 0))
