"""Checks of a step beside others: of a known optimizer, or at another learning rate."""

from itertools import pairwise

import torch
from hypothesis import strategies as st

from ...invariants import SmallUpdates
from ..expect import expect
from ..registry import check
from ..subject import Subject
from ..walk import Walk
from .bounds import blocks, half_units
from .examples import DTYPES, Problem, for_all, promised, rates, steady_problems

ROUNDINGS = 32
"""Between two ways to compute a step, in units in its last place: ten for each of three steps."""

STRIDE = 2**0.25
SWEEP = [STRIDE**power for power in range(-28, 29)]
"""Learning rates from far below to far above what common limits let through.

The published law falls from r = 0.71 to 1, which is two strides, and jumps there.
"""


@check("invariants")
def small_updates_pass_nearly_unchanged(subject: Subject) -> None:
    """From the same parameters in each step, they are nearly those of another optimizer."""
    small = promised(subject, "small_updates")

    @for_all(problem=steady_problems(), rate=rates.map(lambda rate: rate / 2**10))
    def holds(problem: Problem, rate: float) -> None:
        walk = Walk(subject, problem.params)
        walk.set_rate(rate)
        other = Walk(Subject(small.base), problem.params)
        other.set_rate(rate)
        for gradients in problem.gradients:
            before = walk.values()
            other.move_to(before)
            _expect_alike(small, walk, other, gradients)


def _expect_alike(
    small: SmallUpdates, walk: Walk, other: Walk, gradients: list[torch.Tensor]
) -> None:
    """Take a step of both; raise AssertionError unless they differ as little as promised."""
    promises, before = walk.promised(), walk.values()
    bound = promises.norm_bound
    block = bound.block if bound else "entry"
    moves, others = walk.moved(gradients), other.moved(gradients)
    units = half_units(before, walk.values()), half_units(before, other.values())
    thetas = [theta.to(torch.float64) for theta in before]
    decays = [promises.decay * theta for theta in thetas]
    eps = torch.finfo(before[0].dtype).eps
    rows = zip(
        blocks(thetas, block),
        blocks([s - u for s, u in zip(moves, others, strict=True)], block),
        blocks([u - decay for u, decay in zip(others, decays, strict=True)], block),
        blocks([one + two for one, two in zip(*units, strict=True)], block),
        strict=True,
    )
    for theta, difference, update, written in rows:
        size, length = float(theta.norm()), float(update.norm())
        ratio = length / bound.limit(size, theta.numel()) if bound and length else 0.0
        share = float(difference.norm()) / length if length else 0.0
        rounding = ROUNDINGS * eps * (length + promises.decay * size) + 2 * float(written.norm())
        expect(
            float(difference.norm()) <= small.deviation * ratio**2 * length + rounding,
            f"a step differs by {share:.3g} of the update from that "
            f"of {type(other.optimizer).__name__}, at a ratio of {ratio:.3g}: expected at most "
            f"{small.deviation:.3g}·r², but for rounding",
        )


def _lengths(subject: Subject, problem: Problem) -> list[float]:
    """Return the lengths of a first step from 0 at the rates of a sweep."""
    lengths = []
    for rate in SWEEP:
        walk = Walk(subject, [torch.zeros_like(param) for param in problem.params])
        walk.set_rate(rate)
        moves = walk.moved(problem.gradients[0])
        lengths.append(float(torch.cat([move.flatten() for move in moves]).norm()))
    return lengths


@check("invariants")
def a_higher_learning_rate_never_shortens_a_step(subject: Subject) -> None:
    """Of a first step, whose direction is that of its gradient alone."""
    promised(subject, "monotone")

    @for_all(share=0.05, problem=steady_problems(steps=1))
    def holds(problem: Problem) -> None:
        slack = 1 - ROUNDINGS * torch.finfo(problem.dtype).eps
        for (rate, low), (_, high) in pairwise(zip(SWEEP, _lengths(subject, problem), strict=True)):
            expect(
                high >= low * slack,
                f"a step at a learning rate of {rate:.6g} has a length of {low:.6g}, at one "
                f"{STRIDE:.3g} times as high {high:.6g}: expected no less",
            )


@check("invariants")
def a_step_does_not_jump_as_the_learning_rate_grows(subject: Subject) -> None:
    """Its share of change is at most that of the rate."""
    promised(subject, "continuous")

    @for_all(share=0.05, problem=steady_problems(steps=1))
    def holds(problem: Problem) -> None:
        most = STRIDE * (1 + ROUNDINGS * torch.finfo(problem.dtype).eps)
        for (rate, low), (_, high) in pairwise(zip(SWEEP, _lengths(subject, problem), strict=True)):
            expect(
                low / most <= high <= low * most,
                f"from a learning rate of {rate:.6g} to one {STRIDE:.3g} times as high a step "
                f"jumps from a length of {low:.6g} to {high:.6g}",
            )


@check("invariants")
def every_entry_moves_against_its_gradient(subject: Subject) -> None:
    """In narrow formats too, unless the step in binary32 would be less than they hold."""
    promised(subject, "descends")

    @for_all(problem=steady_problems(steps=1), dtype=st.sampled_from(DTYPES))
    def holds(problem: Problem, dtype: torch.dtype) -> None:
        gradients = [gradient.to(dtype) for gradient in problem.gradients[0]]
        moves, models = (
            _first_move(subject, [gradient.to(of) for gradient in gradients])
            for of in (dtype, torch.float32)
        )
        smallest = torch.finfo(dtype).smallest_normal * torch.finfo(dtype).eps
        for move, model, gradient in zip(moves, models, gradients, strict=True):
            against = move.sign() == gradient.sign()
            expect(
                bool((against | (model.abs() < smallest)).all()),
                f"in {dtype} gradients of {gradient.tolist()} move the parameters by "
                f"{(-move).tolist()}",
            )


def _first_move(subject: Subject, gradients: list[torch.Tensor]) -> list[torch.Tensor]:
    """Return what a step at a learning rate of 1 takes off parameters of 0."""
    walk = Walk(subject, [torch.zeros_like(gradient) for gradient in gradients])
    walk.set_rate(1.0)
    return walk.moved(gradients)
