"""Sums of squares of what is stepped in pieces."""

import torch
from torch import Tensor

from ..batches import largest_with_square

SPAN = 2**11
"""Entries whose squares are added up in binary32."""

_NARROW, _WIDE = 1e-25, 1e35
"""Between these binary32 has lost no square that counts, and no sum."""


def square_of(x: Tensor) -> float:
    """Return Σx²."""
    whole = x.numel() // SPAN * SPAN
    spans = torch.linalg.vector_norm(x[:whole].view(-1, SPAN), dim=1).to(torch.float64)
    square = torch.dot(spans, spans).item()
    if whole < x.numel():
        square += wide_square_of(x[whole:])
    if not _NARROW < square < _WIDE:
        square = wide_square_of(x)
    return square


def wide_square_of(x: Tensor) -> float:
    """Return Σx², by a norm in binary64."""
    norm: float = torch.linalg.vector_norm(x, dtype=torch.float64).item()
    return norm**2


def squares_of(x: Tensor, sizes: list[int]) -> list[float]:
    """Return Σx² of parts of these sizes, in binary64."""
    wide = x.to(torch.float64).square_()
    lengths = torch.tensor(sizes, device="cpu")
    squares: list[float] = torch.segment_reduce(wide, "sum", lengths=lengths).tolist()
    return squares


def is_bounded(x: Tensor) -> bool:
    """Whether every entry has a finite square, as their sum tells."""
    return torch.dot(x, x).item() < largest_with_square(x.dtype) ** 2 / 2  # NaN is not
