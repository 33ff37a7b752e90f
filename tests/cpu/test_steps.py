"""``fused=True`` on the CPU: the same steps, whatever the layouts and extremes."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from tests.cpu.common import everything, parameters, stepped
from tests.live_bytes import LiveBytes
from tests.steps import built, normal
from tests.variants import MODES, VARIANTS
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.fused.cpu.blocks import BLOCK
from torch_impl.fused.cpu.loops import STRETCH


@pytest.mark.parametrize(("case", "options"), VARIANTS)
@pytest.mark.filterwarnings("ignore:law=")
def test_memory_layouts_are_stepped_like_any_other(case: Any, options: dict[str, Any]) -> None:
    """Transposed, channels-last and complex parameters, gradients in another layout."""

    def ends(fused: bool | None) -> list[torch.Tensor]:
        params = [
            normal((6, 4), 1, torch.float32).t().detach().requires_grad_(),
            normal((2, 3, 4, 5), 2, torch.float32)
            .to(memory_format=torch.channels_last)
            .requires_grad_(),
            normal((7,), 3, torch.complex64).requires_grad_(),
        ]
        optimizer = built(case, params, **options, fused=fused)
        for step in range(3):
            params[0].grad = normal((4, 6), 10 + step, torch.float32)
            params[1].grad = normal((2, 3, 4, 5), 20 + step, torch.float32)
            params[2].grad = normal((7,), 30 + step, torch.complex64).conj()
            optimizer.step()
        return [param.detach() for param in params]

    for one, other in zip(ends(True), ends(None), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6)  # 2⁸ units of roundoff


def with_and_without_kernels(make: Callable[..., Any], bad: float) -> list[torch.Tensor]:
    """Compare where a bad entry of a gradient leads; return where it does with kernels."""
    results = []
    for fused in (None, True):
        params = parameters([(4, 5), (3,)])
        optimizer = make(params, fused=fused)
        stepped(optimizer, params, 1)
        params[0].grad[1, 2] = bad  # type: ignore[index]
        optimizer.step()
        results.append(everything(optimizer, params))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6, equal_nan=True)
    return results[1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e38])
def test_what_is_not_finite_goes_where_it_went(mode: str, bad: float) -> None:
    """And a finite 1e38 leaves the moments finite."""
    ends = with_and_without_kernels(partial(RelativisticAdam, relativistic_mode=mode), bad)
    if bad == 1e38:
        assert all(tensor.isfinite().all() for tensor in ends)


@pytest.mark.parametrize("bad", [math.nan, math.inf, 1e38])
@pytest.mark.parametrize("options", [{}, {"weight_decay": 0.1}, {"max_step_grad": 2.0}])
def test_gravity_is_left_as_finite_as_before(options: dict[str, Any], bad: float) -> None:
    with_and_without_kernels(partial(Gravity, alpha=0.0, **options), bad)


@given(st.integers(1, 6 * STRETCH), st.data(), st.sampled_from([2.0, -2.0, math.inf, math.nan]))
def test_gravity_finds_the_largest_entry_wherever_it_is(n: int, data: Any, bad: float) -> None:
    """With G = ∞ or NaN every entry shows it, with a finite one the velocity does."""
    param = torch.zeros(n, requires_grad=True)
    param.grad = torch.full((n,), 0.5)
    param.grad[data.draw(st.integers(0, n - 1))] = bad
    gradient = param.grad.clone()
    Gravity([param], 1.0, alpha=0.0, fused=True).step()
    expected = torch.zeros(n, requires_grad=True)
    expected.grad = gradient
    Gravity([expected], 1.0, alpha=0.0, foreach=False).step()
    torch.testing.assert_close(param, expected, rtol=1e-6, atol=0, equal_nan=True)  # 8 roundings


@pytest.mark.parametrize("mode", ["global", "per_param"])
def test_norms_that_binary32_cannot_square_are_measured(mode: str) -> None:
    """û = m/ε of 1e-23, whose squares vanish; limited to 1e-25 it is along the gradient."""
    limit = 1e-25
    param = torch.zeros(40, 50, requires_grad=True)
    options: Any = {"relativistic_mode": mode, "law": "hard_clip", "fused": True}
    optimizer = RelativisticAdam([param], 1.0, (0.5, 0.6), 1e3, limit, **options)
    stepped(optimizer, [param], 1, 1e-20)
    gradient = normal((40, 50), 0, torch.float32).double()
    expected = -limit * gradient / gradient.norm()
    torch.testing.assert_close(param.detach().double(), expected, rtol=1e-3, atol=1e-3 * limit)


@pytest.mark.parametrize("amsgrad", [False, True])
@pytest.mark.parametrize("eps", [1e-8, 1e-30, 1e25])
@pytest.mark.parametrize("limit", [0.1, 1e-3, 1e-20, 1e20])
def test_entries_never_exceed_their_limit(limit: float, eps: float, amsgrad: bool) -> None:
    """From 0 the first step is what is applied; gradients of every size, on every path of it."""
    gradient = normal((100_000,), 0, torch.float32)
    gradient *= torch.logspace(-42, 38.5, 100_000, dtype=torch.float64).float()
    gradient = gradient.nan_to_num()
    ends = []
    for fused in (True, None):
        param = torch.zeros(100_000, requires_grad=True)
        optimizer = RelativisticAdam(
            [param], 1.0, (0.9, 0.999), eps, limit, 0.0, amsgrad, "per_component", fused=fused
        )
        param.grad = gradient.clone()
        optimizer.step()
        ends.append(param.detach())
    assert bool((ends[0].double().abs() <= limit).all())
    normals = gradient.square() * 1e-3 > torch.finfo(torch.float32).tiny  # else v is inexact
    normals |= gradient.abs() > 1e15
    torch.testing.assert_close(ends[0][normals], ends[1][normals], rtol=2e-6, atol=1e-37)


@pytest.mark.parametrize("moment", [1e38, -1e38, math.inf])
def test_a_first_moment_that_was_loaded_may_be_too_large_for_its_square(moment: float) -> None:
    param = torch.zeros(100, requires_grad=True)
    optimizer = RelativisticAdam([param], relativistic_mode="per_component", fused=True)
    stepped(optimizer, [param], 1)
    before = param.detach().clone()
    optimizer.state[param]["exp_avg"].fill_(moment)
    optimizer.step()
    expected = before - math.copysign(0.1, moment)
    torch.testing.assert_close(param.detach(), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
def test_limits_at_their_ends(mode: str, unit: str) -> None:
    """A limit of 0 stops even what is not finite, but for the decay; ∞ is Adam."""
    for limit, infinite in ((0.0, True), (0.0, False), (math.inf, False)):
        results = []
        for fused in (None, True):
            params = parameters([(4, 5), (3,)])
            optimizer = RelativisticAdamW(
                params, relativistic_mode=mode, speed_unit=unit, fused=fused, weight_decay=0.1
            )
            optimizer.param_groups[0]["speed_limit"] = limit
            stepped(optimizer, params, 1)
            if infinite:
                params[0].grad.fill_(math.inf)  # type: ignore[union-attr]
                optimizer.step()
            results.append([param.detach() for param in params])
        for one, other in zip(*results, strict=True):
            torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-7)


def test_groups_have_their_own_options_and_one_norm() -> None:
    def ends(fused: bool | None) -> list[torch.Tensor]:
        params = parameters([(30, 40), (50,), (7,)])
        groups = [
            {"params": params[:1], "lr": 0.1, "speed_unit": "rms", "law": "tanh"},
            {"params": params[1:2], "speed_limit": 0.01, "speed_unit": "relative"},
            {"params": params[2:], "relativistic_mode": "per_param", "speed_limit": math.inf},
        ]
        optimizer = RelativisticAdamW(groups, relativistic_mode="global", fused=fused)
        stepped(optimizer, params)
        return [param.detach() for param in params]

    for one, other in zip(ends(True), ends(None), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("unit", ["norm", "relative"])
@pytest.mark.parametrize("scale", [1e-20, 1.0, 1e25])
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"amsgrad": True, "weight_decay": 0.3},
        {"law": "hard_clip", "maximize": True},
        {"law": "newtonian"},
        {"speed_limit": 0.0, "weight_decay": 0.1},
    ],
)
@pytest.mark.parametrize("cls", [RelativisticAdam, RelativisticAdamW])
def test_a_tensor_whose_proposals_are_kept_is_stepped_like_one_that_is_the_model(
    cls: Any, options: dict[str, Any], scale: float, unit: str
) -> None:
    """As this it takes two passes, with its proposals made twice; it ends within a block."""
    ends = []
    for mode in ("per_param", "global"):
        params = parameters([(3 * BLOCK + 5,)])
        optimizer = cls(params, eps=1e-30, relativistic_mode=mode, speed_unit=unit, fused=True)
        optimizer.param_groups[0].update(options)
        stepped(optimizer, params, 3, scale)
        ends.append(params[0].detach())
    before = normal((3 * BLOCK + 5,), 0, torch.float32)
    assert not torch.equal(ends[0], before) or options.get("speed_limit") == 0.0
    torch.testing.assert_close(*ends, rtol=2e-6, atol=1e-7)


def test_proposals_that_binary32_does_not_hold_are_not_kept() -> None:
    """m = 0.09 over ε = 1e-40 is beyond it; limited it is not, whatever the size of a tensor."""
    moves = []
    for size in (BLOCK, BLOCK + 1):
        param = torch.zeros(size, requires_grad=True)
        options: Any = {"betas": (0.9, 0.0), "eps": 1e-40, "speed_limit": 0.1}
        optimizer = RelativisticAdam([param], **options, fused=True)
        for gradient in (1.0, 0.0):
            param.grad = torch.full((size,), gradient)
            optimizer.step()
        moves.append(param.detach().double().norm().item())
    assert moves[0] == pytest.approx(moves[1], rel=1e-4)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("fused", [None, True])
def test_what_has_no_limit_is_not_stopped_by_one_of_0(mode: str, fused: bool | None) -> None:
    param = torch.zeros(3, requires_grad=True)
    options: Any = {"law": "newtonian", "relativistic_mode": mode, "fused": fused}
    optimizer = RelativisticAdam([param], lr=0.1, **options)
    optimizer.param_groups[0]["speed_limit"] = 0.0
    param.grad = torch.ones(3)
    optimizer.step()
    torch.testing.assert_close(param.detach(), torch.full((3,), -0.1))


def test_a_gradient_that_is_lazily_negated_is_read_as_what_it_is() -> None:
    (param,) = params = parameters([(4, 5)])
    optimizer = RelativisticAdam(params, fused=True)
    param.grad = torch._neg_view(torch.ones(4, 5))
    before = param.detach().clone()
    optimizer.step()
    assert (param > before).all()


def test_a_step_that_was_counted_in_another_dtype_is_counted_on() -> None:
    """A kernel counts in binary32."""
    ends = []
    for dtype in (torch.float32, torch.int64):
        params = parameters([(4, 5), (3,)])
        optimizer = RelativisticAdam(params, fused=True)
        stepped(optimizer, params, 2)
        state = optimizer.state[params[1]]
        state["step"] = state["step"].to(dtype)
        stepped(optimizer, params, 1, 0.5)
        assert state["step"] == 3
        ends.append([param.detach() for param in params])
    for one, other in zip(*ends, strict=True):
        assert torch.equal(one, other)


def test_schedules_move_the_rate_and_the_limit() -> None:
    def end(fused: bool | None) -> torch.Tensor:
        params = parameters([(30, 40)])
        optimizer = RelativisticAdamW(
            params, fused=fused, speed_follows_lr=True, adaptive_speed=True
        )
        for step in range(4):
            optimizer.param_groups[0]["lr"] = 1e-3 * (step + 1)
            stepped(optimizer, params, 1)
        return params[0].detach()

    torch.testing.assert_close(end(True), end(None), rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("mode", MODES)
def test_a_limit_that_warms_up_is_that_of_each_tensor_s_own_step(mode: str) -> None:
    """The second tensor has no gradient in the first steps, and a lower limit ever after."""

    def ends(fused: bool | None) -> list[torch.Tensor]:
        params = parameters([(30, 40), (50,)])
        optimizer = RelativisticAdam(
            params, relativistic_mode=mode, adaptive_speed=True, speed_warmup_steps=10, fused=fused
        )
        stepped(optimizer, params[:1], 4)
        stepped(optimizer, params, 1)
        return [param.detach() for param in params]

    for one, other in zip(ends(True), ends(None), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-7)


def test_a_checkpoint_goes_from_one_path_to_the_other() -> None:
    """The optimizer that loads stays what it is: what can be had is a matter of the machine."""
    params = parameters([(4, 5), (3,)])
    one = RelativisticAdamW(params, fused=True, amsgrad=True)
    stepped(one, params)
    others = [copy.deepcopy(params) for _ in range(2)]
    for fused, own in zip((None, True), others, strict=True):
        optimizer = RelativisticAdamW(own, fused=fused, amsgrad=True)
        optimizer.load_state_dict(one.state_dict())
        assert optimizer.param_groups[0]["fused"] == fused
        stepped(optimizer, own)
    stepped(one, params)
    for plain, fused, expected in zip(*others, params, strict=True):
        assert torch.equal(fused, expected)
        torch.testing.assert_close(plain, expected, rtol=2e-6, atol=2e-7)


def test_gradients_that_are_replaced_freed_or_missing() -> None:
    """No address is kept: another tensor at every step, some freed, some None."""
    results = []
    for fused in (None, True):
        params = parameters([(64, 64), (100,)])
        optimizer = RelativisticAdam(params, fused=fused)
        for step in range(6):
            for i, param in enumerate(params):
                param.grad = None
                if step % 3 != i:
                    param.grad = normal(param.shape, 10 * step + i, torch.float32)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            normal((64, 64), 5)
        results.append(everything(optimizer, params))
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-6, atol=2e-7)


@pytest.mark.parametrize("mode", MODES)
def test_a_fused_step_keeps_no_memory(mode: str) -> None:
    """Of tensors none; NumPy's and Numba's are a few numbers per tensor and piece, and a piece."""
    params = [torch.zeros(1000, 1000, requires_grad=True) for _ in range(2)]
    optimizer = RelativisticAdamW(params, relativistic_mode=mode, fused=True)
    stepped(optimizer, params, 1)
    with LiveBytes() as live:
        optimizer.step()
    assert live.peak == 0


def test_what_torch_compiles_takes_the_other_path() -> None:
    params, twins = parameters([(4, 5)]), parameters([(4, 5)])
    optimizer, twin = RelativisticAdam(params, fused=True), RelativisticAdam(twins)
    stepped(optimizer, params)
    stepped(twin, twins)
    with pytest.MonkeyPatch.context() as context:
        context.setattr(torch.compiler, "is_compiling", lambda: True)
        assert not optimizer._is_fused()
    torch.testing.assert_close(params, twins, rtol=2e-6, atol=2e-7)
