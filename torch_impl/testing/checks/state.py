"""State that is saved, loaded and copied continues."""

import copy
import io
import pickle
from typing import Any

import torch
from torch import Tensor

from ..expect import advance, expect_same
from ..registry import check
from ..subject import Subject, normal


def _continued(subject: Subject, optimizer: Any, leaf: Tensor) -> tuple[Any, Tensor]:
    """Save, and load into an optimizer of a copy of the parameter with another learning rate."""
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    other = leaf.detach().clone().requires_grad_()
    restored = subject.build([other], **subject.having(lr=0.9))
    restored.load_state_dict(torch.load(file, weights_only=True))
    return restored, other


def _expect_to_continue(
    optimizer: Any, leaf: Tensor, other: Any, leaf_of_other: Tensor, what: str
) -> None:
    """Take the same steps with both optimizers; expect the same bits."""
    for step in range(3, 6):
        for one, its in ((optimizer, leaf), (other, leaf_of_other)):
            torch.manual_seed(step)
            advance(one, [its], step)
        expect_same(leaf_of_other, leaf, f"{what} does not continue bit for bit")


@check("state")
def a_saved_state_continues_bit_for_bit(subject: Subject) -> None:
    """Through torch.save and torch.load with weights_only."""
    leaf = normal((3, 2), 1).requires_grad_()
    optimizer = subject.build([leaf])
    for step in range(3):
        advance(optimizer, [leaf], step)
    _expect_to_continue(
        optimizer, leaf, *_continued(subject, optimizer, leaf), "a state saved and loaded"
    )


@check("state")
def a_deep_copy_continues_bit_for_bit(subject: Subject) -> None:
    """With the parameters it was copied with."""
    leaf = normal((3, 2), 1).requires_grad_()
    optimizer = subject.build([leaf])
    for step in range(3):
        advance(optimizer, [leaf], step)
    other_leaf, other = copy.deepcopy((leaf, optimizer))
    _expect_to_continue(optimizer, leaf, other, other_leaf, "a deep copy")


@check("state")
def a_pickled_optimizer_continues_bit_for_bit(subject: Subject) -> None:
    """With the parameters it was pickled with."""
    leaf = normal((3, 2), 1).requires_grad_()
    optimizer = subject.build([leaf])
    for step in range(3):
        advance(optimizer, [leaf], step)
    other_leaf, other = pickle.loads(pickle.dumps((leaf, optimizer)))  # noqa: S301
    _expect_to_continue(optimizer, leaf, other, other_leaf, "a pickled optimizer")
