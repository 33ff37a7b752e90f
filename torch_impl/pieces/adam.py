"""RelativisticAdam(W)'s step in pieces.

The proposed update is torch's own fused step from 0, and it is applied by torch's fused SGD.
Notation: p the parameter, g its gradient, m and v the moments, u the proposed update, c the speed
limit.
"""

import math
from collections.abc import Sequence
from itertools import accumulate, groupby
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

from ..arguments import as_number
from ..batches import largest_with_square
from ..fused import Work
from ..laws import LAWS
from ..limit import RELATIVE_FLOOR, round_toward_zero
from ..schedules import following
from .cut import (
    Piece,
    Room,
    are_small,
    blocks_of,
    direction_of,
    directions_together,
    pieces_of,
    size_of,
    tensors_of,
)
from .squares import is_bounded, square_of, squares_of, wide_square_of

_LOW, _HIGH, _FAST = 1e-9, 1e9, 1e10
"""Between the first two is a limit c with (10¹⁰·c)² in binary32, where 10¹⁰·c is limited to c."""


class Proposal(NamedTuple):
    """Pieces whose moments are advanced.

    Attributes
    ----------
    pieces, sizes
        The pieces, and their numbers of entries.
    opposite, parts
        −u of all of them, and of each.
    small
        Whether they are stepped as a whole as far as that goes, being small.
    """

    pieces: list[Piece]
    sizes: list[int]
    opposite: Tensor
    parts: list[Tensor]
    small: bool


class AdamStep:
    """The step of a group.

    Parameters
    ----------
    work
        Its tensors and options.
    room
        To compute in.
    decoupled
        Whether the decay is outside the limit.

    Attributes
    ----------
    tensors
        Its tensors, each as one piece.
    squares, thetas
        Σu² and, where it is weighed, Σθ² of each tensor that was measured; of small ones in one
        block the first has those of all that were measured together.
    """

    def __init__(self, work: Work, room: Room, *, decoupled: bool) -> None:
        group, self.room = work.group, room
        self.group, self.law = group, LAWS[group["law"]]
        self.beta1, self.beta2 = map(as_number, group["betas"])
        self.lr, penalty = float(as_number(group["lr"])), float(as_number(group["weight_decay"]))
        self.penalty = 0.0 if decoupled else penalty
        self.decay = self.lr * penalty if decoupled else 0.0
        self.unit, self.mode = group["speed_unit"], group["relativistic_mode"]
        self.limit = as_number(group["speed_limit"]) if self.law.limits else math.inf
        if group["speed_follows_lr"] and self.law.limits:
            self.limit = float(following(self.limit, self.lr, group["speed_reference_lr"]))
        self.tensors = tensors_of(work)
        self.squares, self.thetas = ([0.0] * len(self.tensors) for _ in range(2))

    @property
    def alone(self) -> bool:
        """Whether each entry is limited by itself, or none is."""
        return self.mode == "per_component" or math.isinf(self.limit)

    def limit_of(self, piece: Piece) -> float:
        """Return c."""
        warmup = self.group["speed_warmup_steps"] if self.group["adaptive_speed"] else 0
        return self.limit * (min(1.0, float(piece.counter) / warmup) if warmup > 0 else 1.0)

    def propose(self, pieces: list[Piece], opposite: Tensor) -> Proposal:
        """Advance the moments of pieces and store −u: a step of torch's Adam from 0."""
        sizes = [piece.size for piece in pieces]
        small = are_small(pieces)
        directions = self._directions(pieces, sizes, opposite, small=small)
        parts = list(torch.split(opposite.zero_(), sizes))
        first, second, *largest = map(list, zip(*(piece.state for piece in pieces), strict=True))
        torch._fused_adam_(
            parts,
            directions,
            first,
            second,
            largest[0] if largest else [],
            [piece.counter for piece in pieces],
            amsgrad=bool(largest),
            lr=self.lr,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=0.0,
            eps=float(self.group["eps"]),
            maximize=False,
        )
        if largest:  # which torch may leave without what is NaN
            torch._foreach_maximum_(largest[0], second)
        return Proposal(pieces, sizes, opposite, parts, small)

    def _directions(
        self, pieces: list[Piece], sizes: list[int], spare: Tensor, *, small: bool
    ) -> list[Tensor]:
        """Return directions whose finite entries have a finite square: gradients, or copies.

        What is written to ``spare``, as long as all of them, is not needed.
        """
        if small and self.penalty == 0 and not self.group["maximize"]:
            gradients = [piece.grad for piece in pieces]
            if is_bounded(torch.cat(gradients, out=spare)):
                return gradients
        if small:
            row = directions_together(pieces, self.group, self.penalty, self.room)
            return list(torch.split(self._bounded(row, 0), sizes))
        return [
            self._bounded(direction_of(piece, self.group, self.penalty, self.room, start), start)
            for piece, start in zip(pieces, accumulate(sizes, initial=0), strict=False)
        ]

    def _bounded(self, direction: Tensor, start: int) -> Tensor:
        """Return a direction whose finite entries have a finite square: the same, or a copy."""
        if is_bounded(direction):
            return direction
        size, largest = direction.numel(), largest_with_square(direction.dtype)
        nothing = torch.mul(direction, 0, out=self.room.row("nothing", size))
        row = self.room.row("direction", size, start)  # NaN stays, of nothing too
        return torch.clamp(direction, -largest, largest, out=row).add_(nothing)

    def measure(self, tensors: list[Piece], opposite: Tensor, *, weighed: bool) -> list[Proposal]:
        """Propose updates of tensors and add up their Σu², and Σθ² if they are weighed."""
        proposals, start = [], 0
        for pieces in pieces_of(tensors, self.room.together):
            size = size_of(pieces)
            proposal = self.propose(pieces, opposite.narrow(0, start, size))
            params = [piece.param for piece in pieces]
            row = proposal.opposite if proposal.small else None
            self._add_up(self.squares, proposal, proposal.parts, row)
            if weighed:
                row = torch.cat(params) if proposal.small else None
                self._add_up(self.thetas, proposal, params, row)
            proposals.append(proposal)
            start += size
        return proposals

    def _add_up(
        self, sums: list[float], proposal: Proposal, parts: list[Tensor], row: Tensor | None
    ) -> None:
        """Add to the sums of tensors the Σx² of parts, which lie in a row if they are small."""
        pieces = proposal.pieces
        if row is None:
            squares = [*map(square_of, parts)]
        elif self.mode == "global":
            pieces, squares = pieces[:1], [wide_square_of(row)]
        else:
            squares = squares_of(row, proposal.sizes)
        for piece, square in zip(pieces, squares, strict=True):
            sums[piece.number] += square

    def ratio(self, tensor: Piece, square: float, theta: float, count: int) -> float:
        """Return ‖u‖/c of a tensor in a block with these sums and so many entries."""
        limit, norm = self.limit_of(tensor), math.sqrt(square)
        if limit == 0:
            return math.inf
        if math.isinf(limit):
            return 0.0
        if self.unit != "norm":
            norm /= math.sqrt(count)
        if self.unit == "relative":
            limit *= max(math.sqrt(theta / count), RELATIVE_FLOOR)
        return norm / limit

    def finish(
        self, tensors: list[Piece], proposals: list[Proposal], ratios: Sequence[float]
    ) -> None:
        """Apply what is proposed of tensors by their ratios."""
        distinct = [*dict.fromkeys(ratios)]  # a block has few
        gain = dict(zip(distinct, self.law.gains(distinct), strict=True))
        gain_of = {x.number: gain[ratio] for x, ratio in zip(tensors, ratios, strict=True)}
        for proposal in reversed(proposals):  # the last is still in the cache
            if self.limit == 0:
                proposal.opposite.zero_()  # where it is not finite, too
            self._apply(proposal, [gain_of[piece.number] for piece in proposal.pieces])

    def limit_tensors(self, tensors: list[Piece]) -> None:
        """Take the step of tensors that are a block each."""
        opposite = self.room.waiting(size_of(tensors))
        proposals = self.measure(tensors, opposite, weighed=self.unit == "relative")
        ratios = [
            self.ratio(x, self.squares[x.number], self.thetas[x.number], x.size) for x in tensors
        ]
        self.finish(tensors, proposals, ratios)

    def limit_entries(self) -> None:
        """Take the step if each entry is a block, or none is limited."""
        for pieces in pieces_of(self.tensors, self.room.together):
            row = self.room.row("update", size_of(pieces))
            proposal = self.propose(pieces, row)
            limits = [self.limit_of(piece) for piece in pieces]
            relative = self.unit == "relative"
            if len({*limits}) == 1 and (proposal.small or not relative):
                params = torch.cat([piece.param for piece in pieces]) if relative else None
                self._limit(row, limits[0], params)
            else:
                for piece, part, limit in zip(pieces, proposal.parts, limits, strict=True):
                    self._limit(part, limit, piece.param if relative else None)
            self._apply(proposal, [1.0] * len(pieces))

    def _limit(self, opposite: Tensor, limit: float, param: Tensor | None = None) -> None:
        """Limit every entry of −u by itself, exactly to at most c, and at most |u|.

        Where a parameter is given, c is relative to its entries.
        """
        if limit == 0:
            opposite.zero_()
        elif limit < math.inf:
            c = round_toward_zero(limit, torch.float32)
            if self.law.key == "smooth_sqrt" and param is None and _LOW < c < _HIGH:
                opposite.clamp_(-_FAST * c, _FAST * c)
                root = self.room.row("root", opposite.numel())
                ones = self.room.row("ones", opposite.numel())
                torch.addcmul(ones, opposite, opposite, value=c**-2, out=root).sqrt_()  # ≥ 1
                opposite.div_(root).clamp_(-c, c)
            else:
                limits = torch.tensor(c, dtype=torch.float32, device="cpu")
                if param is not None:
                    limits = param.abs().clamp_(min=RELATIVE_FLOOR).mul_(limits)
                opposite.copy_(self.law.limit_entries(opposite, limits))

    def _apply(self, proposal: Proposal, gains: list[float]) -> None:
        """Add gain·(−u) to pieces, and the opposite of their decay: by an SGD of that rate."""
        params = [piece.param for piece in proposal.pieces]
        if proposal.small and len({*gains}) > 1:
            each = torch.tensor(gains, dtype=torch.float32, device="cpu")
            lengths = torch.tensor(proposal.sizes, device="cpu")
            proposal.opposite.mul_(each.repeat_interleave(lengths))
            gains = [1.0] * len(gains)
        rows = zip(gains, params, proposal.parts, strict=True)
        for gain, alike in groupby(rows, key=itemgetter(0)):
            _, own, parts = map(list, zip(*alike, strict=True))
            rate = gain
            # A gain of 0 or NaN has no such decay; one below the decay has one that may overflow.
            if not gain > 0 or not self.decay <= gain:
                torch._foreach_mul_(parts, gain)
                rate = 1.0
            torch._fused_sgd_(
                own,
                parts,
                [],
                weight_decay=self.decay / rate,
                momentum=0.0,
                lr=rate,
                dampening=0.0,
                nesterov=False,
                maximize=True,
                is_first_step=False,
            )
        torch.autograd.graph.increment_version(params)  # torch's fused steps do not tell autograd


def take_adam_steps(works: Sequence[Work], room: Room, *, decoupled: bool) -> None:
    """Take the step of every group, those whose blocks are the model with one norm."""
    steps = [AdamStep(work, room, decoupled=decoupled) for work in works]
    room.hold([tensor for step in steps for tensor in step.tensors])
    apart = [step for step in steps if step.mode != "global"]
    for step in apart:
        if step.alone:
            step.limit_entries()
    blocks = [
        (step, tensors)
        for step in apart
        if not step.alone
        for tensors in blocks_of(step.tensors, room.together)
    ]
    for step, tensors in sorted(blocks, key=lambda block: -size_of(block[1])):
        step.limit_tensors(tensors)  # the largest first: room for it is room for all
    _limit_together([step for step in steps if step.mode == "global"], room)
    room.leave()


def _limit_together(steps: Sequence[AdamStep], room: Room) -> None:
    """Take the step of groups that are one block."""
    weighed = any(step.unit == "relative" for step in steps)
    sizes = [size_of(step.tensors) for step in steps]
    proposals = [
        step.measure(step.tensors, part, weighed=weighed)
        for step, part in zip(steps, torch.split(room.waiting(sum(sizes)), sizes), strict=True)
    ]
    square = math.fsum(x for step in steps for x in step.squares)
    theta = math.fsum(x for step in steps for x in step.thetas)
    for step, some in zip(steps, proposals, strict=True):
        ratios = [step.ratio(tensor, square, theta, sum(sizes)) for tensor in step.tensors]
        step.finish(step.tensors, some, ratios)
