"""Mixed precision: GradScaler, autocast, narrow parameters and dtypes side by side."""

import copy
from typing import Any

import torch
from torch import Tensor

from ..expect import (
    advance,
    buffers,
    expect,
    expect_same,
    leaves_of,
    needs_no_chance,
)
from ..registry import check
from ..subject import Subject, normal

NARROW = (torch.bfloat16, torch.float16)


@check("precision")
def a_grad_scaler_unscales_before_the_step(subject: Subject) -> None:
    """The run is that without a scale, which is a power of two."""
    for path in subject.paths():
        ends = []
        for scaled in (False, True):
            (leaf,) = leaves_of((3, 2), dtype=torch.float32)
            torch.manual_seed(0)
            optimizer = subject.build([leaf], **path)
            scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10, enabled=scaled)
            for _ in range(3):
                optimizer.zero_grad()
                scaler.scale((leaf**4).sum()).backward()  # type: ignore[no-untyped-call]
                scaler.step(optimizer)
                scaler.update()
            ends.append(leaf.detach())
        expect_same(ends[1], ends[0], "with a GradScaler the run is another")


@check("precision")
def a_grad_scaler_skips_a_step_that_overflowed(subject: Subject) -> None:
    """Neither the parameter nor the state changes, and the scale is halved."""
    for path in subject.paths():
        leaf = torch.ones(2, 1, requires_grad=True)
        optimizer = subject.build([leaf], **path)
        before = copy.deepcopy(optimizer.state_dict())
        scaler = torch.amp.GradScaler("cpu", init_scale=2.0**10)
        loss = (leaf * torch.tensor([[1.0], [1e38]])).sum()
        scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        scaler.step(optimizer)
        scaler.update()
        expect_same(leaf.detach(), torch.ones(2, 1), "a skipped step has moved the parameter")
        same = repr(optimizer.state_dict()) == repr(before)
        expect(same, "a skipped step has changed the state")
        expect(scaler.get_scale() == 2.0**9, f"the scale is {scaler.get_scale():g}: expected 512")


@check("precision")
def autocast_trains_as_full_precision_does(subject: Subject) -> None:
    """In 30 steps of a small network the loss falls, as far within 10 % of where it started."""
    inputs = normal((32, 4), 1, torch.float32)
    options = subject.having(lr=0.02)
    if subject.has("maximize"):
        options["maximize"] = False

    def losses(dtype: torch.dtype) -> list[float]:
        torch.manual_seed(0)
        ends = [torch.nn.Linear(n, m, bias=False) for n, m in ((4, 8), (8, 1))]
        model = torch.nn.Sequential(ends[0], torch.nn.Tanh(), ends[1])
        optimizer = subject.build(model.parameters(), **options)
        found = []
        for _ in range(30):
            optimizer.zero_grad()
            with torch.autocast("cpu", dtype=dtype, enabled=dtype != torch.float32):
                loss = (model(inputs) - inputs.sum(1, keepdim=True)).square().mean()
            loss.backward()
            optimizer.step()
            found.append(loss.item())
        return found

    full = losses(torch.float32)
    for dtype in NARROW:
        first, *_, last = losses(dtype)
        expect(last < first, f"under autocast to {dtype} the loss goes from {first:g} to {last:g}")
        expect(
            abs(last - full[-1]) <= 0.1 * full[0],
            f"under autocast to {dtype} the loss is {last:g}, in full precision {full[-1]:g}",
        )


@check("precision", beyond_torch="its second moment is 0 in binary16, and the step after it NaN")
def small_gradients_do_not_vanish(subject: Subject) -> None:
    """G = 1e-6 in binary16, whose square is 0 there, moves a parameter as far as in binary32."""
    needs_no_chance(subject)
    for path in subject.paths():
        moves = []
        for kind in (torch.float16, torch.float32):
            leaf = torch.zeros(3, 1, dtype=kind, requires_grad=True)
            optimizer = subject.build([leaf], **subject.having(lr=0.01), **path)
            for _ in range(3):
                small = torch.tensor([[1e-6], [-1e-6], [3e-6]], dtype=torch.float16)
                leaf.grad = small.to(kind)
                optimizer.step()
            moves.append(leaf.detach().to(torch.float32))
        # Three roundings of θ to 11 bits, or to the subnormals' spacing of 2⁻²⁴.
        torch.testing.assert_close(*moves, rtol=3 * 2.0**-11, atol=3 * 2.0**-25)


@check("precision")
def norms_of_narrow_parameters_neither_overflow_nor_stick(subject: Subject) -> None:
    """10⁵ entries: their sum of squares would stop growing at 2⁸ or 2¹¹ terms, or overflow."""
    needs_no_chance(subject)
    for path in subject.paths():
        for dtype in NARROW:
            ends = []
            for kind in (dtype, torch.float32):
                leaf = torch.zeros(500, 200, dtype=kind, requires_grad=True)
                leaf.grad = torch.full((500, 200), 200.0, dtype=kind)
                subject.build([leaf], **subject.having(lr=100.0), **path).step()
                ends.append(leaf.detach().to(dtype))
            # Moments in the parameter's dtype are a few roundings off.
            tolerance = 0.0 if subject.strict else 8 * torch.finfo(dtype).eps
            expect_same(ends[0], ends[1], f"a step in {dtype} is not that in float32", tolerance)


@check("precision", beyond_torch="torch.optim keeps the moments in the dtype of the parameter")
def narrow_parameters_are_updated_in_32_bits(subject: Subject) -> None:
    """One step lands within half an ulp of where binary32 lands, also for a gradient of 1e-6."""
    needs_no_chance(subject)
    for path in subject.paths():
        for dtype in NARROW:
            start = normal((5, 1), 1).to(dtype)
            grad = torch.tensor([[1e-6], [-1e-6], [0.5], [-0.25], [0.0]], dtype=dtype)
            ends = []
            for kind in (dtype, torch.float32):
                leaf = start.to(kind, copy=True).requires_grad_()
                leaf.grad = grad.to(kind)
                optimizer = subject.build([leaf], **subject.having(lr=0.1), **path)
                optimizer.step()
                ends.append(leaf.detach().to(dtype))
                for key, value in optimizer.state[leaf].items():
                    wide = not isinstance(value, Tensor) or value.dtype == torch.float32
                    expect(wide, f"state {key!r} of {kind} is not kept in 32 bits")
            expect_same(ends[0], ends[1], f"a step in {dtype} is not that in float32, rounded")


@check("precision")
def dtypes_side_by_side_are_updated_in_their_own_precision(subject: Subject) -> None:
    """float64, float32, bfloat16 and float16 in one group; a block over all of them is one."""
    needs_no_chance(subject)
    kinds = (torch.float64, torch.float32, torch.bfloat16, torch.float16)
    for path in subject.paths():
        leaves = [normal((3, 2), i).to(kind).requires_grad_() for i, kind in enumerate(kinds)]
        wide = [leaf.detach().to(torch.float64, copy=True).requires_grad_() for leaf in leaves]
        options = {**subject.having(lr=0.3), **path}
        optimizer, expected = subject.build(leaves, **options), subject.build(wide, **options)
        for _ in range(2):
            for i, (leaf, same) in enumerate(zip(leaves, wide, strict=True)):
                leaf.grad = normal((3, 2), 10 + i).to(leaf.dtype)
                same.grad = leaf.grad.to(torch.float64, copy=True)
            optimizer.step()
            expected.step()
        for leaf, same in zip(leaves, wide, strict=True):
            # Two roundings of θ, |θ| < 4, in its dtype, and perhaps of the moments in it too. A
            # norm over all of them is as exact as the float32 that narrow ones are widened to.
            eps = max(torch.finfo(kind).eps for kind in (leaf.dtype, torch.float32))
            tolerance = 16 * eps
            message = f"{leaf.dtype} beside other dtypes is not updated in its own precision"
            expect_same(leaf.detach().double(), same.detach(), message, tolerance)


@check("precision")
def the_default_dtype_is_not_assumed(subject: Subject) -> None:
    """Of float32 parameters the state is float32 under a default of float64."""
    default = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        (leaf,) = leaves_of((3, 2), dtype=torch.float32)
        optimizer: Any = subject.build([leaf])
        advance(optimizer, [leaf], 0)
    finally:
        torch.set_default_dtype(default)
    for key, value in buffers(optimizer, leaf).items():
        expect(value.dtype == torch.float32, f"state {key!r} is {value.dtype}")
