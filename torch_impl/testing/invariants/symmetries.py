"""Checks of what does not matter to a step: seeds, signs, scales, order and shape."""

from collections.abc import Callable, Sequence

import torch
from hypothesis import strategies as st
from torch import Tensor

from ..expect import expect
from ..registry import check
from ..subject import Subject
from ..walk import Walk
from .examples import (
    WIDE,
    Problem,
    any_finite,
    for_all,
    moderate,
    problems,
    promised,
    steady_problems,
)

ROUNDINGS = 16
"""Per entry, in units in the last place: a sum in another order has one rounding for each.

The rest of a step has at most 15, which the first entry stands for.
"""

Change = Callable[[Sequence[Tensor]], list[Tensor]]


def expect_same_bits(actual: Sequence[Tensor], expected: Sequence[Tensor], message: str) -> None:
    """Raise AssertionError unless tensors agree bit for bit, NaN with NaN and 0 with −0."""
    for one, other in zip(actual, expected, strict=True):
        same = (one == other) | (one.isnan() & other.isnan())
        expect(bool(same.all()), f"{message}: {one.tolist()} and {other.tolist()}")


@check("invariants")
def the_same_seed_gives_the_same_bits(subject: Subject) -> None:
    """In two optimizers of equal parameters, for the same gradients."""
    promised(subject, "deterministic")

    @for_all(problem=problems(any_finite))
    def holds(problem: Problem) -> None:
        walk, again = (Walk(subject, problem.params) for _ in range(2))
        for number, gradients in enumerate(problem.gradients):
            for one in (walk, again):
                one.step(gradients, number)
        expect_same_bits(again.values(), walk.values(), "the same steps end differently")


@check("invariants")
def mirrored_gradients_take_mirrored_steps(subject: Subject) -> None:
    """From −θ with −g to where θ with g leads, mirrored."""
    promised(subject, "odd")

    @for_all(problem=problems(any_finite))
    def holds(problem: Problem) -> None:
        walk, mirror = (Walk(subject, [s * param for param in problem.params]) for s in (1, -1))
        for gradients in problem.gradients:
            walk.step(gradients)
            mirror.step([-gradient for gradient in gradients])
        mirrored = [-value for value in mirror.values()]
        expect_same_bits(walk.values(), mirrored, "mirrored steps end elsewhere")


@check("invariants")
def steps_scale_with_gradients_as_declared(subject: Subject) -> None:
    """From 0, where no step is rounded by its parameter."""
    degree = promised(subject, "degree")

    @for_all(problem=problems(moderate.filter(bool), WIDE), power=st.integers(-8, 8).map(float))
    def holds(problem: Problem, power: float) -> None:
        zeros = [torch.zeros_like(param) for param in problem.params]
        walk, scaled = Walk(subject, zeros), Walk(subject, zeros)
        for gradients in problem.gradients:
            for one in (walk, scaled):
                one.move_to(zeros)
            expected = [move * 2.0 ** (power * degree) for move in walk.moved(gradients)]
            moves = scaled.moved([gradient * 2.0**power for gradient in gradients])
            expect_same_bits(
                moves,
                expected,
                f"2^{power:g} times a gradient does not scale by its power {degree}",
            )


def _expect_unchanged(subject: Subject, change: Change, problem: Problem, message: str) -> None:
    """Raise AssertionError if a change of parameters and gradients does more than change steps.

    Every step starts at the parameters of the problem.
    """
    walk, changed = Walk(subject, problem.params), Walk(subject, change(problem.params))
    entries = sum(param.numel() for param in problem.params)
    eps = torch.finfo(problem.dtype).eps
    for gradients in problem.gradients:
        walk.move_to(problem.params)
        changed.move_to(change(problem.params))
        expected, moves = change(walk.moved(gradients)), changed.moved(change(gradients))
        for move, model, start in zip(moves, expected, change(problem.params), strict=True):
            rounding = ROUNDINGS * (entries + 1) * eps * model.abs() + eps * (
                start.abs() + model.abs()
            )
            expect(
                bool(((move - model).abs() <= rounding).all()),
                f"{message}: {move.tolist()} instead of {model.tolist()}",
            )


@check("invariants")
def the_order_of_entries_does_not_matter(subject: Subject) -> None:
    """Of each tensor, which is turned around."""
    promised(subject, "equivariant")

    @for_all(problem=steady_problems())
    def holds(problem: Problem) -> None:
        def turn(tensors: Sequence[Tensor]) -> list[Tensor]:
            return [tensor.flatten().flip(0).view(tensor.shape) for tensor in tensors]

        _expect_unchanged(subject, turn, problem, "entries in another order move otherwise")


@check("invariants")
def the_order_of_tensors_does_not_matter(subject: Subject) -> None:
    """Of the parameters of a group."""
    promised(subject, "equivariant")

    @for_all(problem=steady_problems())
    def holds(problem: Problem) -> None:
        def turn(tensors: Sequence[Tensor]) -> list[Tensor]:
            return list(reversed(tensors))

        _expect_unchanged(subject, turn, problem, "tensors in another order move otherwise")


@check("invariants")
def the_shape_of_a_tensor_does_not_matter(subject: Subject) -> None:
    """Each becomes a matrix of one column."""
    promised(subject, "equivariant")

    @for_all(problem=steady_problems())
    def holds(problem: Problem) -> None:
        def column(tensors: Sequence[Tensor]) -> list[Tensor]:
            return [tensor.reshape(-1, 1) for tensor in tensors]

        _expect_unchanged(subject, column, problem, "a tensor in another shape moves otherwise")
