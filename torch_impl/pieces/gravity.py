"""Gravity's step in pieces, as `torch_impl.gravity` describes it."""

from collections.abc import Sequence
from typing import Any

import torch

from ..arguments import as_number
from ..fused import Work
from .cut import Piece, Room, direction_of, tensors_of


def take_gravity_steps(works: Sequence[Work], room: Room) -> None:
    """Take the step of every group."""
    groups = [(work.group, tensors_of(work)) for work in works]
    room.hold([tensor for _, tensors in groups for tensor in tensors], several=False)
    for group, tensors in groups:
        for tensor in tensors:
            _take_step(tensor, group, room)


def _take_step(tensor: Piece, group: dict[str, Any], room: Room) -> None:
    lr, penalty = as_number(group["lr"]), as_number(group["weight_decay"])
    clock = float(tensor.counter) - 1 + group["initial_step"]
    weight = (as_number(group["beta"]) * clock + 1) / (clock + 2)
    relative = group["max_step_grad"] != "inverse_max"
    pieces = tensor.cut()
    peak = torch.zeros(())
    for piece in pieces:
        low, high = torch.aminmax(direction_of(piece, group, penalty, room))
        peak = torch.maximum(peak, torch.maximum(-low, high))  # NaN if there is one
    finfo = torch.finfo(peak.dtype)
    if relative:
        peak = (peak * group["max_step_grad"]).clamp(min=finfo.tiny)
    scale = peak.clamp(max=finfo.max)
    for piece in reversed(pieces):  # the last is still in the cache
        direction = direction_of(piece, group, penalty, room)
        quotient = room.row("quotient", piece.size)
        (torch.div if relative else torch.mul)(direction, scale, out=quotient)
        quotient.mul_(quotient).add_(1)
        (velocity,) = piece.state
        velocity.mul_(weight).addcdiv_(direction, quotient, value=1 - weight)
        piece.param.add_(velocity, alpha=-lr)
