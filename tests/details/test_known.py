"""What is remembered of a group's tensors, and when they are looked at again."""

import gc
import importlib.util
import sys
import weakref
from collections.abc import Callable
from functools import partial
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from torch._C._dynamo.guards import TensorGuards

from torch_impl import Gravity, RelativisticAdamW
from torch_impl.fused import layout, work
from torch_impl.fused.layout import share_device
from torch_impl.fused.work import Known, Work, remembered

Tensors = dict[str, list[torch.Tensor]]
Change = Callable[[Tensors], None]


def tensors() -> Tensors:
    """Parameters that begin a longer piece of memory, and what belongs to them."""
    rows = {name: [torch.ones(3, 3), torch.ones(4)] for name in ("params", "grads", "m", "v")}
    rows["params"] = [torch.ones(30)[:9].view(3, 3), torch.ones(30)[:4]]
    return {**rows, "steps": [torch.ones(()), torch.ones(())]}


def work_of(rows: Tensors) -> Work:
    params, grads, m, v, steps = (rows[name] for name in ("params", "grads", "m", "v", "steps"))
    return Work(0, {}, params, grads, [m, v], steps)


def are_uniform(rows: Tensors) -> bool:
    work = work_of(rows)
    return layout.are_uniform(work.params, work.grads, work.buffers, work.steps)


def known_of(rows: Tensors) -> Known:
    known = remembered(work_of(rows), None)
    assert known is not None
    return known


def given(name: str, i: int, tensor: torch.Tensor) -> Change:
    """Have another tensor there."""

    def change(rows: Tensors) -> None:
        rows[name][i] = tensor

    return change


def with_data(name: str, i: int, data: Callable[[torch.Tensor], torch.Tensor]) -> Change:
    """Have the same tensor with other data."""

    def change(rows: Tensors) -> None:
        rows[name][i].data = data(rows[name][i])

    return change


def without_last(rows: Tensors) -> None:
    for row in rows.values():
        row.pop()


def test_new_gradients_of_the_same_tensors_are_what_they_were() -> None:
    rows = tensors()
    known = known_of(rows)
    assert known.is_still(work_of(rows), None)
    rows["grads"] = [grad.clone() for grad in rows["grads"]]
    assert known.is_still(work_of(rows), None)


@pytest.mark.parametrize(
    "change",
    [
        without_last,
        given("params", 1, torch.ones(4)),
        given("grads", 1, torch.ones(5)),
        given("m", 0, torch.ones(3, 3)),
        given("v", 1, torch.ones(4)),
        given("steps", 0, torch.ones(())),
        given("grads", 0, torch.ones(3, 3, dtype=torch.float64)),
        given("grads", 0, torch.ones(9)),
        given("grads", 0, torch.ones(3, 3).t().clone(memory_format=torch.preserve_format)),
        given("grads", 1, torch._neg_view(torch.ones(4))),
        given("grads", 1, torch.ones(4, device="meta")),
        with_data("params", 0, torch.clone),
        with_data("params", 0, torch.t),
        with_data("params", 0, torch.flatten),
        with_data("params", 1, lambda param: param.as_strided((5,), (1,))),
        with_data("params", 1, lambda param: param.view(torch.int32)),
        with_data("v", 1, lambda buffer: buffer.view(torch.bfloat16)[:4]),
        with_data("v", 1, lambda buffer: buffer.view(torch.int32)),
        with_data("m", 0, torch.t),
        with_data("m", 1, torch.clone),
        with_data("steps", 1, torch.clone),
        with_data("steps", 1, lambda step: step.view(torch.int32)),
    ],
)
def test_other_tensors_are_looked_at_again(change: Change) -> None:
    rows = tensors()
    known = known_of(rows)
    change(rows)
    assert not known.is_still(work_of(rows), None)


def test_for_other_kernels_all_are_looked_at_again() -> None:
    rows = tensors()
    known = known_of(rows)
    assert not known.is_still(work_of(rows), "cpu")
    known = Known(work_of(rows), "cpu")
    assert known.is_still(work_of(rows), "cpu")
    assert not known.is_still(work_of(rows), "cuda")
    assert not known.is_still(work_of(rows), None)


def test_for_narrow_state_all_are_looked_at_again() -> None:
    work = work_of(tensors())._replace(group={"narrow_state": False})
    known = remembered(work, "cuda")
    assert known is not None
    assert known.is_still(work, "cuda")
    assert not known.is_still(work._replace(group={"narrow_state": True}), "cuda")


def test_a_gradient_that_becomes_a_conjugate_view_is_looked_at_again() -> None:
    rows = {name: [torch.ones(3, dtype=torch.complex64)] for name in ("params", "grads", "m", "v")}
    rows["steps"] = [torch.ones(())]
    known = known_of(rows)
    assert known.sizes == [6]
    rows["grads"] = [torch.full((3,), 1j)]
    assert known.is_still(work_of(rows), None)
    rows["grads"] = [torch.full((3,), 1j).conj()]
    assert not known.is_still(work_of(rows), None)


@pytest.mark.parametrize(
    "change",
    [
        given("params", 0, torch.ones(3, 3, dtype=torch.float64)),
        given("grads", 1, torch.ones(4, dtype=torch.bfloat16)),
        given("grads", 1, torch.ones(5)),
        given("grads", 1, torch._neg_view(torch.ones(4))),
        given("m", 0, torch.ones(9)),
        given("v", 0, torch.ones(3, 3).t()),
        given("v", 1, torch.ones(4, device="meta")),
        given("steps", 1, torch.tensor(1)),
        given("steps", 1, torch.ones((), device="meta")),
    ],
)
def test_what_is_not_all_alike_is_not_uniform(change: Change) -> None:
    rows = tensors()
    assert are_uniform(rows)
    change(rows)
    assert not are_uniform(rows)


def test_nothing_is_remembered_where_torch_has_no_guards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(work, "TensorGuards", None)
    assert remembered(work_of(tensors()), None) is None


@pytest.mark.parametrize("broken", [None, ModuleType("guards"), SimpleNamespace(TensorGuards=str)])
def test_a_torch_with_other_guards_is_taken_to_have_none(
    broken: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Imported again, beside the module that everything else uses."""
    spec = importlib.util.spec_from_file_location("torch_impl.fused.again", work.__file__)
    assert spec is not None
    assert spec.loader is not None
    again = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "torch._C._dynamo.guards", broken)
    spec.loader.exec_module(again)
    assert again.TensorGuards is None


@pytest.mark.parametrize("cls", [RelativisticAdamW, partial(Gravity, alpha=0.0)])
@pytest.mark.parametrize("fused", [False, True])
def test_steps_are_the_same_where_nothing_is_remembered(
    cls: Any, fused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    ends = []
    for guards in (TensorGuards, None):
        monkeypatch.setattr(work, "TensorGuards", guards)
        param = torch.arange(9.0).view(3, 3).requires_grad_()
        optimizer = cls([param], lr=0.5, fused=fused)
        for step in range(3):
            param.grad = torch.arange(9.0).view(3, 3) + step
            optimizer.step()
        assert bool(optimizer._known) is (guards is not None)
        ends.append(param.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize("steps", [0, 1])
def test_a_gradient_that_has_lost_its_memory_is_refused(steps: int) -> None:
    """Whether anything is remembered of its group or not."""
    param = torch.ones(5, requires_grad=True)
    optimizer = RelativisticAdamW([param], fused=True)
    for _ in range(steps):
        param.grad = torch.ones(5)
        optimizer.step()
    before = param.detach().clone()
    param.grad = torch.ones(5)
    param.grad.untyped_storage().resize_(0)
    with pytest.raises(RuntimeError, match="tensors with memory of their own"):
        optimizer.step()
    torch.testing.assert_close(param.detach(), before, rtol=0, atol=0)


@pytest.mark.parametrize("cls", [RelativisticAdamW, partial(Gravity, alpha=0.0)])
@pytest.mark.parametrize("fused", [False, True])
@pytest.mark.parametrize("transposed", [False, True])
def test_what_has_moved_is_read_from_where_it_is(cls: Any, fused: bool, transposed: bool) -> None:
    """Where it was there is memory still: gradients change in every step, a parameter in one."""
    ends, alive = [], []
    for path in ({"fused": fused}, {"foreach": False}):
        params = [torch.ones(n, 2) for n in (3, 0, 5)]
        params = [(p.t() if transposed else p).requires_grad_() for p in params]
        optimizer = cls(params, lr=0.5, **path)
        for step in range(4):
            for param in params:
                param.grad = torch.full_like(param, step - 1.5)
                alive.append(param.grad)
            if step == 2:
                alive.append(params[0].detach())
                params[0].data = params[0].detach().clone()
            optimizer.step()
        ends.append(torch.cat([param.flatten() for param in params]).detach())
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("cls", [RelativisticAdamW, partial(Gravity, alpha=0.0)])
@pytest.mark.parametrize("fused", [False, True])
def test_a_parameter_that_is_transposed_where_it_is_is_stepped_as_such(
    cls: Any, fused: bool
) -> None:
    """Its gradient lies otherwise than it does; what is remembered of it says neither."""
    ends = []
    for path in ({"fused": fused}, {"foreach": False}):
        param = torch.arange(9.0).view(3, 3).requires_grad_()
        optimizer = cls([param], lr=0.5, **path)
        for step in range(4):
            if step == 2:
                param.data = param.data.t()
            param.grad = torch.arange(9.0).view(3, 3).add(step).contiguous()
            optimizer.step()
        ends.append(param.detach())
    torch.testing.assert_close(*ends, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("fused", [False, True])
def test_nothing_that_is_replaced_is_kept_alive(fused: bool) -> None:
    param = torch.ones(5, requires_grad=True)
    param.grad = torch.ones(5)
    optimizer = RelativisticAdamW([param], fused=fused)
    optimizer.step()
    assert optimizer._known
    gone = weakref.ref(param), weakref.ref(optimizer.state[param]["exp_avg"])
    optimizer.state.clear()
    optimizer.param_groups[0]["params"] = [torch.ones(5, requires_grad=True)]
    del param
    gc.collect()
    assert [each() for each in gone] == [None, None]


@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_steps_are_followed_by_kernels_that_were_not_there_before(dtype: torch.dtype) -> None:
    """What is known of a group without kernels says nothing of its steps."""
    param = torch.ones(5, requires_grad=True)
    param.grad = torch.ones(5)
    optimizer = Gravity([param], alpha=0.0)
    for path in ("before", "without kernels", "with kernels"):
        if path == "without kernels":
            optimizer.state[param]["step"] = torch.tensor(100, dtype=dtype)
        if path == "with kernels":
            optimizer.param_groups[0]["fused"] = True
        optimizer.step()
    step = optimizer.state[param]["step"]
    assert step.dtype is torch.float32
    assert step == 102


def test_groups_without_a_gradient_are_forgotten() -> None:
    params = [torch.ones(5, requires_grad=True) for _ in range(2)]
    optimizer = RelativisticAdamW([{"params": [param]} for param in params])
    for param in params:
        param.grad = torch.ones(5)
    optimizer.step()
    assert set(optimizer._known) == {0, 1}
    params[0].grad = None
    optimizer.step()
    assert set(optimizer._known) == {1}


def test_the_meta_device_has_no_number_either() -> None:
    meta, host = torch.ones(2, device="meta"), torch.ones(2)
    assert share_device([host, host], host)
    assert not share_device([host, meta], host)
    assert not share_device([host, meta], meta)
    assert not layout.are_uniform([meta], [meta], [[meta]], [meta])
