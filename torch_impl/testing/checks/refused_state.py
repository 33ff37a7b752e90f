"""State that does not fit is refused, before anything changes."""

import copy
import math
from typing import Any

import torch
from torch import Tensor

from ..expect import advance, expect, expect_error, expect_same, leaves_of, needs_rate, stepped
from ..registry import NotApplicable, check
from ..subject import Subject

ACCEPTS = "torch.optim accepts it, and fails later inside step"


def _of_shapes(subject: Subject, *shapes: tuple[int, ...]) -> Any:
    leaves = leaves_of(*shapes)
    optimizer = subject.build([{"params": [leaf]} for leaf in leaves])
    advance(optimizer, leaves, 0)
    return optimizer


def _expect_unchanged(optimizer: Any, before: dict[str, Any]) -> None:
    after = optimizer.state_dict()
    expect(repr(after) == repr(before), f"the refused state has changed {before} to {after}")


@check("state")
def a_state_of_other_groups_is_refused(subject: Subject) -> None:
    """Of another number of groups, and of groups of other sizes; nothing is changed."""
    for shapes, groups in (((3, 2), (3, 2)), ((3, 2),)), (((3, 2),), ((3, 2), (3, 2))):
        optimizer = _of_shapes(subject, *groups)
        before = copy.deepcopy(optimizer.state_dict())
        with expect_error(ValueError, message=f"{len(shapes)} groups are loaded as {len(groups)}"):
            optimizer.load_state_dict(_of_shapes(subject, *shapes).state_dict())
        _expect_unchanged(optimizer, before)
    pair = stepped(subject, leaves_of((3, 2), (4, 1)))
    before = copy.deepcopy(pair.state_dict())
    with expect_error(ValueError, message="a group of 1 parameter is loaded as one of 2"):
        pair.load_state_dict(_of_shapes(subject, (3, 2)).state_dict())
    _expect_unchanged(pair, before)


@check("state")
def a_state_of_another_shape_is_never_used(subject: Subject) -> None:
    """It is refused when it is loaded, or at the latest by the step."""
    if not _has_buffers(subject):
        raise NotApplicable("keeps no state in the shape of a parameter")
    for theirs in ((4, 3), (6, 4), (3,)):
        leaves = leaves_of((3, 4))
        optimizer = subject.build(leaves)
        with expect_error(
            Exception, message=f"a state of shape {theirs} is used for a parameter of (3, 4)"
        ):
            optimizer.load_state_dict(_of_shapes(subject, theirs).state_dict())
            advance(optimizer, leaves, 1)


def _has_buffers(subject: Subject) -> bool:
    optimizer = _of_shapes(subject, (3, 2))
    states = optimizer.state_dict()["state"].values()
    return any(
        isinstance(value, Tensor) and value.shape == (3, 2)
        for state in states
        for value in state.values()
    )


@check("state", beyond_torch=ACCEPTS)
def a_state_of_another_shape_is_refused_by_name(subject: Subject) -> None:
    """A ValueError that names the parameter, its group and both shapes, before anything changes."""
    optimizer = _of_shapes(subject, (2, 2), (3, 4))
    before = copy.deepcopy(optimizer.state_dict())
    try:
        optimizer.load_state_dict(_of_shapes(subject, (2, 2), (4, 3)).state_dict())
    except ValueError as error:
        for part in ("parameter 1 in group 1", "(4, 3)", "(3, 4)"):
            expect(part in str(error), f"{error}: expected a message with {part!r}")
    else:
        raise AssertionError("a state of shape (4, 3) is loaded for a parameter of (3, 4)")
    _expect_unchanged(optimizer, before)


@check("state", beyond_torch=ACCEPTS)
def a_state_of_another_optimizer_is_refused(subject: Subject) -> None:
    """Of torch.optim.SGD, whose state has another name."""
    leaves = leaves_of((3, 2))
    other = torch.optim.SGD(leaves, lr=0.1, momentum=0.9)
    advance(other, leaves, 0)
    optimizer = subject.build(leaves)
    with expect_error(ValueError, message="the state of SGD is loaded"):
        optimizer.load_state_dict(other.state_dict())
    expect(not optimizer.state, "the refused state was loaded all the same")


@check("state", beyond_torch="torch.optim does not look at loaded options")
def a_bad_learning_rate_is_refused_at_load(subject: Subject) -> None:
    """Negative or NaN; the optimizer keeps its own."""
    needs_rate(subject)
    for lr in (-1.0, math.nan):
        optimizer = subject.build(leaves_of((3, 2)))
        saved = copy.deepcopy(optimizer.state_dict())
        before = copy.deepcopy(saved)
        saved["param_groups"][0]["lr"] = lr
        with expect_error(ValueError, message=f"lr={lr} is loaded"):
            optimizer.load_state_dict(saved)
        _expect_unchanged(optimizer, before)


@check("state")
def what_is_loaded_is_what_was_saved(subject: Subject) -> None:
    """Every entry of a parameter's state, with its bits, saves again as it was."""
    saved = copy.deepcopy(_of_shapes(subject, (3, 2), (4, 1)).state_dict())
    restored = subject.build([{"params": [leaf]} for leaf in leaves_of((3, 2), (4, 1))])
    restored.load_state_dict(copy.deepcopy(saved))
    again = restored.state_dict()
    for key, state in saved["state"].items():
        found = again["state"].get(key, {})
        expect(found.keys() == state.keys(), f"{sorted(state)} is loaded as {sorted(found)}")
        for name, value in state.items():
            if isinstance(value, Tensor):
                expect_same(found[name], value, f"{name!r} is loaded with other values")
            else:
                expect(repr(found[name]) == repr(value), f"{name!r} is loaded as {found[name]!r}")
