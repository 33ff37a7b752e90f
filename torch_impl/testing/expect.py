"""What checks have in common: how they state, compare and refuse."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from .registry import NotApplicable
from .subject import Subject, normal


def expect(condition: bool, message: str) -> None:
    """Raise AssertionError unless a condition holds, under ``python -O`` too."""
    if not condition:
        raise AssertionError(message)


def expect_same(actual: Tensor, expected: Tensor, message: str, tolerance: float = 0.0) -> None:
    """Raise AssertionError unless two tensors agree, bit for bit unless a tolerance is given."""
    torch.testing.assert_close(
        actual,
        expected,
        rtol=tolerance,
        atol=tolerance,
        check_stride=False,
        msg=lambda details: f"{message}: {details}",
    )


@contextmanager
def expect_raises(
    kinds: type[Exception] | tuple[type[Exception], ...], message: str
) -> Iterator[None]:
    """Raise AssertionError unless an exception of one of the kinds is raised inside."""
    try:
        yield
    except kinds:
        return
    raise AssertionError(message)


def stepped(subject: Subject, leaves: list[Tensor], **options: Any) -> Any:
    """Return an optimizer that has taken a step of random gradients."""
    optimizer = subject.build(leaves, **options)
    advance(optimizer, leaves, 0)
    return optimizer


def advance(optimizer: Any, leaves: list[Tensor], seed: int) -> None:
    """Take a step of gradients that the seed fixes."""
    for i, leaf in enumerate(leaves):
        leaf.grad = normal(leaf.shape, 100 * seed + i + 1, leaf.dtype)
    optimizer.step()


def needs(subject: Subject, option: str) -> None:
    """Raise NotApplicable unless the subject has an option that is not given."""
    if not subject.takes(option):
        raise NotApplicable(f"has no option {option}")
