"""What the other tests of the laws in torch would let change, on few numbers."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch

import reference
from tests.live_bytes import LiveBytes
from torch_impl import LAWS
from torch_impl.laws import _root, warn_unless_monotone

POINTS = (-5.0, -2.0, -0.75, -0.25, 0.0, 0.25, 1.0, 2.0, 3.0, 1e300)


@pytest.mark.parametrize("limit", [0.5, 2.0, math.inf])
@pytest.mark.parametrize("key", LAWS)
def test_entries_and_factors_are_the_references(key: str, limit: float) -> None:
    law, twin = LAWS[key], reference.LAWS[key]
    update = torch.tensor(POINTS, dtype=torch.float64)
    c = torch.tensor(limit if law.limits else math.inf, dtype=torch.float64)
    (expected,) = reference.limit([update.numpy()], float(c), law=key, mode="per_component")
    found = law.limit_entries(update, c)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-14, atol=0.0)
    assert update.tolist() == list(POINTS)
    ratios = [0.0, 3.0, 0.25, 0.75, 1.0, 1.5, 1e200]
    assert law.gains(ratios) == pytest.approx([float(twin.gain(r)) for r in ratios], rel=1e-14)
    block, own = (torch.full((), power, dtype=torch.float64) for power in (4.0, 0.5))
    scaled = torch.tensor(ratios, dtype=torch.float64) / 4
    gains = [float(twin.gain(r)) / 2 for r in ratios]
    assert law.factors(scaled, block, own).tolist() == pytest.approx(gains, rel=1e-14, abs=0)


@pytest.mark.parametrize("key", LAWS)
def test_a_gain_of_an_unknown_ratio_is_unknown(key: str) -> None:
    one, unknown = LAWS[key].gains([0.0, math.nan])
    assert one == 1
    assert math.isnan(unknown) or not LAWS[key].limits
    assert LAWS[key].gains([]) == []


@pytest.mark.parametrize("key", [key for key, law in LAWS.items() if law.bounded])
def test_what_is_not_finite_is_limited_or_stays(key: str) -> None:
    for dtype in (torch.float32, torch.float64):
        update = torch.tensor([math.inf, -math.inf, math.nan, -0.0, 0.0], dtype=dtype)
        for c in (0.0, 2.0):
            found = LAWS[key].limit_entries(update, torch.tensor(c, dtype=dtype))
            assert found.dtype == dtype
            assert found.tolist()[:2] == [c, -c]
            assert math.isnan(found[2])
            assert torch.equal(found[3:], update[3:])
            assert math.copysign(1, found[3]) == -1


def test_a_ratio_beyond_the_largest_number_has_a_factor() -> None:
    """u = w·2¹⁰⁰⁰ in a block of norm 2·2¹⁰⁰⁰, and c = 2⁻¹⁰⁰: the applied update is c·w/2."""
    scaled, power = (torch.full((), x, dtype=torch.float64) for x in (2.0**101, 2.0**1000))
    for key in ("smooth_sqrt", "tanh", "hard_clip", "published", "piecewise"):
        assert LAWS[key].factors(scaled, power, power).item() == 2.0**-101


def test_a_root_of_binary32_is_rounded_once() -> None:
    x = torch.rand(1000, generator=torch.Generator().manual_seed(1))
    exact = np.sqrt(x.numpy().astype(np.float64)).astype(np.float32)
    assert np.array_equal(_root(x.clone()).numpy(), exact)
    wide = x.to(torch.float64)
    assert torch.equal(_root(wide.clone()), wide.sqrt())
    assert _root(x.bfloat16()).dtype == torch.bfloat16


@pytest.mark.parametrize("limit", [0.0, 0.5, 2.0, math.inf])
@pytest.mark.parametrize("key", LAWS)
def test_what_is_recorded_is_what_is_applied(key: str, limit: float) -> None:
    """At the limit too, where laws jump; "newtonian" has none, and c = 0 is not for it."""
    law = LAWS[key]
    update = torch.tensor(POINTS, dtype=torch.float64)
    c = torch.tensor(limit if law.limits else math.inf, dtype=torch.float64)
    found = law.limit_entries_recorded(update, c)
    torch.testing.assert_close(found, law.limit_entries(update, c), rtol=1e-14, atol=0.0)
    assert bool(found.isfinite().all())


@pytest.mark.parametrize("key", [key for key, law in LAWS.items() if law.limits])
def test_the_recorded_derivative_is_the_laws(key: str) -> None:
    """At 0 it is 1, where copysign and 0/0 would say something else."""
    law = LAWS[key]
    limit = torch.tensor(2.0, dtype=torch.float64)
    update = torch.tensor([-5.0, -0.75, 0.0, 0.5, 3.0], dtype=torch.float64, requires_grad=True)
    (slopes,) = torch.autograd.grad(law.limit_entries_recorded(update, limit).sum(), update)
    assert slopes[2] == 1
    step = 1e-6
    for i, x in enumerate(update.tolist()):
        at = torch.tensor([x - step, x + step], dtype=torch.float64)
        low, high = law.limit_entries(at, limit).tolist()
        assert slopes[i].item() == pytest.approx((high - low) / (2 * step), abs=1e-8)


@pytest.mark.parametrize("key", [key for key, law in LAWS.items() if law.limits])
def test_a_gain_has_the_derivative_of_its_own_branch(key: str) -> None:
    """Just beyond the limit too, where the other formula has none."""
    law, one, step = LAWS[key], torch.ones((), dtype=torch.float64), 1e-6
    for r in (0.5, 1.5, 3.0):
        ratio = torch.tensor(r, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(law.factors(ratio, one, one), ratio)
        low, high = (law.factors(one * (r + x), one, one).item() for x in (-step, step))
        assert slope.item() == pytest.approx((high - low) / (2 * step), abs=1e-8)


def test_entries_are_limited_in_the_memory_of_two_of_them() -> None:
    update = torch.arange(-4.0, 4.0)
    with LiveBytes() as memory:
        limited = LAWS["hard_clip"].limit_entries(update, torch.tensor(2.0))
    assert limited.tolist() == [-2.0, -2.0, -2.0, -1.0, 0.0, 1.0, 2.0, 2.0]
    assert memory.peak <= 2 * update.nbytes + 4  # and the limit


def test_only_a_law_that_is_not_monotone_is_warned_of() -> None:
    for key, law in LAWS.items():
        message = (
            rf"^law='{key}' fails the claim 'monotone': near the speed limit a larger proposed "
            r"update is applied as a smaller step; law='smooth_sqrt' is monotone$"
        )
        with nullcontext() if law.monotone else pytest.warns(UserWarning, match=message):
            warn_unless_monotone(key)
