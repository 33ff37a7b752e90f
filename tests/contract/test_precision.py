"""Mixed precision: GradScaler, autocast, narrow parameters and dtypes side by side."""

from typing import Any

import pytest
import torch

from tests.cases import SUBJECTS, Case, Options
from tests.steps import PATHS, built, every_class, everyone, normal
from torch_impl import Gravity

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("precision")]

NARROW = [torch.bfloat16, torch.float16]


@everyone()
@PATHS
def test_grad_scaler_unscales_before_the_step(case: Case, options: Options, foreach: bool) -> None:
    """The scaler does it, since `step` does not claim to: every norm is of unscaled gradients."""
    ends = []
    for scaled in (False, True):
        leaf = normal(4, 1, torch.float32).requires_grad_()
        torch.manual_seed(0)
        optimizer = built(case, [leaf], lr=0.1, foreach=foreach, **options)
        assert not getattr(optimizer, "_step_supports_amp_scaling", False)
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
        for _ in range(3):
            optimizer.zero_grad()
            scaler.scale((leaf**4).sum()).backward()  # type: ignore[no-untyped-call]
            scaler.step(optimizer)
            scaler.update()
        ends.append(leaf.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=0)  # powers of two


@everyone()
@PATHS
def test_grad_scaler_skips_a_step_that_overflowed(
    case: Case, options: Options, foreach: bool
) -> None:
    leaf = torch.ones(2, dtype=torch.float32, requires_grad=True)
    optimizer = built(case, [leaf], foreach=foreach, **options)
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
    scaler.scale((leaf * torch.tensor([1.0, 1e38])).sum()).backward()  # type: ignore[no-untyped-call]
    scaler.step(optimizer)
    scaler.update()
    assert torch.equal(leaf.detach(), torch.ones(2))
    assert not optimizer.state
    assert scaler.get_scale() == 2.0**9


@everyone()
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_autocast_trains(case: Case, options: Options, dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
    optimizer = built(case, model.parameters(), lr=0.02, **options)
    inputs = normal((32, 4), 1, torch.float32)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=dtype):
            loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.8 * losses[0]


@everyone("torch.optim's second moment is 0 in binary16, and the step after it NaN")
@PATHS
@pytest.mark.parametrize("dtype", [torch.float16])
def test_small_gradients_do_not_vanish(
    case: Case, options: Options, foreach: bool, dtype: torch.dtype
) -> None:
    """g = 1e-6 in binary16, whose square is 0 there, moves a parameter as far as in binary32."""
    moves = []
    for kind in (dtype, torch.float32):
        leaf = torch.zeros(3, dtype=kind, requires_grad=True)
        optimizer = built(case, [leaf], lr=0.01, foreach=foreach, **options)
        for _ in range(3):
            leaf.grad = torch.tensor([1e-6, -1e-6, 3e-6], dtype=dtype).to(kind)
            optimizer.step()
        moves.append(leaf.detach().to(torch.float32))
    assert moves[0].isfinite().all()
    # Three roundings of θ to 11 bits, or to the subnormals' spacing of 2⁻²⁴.
    torch.testing.assert_close(*moves, rtol=3 * 2.0**-11, atol=3 * 2.0**-25)


@pytest.mark.parametrize("cls", [Gravity])
@PATHS
def test_gravitys_steepest_entry_is_not_lost(cls: Any, foreach: bool) -> None:
    """In binary16 (gG)² overflows from G = 16 on, and ζ = 0 would stop the steepest entry."""
    leaf = torch.zeros(2, dtype=torch.float16, requires_grad=True)
    leaf.grad = torch.tensor([20.0, 0.1], dtype=torch.float16)
    cls([leaf], lr=1e3, alpha=0.0, foreach=foreach).step()
    first_step = -1e3 * (1 - 1.9 / 3) * 20 / (1 + 20.0**4)
    assert leaf[0].item() == pytest.approx(first_step, rel=2.0**-10, abs=0)


@everyone()
@PATHS
@pytest.mark.parametrize("dtype", NARROW, ids=str)
def test_norms_of_narrow_parameters_neither_overflow_nor_stick(
    case: Case, options: Options, foreach: bool, dtype: torch.dtype
) -> None:
    """10⁵ entries: their sum of squares would stop growing at 2⁸ or 2¹¹ terms, or overflow."""
    ends = []
    for kind in (dtype, torch.float32):
        leaf = torch.zeros(100_000, dtype=kind, requires_grad=True)
        leaf.grad = torch.full((100_000,), 200.0, dtype=kind)
        built(case, [leaf], lr=100.0, foreach=foreach, **options).step()
        ends.append(leaf.detach())
    torch.testing.assert_close(ends[0], ends[1].to(dtype), rtol=0, atol=0)


@everyone()
@PATHS
def test_dtypes_side_by_side_in_one_group(case: Case, options: Options, foreach: bool) -> None:
    """Each is updated in its own precision; a block over all of them is one block."""
    kinds: list[Any] = [torch.float64, torch.float32, torch.bfloat16, torch.float16]
    leaves = [normal(6, i).to(kind).requires_grad_() for i, kind in enumerate(kinds)]
    grads = [normal(6, 10 + i).to(kind) for i, kind in enumerate(kinds)]
    options = {**options, "lr": 0.3, "foreach": foreach}  # r = 3 at first, away from the jumps
    optimizer = built(case, leaves, **options)
    wide = [leaf.detach().to(torch.float64).requires_grad_() for leaf in leaves]
    expected = built(case, wide, **options)
    for _ in range(2):
        for leaf, same, grad in zip(leaves, wide, grads, strict=True):
            leaf.grad, same.grad = grad.clone(), grad.to(torch.float64)
        optimizer.step()
        expected.step()
    for leaf, same in zip(leaves, wide, strict=True):
        assert leaf.isfinite().all()
        # Two roundings of θ, |θ| < 4, in its dtype, and torch.optim's moments in it too.
        atol = 16 * torch.finfo(leaf.dtype).eps
        torch.testing.assert_close(leaf.detach().double(), same.detach(), rtol=0, atol=atol)


@every_class()
def test_default_dtype_is_not_assumed(name: str) -> None:
    torch.set_default_dtype(torch.float64)
    try:
        leaf = normal(3, 1, torch.float32).requires_grad_()
        leaf.grad = normal(3, 2, torch.float32)
        optimizer = built(SUBJECTS[name], [leaf])
        optimizer.step()
    finally:
        torch.set_default_dtype(torch.float32)
    state = optimizer.state[leaf]
    assert all(value.dtype == torch.float32 for key, value in state.items() if key != "step")
