"""What checks have in common: how they state, compare and refuse."""

import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from hypothesis import HealthCheck, settings
from torch import Tensor

from .registry import NotApplicable
from .subject import Subject, normal


def expect(condition: bool, message: str) -> None:
    """Raise AssertionError unless a condition holds, under ``python -O`` too."""
    if not condition:
        raise AssertionError(message)


def expect_same(actual: Tensor, expected: Tensor, message: str, tolerance: float = 0.0) -> None:
    """Raise AssertionError unless two tensors agree, bit for bit if no tolerance is given."""
    torch.testing.assert_close(
        actual,
        expected,
        rtol=tolerance,
        atol=tolerance,
        msg=lambda details: f"{message}: {details}",
    )


def expect_all_same(
    actual: Sequence[Tensor], expected: Sequence[Tensor], message: str, tolerance: float = 0.0
) -> None:
    """Raise AssertionError unless each tensor agrees with its counterpart."""
    for one, other in zip(actual, expected, strict=True):
        expect_same(one, other, message, tolerance)


@contextmanager
def expect_error(*kinds: type[Exception], message: str) -> Iterator[None]:
    """Raise AssertionError unless an exception of one of the kinds is raised inside."""
    expected = " or ".join(kind.__name__ for kind in kinds)
    try:
        yield
    except kinds:
        return
    except Exception as error:
        raise AssertionError(f"{type(error).__name__} is raised: expected {expected}") from error
    raise AssertionError(f"{message}: expected {expected}")


@contextmanager
def refusable(word: str) -> Iterator[None]:
    """Raise NotApplicable for an error that names what the optimizer does not take."""
    try:
        yield
    except Exception as error:
        if word in f"{type(error).__name__}: {error}".lower():
            raise NotApplicable(f"refuses it: {error}") from error
        raise


def advance(optimizer: Any, leaves: Sequence[Tensor], seed: int) -> None:
    """Take a step of gradients that the seed fixes."""
    for i, leaf in enumerate(leaves):
        leaf.grad = normal(leaf.shape, 100 * seed + i + 1, leaf.dtype)
    optimizer.step()


def stepped(subject: Subject, leaves: Sequence[Tensor], **options: Any) -> Any:
    """Return an optimizer that has taken a step."""
    optimizer = subject.build(leaves, **options)
    advance(optimizer, leaves, 0)
    return optimizer


def leaves_of(*shapes: tuple[int, ...], dtype: torch.dtype = torch.float64) -> list[Tensor]:
    """Return parameters of these shapes, the same in every call."""
    return [normal(shape, i + 1, dtype).requires_grad_() for i, shape in enumerate(shapes)]


def buffers(optimizer: Any, param: Tensor) -> dict[str, Tensor]:
    """Return the state of a parameter that has its shape."""
    return {
        key: value
        for key, value in optimizer.state[param].items()
        if isinstance(value, Tensor) and key != "step" and value.shape == param.shape
    }


def needs(subject: Subject, option: str, value: Any = True) -> None:
    """Raise NotApplicable unless the subject has an option, and goes with a value of it."""
    if not subject.has(option):
        raise NotApplicable(f"has no option {option}")
    try:
        subject.build([torch.zeros(2, 2)], **{option: value})
    except (ValueError, RuntimeError) as error:
        raise NotApplicable(f"does not take {option}={value!r}: {error}") from error


def policy(subject: Subject) -> str | None:
    """Return what a subject does about a step that is not finite; None if it has no such option."""
    if "on_nonfinite" in subject.options:
        return str(subject.options["on_nonfinite"])
    parameter = inspect.signature(subject.make).parameters.get("on_nonfinite")
    return None if parameter is None else str(parameter.default)


def needs_rate(subject: Subject) -> None:
    """Raise NotApplicable unless the subject has a learning rate."""
    needs(subject, "lr", 0.1)


def needs_rate_in_tensor(subject: Subject) -> None:
    """Raise NotApplicable unless the subject steps with a tensor as its learning rate."""
    needs_rate(subject)
    try:
        stepped(subject, leaves_of((3, 2)), lr=torch.tensor(0.1))
    except (TypeError, ValueError, RuntimeError) as error:
        raise NotApplicable(f"takes no tensor as lr: {error}") from error


def needs_no_chance(subject: Subject) -> None:
    """Raise NotApplicable if the subject's steps are drawn at random."""
    ends = []
    for seed in (0, 1):
        leaf = normal((3, 2), 1).requires_grad_()
        torch.manual_seed(seed)
        stepped(subject, [leaf])
        ends.append(leaf.detach())
    if not torch.equal(*ends):
        raise NotApplicable("draws random numbers")


def drawing(most: int) -> settings:
    """Return the profile's settings for at most so many examples, the same ones in every run."""
    return settings(
        max_examples=min(most, settings().max_examples),
        deadline=None,
        database=None,
        derandomize=True,
        suppress_health_check=list(HealthCheck),
    )
