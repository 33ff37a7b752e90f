"""Checks of the norm bound: no step is longer, whatever the gradients are."""

import math
from collections.abc import Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from ...invariants import Invariants
from ..expect import expect
from ..registry import NotApplicable, check
from ..subject import Subject
from ..walk import Walk
from .examples import (
    NARROW,
    WIDE,
    Problem,
    any_finite,
    for_all,
    problems,
    promised,
    promises_of,
    rates,
)

ROUNDINGS = 16
"""Of a step's length, in units in the last place.

The term, three averages of it, the gain, the product with it, the decay and the bound itself have a
few each; that of the parameter is counted apart.
"""


def blocks(tensors: Sequence[Tensor], block: str) -> list[Tensor]:
    """Return the blocks that the tensors are made of, each flat."""
    flat = [tensor.flatten() for tensor in tensors]
    if block == "model":
        return [torch.cat(flat)]
    if block == "tensor":
        return flat
    return [entry for tensor in flat for entry in tensor.view(-1, 1).unbind()]


def half_units(before: Sequence[Tensor], after: Sequence[Tensor]) -> list[Tensor]:
    """Return in float64 by how much writing the parameters can round each entry.

    That is half a unit in the last place of the largest finite number that is written or read.
    """
    finfo = torch.finfo(after[0].dtype)
    largest = [
        torch.maximum(old.abs(), new.abs()).nan_to_num(0.0, 0.0).to(torch.float64)
        for old, new in zip(before, after, strict=True)
    ]
    return [(size + finfo.smallest_normal) * (finfo.eps / 2) for size in largest]


def expect_within(
    promises: Invariants, before: Sequence[Tensor], moves: Sequence[Tensor], walk: Walk
) -> None:
    """Raise AssertionError unless each block moved no farther than was promised, if anything.

    A block that may get where its dtype has no numbers is not judged.
    """
    bound = promises.norm_bound
    if bound is None:  # of this step, as of the first it was
        return
    after = walk.values()
    finfo = torch.finfo(after[0].dtype)
    rows = zip(
        blocks([theta.to(torch.float64) for theta in before], bound.block),
        blocks(moves, bound.block),
        blocks(half_units(before, after), bound.block),
        strict=True,
    )
    for theta, move, units in rows:
        size, count = float(theta.norm()), theta.numel()
        longest = bound.limit(size, count) + promises.decay * size
        if not size + longest <= finfo.max:  # nor where it has got there already
            continue
        allowed = longest * (1 + ROUNDINGS * finfo.eps) + float(units.norm())
        moved = float(move.norm())
        expect(
            moved <= allowed,
            f"of one {bound.block} {count} entries moved by {moved:.6g}: expected at most "
            f"{longest:.6g}, but for rounding",
        )


def _started(subject: Subject, problem: Problem, rate: float) -> Walk:
    """Return a walk at a learning rate, or at that at which decay takes off a whole parameter."""
    walk = Walk(subject, problem.params)
    walk.set_rate(rate)
    walk.set_rate(rate / max(1.0, walk.promised().decay))
    return walk


def _expect_bounded(subject: Subject, dtypes: Sequence[torch.dtype]) -> None:
    """Raise AssertionError if a step is too long: gradients are any finite numbers."""
    promised(subject, "norm_bound")

    @for_all(problem=problems(any_finite, dtypes), rate=rates)
    def holds(problem: Problem, rate: float) -> None:
        walk = _started(subject, problem, rate)
        for gradients in problem.gradients:
            promises, before = walk.promised(), walk.values()
            expect_within(promises, before, walk.moved(gradients), walk)


@check("invariants")
def no_step_is_longer_than_its_bound(subject: Subject) -> None:
    """Whatever finite numbers the gradients are, and at huge learning rates."""
    _expect_bounded(subject, WIDE)


@check("invariants")
def no_step_of_narrow_parameters_is_longer_than_its_bound(subject: Subject) -> None:
    """Nor is it NaN, where a square or a norm overflows in 16 bits."""
    _expect_bounded(subject, NARROW)


@check("invariants")
def an_infinite_gradient_entry_does_harm_in_its_block_only(subject: Subject) -> None:
    """Other blocks stay finite, and what is finite of its own moves no farther than ever."""
    block = promised(subject, "norm_bound").block
    if promises_of(subject).guarded:
        raise NotApplicable("takes no step with a gradient that is not finite")

    @for_all(
        problem=problems(),
        rate=rates,
        place=st.integers(0, 20),
        infinite=st.sampled_from([math.inf, -math.inf]),
    )
    def holds(problem: Problem, rate: float, place: int, infinite: float) -> None:
        walk = _started(subject, problem, rate)
        *first, last = problem.gradients
        for gradients in first:
            walk.step(gradients)
        entries = torch.cat([gradient.flatten() for gradient in last])
        hit = torch.arange(entries.numel()) == place % max(1, entries.numel())
        parts = torch.split(torch.where(hit, infinite, entries), [g.numel() for g in last])
        promises, before = walk.promised(), walk.values()
        moves = walk.moved([part.view_as(g) for part, g in zip(parts, last, strict=True)])
        for move, part in zip(blocks(moves, block), blocks(parts, block), strict=True):
            expect(
                bool(move.isfinite().all() or part.isinf().any()),
                f"a {block} with finite gradients became {move.tolist()}",
            )
        finite = [move.nan_to_num(0.0, 0.0, 0.0) for move in moves]
        expect_within(promises, before, finite, walk)


@check("invariants")
def a_huge_learning_rate_still_moves_the_parameters(subject: Subject) -> None:
    """Where a norm overflows on the way, a limit may take no step at all."""
    promised(subject, "norm_bound")
    promised(subject, "monotone")
    for exponent in range(10, 101, 10):
        walk = Walk(subject, [torch.zeros(3)])
        walk.set_rate(2.0**exponent)
        (move,) = walk.moved([torch.tensor([1.0, -2.0, 3.0])])
        expect(float(move.norm()) > 0, f"at a learning rate of 2^{exponent} there is no step")
