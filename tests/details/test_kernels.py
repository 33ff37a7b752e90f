"""What kernels are told, and where the state lies that they are given."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cases import CASES, Options
from tests.details.few import NAMES, leaf
from tests.steps import normal
from torch_impl import RelativisticAdam
from torch_impl.fused import Scaling


class Told:
    """Stands for kernels: remembers what it is told."""

    home = "cpu"

    def __init__(self, unscales: bool = True) -> None:
        self.unscales, self.calls = unscales, list[Any]()

    def take_adam_steps(self, works: Any, scaling: Scaling, *, decoupled: bool) -> None:
        self.calls.append((works, scaling, decoupled))

    def take_gravity_steps(self, works: Any, scaling: Scaling) -> None:
        self.calls.append((works, scaling, None))


@NAMES
def test_kernels_are_told_what_a_step_needs(name: str) -> None:
    params = [normal((2, 3), i, torch.float32).requires_grad_() for i in range(3)]
    first: Options = {"params": params[:1]}
    groups = [first, {"params": params[1:2]}, {"params": params[2:], "lr": 0.25}]
    optimizer = CASES[name].optimizer(groups, lr=0.5, fused=True)
    told = Told()
    optimizer._kernels = told
    assert optimizer._is_fused()
    assert optimizer._fused() is told
    assert optimizer._step_supports_amp_scaling is True
    params[0].grad = torch.ones(3, 2).t()
    params[2].grad = torch.ones(2, 3)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
    optimizer.step()
    ((works, scaling, decoupled),) = told.calls
    assert decoupled == {"RelativisticAdam": False, "RelativisticAdamW": True}.get(name)
    assert scaling == Scaling(optimizer.grad_scale, optimizer.found_inf)
    assert [work.number for work in works] == [0, 2]
    assert [work.group for work in works] == [optimizer.param_groups[i] for i in (0, 2)]
    for work, param in zip(works, (params[0], params[2]), strict=True):
        state = optimizer.state[param]
        assert work.params == [param]
        assert work.grads[0].stride() == (3, 1)
        assert work.steps == [state["step"]]
        buffers = [state[key] for key in state if key != "step"]
        assert [one for (one,) in work.buffers] == buffers
    del optimizer.grad_scale, optimizer.found_inf
    assert optimizer._scaling() == Scaling(None, None)
    optimizer._kernels = Told(unscales=False)
    assert optimizer._step_supports_amp_scaling is False
    judged = CASES[name].optimizer(
        [leaf(1.0, dtype=torch.float32)], fused=True, on_nonfinite="skip"
    )
    judged._kernels = told
    assert judged._step_supports_amp_scaling is False
    assert CASES[name].optimizer([leaf(1.0)])._step_supports_amp_scaling is False


def test_kernels_are_those_of_the_first_parameters_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def told_of(param: Tensor) -> Told:
        asked.append(param)
        return Told()

    monkeypatch.setattr("torch_impl.base.kernels_for", told_of)
    params = [leaf(1.0, dtype=torch.float32), leaf(2.0, dtype=torch.float32)]
    optimizer = RelativisticAdam(params, fused=True)
    kernels = optimizer._fused()
    assert optimizer._fused() is kernels
    assert [id(param) for param in asked] == [id(params[0])]


def test_buffers_are_laid_out_as_their_parameters_are() -> None:
    params = [normal((2, 3), i, torch.float32).requires_grad_() for i in range(2)]
    optimizer = RelativisticAdam(params, fused=True)
    optimizer._kernels = Told()
    for param in params:
        param.grad = torch.ones(2, 3)
    optimizer.step()
    kept = optimizer.state[params[0]]["exp_avg"]
    odd = normal((3, 2), 5, torch.float32).t()
    optimizer.state[params[1]]["exp_avg"] = odd
    works = optimizer._work()
    (one, other), _ = works[0].buffers
    assert one is kept
    assert other is optimizer.state[params[1]]["exp_avg"]
    assert (other.stride(), other.dtype) == ((3, 1), torch.float32)
    assert torch.equal(other, odd)
