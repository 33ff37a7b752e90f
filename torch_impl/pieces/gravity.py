"""Gravity's step in pieces, as `torch_impl.gravity` describes it."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..arguments import as_number
from ..fused import Work
from .cut import (
    Piece,
    Room,
    are_small,
    direction_of,
    directions_together,
    pieces_of,
    tensors_of,
)


def take_gravity_steps(works: Sequence[Work], room: Room) -> None:
    """Take the step of every group."""
    groups = [(work.group, tensors_of(work)) for work in works]
    room.hold([tensor for _, tensors in groups for tensor in tensors])
    for group, tensors in groups:
        apart: list[Piece] = []
        small: list[Piece] = []
        for tensor in tensors:
            (small if are_small([tensor]) else apart).append(tensor)
        if len(small) == 1:
            apart, small = tensors, []
        for tensor in apart:
            _take_step(tensor, group, room)
        for several in pieces_of(small, room.together):
            _take_steps(several, group, room)
    room.leave()


def _take_step(tensor: Piece, group: dict[str, Any], room: Room) -> None:
    """Take the step of a tensor, piece by piece."""
    pieces, penalty = tensor.cut(), _number(group, "weight_decay")
    peak = torch.zeros((), dtype=torch.float32, device="cpu")
    for piece in pieces:
        low, high = torch.aminmax(direction_of(piece, group, penalty, room))
        peak = torch.maximum(peak, torch.maximum(-low, high))  # NaN if there is one
    scale, weight = _scale(peak, group), _weight(tensor, group)
    for piece in reversed(pieces):  # the last is still in the cache
        direction = direction_of(piece, group, penalty, room)
        denominator = _denominator(direction, scale, group, room)
        (velocity,) = piece.state
        velocity.mul_(weight).addcdiv_(direction, denominator, value=1 - weight)
        piece.param.add_(velocity, alpha=-_number(group, "lr"))


def _take_steps(tensors: list[Piece], group: dict[str, Any], room: Room) -> None:
    """Take the steps of tensors together, as far as that goes."""
    sizes = [tensor.size for tensor in tensors]
    lengths = torch.tensor(sizes, device="cpu")
    direction = directions_together(tensors, group, _number(group, "weight_decay"), room)
    peaks = torch.segment_reduce(direction.abs(), "max", lengths=lengths)
    scales = _scale(peaks, group).repeat_interleave(lengths)
    denominator = _denominator(direction, scales, group, room)
    weights = [_weight(tensor, group) for tensor in tensors]
    velocities = [velocity for tensor in tensors for velocity in tensor.state]
    torch._foreach_mul_(velocities, weights)
    torch._foreach_addcdiv_(
        velocities,
        torch.split(direction, sizes),
        torch.split(denominator, sizes),
        [1 - weight for weight in weights],
    )
    params = [tensor.param for tensor in tensors]
    torch._foreach_add_(params, velocities, alpha=-_number(group, "lr"))


def _number(group: dict[str, Any], name: str) -> float:
    return float(as_number(group[name]))


def _weight(tensor: Piece, group: dict[str, Any]) -> float:
    """Return β̂."""
    clock = float(tensor.counter) - 1 + float(group["initial_step"])
    return (_number(group, "beta") * clock + 1) / (clock + 2)


def _scale(peak: Tensor, group: dict[str, Any]) -> Tensor:
    """Return G = max|g|, or m = κ·max|g|, kept finite and, as m, above 0."""
    finfo = torch.finfo(peak.dtype)
    if group["max_step_grad"] != "inverse_max":
        peak = (peak * group["max_step_grad"]).clamp(min=finfo.tiny)
    return peak.clamp(max=finfo.max)


def _denominator(direction: Tensor, scale: Tensor, group: dict[str, Any], room: Room) -> Tensor:
    """Return 1 + (g·G)², or 1 + (g/m)²."""
    multiplied = torch.mul if group["max_step_grad"] == "inverse_max" else torch.div
    quotient = multiplied(direction, scale, out=room.row("quotient", direction.numel()))
    return quotient.mul_(quotient).add_(1)
