"""What has no kernel on the CPU is refused before anything is changed."""

import importlib.util
from typing import Any

import pytest
import torch
from torch.testing._internal.two_tensor import TwoTensor

from tests.cpu.common import parameters, stepped
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"capturable": True}, "`fused` and `capturable` cannot be `True` together"),
        ({"telemetry": True}, "`fused` and `telemetry` cannot be `True` together"),
        ({"foreach": True}, "`fused` and `foreach` cannot be `True` together"),
        ({"differentiable": True}, "`fused` does not support `differentiable`"),
        ({"placement": "gradient", "speed_limit": 1.0}, "expected placement='update'"),
        ({"speed_limit": "auto"}, "expected speed_limit to be a number"),
    ],
)
def test_options_without_a_kernel_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(RuntimeError, match=message):
        RelativisticAdam(parameters([(3,)]), fused=True, **options)


@pytest.mark.parametrize(
    ("param", "message"),
    [
        (torch.zeros(3, dtype=torch.float64), "one is in torch.float64 on cpu"),
        (torch.zeros(3, dtype=torch.bfloat16), "one is in torch.bfloat16 on cpu"),
        (torch.zeros(3, device="meta"), "one is in torch.float32 on meta"),
        (torch.zeros(4, 6)[:, ::2], r"one of shape \(4, 3\) has strides \(6, 2\)"),
    ],
)
def test_parameters_without_a_kernel_are_refused(param: torch.Tensor, message: str) -> None:
    """Also when they come later; the optimizer is as it was then."""
    with pytest.raises(RuntimeError, match=message):
        RelativisticAdam([param.requires_grad_()], fused=True)
    optimizer = Gravity(parameters([(3,)]), fused=True)
    with pytest.raises(RuntimeError, match=message):
        optimizer.add_param_group({"params": [param]})
    assert len(optimizer.param_groups) == 1
    with pytest.raises(ValueError, match="fused=None in a group: expected that of the first"):
        optimizer.add_param_group({"params": [torch.zeros(2)], "fused": None})


@pytest.mark.parametrize("cls", [RelativisticAdamW, Gravity])
@pytest.mark.parametrize("steps", [0, 1])
@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (lambda data: data.half(), "group 1 has a parameter in torch.float16 on cpu: `fused=True`"),
        (lambda data: data.double(), "group 1 has a parameter in torch.float64 on cpu"),
        (lambda data: data.new_zeros(3, 2)[:, 0], r"group 1 has a parameter of strides \(2,\)"),
    ],
)
def test_parameters_that_were_converted_since_are_refused(
    cls: Any, steps: int, convert: Any, message: str
) -> None:
    """A kernel would write where they do not lie; nothing is changed."""
    first, second = params = parameters([(2, 3), (3,)])
    optimizer = cls([{"params": [first]}, {"params": [second]}], fused=True)
    stepped(optimizer, params, steps)
    before = first.detach().clone()
    second.data = convert(second.detach())
    for param in params:
        param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert torch.equal(first, before)
    assert optimizer.state[first]["step"] == steps


@pytest.mark.parametrize("fused", [True, None])
@pytest.mark.parametrize("own", [False, True])
@pytest.mark.parametrize(("cls", "key"), [(RelativisticAdamW, "exp_avg"), (Gravity, "v")])
def test_parameters_that_were_given_another_shape_since_are_refused(
    cls: Any, key: str, own: bool, fused: bool | None
) -> None:
    """A kernel, and a step in pieces, would write beyond their state; nothing is changed."""
    first, second = params = parameters([(2, 3), (400, 500)])
    optimizer = cls([{"params": [first]}, {"params": [second]}], fused=fused)
    stepped(optimizer, params, 1)
    before = first.detach().clone()
    second.data = second.detach().new_zeros(1000, 500)
    first.grad = torch.ones_like(first)
    if own:
        second.grad = torch.ones_like(second)
    found = f"state '{key}'" if own else "a gradient"
    with pytest.raises(RuntimeError, match=rf"group 1 has {found} of shape \(400, 500\) for a"):
        optimizer.step()
    assert torch.equal(first, before)
    assert optimizer.state[first]["step"] == 1


@pytest.mark.parametrize("fused", [True, None])
def test_nor_is_one_of_as_many_entries_in_another_shape(fused: bool | None) -> None:
    (param,) = parameters([(2, 3)])
    optimizer = RelativisticAdamW([param], fused=fused)
    stepped(optimizer, [param], 1)
    param.data = param.detach().t().contiguous()
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match=r"state 'exp_avg' of shape \(2, 3\) for a parameter"):
        optimizer.step()


def test_tensors_without_memory_of_their_own_are_refused() -> None:
    """A kernel would write to address 0."""
    param = torch.nn.Parameter(TwoTensor(torch.ones(3), torch.ones(3)))  # type: ignore[no-untyped-call]
    optimizer = RelativisticAdamW([param], fused=True)
    param.grad = torch.ones_like(param)
    with pytest.raises(RuntimeError, match="expected tensors with memory of their own"):
        optimizer.step()


def test_state_that_was_made_of_converted_parameters_is_refused() -> None:
    params = parameters([(3,)])
    optimizer = RelativisticAdamW(params, fused=True)
    params[0].data = params[0].detach().double()
    params[0].grad = torch.ones_like(params[0])
    with pytest.raises(RuntimeError, match=r"parameter in torch\.float64"):
        optimizer.step()
    params[0].data = params[0].detach().float()
    params[0].grad = torch.ones_like(params[0])
    with pytest.raises(
        RuntimeError, match=r"state in torch\.float64 of a parameter in torch\.float32"
    ):
        optimizer.step()


def test_divided_parameters_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_impl.fused.homes.is_distributed", lambda _param: True)
    with pytest.raises(RuntimeError, match="does not support DTensors"):
        RelativisticAdam(parameters([(3,)]), fused=True)


def test_without_numba_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(RuntimeError, match=r"needs Numba.*pip install 'subluminal\[cpu\]'"):
        RelativisticAdam(parameters([(3,)]), fused=True)
