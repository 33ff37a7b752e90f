"""Gradients are read where they are at the time of the step, and never written."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from ..expect import (
    advance,
    expect,
    expect_all_same,
    expect_same,
    leaves_of,
    needs,
    refusable,
)
from ..registry import check
from ..subject import Subject, normal


@check("tensors")
def gradients_are_only_read(subject: Subject) -> None:
    """Neither weight decay nor maximize writes into ``.grad``."""
    more = subject.having(weight_decay=0.1)
    for path in subject.paths():
        for ascent in [{}, *([{"maximize": True}] if subject.takes("maximize") else [])]:
            leaves = leaves_of((3, 2), (4, 1))
            grads = [normal(leaf.shape, 10 + i) for i, leaf in enumerate(leaves)]
            before = [grad.clone() for grad in grads]
            for leaf, grad in zip(leaves, grads, strict=True):
                leaf.grad = grad
            optimizer = subject.build(leaves, **more, **path, **ascent)
            label = ", ".join(f"{key}={value}" for key, value in {**more, **path, **ascent}.items())
            for _ in range(2):
                optimizer.step()
                expect_all_same(grads, before, f"a step has written into .grad ({label})")
            same = all(leaf.grad is grad for leaf, grad in zip(leaves, grads, strict=True))
            expect(same, f"a step has replaced .grad ({label})")


@check("tensors")
def a_gradient_in_another_tensor_is_followed(subject: Subject) -> None:
    """A run whose ``.grad`` is set to None and replaced is that of one written in place."""

    def ends(give: Callable[[Any, Tensor, Tensor], None], path: dict[str, Any]) -> list[Tensor]:
        torch.manual_seed(0)
        leaves = leaves_of((3, 2), (4, 1))
        optimizer = subject.build(leaves, **path)
        for step in range(4):
            for i, leaf in enumerate(leaves):
                give(optimizer, leaf, normal(leaf.shape, 10 * step + i))
            optimizer.step()
        return [leaf.detach() for leaf in leaves]

    def written(_: Any, leaf: Tensor, grad: Tensor) -> None:
        if leaf.grad is None:
            leaf.grad = torch.empty_like(leaf)
        leaf.grad.copy_(grad)

    def replaced(_: Any, leaf: Tensor, grad: Tensor) -> None:
        leaf.grad = None
        leaf.grad = grad

    for path in subject.paths():
        expect_all_same(
            ends(replaced, path), ends(written, path), "a gradient in a new tensor is not followed"
        )


@check("tensors")
def maximize_ascends(subject: Subject) -> None:
    """The steps are those of the negated gradients."""
    needs(subject, "maximize")
    params = [normal((3, 2), 1), normal((4, 1), 2)]

    def gradients(sign: int) -> Callable[[int], list[Tensor]]:
        return lambda step: [sign * normal(p.shape, 10 + step) for p in params]

    for path in subject.paths():
        up = subject.trained(params, gradients(1), maximize=True, **path)
        down = subject.trained(params, gradients(-1), maximize=False, **path)
        expect_all_same(up, down, "maximize=True is not the step of the negated gradient")


@check("tensors")
def a_parameter_without_a_gradient_stands_still(subject: Subject) -> None:
    """And has no step counted; without any gradient a step does nothing."""
    for path in subject.paths():
        present, absent = leaves_of((3, 2), (4, 1))
        before = [leaf.detach().clone() for leaf in (present, absent)]
        optimizer = subject.build([present, absent], **path)
        optimizer.step()
        expect_same(present.detach(), before[0], "a step without gradients has moved a parameter")
        advance(optimizer, [present], 0)
        expect_same(absent.detach(), before[1], "a parameter without a gradient has moved")
        expect(not torch.equal(present, before[0]), "a parameter beside it does not move")
        count = optimizer.state.get(absent, {}).get("step", 0)
        expect(float(count) == 0, "a step was counted for a parameter without a gradient")


@check("tensors")
def frozen_parameters_stand_still_until_they_are_thawed(subject: Subject) -> None:
    """As a training loop freezes layers, with zero_grad and backward."""
    model = torch.nn.Sequential(
        torch.nn.Linear(2, 2, bias=False), torch.nn.Linear(2, 1, bias=False)
    )
    optimizer = subject.build(model.parameters())
    first = next(model.parameters())
    for frozen in (False, True, False):
        optimizer.zero_grad()
        first.requires_grad_(not frozen)
        before = first.detach().clone()
        model(torch.tensor([1.0, 2.0])).square().sum().backward()
        optimizer.step()
        stood = torch.equal(first.detach(), before)
        expect(stood == frozen, f"frozen={frozen}: the parameter {'stood' if stood else 'moved'}")
    count = optimizer.state[first].get("step")
    if count is not None:
        expect(float(count) == 2, f"2 steps of the parameter are counted as {float(count):g}")


@check("training")
def a_closure_is_run_once_with_gradients_enabled(subject: Subject) -> None:
    """Its loss is returned, and the step is that of its gradients, also inside no_grad."""
    (leaf,) = leaves_of((3, 2))
    optimizer = subject.build([leaf])
    enabled: list[bool] = []

    def closure() -> Tensor:
        enabled.append(torch.is_grad_enabled())
        optimizer.zero_grad()
        with torch.enable_grad():
            loss = leaf.square().sum()
            loss.backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    before = leaf.detach().square().sum()
    torch.manual_seed(0)
    with torch.no_grad():
        returned = optimizer.step(closure)
    expect(enabled == [True], f"the closure's runs found gradients enabled: {enabled}")
    expect(returned is not None and float(returned) == float(before), "its loss is not returned")
    (expected,) = leaves_of((3, 2))
    expected.grad = 2 * expected.detach()
    torch.manual_seed(0)
    subject.build([expected]).step()
    expect_same(leaf.detach(), expected.detach(), "the step is not that of the closure's gradients")


@check("tensors", beyond_torch="torch.optim views what is conjugated as real, which raises")
def a_conjugated_gradient_is_read_as_what_it_stands_for(subject: Subject) -> None:
    """Complex gradients come out of autograd conjugated, without their numbers being so."""
    param, grad = normal((3, 2), 1, torch.complex64), normal((3, 2), 2, torch.complex64)
    with refusable("complex"):
        expected = subject.trained([param], lambda _: [grad.conj().resolve_conj()])
    actual = subject.trained([param], lambda _: [grad.conj()])
    expect_all_same(actual, expected, "a conjugated gradient is not read as what it stands for")
