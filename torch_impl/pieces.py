"""Steps of large tensors on the CPU: a piece that its caches hold goes through the whole step.

Memory is read as often as by a kernel, and none is taken that grows with the parameters. Notation:
p the parameter, g its gradient, m and v the moments, t the step; û = m/(√v + ε·b), b = √(1 − β₂ᵗ),
of which the proposed update is the b·η/(1 − β₁ᵗ)-fold.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from .arguments import as_number
from .batches import as_real, largest_with_square
from .fused import Work, is_dense
from .fused.work import entries
from .laws import LAWS, Law
from .limit import RELATIVE_FLOOR, round_toward_zero
from .schedules import following, is_auto
from .sharding import is_distributed

PIECE = 2**17
"""Entries that are stepped together."""

SPAN = 2**11
"""Entries whose squares are added up in binary32."""

LEAST = 2**13
"""Entries that tensors have on average, so that pieces cost less than what they save."""

_NARROW, _WIDE = 1e-25, 1e35
"""Between these binary32 has lost no square that counts, and no sum."""


def fit(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether a step of these groups is one in pieces: float32 on the CPU, and nothing special."""
    sizes = [param.numel() for group in groups for param in group["params"]]
    if sum(sizes) <= PIECE or sum(sizes) < LEAST * len(sizes) or torch.compiler.is_compiling():
        return False
    return all(map(_fits, groups))


def _fits(group: dict[str, Any]) -> bool:
    special = group["capturable"] or group["differentiable"] or group["foreach"] is False
    measures = group.get("telemetry") or is_auto(group.get("speed_limit"))
    if special or measures or group.get("placement", "update") != "update":
        return False
    return all(
        param.is_cpu
        and param.dtype in {torch.float32, torch.complex64}
        and not is_distributed(param)
        and is_dense(param)
        for param in group["params"]
    )


class Tensors(NamedTuple):
    """The entries of a parameter, of its gradient and of its state, as they lie in memory."""

    param: Tensor
    grad: Tensor
    state: list[Tensor]
    step: float

    def pieces(self) -> list["Tensors"]:
        """Return its pieces; of no entries there is none."""
        ends = range(0, len(self.param), PIECE)
        return [
            Tensors(
                self.param[low : low + PIECE],
                self.grad[low : low + PIECE],
                [buffer[low : low + PIECE] for buffer in self.state],
                self.step,
            )
            for low in ends
        ]


def _each(work: Work) -> Iterator[Tensors]:
    """Count a step of every tensor of a group, and yield their entries."""
    for param, grad, step, *state in zip(
        work.params, work.grads, work.steps, *work.buffers, strict=True
    ):
        count = float(step.add_(1))
        yield Tensors(_flat(param), _flat(grad), [_flat(x) for x in state], count)


def _flat(tensor: Tensor) -> Tensor:
    real = as_real(tensor.detach())
    return real.as_strided((real.numel(),), (1,))


class Room:
    """What pieces of some tensors are computed in."""

    def __init__(self, works: Sequence[Work]) -> None:
        sizes = [entries(param) for work in works for param in work.params]
        self._rows = torch.empty(3, min(PIECE, max(sizes, default=0)))

    def row(self, number: int, like: Tensor) -> Tensor:
        """Return one of three rows, as long as a piece."""
        return self._rows[number, : len(like)]


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
    """

    def __init__(self, work: Work, room: Room, *, decoupled: bool) -> None:
        group, self.room = work.group, room
        self.group, self.law = group, LAWS[group["law"]]
        self.beta1, self.beta2 = map(as_number, group["betas"])
        self.lr, penalty = as_number(group["lr"]), as_number(group["weight_decay"])
        self.penalty = 0.0 if decoupled else penalty
        self.decay = self.lr * penalty if decoupled else 0.0
        self.unit, self.mode = group["speed_unit"], group["relativistic_mode"]
        self.limit = as_number(group["speed_limit"]) if self.law.limits else math.inf
        if group["speed_follows_lr"]:
            self.limit = float(following(self.limit, self.lr, group["speed_reference_lr"]))
        self.tensors = list(_each(work))

    def rate(self, tensors: Tensors) -> float:
        """Return what û is to be multiplied with to be the proposed update."""
        return float(self.lr / (1 - self.beta1**tensors.step) * self._root(tensors))

    def limit_of(self, tensors: Tensors) -> float:
        """Return c."""
        warmup = self.group["speed_warmup_steps"] if self.group["adaptive_speed"] else 0
        return self.limit * (min(1.0, tensors.step / warmup) if warmup > 0 else 1.0)

    def _root(self, tensors: Tensors) -> float:
        return float((1 - self.beta2**tensors.step) ** 0.5)

    def _denominator(self, piece: Tensors) -> Tensor:
        """Return √v + ε·b."""
        result = self.room.row(0, piece.param)
        torch.sqrt(piece.state[-1], out=result)
        return result.add_(self.group["eps"] * self._root(piece))

    def advance(self, piece: Tensors) -> None:
        """Advance the moments of a piece."""
        direction = _direction(piece, self.group, self.penalty, self.room)
        largest = largest_with_square(direction.dtype)
        if not torch.dot(direction, direction).item() < largest**2 / 2:  # NaN is not either
            nothing = torch.mul(direction, 0, out=self.room.row(1, direction))
            direction = torch.clamp(direction, -largest, largest, out=self.room.row(0, direction))
            direction.add_(nothing)  # 0·∞ was NaN: what is not finite stays so
        first, second, *most = piece.state
        first.lerp_(direction, 1 - self.beta1)
        second.mul_(self.beta2).addcmul_(direction, direction, value=1 - self.beta2)
        if most:
            torch.maximum(most[0], second, out=most[0])

    def measure(self, tensors: Tensors, *, weighed: bool) -> tuple[float, float]:
        """Advance a tensor and return Σu², and Σθ² if it is weighed."""
        square = theta = 0.0
        for piece in tensors.pieces():
            self.advance(piece)
            proposed = self._denominator(piece)
            torch.div(piece.state[0], proposed, out=proposed)
            square += _square(proposed)
            theta += _square(piece.param) if weighed else 0.0
        return self.rate(tensors) ** 2 * square, theta

    def finish(self, tensors: Tensors, square: float, theta: float, count: float) -> None:
        """Apply the update of a tensor in a block with these sums and so many entries."""
        limit, rate = self.limit_of(tensors), self.rate(tensors)
        factor = rate
        if not math.isinf(limit):
            norm, unit = math.sqrt(square), limit
            if self.unit != "norm":
                norm /= math.sqrt(max(count, 1))
            if self.unit == "relative":
                unit *= max(math.sqrt(theta / max(count, 1)), RELATIVE_FLOOR)
            factor = rate * _gain(self.law, norm, unit)
        for piece in reversed(tensors.pieces()):  # the last is still in the cache
            self._apply(piece, factor, stopped=limit == 0)

    def _apply(self, piece: Tensors, factor: float, *, stopped: bool) -> None:
        """Write p − (factor·û + decay·p)."""
        param, applied = piece.param, self.room.row(1, piece.param)
        if self.decay == 0 and not stopped:
            param.addcdiv_(piece.state[0], self._denominator(piece), value=-factor)
            return
        torch.mul(param, self.decay, out=applied)
        if not stopped:
            applied.addcdiv_(piece.state[0], self._denominator(piece), value=factor)
        param.sub_(applied)

    def limit_entries(self, tensors: Tensors) -> None:
        """Take the whole step of a tensor whose entries are limited by themselves."""
        limit, rate = self.limit_of(tensors), self.rate(tensors)
        narrow = torch.tensor(round_toward_zero(limit, torch.float32) if limit < math.inf else 1.0)
        for piece in tensors.pieces():
            self.advance(piece)
            if limit in {0.0, math.inf}:
                self._apply(piece, rate, stopped=limit == 0)
                continue
            proposed = self._denominator(piece)
            torch.div(piece.state[0], proposed, out=proposed).mul_(rate)
            c = narrow
            if self.unit == "relative":
                c = piece.param.abs().clamp_(min=RELATIVE_FLOOR).mul_(narrow)
            applied = self.law.limit_entries(proposed, c)
            if self.decay != 0:
                applied = applied.add_(piece.param, alpha=self.decay)
            piece.param.sub_(applied)


def take_adam_steps(works: Sequence[Work], *, decoupled: bool) -> None:
    """Take the step of every group, those whose blocks are the model with one norm."""
    room = Room(works)
    steps = [AdamStep(work, room, decoupled=decoupled) for work in works]
    together = [step for step in steps if step.mode == "global"]
    for step in steps:
        for tensors in step.tensors if step.mode != "global" else ():
            if step.mode == "per_component" or math.isinf(step.limit):
                step.limit_entries(tensors)
            else:
                sums = step.measure(tensors, weighed=step.unit == "relative")
                step.finish(tensors, *sums, len(tensors.param))
    weighed = any(step.unit == "relative" for step in together)
    parts = [step.measure(each, weighed=weighed) for step in together for each in step.tensors]
    square, theta = (math.fsum(part[i] for part in parts) for i in range(2))
    count = sum(len(each.param) for step in together for each in step.tensors)
    for step in together:
        for each in step.tensors:
            step.finish(each, square, theta, count)


def take_gravity_steps(works: Sequence[Work]) -> None:
    """Take the step of every group of Gravity, as its module describes it."""
    room = Room(works)
    for work in works:
        for tensors in _each(work):
            _take_gravity_step(tensors, work.group, room)


def _take_gravity_step(tensors: Tensors, group: dict[str, Any], room: Room) -> None:
    lr, penalty = as_number(group["lr"]), as_number(group["weight_decay"])
    clock = tensors.step - 1 + group["initial_step"]
    weight = (as_number(group["beta"]) * clock + 1) / (clock + 2)
    relative = group["max_step_grad"] != "inverse_max"
    pieces = tensors.pieces()
    peak = torch.zeros(())
    for piece in pieces:
        low, high = torch.aminmax(_direction(piece, group, penalty, room))
        peak = torch.maximum(peak, torch.maximum(-low, high))  # NaN if there is one
    finfo = torch.finfo(peak.dtype)
    if relative:
        peak = (peak * group["max_step_grad"]).clamp(min=finfo.tiny)
    scale = peak.clamp(max=finfo.max)
    for piece in reversed(pieces):  # the last is still in the cache
        direction = _direction(piece, group, penalty, room)
        quotient = room.row(1, direction)
        (torch.div if relative else torch.mul)(direction, scale, out=quotient)
        quotient.mul_(quotient).add_(1)
        (velocity,) = piece.state
        velocity.mul_(weight).addcdiv_(direction, quotient, value=1 - weight)
        piece.param.add_(velocity, alpha=-lr)


def _direction(piece: Tensors, group: dict[str, Any], penalty: float, room: Room) -> Tensor:
    """Return what to descend along: the gradient, or of it and its penalty a copy."""
    direction, copy = piece.grad, room.row(2, piece.grad)
    if group["maximize"]:
        direction = torch.neg(direction, out=copy)
    if penalty != 0:
        direction = torch.add(direction, piece.param, alpha=penalty, out=copy)
    return direction


def _gain(law: Law, norm: float, limit: float) -> float:
    """Return φ(‖u‖/c); where c is 0 nothing asks for it."""
    one = torch.ones((), dtype=torch.float64)
    ratio = torch.tensor(norm, dtype=torch.float64) / (limit or 1.0)
    return float(law.factors(ratio, one, one))


def _square(x: Tensor) -> float:
    """Return Σx²."""
    whole = len(x) // SPAN * SPAN
    spans = torch.linalg.vector_norm(x[:whole].view(whole // SPAN, SPAN), dim=1).to(torch.float64)
    rest = torch.linalg.vector_norm(x[whole:], dtype=torch.float64)
    square = float(spans.square().sum() + rest.square())
    if not _NARROW < square < _WIDE:
        square = float(torch.linalg.vector_norm(x, dtype=torch.float64).square())
    return square
