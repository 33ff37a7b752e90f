"""Narrow parameters and states on CUDA: rounded to the nearest number, or by chance."""

import copy
import math
from typing import Any

import pytest
import torch

from tests.cuda.common import DEVICE, make, parameters, same
from tests.steps import normal
from tests.variants import MODES
from torch_impl import RelativisticAdam


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_parameters_are_rounded_once(mode: str, dtype: torch.dtype) -> None:
    """A step is that of the same numbers in binary32, rounded to the nearest, ties to even."""
    results = []
    for working in (dtype, torch.float32):
        params = [x.detach().to(dtype).to(working).requires_grad_() for x in parameters()]
        optimizer = make(mode, params, lr=0.1)
        for i, param in enumerate(params):
            grad = normal(param.shape, i, torch.float32).to(dtype)
            param.grad = grad.to(DEVICE, working)
        optimizer.step()
        assert all(
            value.dtype == torch.float32
            for state in optimizer.state.values()
            for value in state.values()
        )
        results.append([param.detach().to(dtype) for param in params])
    assert same(*results)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_state_may_be_as_narrow_as_its_parameter(dtype: torch.dtype) -> None:
    """Then the averages are rounded in every step; a state from elsewhere is when it is loaded."""
    (param,) = parameters([(3000,)], dtype)
    optimizer = make("per_param", [param], speed_limit=math.inf, narrow_state=True, eps=1e-3)
    m = v = torch.zeros(3000, device=DEVICE, dtype=dtype)
    for step in range(3):
        grad = normal((3000,), step, torch.float32).to(DEVICE, dtype)
        param.grad = grad.clone()
        optimizer.step()
        wide = grad.float()
        m = (0.9 * m.float() + (1 - 0.9) * wide).to(dtype)
        v = (0.999 * v.float() + (1 - 0.999) * wide * wide).to(dtype)
        state = optimizer.state[param]
        assert torch.equal(state["exp_avg"], m)
        assert torch.equal(state["exp_avg_sq"], v)
    other = make("per_param", [param], narrow_state=True)
    wide_state = {"exp_avg": m.float() + 1e-4, "exp_avg_sq": v.float(), "step": torch.tensor(3.0)}
    saved = optimizer.state_dict()
    other.load_state_dict({**saved, "state": {0: wide_state}})
    assert torch.equal(other.state[param]["exp_avg"], wide_state["exp_avg"].to(dtype))
    assert other.state[param]["exp_avg_sq"].dtype == dtype


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3.4e38, 0.0, -0.0])
def test_numbers_at_the_ends_of_bfloat16_are_rounded_as_torch_does(value: float) -> None:
    params = [torch.full((3,), value, device=DEVICE).bfloat16().requires_grad_()]
    for stochastic in (False, True):
        optimizer = RelativisticAdam(params, fused=True, stochastic_rounding=stochastic)
        params[0].grad = torch.zeros_like(params[0])
        optimizer.step()
        expected = torch.full((3,), value).bfloat16()
        assert same([params[0].detach().cpu()], [expected])


def test_chances_are_in_proportion_and_saved() -> None:
    """0.25 units below a number of bfloat16: three quarters of the entries stay."""
    start, lr = 1.5, 2.0**-9  # bfloat16 has a spacing of 2⁻⁷ from 1 to 2
    count = 2**14

    def optimizer_of(param: torch.Tensor) -> RelativisticAdam:
        options: Any = {"speed_limit": math.inf, "fused": True, "stochastic_rounding": True}
        return RelativisticAdam([param], lr, eps=0.0, **options)

    def step(optimizer: RelativisticAdam, param: torch.Tensor) -> None:
        param.grad = torch.ones_like(param)
        optimizer.step()

    param = torch.full((count,), start, device=DEVICE).bfloat16().requires_grad_()
    torch.manual_seed(3)
    optimizer = optimizer_of(param)
    step(optimizer, param)
    assert set(param.detach().float().tolist()) == {start - 2.0**-7, start}
    moved = (param.detach() < start).double().mean().item()
    assert abs(moved - 0.25) < 5 * math.sqrt(0.25 * 0.75 / count)  # five standard deviations
    saved = copy.deepcopy(optimizer.state_dict())
    twin = param.detach().clone().requires_grad_()
    other = optimizer_of(twin)
    assert other.param_groups[0]["rounding_seed"] != optimizer.param_groups[0]["rounding_seed"]
    other.load_state_dict(saved)
    before = param.detach().clone()
    for each, leaf in ((optimizer, param), (other, twin)):
        step(each, leaf)
    assert torch.equal(param, twin)
    again = (param.detach() != before).double()
    first = (before < start).double()
    assert abs((again * first).mean() - again.mean() * first.mean()) < 5 / math.sqrt(count)


def test_updates_below_half_a_unit_are_not_lost_by_chance() -> None:
    """16 steps of a sixteenth of a unit: rounding to the nearest stays, chance moves by a unit."""
    ends = []
    for stochastic in (False, True):
        param = torch.full((4096,), 1.0, device=DEVICE).bfloat16().requires_grad_()
        options: Any = {"fused": True, "stochastic_rounding": stochastic}
        optimizer = RelativisticAdam(
            [param], 2.0**-11, speed_limit=math.inf, maximize=True, **options
        )
        for _ in range(16):
            param.grad = torch.ones_like(param)
            optimizer.step()
        ends.append(param.detach().double().mean().item() - 1.0)
    assert ends[0] == 0.0
    assert abs(ends[1] * 2**7 - 1.0) < 0.1


def test_chances_are_those_of_the_seed_and_of_the_place_in_the_group() -> None:
    """Also of a tensor that lies elsewhere, or whose neighbour has no gradient."""
    results: list[torch.Tensor] = []
    for seed, shift, alone in ((1, 0, False), (2, 0, False), (1, 1, False), (1, 0, True)):
        rooms = [torch.full((4096 + shift,), 1.5, device=DEVICE).bfloat16() for _ in range(2)]
        params = [room[shift:].requires_grad_() for room in rooms]
        options: Any = {"speed_limit": math.inf, "fused": True, "stochastic_rounding": True}
        group = {"params": params, "rounding_seed": seed}
        optimizer = RelativisticAdam([group], 2.0**-9, eps=0.0, **options)
        for param in params[alone:]:
            param.grad = torch.ones_like(param)
        optimizer.step()
        results += [param.detach() for param in params]
    first, second, *others = results
    assert torch.equal(first, others[2])
    assert torch.equal(second, others[3])
    assert torch.equal(second, others[5])
    different = [first, second, *others[:2]]
    pairs = [(i, j) for i in range(4) for j in range(i)]
    assert not any(torch.equal(different[i], different[j]) for i, j in pairs)


def test_chances_follow_a_parameter_to_another_place_in_its_group() -> None:
    """Though nothing else of its tensors has changed since the step before."""
    results = []
    for moved in (False, True):
        params = [torch.full((4096,), 1.5, device=DEVICE).bfloat16() for _ in range(2)]
        params = [param.requires_grad_() for param in params]
        options: Any = {"speed_limit": math.inf, "fused": True, "stochastic_rounding": True}
        group = {"params": params if moved else params[1:], "rounding_seed": 1}
        optimizer = RelativisticAdam([group], 2.0**-9, eps=0.0, **options)
        params[1].grad = torch.ones_like(params[1])
        for lr in (0.0, 2.0**-9):  # the first step moves nothing
            optimizer.param_groups[0]["lr"] = lr
            optimizer.step()
            optimizer.param_groups[0]["params"] = params[1:]
        results.append(params[1].detach())
    assert torch.equal(*results)


@pytest.mark.parametrize("seed", [None, -1, 2**31, 0.5])
def test_a_seed_that_is_none_is_refused(seed: Any) -> None:
    group = {"params": parameters([(3,)]), "rounding_seed": seed}
    with pytest.raises(ValueError, match=r"rounding_seed=.*: expected an integer"):
        RelativisticAdam([group], fused=True, stochastic_rounding=True)


def test_parameters_in_float16_are_rounded_to_the_nearest_anyway() -> None:
    results = []
    for stochastic in (False, True):
        (param,) = parameters([(300,)], torch.float16)
        optimizer = RelativisticAdam([param], 0.1, fused=True, stochastic_rounding=stochastic)
        param.grad = torch.ones_like(param)
        optimizer.step()
        results.append([param.detach()])
    assert same(*results)


def test_a_narrow_velocity_is_rounded() -> None:
    (param,) = parameters([(3000,)], torch.bfloat16)
    wide = param.detach().float().requires_grad_()
    one, other = make("gravity", [param], narrow_state=True), make("gravity", [wide])
    param.grad = torch.linspace(-1, 1, 3000, device=DEVICE).bfloat16()
    wide.grad = param.grad.float()
    one.step()
    other.step()
    assert torch.equal(one.state[param]["v"], other.state[wide]["v"].bfloat16())


def test_finite_gradients_leave_narrow_moments_finite() -> None:
    (param,) = parameters([(300,)], torch.float16)
    optimizer = make("per_param", [param], narrow_state=True)
    for size in (60_000.0, 1.0):
        param.grad = torch.full_like(param, size)
        optimizer.step()
    assert all(value.isfinite().all() for value in optimizer.state[param].values())
