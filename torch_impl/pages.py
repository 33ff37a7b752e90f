"""State on the CPU in huge pages, where the system has them.

Beyond the caches a step waits for memory and, with pages of 4 KiB, every 1,024 entries of a tensor
for where its next page is. Here memory is asked for as NumPy asks for large arrays: Linux may give
pages of 2 MiB to it. Small tensors of one kind share such memory, which is free when none of them
is left; each has a storage of its own all the same, which cannot be resized.
"""

import mmap
import sys
from collections.abc import Sequence

import torch
from torch import Tensor

from .batches import PLAIN, is_dense

LEAST = 2**22
"""Bytes from which on huge pages are asked for, which is NumPy's number too."""

_LINE = 64
"""Bytes of a line of a cache, at which tensors begin."""


def zeros_like_each(tensors: Sequence[Tensor], dtypes: Sequence[torch.dtype]) -> list[Tensor]:
    """Return zeros as `torch.zeros_like` makes them of each tensor, in these dtypes."""
    # Memory that is asked for holds zeros, in pages that would be small if they were read first.
    return [
        torch.zeros_like(tensor, dtype=dtype, memory_format=torch.preserve_format)
        if made is None
        else made.zero_()
        for tensor, dtype, made in zip(tensors, dtypes, _huge_ones(tensors, dtypes), strict=True)
    ]


def empty_like_each(tensors: Sequence[Tensor], dtypes: Sequence[torch.dtype]) -> list[Tensor]:
    """Return the same without values, as `torch.empty_like` does, to be written to."""
    return [
        torch.empty_like(tensor, dtype=dtype, memory_format=torch.preserve_format)
        if made is None
        else made
        for tensor, dtype, made in zip(tensors, dtypes, _huge_ones(tensors, dtypes), strict=True)
    ]


def _huge_ones(tensors: Sequence[Tensor], dtypes: Sequence[torch.dtype]) -> list[Tensor | None]:
    """Return tensors like these that may be in huge pages, None for those that may not."""
    found: list[Tensor | None] = [None] * len(tensors)
    small: dict[int, int] = {}
    end = 0
    for i, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True)):
        if type(tensor) in PLAIN and tensor.is_cpu and tensor.numel() > 0 and is_dense(tensor):
            size = tensor.numel() * dtype.itemsize
            if size < LEAST:
                small[i] = end
                end += -(-size // _LINE) * _LINE
            elif (memory := _asked_for(size)) is not None:
                found[i] = _placed(memory, 0, tensor, dtype)
    if end >= LEAST and (memory := _asked_for(end)) is not None:
        for i, place in small.items():
            found[i] = _placed(memory, place, tensors[i], dtypes[i])
    return found


def _asked_for(size: int) -> mmap.mmap | None:
    """Return so many bytes, in huge pages if the system likes; None if it has no such."""
    if sys.platform != "linux":
        return None
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except (OSError, AttributeError):
        return None
    return memory


def _placed(memory: mmap.mmap, place: int, like: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor that begins at a place, and keeps the memory."""
    flat = torch.frombuffer(memory, dtype=dtype, count=like.numel(), offset=place)
    tensor = torch.empty(0, dtype=dtype, device="cpu")
    return tensor.set_(flat.untyped_storage(), 0, like.size(), like.stride())
