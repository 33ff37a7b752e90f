"""The tensor formulas: the reference's bit for bit where correctly rounded, and bounded."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import example, given
from hypothesis import strategies as st

from reference import LAWS as REFERENCE_LAWS
from reference import limit
from tests import strategies
from tests.bits import as_array, as_tensor, assert_same_bits, every_number
from tests.cases import float64
from torch_impl import LAWS
from torch_impl.arithmetic import Arithmetic
from torch_impl.laws import Law
from torch_impl.limit import (
    Proposal,
    limit_entries,
    limit_tensors,
    limit_together,
    round_toward_zero,
)

BOUNDED = [key for key in LAWS if REFERENCE_LAWS[key].claims["bounded"].holds]
LIMITS: dict[str, Callable[[Proposal], None]] = {
    "global": lambda proposal: limit_together([proposal], {}, {proposal.unit}),
    "per_param": lambda proposal: limit_tensors([proposal], {}, {proposal.unit}),
    "per_component": limit_entries,
}


def every_value(dtype: torch.dtype) -> torch.Tensor:
    """All 65,536 values of a 16-bit format, or as many of binary32: all exponents, even mantissas.

    Every 65,537th bit pattern visits each exponent of binary32 with 128 mantissas.
    """
    if dtype == torch.float32:
        return torch.from_numpy(
            (np.arange(2**16, dtype=np.uint64) * 65537 % 2**32).astype(np.uint32).view(np.float32)
        )
    return torch.from_numpy(np.arange(2**16, dtype=np.uint16).view(np.int16)).view(dtype)


def test_torch_has_the_references_laws_but_gamma() -> None:
    assert list(LAWS) == [key for key in REFERENCE_LAWS if key != "gamma"]
    for key, law in LAWS.items():
        assert law.key == key
        assert law.monotone == REFERENCE_LAWS[key].claims["monotone"].holds
        assert law.limits == REFERENCE_LAWS[key].limits


@pytest.mark.parametrize("key", ["smooth_sqrt", "hard_clip"])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("c", [0.1, 0.3, 1.0, 6e-8, 6e4])
def test_entries_are_the_references_bit_for_bit(key: str, dtype: torch.dtype, c: float) -> None:
    """On every 16-bit number and a million of binary32: these laws round correctly throughout."""
    update, c = every_number(dtype), round_toward_zero(c, dtype)
    limited = LAWS[key].limit_entries(as_tensor(update), torch.tensor(c, dtype=dtype))
    assert_same_bits(as_array(limited), REFERENCE_LAWS[key].limit_entries(update, c))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
@pytest.mark.parametrize("c", [0.1, 0.3, 1.0, 6e-8, 6e4])
def test_smooth_sqrt_entries_never_exceed_limit_or_update(dtype: torch.dtype, c: float) -> None:
    update = every_value(dtype)
    update = update[update.isfinite()]
    limited = (
        LAWS["smooth_sqrt"]
        .limit_entries(update, torch.tensor(round_toward_zero(c, dtype), dtype=dtype))
        .to(torch.float64)
    )
    assert limited.isfinite().all()
    assert (limited.abs() <= c).all()
    assert (limited.abs() <= update.to(torch.float64).abs()).all()


@pytest.mark.parametrize("key", LAWS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_entries_at_and_beside_the_speed_limit(key: str, dtype: torch.dtype) -> None:
    """r = 1, its neighbours and the ends, where the laws that jump are compared exactly."""
    c = torch.tensor(0.75, dtype=dtype)
    infinity = torch.tensor(math.inf, dtype=dtype)
    size = torch.stack([c, c.nextafter(-infinity), c.nextafter(infinity), 0 * c, c / 3, 1e9 * c])
    update = torch.cat([size, -size])
    limited = LAWS[key].limit_entries(update, c)
    expected = REFERENCE_LAWS[key].limit_entries(update.numpy(), c.numpy())
    # tanh may differ by 2 ulp between libraries; all else is rounded correctly in both.
    np.testing.assert_allclose(limited.numpy(), expected, rtol=3 * torch.finfo(dtype).eps, atol=0)


@pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("key", LAWS)
def test_blocks_at_and_beside_the_speed_limit(key: str, mode: str, foreach: bool) -> None:
    """r = 1 and its neighbours, exactly, also where the law jumps."""
    c = 0.75
    for size in (c, math.nextafter(c, 0), math.nextafter(c, 1), c / 3, 1e9 * c):
        _, (after,) = applied(LAWS[key], mode, [[-size, 0.0]], c, torch.float64, foreach)
        (expected,) = limit([[-size, 0.0]], c, law=key, mode=mode)
        # Eight roundings in each; next to r = 1 the two forms of 1 − r² agree to the last bit.
        np.testing.assert_allclose(float64(after), expected, rtol=16 * 2.0**-53, atol=0)


@pytest.mark.parametrize("key", BOUNDED)
def test_entries_at_the_ends(key: str) -> None:
    update = torch.tensor([math.inf, -math.inf, math.nan, 0.0, -0.0])
    limited = LAWS[key].limit_entries(update, torch.tensor(0.5))
    np.testing.assert_array_equal(limited.numpy(), [0.5, -0.5, math.nan, 0, 0])


@pytest.mark.parametrize("key", LAWS)
def test_entries_at_a_limit_of_zero_or_infinity(key: str) -> None:
    """No 0/0 and no ∞/∞: what a limit that underflows, or none, would give."""
    if LAWS[key].limits:
        update = torch.tensor([0.0, 2.0, -math.inf, math.nan])
        stopped = LAWS[key].limit_entries(update, torch.tensor(0.0))
        np.testing.assert_array_equal(stopped.numpy(), [0, 0, 0, math.nan])
        free = LAWS[key].limit_entries(update[:3], torch.tensor(math.inf))
        np.testing.assert_array_equal(free[:2].numpy(), [0, 2])


@pytest.mark.parametrize("value", [0.1, 1 / 3, 1.0, 1e-45, 3.5e38, 1e300])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32], ids=str)
def test_rounding_toward_zero(value: float, dtype: torch.dtype) -> None:
    rounded = torch.tensor(round_toward_zero(value, dtype), dtype=dtype)
    assert rounded.item() <= value
    above = torch.nextafter(rounded, torch.tensor(math.inf, dtype=dtype)).item()
    assert above > value or math.isinf(above)


def applied(
    law: Law, mode: str, arrays: list[Any], c: float, dtype: torch.dtype, foreach: bool
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return the updates as drawn and as limited, without the empty ones."""
    updates = [torch.tensor(a, dtype=dtype) for a in arrays if np.size(a)]
    before = [u.clone() for u in updates]
    if updates:
        params = [torch.zeros_like(u) for u in updates]
        proposal = Proposal(
            updates,
            params,
            params,
            c if law.limits else math.inf,
            law,
            "norm",
            mode,
            Arithmetic(foreach),
        )
        LIMITS[mode](proposal)
        updates = proposal.updates
    return before, updates


# k of the bound ‖s‖ ≤ c(1 + k·eps) + √n·η/2: for binary32 the gain's rounding and the product's,
# for binary64 the gain's own formula besides and n/4 for a sum of n squares taken in order.
ROUNDINGS = {torch.float32: 2, torch.float64: 40}


@pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("mode", LIMITS)
@pytest.mark.parametrize("key", BOUNDED)
@given(
    arrays=strategies.updates(1e-38, 1e38),
    c=strategies.speed_limits(1e-30, 1e30),
    scale=st.sampled_from([1.0, 1e-7, 1e200, 1e-200]),
)
@example(arrays=[np.full(1_000_000, 1e38)], c=1e-6, scale=1.0)
@example(arrays=[np.full(4, 1.4e-45)], c=1e-6, scale=1.0)
@example(arrays=[np.full(4, 1e38), np.array(1e-38)], c=1e30, scale=1.7e270)
def test_norm_never_exceeds_speed_limit(
    key: str,
    mode: str,
    dtype: torch.dtype,
    foreach: bool,
    arrays: list[Any],
    c: float,
    scale: float,
) -> None:
    """‖s‖ ≤ c(1 + k·eps) + √n·η/2, and a saturated smooth step has the norm c."""
    if dtype == torch.float64:
        arrays = [scale * a for a in arrays]
    before, after = applied(LAWS[key], mode, arrays, c, dtype, foreach)
    finfo = torch.finfo(dtype)
    subnormal = finfo.tiny * finfo.eps
    everything = list(range(len(after)))
    for block in [everything] if mode == "global" else [[i] for i in everything]:
        size = [float64(after[i]).ravel() for i in block]
        if not size:
            continue
        flat = np.concatenate(size)
        assert np.isfinite(flat).all()
        k = ROUNDINGS[dtype] + (flat.size / 4 if dtype == torch.float64 else 0)
        norm = np.abs(flat).max() if mode == "per_component" else np.linalg.norm(flat / c) * c
        n = 1 if mode == "per_component" else flat.size
        assert norm <= c * (1 + k * finfo.eps) + math.sqrt(n) * subnormal / 2
        proposed = max(float(before[i].abs().max()) for i in block)
        if key == "smooth_sqrt" and mode != "per_component" and proposed > 1e9 * c > 0:
            assert norm >= c * (1 - 1e-6) - math.sqrt(n) * subnormal / 2


@pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("key", [key for key in LAWS if REFERENCE_LAWS[key].limits])
@given(
    arrays=strategies.updates(1e-300, 1e300),
    c=strategies.speed_limits(1e-150, 1e150),
)
@example(arrays=[np.full(3, 5e-322)], c=1e-321)
@example(arrays=[np.zeros(2), np.full(2, 1e-200)], c=1e-250)
@example(arrays=[np.full(3, 1.7e308)], c=1e300)
def test_blocks_are_the_references_over_the_whole_range(
    key: str, mode: str, foreach: bool, arrays: list[Any], c: float
) -> None:
    arrays = [a for a in arrays if np.size(a)]
    _, after = applied(LAWS[key], mode, arrays, c, torch.float64, foreach)
    for one, other in zip(after, limit(arrays, c, law=key, mode=mode), strict=True):
        # Where a block's entries span more than the exponent range, the smallest are rounded on the
        # common scale: their error is at most 2⁻¹⁰⁷⁴ of the largest. A subnormal may round apart.
        largest = np.max([np.max(np.abs(a)) for a in arrays])
        atol = 2.0**-1074 + np.ldexp(largest, -1074)
        np.testing.assert_allclose(float64(one), other, rtol=1e-12, atol=atol)


@pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("key", BOUNDED)
def test_a_block_that_is_not_finite(key: str, mode: str, foreach: bool) -> None:
    for bad, expected in ((math.inf, [math.nan, 0.0]), (math.nan, [math.nan, math.nan])):
        _, (after,) = applied(LAWS[key], mode, [[bad, 1.0]], 1.0, torch.float32, foreach)
        np.testing.assert_array_equal(after.numpy(), expected)


@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
@pytest.mark.parametrize("mode", LIMITS)
@pytest.mark.parametrize("key", [key for key in LAWS if REFERENCE_LAWS[key].limits])
def test_limits_at_their_ends(key: str, mode: str, unit: str) -> None:
    """c = 0 stops a tensor, c = ∞ leaves it as it is, and neither touches its neighbours."""
    updates = [torch.tensor([3.0, math.nan]), torch.tensor([4.0]), torch.zeros(2)]
    params = [torch.ones_like(u) for u in updates]
    expected = [u.numpy() for u in updates]
    expected[0] = np.zeros(2)
    proposal = Proposal(
        [u.clone() for u in updates],
        params,
        params,
        torch.tensor([0.0, math.inf, math.inf], dtype=torch.float64),
        LAWS[key],
        unit,
        mode,
        Arithmetic(),
    )
    LIMITS[mode](proposal)
    for one, other in zip(proposal.updates, expected, strict=True):
        np.testing.assert_array_equal(one.numpy(), other)
