"""Steps of large tensors on the CPU: a piece that its caches hold goes through the whole step.

The proposed update is torch's own fused step from 0. Notation: p the parameter, g its gradient,
m and v the moments, u the proposed update, c the speed limit.
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

PIECE = 2**18
"""Entries that are stepped together."""

FEW = 2**17
"""Entries of all tensors up to which the caches hold them as they are."""

SPAN = 2**11
"""Entries whose squares are added up in binary32."""

LEAST = 2**13
"""Entries that tensors have on average, so that pieces cost less than what they save."""

_NARROW, _WIDE = 1e-25, 1e35
"""Between these binary32 has lost no square that counts, and no sum."""

_LOW, _HIGH, _FAST = 1e-9, 1e9, 1e10
"""Between the first two is a limit c with (10¹⁰·c)² in binary32, where 10¹⁰·c is limited to c."""


def fit(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether a step of these groups is one in pieces: float32 on the CPU, and nothing special."""
    sizes = [param.numel() for group in groups for param in group["params"]]
    if sum(sizes) <= FEW or sum(sizes) < LEAST * len(sizes) or torch.compiler.is_compiling():
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
    counter: Tensor

    @property
    def step(self) -> float:
        """The number of the step."""
        return float(self.counter)

    def pieces(self) -> list["Tensors"]:
        """Return its pieces; of no entries there is none."""
        rows = zip(*map(_split, (self.param, self.grad, *self.state)), strict=True)
        return [Tensors(param, grad, state, self.counter) for param, grad, *state in rows]


def _each(work: Work) -> Iterator[Tensors]:
    """Count a step of every tensor of a group, and yield their entries."""
    for param, grad, step, *state in zip(
        work.params, work.grads, work.steps, *work.buffers, strict=True
    ):
        yield Tensors(_flat(param), _flat(grad), [_flat(x) for x in state], step.add_(1))


def _split(x: Tensor) -> Sequence[Tensor]:
    """Return what pieces have of an array."""
    if len(x) <= PIECE:
        return [x] if len(x) else []
    return torch.split(x, PIECE)


def _flat(tensor: Tensor) -> Tensor:
    real = as_real(tensor.detach())
    return real.as_strided((real.numel(),), (1,))


class Room:
    """What pieces of some tensors are computed in, and proposals that wait for their norm.

    It is kept from step to step: where memory is new, its first use takes longer than a step.
    """

    def __init__(self) -> None:
        self._size, self._waiting = 0, torch.empty(0)
        self._rows: dict[str, Tensor] = {}

    def hold(self, works: Sequence[Work], waiting: int = 0) -> None:
        """Have room for the pieces of some tensors, and for so many entries that wait."""
        size = min(PIECE, max((entries(param) for w in works for param in w.params), default=0))
        if self._size < size:
            self._size, self._rows = size, {}
        if len(self._waiting) < waiting:
            self._waiting = torch.empty(waiting)

    def row(self, name: str, like: Tensor) -> Tensor:
        """Return a row of this name, as long as a piece; at first, and if none writes, of ones."""
        if name not in self._rows:
            self._rows[name] = torch.ones(self._size)
        return self._rows[name][: len(like)]

    def waiting(self, sizes: Sequence[int]) -> Sequence[Tensor]:
        """Return tensors of these sizes."""
        return torch.split(self._waiting[: sum(sizes)], list(sizes))


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

    @property
    def alone(self) -> bool:
        """Whether each entry is limited by itself, or none is."""
        return self.mode == "per_component" or math.isinf(self.limit)

    def limit_of(self, tensors: Tensors) -> float:
        """Return c."""
        warmup = self.group["speed_warmup_steps"] if self.group["adaptive_speed"] else 0
        return self.limit * (min(1.0, tensors.step / warmup) if warmup > 0 else 1.0)

    def propose(self, piece: Tensors, opposite: Tensor) -> None:
        """Advance the moments of a piece and store −u: a step of torch's Adam from 0."""
        direction = _with_square(_direction(piece, self.group, self.penalty, self.room), self.room)
        first, second, *largest = piece.state
        torch._fused_adam_(
            [opposite.zero_()],
            [direction],
            [first],
            [second],
            largest,
            [piece.counter],
            amsgrad=bool(largest),
            lr=self.lr,
            beta1=self.beta1,
            beta2=self.beta2,
            weight_decay=0.0,
            eps=float(self.group["eps"]),
            maximize=False,
        )

    def measure(self, tensors: Tensors, opposite: Tensor, *, weighed: bool) -> tuple[float, float]:
        """Store a tensor's −u and return Σu², and Σθ² if it is weighed."""
        square = theta = 0.0
        for piece, part in zip(tensors.pieces(), _split(opposite), strict=True):
            self.propose(piece, part)
            square += _square(part)
            theta += _square(piece.param) if weighed else 0.0
        return square, theta

    def finish(
        self, tensors: Tensors, opposite: Tensor, square: float, theta: float, count: float
    ) -> None:
        """Apply the update of a tensor in a block with these sums and so many entries."""
        limit, gain = self.limit_of(tensors), 1.0
        if not math.isinf(limit):
            norm, unit = math.sqrt(square), limit
            if self.unit != "norm":
                norm /= math.sqrt(max(count, 1))
            if self.unit == "relative":
                unit *= max(math.sqrt(theta / max(count, 1)), RELATIVE_FLOOR)
            gain = _gain(self.law, norm, unit)
        parts = zip(tensors.pieces(), _split(opposite), strict=True)
        for piece, part in reversed(list(parts)):  # the last is still in the cache
            self._apply(piece, part.zero_() if limit == 0 else part.mul_(gain))

    def limit_entries(self, tensors: Tensors) -> None:
        """Take the whole step of a tensor whose entries are limited by themselves."""
        limit = self.limit_of(tensors)
        for piece in tensors.pieces():
            opposite = self.room.row("update", piece.param)
            self.propose(piece, opposite)
            if limit == 0:
                opposite.zero_()
            elif limit < math.inf:
                opposite = self._limited(piece, opposite, round_toward_zero(limit, torch.float32))
            self._apply(piece, opposite)

    def _limited(self, piece: Tensors, opposite: Tensor, c: float) -> Tensor:
        """Return −u with every entry limited by itself; exactly at most c, and at most |u|."""
        if self.law.key == "smooth_sqrt" and self.unit != "relative" and _LOW < c < _HIGH:
            opposite.clamp_(-_FAST * c, _FAST * c)
            root, ones = self.room.row("root", opposite), self.room.row("ones", opposite)
            torch.addcmul(ones, opposite, opposite, value=c**-2, out=root).sqrt_()  # at least 1
            return opposite.div_(root).clamp_(-c, c)
        limit = torch.tensor(c)
        if self.unit == "relative":
            limit = piece.param.abs().clamp_(min=RELATIVE_FLOOR).mul_(limit)
        return self.law.limit_entries(opposite, limit)

    def _apply(self, piece: Tensors, opposite: Tensor) -> None:
        """Add the opposite of the update, and of the decay, to a piece."""
        if self.decay != 0:
            opposite.add_(piece.param, alpha=-self.decay)
        piece.param.add_(opposite)


def take_adam_steps(works: Sequence[Work], room: Room, *, decoupled: bool) -> None:
    """Take the step of every group, those whose blocks are the model with one norm."""
    steps = [AdamStep(work, room, decoupled=decoupled) for work in works]
    together = [(step, x) for step in steps if step.mode == "global" for x in step.tensors]
    apart = [(step, x) for step in steps if step.mode != "global" for x in step.tensors]
    sizes = [len(tensors.param) for _, tensors in together]
    largest = max((len(x.param) for step, x in apart if not step.alone), default=0)
    room.hold(works, max(largest, sum(sizes)))
    for step, tensors in apart:
        if step.alone:
            step.limit_entries(tensors)
            continue
        (opposite,) = room.waiting([len(tensors.param)])
        sums = step.measure(tensors, opposite, weighed=step.unit == "relative")
        step.finish(tensors, opposite, *sums, len(tensors.param))
    opposites = room.waiting(sizes)
    weighed = any(step.unit == "relative" for step, _ in together)
    parts = [
        step.measure(tensors, opposite, weighed=weighed)
        for (step, tensors), opposite in zip(together, opposites, strict=True)
    ]
    square, theta = (math.fsum(part[i] for part in parts) for i in range(2))
    for (step, tensors), opposite in zip(together, opposites, strict=True):
        step.finish(tensors, opposite, square, theta, sum(sizes))


def take_gravity_steps(works: Sequence[Work], room: Room) -> None:
    """Take the step of every group of Gravity, as its module describes it."""
    room.hold(works)
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
        quotient = room.row("quotient", direction)
        (torch.div if relative else torch.mul)(direction, scale, out=quotient)
        quotient.mul_(quotient).add_(1)
        (velocity,) = piece.state
        velocity.mul_(weight).addcdiv_(direction, quotient, value=1 - weight)
        piece.param.add_(velocity, alpha=-lr)


def _direction(piece: Tensors, group: dict[str, Any], penalty: float, room: Room) -> Tensor:
    """Return what to descend along: the gradient, or of it and its penalty a copy."""
    direction = piece.grad
    if group["maximize"]:
        direction = torch.neg(direction, out=room.row("direction", direction))
    if penalty != 0:
        copy = room.row("direction", direction)
        direction = torch.add(direction, piece.param, alpha=penalty, out=copy)
    return direction


def _with_square(direction: Tensor, room: Room) -> Tensor:
    """Return a direction whose finite entries have a finite square: itself, or a copy."""
    largest = largest_with_square(direction.dtype)
    if torch.dot(direction, direction).item() < largest**2 / 2:  # NaN is not
        return direction
    nothing = torch.mul(
        direction, 0, out=room.row("nothing", direction)
    )  # but NaN of what is not finite
    return torch.clamp(direction, -largest, largest, out=room.row("direction", direction)).add_(
        nothing
    )


def _gain(law: Law, norm: float, limit: float) -> float:
    """Return φ(‖u‖/c); where c is 0 nothing asks for it."""
    ratio, one = norm / (limit or 1.0), torch.ones((), dtype=torch.float64)
    if ratio < 1:
        return float(law.below(one, ratio * one))
    return float(law.above(one, one / ratio)) / ratio


def _square(x: Tensor) -> float:
    """Return Σx²."""
    whole = len(x) // SPAN * SPAN
    spans = torch.linalg.vector_norm(x[:whole].view(-1, SPAN), dim=1).to(torch.float64)
    square = torch.dot(spans, spans).item()
    if whole < len(x):
        square += torch.linalg.vector_norm(x[whole:], dtype=torch.float64).item() ** 2
    if not _NARROW < square < _WIDE:
        square = torch.linalg.vector_norm(x, dtype=torch.float64).item() ** 2
    return square
