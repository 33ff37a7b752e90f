"""State on the CPU in huge pages, where the system has them.

Beyond the caches a step waits for memory and, with pages of 4 KiB, every 1,024 entries of a tensor
for where its next page is. Here memory is asked for as NumPy asks for large arrays: Linux may give
pages of 2 MiB to it. All tensors of one kind share such memory, each with a storage of its own.
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


def zeros_like_each(tensors: Sequence[Tensor], dtypes: Sequence[torch.dtype]) -> list[Tensor]:
    """Return zeros as `torch.zeros_like` makes them of each tensor, in these dtypes."""
    places: dict[int, int] = {}
    size = 0
    for i, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True)):
        if _is_plain(tensor):
            places[i] = size
            size += -(-tensor.numel() * dtype.itemsize // _LINE) * _LINE
    memory = _huge(size) if size >= LEAST else None
    return [
        torch.zeros_like(tensor, dtype=dtype, memory_format=torch.preserve_format)
        if memory is None or i not in places
        else _placed(memory, places[i], tensor, dtype)
        for i, (tensor, dtype) in enumerate(zip(tensors, dtypes, strict=True))
    ]


def _is_plain(tensor: Tensor) -> bool:
    plain = type(tensor) in PLAIN and tensor.is_cpu
    return plain and tensor.numel() > 0 and is_dense(tensor)


def _huge(size: int) -> mmap.mmap | None:
    """Return so many bytes of zeros, in huge pages if the system likes; None if it has no such."""
    if sys.platform != "linux":
        return None
    try:
        memory = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        memory.madvise(mmap.MADV_HUGEPAGE)
    except OSError:
        return None
    # A page that is read before it is written to would become a small one.
    torch.frombuffer(memory, dtype=torch.uint8).zero_()
    return memory


def _placed(memory: mmap.mmap, place: int, like: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a tensor that begins at a place, and keeps the memory."""
    flat = torch.frombuffer(memory, dtype=dtype, count=like.numel(), offset=place)
    tensor = torch.empty(0, dtype=dtype, device="cpu")
    return tensor.set_(flat.untyped_storage(), 0, like.size(), like.stride())
