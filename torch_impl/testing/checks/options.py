"""Options: what is not valid is refused, what is changed in flight is followed."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from ..expect import (
    advance,
    expect,
    expect_error,
    expect_same,
    leaves_of,
    needs_rate,
    needs_rate_in_tensor,
    stepped,
)
from ..registry import NotApplicable, check
from ..subject import Subject, normal


@check("options")
def a_negative_learning_rate_is_refused(subject: Subject) -> None:
    """By an error of the constructor."""
    needs_rate(subject)
    with expect_error(Exception, message="lr=-1.0 is accepted"):
        subject.build(leaves_of((3, 2)), lr=-1.0)


BAD: Mapping[str, Sequence[Any]] = {
    "betas": [(1.0, 0.999), (0.9, -0.1)],
    "eps": [-1.0],
    "weight_decay": [-1.0],
    "momentum": [-1.0],
}
"""Values that common options cannot have."""


@check("options")
def other_values_that_an_option_cannot_have_are_refused(subject: Subject) -> None:
    """By an error of the constructor: betas outside [0, 1), negative eps, decay and momentum."""
    defaults = subject.build([torch.zeros(2, 2)]).defaults
    alike = {
        name: values
        for name, values in BAD.items()
        if isinstance(defaults.get(name), (int, float, tuple)) and subject.has(name)
    }
    if not alike:
        raise NotApplicable(f"has none of the options {', '.join(BAD)}")
    for name, values in alike.items():
        for value in values:
            with expect_error(Exception, message=f"{name}={value!r} is accepted"):
                subject.build(leaves_of((3, 2)), **{name: value})


@check("options", beyond_torch="torch.optim looks at no group's options, and SGD takes NaN")
def a_bad_learning_rate_is_refused_wherever_it_is_given(subject: Subject) -> None:
    """NaN in the constructor; NaN and negative in a group, after which a good one can be added."""
    needs_rate(subject)
    with expect_error(ValueError, message="lr=nan is accepted"):
        subject.build(leaves_of((3, 2)), lr=math.nan)
    for lr in (-1.0, math.nan):
        first, second = leaves_of((3, 2), (2, 2))
        optimizer = subject.build([first])
        with expect_error(ValueError, message=f"lr={lr} of a group is accepted"):
            optimizer.add_param_group({"params": [second], "lr": lr})
        expect(len(optimizer.param_groups) == 1, f"the group of lr={lr} was added all the same")
        optimizer.add_param_group({"params": [second]})


@check("options")
def an_unknown_option_is_refused(subject: Subject) -> None:
    """By a TypeError, so that a misspelt one is not silently left at its default."""
    with expect_error(TypeError, ValueError, message="no_such_option=1 is accepted"):
        subject.build(leaves_of((3, 2)), no_such_option=1)


@check("options")
def a_parameter_cannot_be_added_twice(subject: Subject) -> None:
    """A ValueError, after which the optimizer is as it was."""
    (leaf,) = leaves_of((3, 2))
    optimizer = subject.build([leaf])
    with expect_error(ValueError, message="a parameter was added twice"):
        optimizer.add_param_group({"params": [leaf]})
    expect(len(optimizer.param_groups) == 1, "the group was added all the same")


@check("options")
def groups_have_their_own_learning_rates(subject: Subject) -> None:
    """At lr = 0 a group stands still; an empty group, and one added between steps, do no harm."""
    needs_rate(subject)
    for path in subject.paths():
        first, second = leaves_of((3, 2), (3, 2))
        before = [leaf.detach().clone() for leaf in (first, second)]
        groups: list[dict[str, Any]] = [{"params": [first]}, {"params": [], "lr": 1.0}]
        optimizer = subject.build(groups, lr=0.0, **path)
        advance(optimizer, [first], 0)
        expect_same(first.detach(), before[0], "a parameter with lr=0 has moved")
        optimizer.add_param_group({"params": [second], "lr": 0.1})
        advance(optimizer, [first, second], 1)
        expect_same(first.detach(), before[0], "a parameter with lr=0 has moved")
        expect(not torch.equal(second, before[1]), "a group that was added does not move")
        counted = [optimizer.state[leaf].get("step") for leaf in (first, second)]
        if None not in counted:
            steps = [float(count) for count in counted]
            expect(steps == [2, 1], f"parameters in 2 and 1 steps have counted {steps}")


@check("options")
def a_learning_rate_changed_between_steps_is_followed(subject: Subject) -> None:
    """In the group; at 0 what has moved before stands still."""
    needs_rate(subject)
    (leaf,) = leaves_of((3, 2))
    optimizer = stepped(subject, [leaf], lr=0.1)
    optimizer.param_groups[0]["lr"] = 0.0
    before = leaf.detach().clone()
    advance(optimizer, [leaf], 1)
    expect_same(leaf.detach(), before, "lr=0 of the group is not followed")


@check("options")
def a_learning_rate_in_a_tensor_is_followed(subject: Subject) -> None:
    """The steps are those of a number that changes alike; the tensor itself is only read."""
    needs_rate_in_tensor(subject)

    def end(lr: float | Tensor) -> Tensor:
        (leaf,) = leaves_of((3, 2))
        torch.manual_seed(0)
        optimizer = subject.build([leaf], lr=lr)
        for step in range(3):
            leaf.grad = normal((3, 2), step)
            optimizer.step()
            if isinstance(lr, Tensor):
                lr.mul_(0.5)
            else:
                optimizer.param_groups[0]["lr"] *= 0.5
        return leaf.detach()

    moving = torch.tensor(0.25, dtype=torch.float64)
    # The same numbers in an order that may differ by some roundings a step.
    expect_same(end(moving), end(0.25), "a tensor as lr is not followed", 1e-13)
    expect(moving.item() == 0.25 / 8, "lr was written to")
