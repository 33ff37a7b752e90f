"""What is stepped in pieces, the pieces, and the room to compute in."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..arguments import as_number
from ..batches import PLAIN, as_real, is_dense
from ..fused import Work
from ..schedules import is_auto

PIECE = 2**19
"""Entries of a tensor that are stepped together."""

TOGETHER = PIECE + PIECE // 8
"""Entries that are stepped together at most: a piece and what is small beside it."""

SHARE = 8
"""Of all entries at most one in so many is stepped together with others: that costs memory."""

LEAST = 2**14
"""Entries that are stepped together all the same."""

SMALL = 2**13
"""Entries of a tensor, on average, that are copied faster than each is told apart from others."""

FASTEST, SLOWEST = 2.0**63, 1e-30
"""A rate by which the largest moment is not multiplied beyond binary32; a limit over a rate."""

USED_AGAIN = 2**16
"""Entries of a room from which on it is kept in any case: less is sooner new than kept."""

LITTLE = 4
"""Of a model's entries one in so many is little: a smaller room than that is kept, too."""


def fit(groups: Sequence[dict[str, Any]]) -> bool:
    """Whether a step of these groups is one in pieces: float32 on the CPU, and nothing special."""
    return not torch.compiler.is_compiling() and all(map(_fits, groups))


def states_fit(works: Iterable[Work]) -> bool:
    """Whether the state of parameters that fit is as it was made, in their dtype."""
    return all(
        work.uniform
        or all([x.dtype for x in row] == [x.dtype for x in work.params] for row in work.buffers)
        for work in works
    )


def _fits(group: dict[str, Any]) -> bool:
    special = group["capturable"] or group["differentiable"] or group["foreach"] is False
    measures = group.get("telemetry") or is_auto(group.get("speed_limit"))
    if special or measures or group.get("placement", "update") != "update":
        return False
    return _is_moderate(group) and all(
        type(param) in PLAIN
        and param.is_cpu
        and param.dtype in {torch.float32, torch.complex64}
        and (param.is_contiguous() or is_dense(param))
        and not param.is_neg()
        for param in group["params"]
    )


def _is_moderate(group: dict[str, Any]) -> bool:
    """Whether no rate of Adam's takes a moment, and no limit a gain, beyond binary32."""
    if "betas" not in group:
        return True
    rate, limit = as_number(group["lr"]), as_number(group["speed_limit"])
    rate /= 1 - as_number(group["betas"][0])
    return rate < FASTEST and (limit == 0 or limit > SLOWEST * rate)


class Piece(NamedTuple):
    """Entries of a parameter, of its gradient and of its state, as they lie in memory.

    Attributes
    ----------
    number
        The place of the tensor among those of its group that have a gradient, and entries.
    param, grad, state
        Of one dimension, as long as each other.
    counter
        The number of the step.
    size
        The number of entries.
    """

    number: int
    param: Tensor
    grad: Tensor
    state: list[Tensor]
    counter: Tensor
    size: int

    def cut(self) -> list["Piece"]:
        """Return pieces of `PIECE` entries at most."""
        if self.size <= PIECE:
            return [self]
        rows = zip(
            *(torch.split(x, PIECE) for x in (self.param, self.grad, *self.state)), strict=True
        )
        return [Piece(self.number, p, g, state, self.counter, p.numel()) for p, g, *state in rows]


def tensors_of(work: Work) -> list[Piece]:
    """Count a step of every tensor of a group; return each that has entries, as one piece."""
    torch._foreach_add_(work.steps, 1)
    rows = zip(work.sizes, work.params, work.grads, work.steps, *work.buffers, strict=True)
    filled = (row for row in rows if row[0])
    flat = _row if work.uniform else _flat
    return [
        Piece(number, flat(param), flat(grad), [*map(flat, state)], step, size)
        for number, (size, param, grad, step, *state) in enumerate(filled)
    ]


def pieces_of(tensors: Iterable[Piece], together: int) -> Iterator[list[Piece]]:
    """Yield the pieces of tensors, those of so many entries at most together."""
    several: list[Piece] = []
    held = 0
    for piece in (piece for tensor in tensors for piece in tensor.cut()):
        if several and held + piece.size > together:
            yield several
            several, held = [], 0
        several.append(piece)
        held += piece.size
    if several:
        yield several


def blocks_of(tensors: Iterable[Piece], together: int) -> Iterator[list[Piece]]:
    """Yield tensors: as many as have so many entries, a larger one with what is small before it."""
    several: list[Piece] = []
    held = 0
    for tensor in tensors:
        if held + tensor.size > together and held >= tensor.size:
            yield several
            several, held = [], 0
        several.append(tensor)
        held += tensor.size
        if held >= together:
            yield several
            several, held = [], 0
    if several:
        yield several


def size_of(pieces: Iterable[Piece]) -> int:
    """Return the number of entries of pieces."""
    return sum(piece.size for piece in pieces)


def are_small(pieces: Sequence[Piece]) -> bool:
    """Whether what is done for each of these takes longer than a copy of them."""
    return size_of(pieces) < SMALL * len(pieces)


def _flat(tensor: Tensor) -> Tensor:
    """Return the entries of a dense tensor as they lie in memory."""
    real = as_real(tensor.detach())
    return real.as_strided((real.numel(),), (1,))


def _row(tensor: Tensor) -> Tensor:
    """Return the same of a contiguous one, sooner."""
    own = tensor.detach() if tensor.requires_grad else tensor
    return own if own.dim() == 1 else own.view(-1)


class Room:
    """What pieces are computed in, and proposals that wait for their norm.

    It is kept from step to step: where memory is new, its first use takes longer than a step.

    Attributes
    ----------
    together
        The entries that there is room for at a time.
    size
        The entries of all tensors.
    """

    def __init__(self) -> None:
        self._empty()

    def _empty(self) -> None:
        self.together = self.size = 0
        self._rows: dict[str, Tensor] = {}
        self._waiting: Tensor | None = None

    def leave(self) -> None:
        """End a step: what is small, but much beside the model, is not kept."""
        waiting = 0 if self._waiting is None else self._waiting.numel()
        largest = max(self.together, waiting)
        if largest < USED_AGAIN and LITTLE * largest > self.size:
            self._empty()

    def hold(self, tensors: Sequence[Piece]) -> None:
        """Have room for some tensors in pieces, and for several small ones together."""
        self.size, largest = size_of(tensors), max((tensor.size for tensor in tensors), default=0)
        several = min(TOGETHER, max(self.size // SHARE, min(self.size, LEAST)))
        together = max(several, min(PIECE, largest))
        if self.together < together:
            self.together, self._rows = together, {}

    def row(self, name: str, size: int, start: int = 0) -> Tensor:
        """Return a part of the row of this name; at first, and if none writes, it has ones."""
        if name not in self._rows:
            with torch.inference_mode(mode=False):  # another step may be without
                ones = torch.ones(self.together, dtype=torch.float32, device="cpu")
            self._rows[name] = ones
        return self._rows[name].narrow(0, start, size)

    def waiting(self, size: int) -> Tensor:
        """Return room for so many entries that wait."""
        if self._waiting is None or self._waiting.numel() < size:
            self._waiting = None  # not both at a time
            with torch.inference_mode(mode=False):
                self._waiting = torch.empty(size, dtype=torch.float32, device="cpu")
        return self._waiting.narrow(0, 0, size)


def direction_of(
    piece: Piece, group: dict[str, Any], penalty: float, room: Room, start: int = 0
) -> Tensor:
    """Return what to descend along: the gradient, or of it and its penalty a copy in the room."""
    direction = piece.grad
    if group["maximize"]:
        row = room.row("direction", piece.size, start)
        direction = torch.neg(direction, out=row)
    if penalty != 0:
        row = room.row("direction", piece.size, start)
        direction = torch.add(direction, piece.param, alpha=penalty, out=row)
    return direction


def directions_together(
    pieces: Sequence[Piece], group: dict[str, Any], penalty: float, room: Room
) -> Tensor:
    """Return the same of several, one after the other in the room."""
    starts = accumulate((piece.size for piece in pieces), initial=0)
    directions = [
        direction_of(piece, group, penalty, room, start)
        for piece, start in zip(pieces, starts, strict=False)
    ]
    row = room.row("direction", size_of(pieces))
    if directions[0].data_ptr() != row.data_ptr():  # else they are there
        torch.cat(directions, out=row)
    return row
