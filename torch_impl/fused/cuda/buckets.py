"""Tables of tensors on the device, kept from step to step."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .blocks import BLOCK, ROWS


class Bucket:
    """Tensors in the same dtypes on one device: where they are, and room for what they sum up to.

    Addresses are compared in every step and written anew where one has changed. What a CUDA graph
    has captured it reads again when it is replayed: from then on the table is written in every step
    and the memory that it is copied from is kept.

    Parameters
    ----------
    device
        Where the tensors are.
    sizes
        Entries of each tensor.
    numbers
        How many numbers each tensor has.

    Attributes
    ----------
    sizes, count
        Entries of each tensor; blocks of all of them.
    table
        Addresses, shape (`ROWS`, tensors).
    numbers, factors
        What kernels store of tensors.
    squares, thetas, peaks
        What they store of blocks, where they need it.
    total
        What they store of all blocks together.
    """

    def __init__(self, device: torch.device, sizes: Sequence[int], numbers: int) -> None:
        self.sizes = list(sizes)
        each = np.array(sizes, dtype=np.int64)
        blocks = -(-each // int(BLOCK))
        firsts = np.concatenate([[0], np.cumsum(blocks)])
        tensors = len(sizes)
        self.count = int(firsts[-1])
        self.firsts = _copied(firsts.astype(np.int32), device)
        self.counts = _copied(each, device)
        self.blocks = _copied(np.repeat(np.arange(tensors, dtype=np.int32), blocks), device)
        self.table = torch.zeros((ROWS, tensors), dtype=torch.int64, device=device)
        self.numbers = torch.zeros((numbers, tensors), dtype=torch.float64, device=device)
        self.factors = torch.zeros(tensors, dtype=torch.float32, device=device)
        self.total = torch.zeros(2, dtype=torch.float64, device=device)
        self._rows: NDArray[np.int64] | None = None
        self._spare: Tensor | None = self._room()  # a capture may not ask for it
        self._captured: list[Tensor] = []

    @cached_property
    def squares(self) -> Tensor:
        """Σu² of blocks."""
        return self._of_blocks(torch.float64)

    @cached_property
    def thetas(self) -> Tensor:
        """Σθ² of blocks."""
        return self._of_blocks(torch.float64)

    @cached_property
    def peaks(self) -> Tensor:
        """The bits of max|g| of blocks."""
        return self._of_blocks(torch.int32)

    def _of_blocks(self, dtype: torch.dtype) -> Tensor:
        return torch.empty(self.count, dtype=dtype, device=self.table.device)

    def where(self) -> tuple[Any, ...]:
        """Return what tells the programs of a launch which blocks are theirs."""
        own = (self.table, self.blocks, self.firsts, self.counts, len(self.sizes))
        return (*own, self.numbers)

    @property
    def captured(self) -> bool:
        """Whether a graph reads this table."""
        return bool(self._captured)

    def point_to(self, rows: NDArray[np.int64]) -> None:
        """Have the table hold these addresses and places, of the shape of the table."""
        capturing = is_capturing(self.table)
        known = self._rows is not None and np.array_equal(rows, self._rows)
        if known and not capturing and not self.captured:
            return
        if capturing and self._spare is not None:
            room, self._spare = self._spare, None
        else:
            room = self._room()
        room.numpy()[:] = rows
        self.table.copy_(room, non_blocking=True)
        self._rows = rows
        if capturing:
            self._captured.append(room)
        elif self._spare is None:
            self._spare = self._room()

    def _room(self) -> Tensor:
        """Return memory of the host that the device can copy from by itself."""
        pinned = self.table.is_cuda
        return torch.empty(self.table.shape, dtype=torch.int64, device="cpu", pin_memory=pinned)


def is_capturing(table: Tensor) -> bool:
    """Whether what is launched now goes into a CUDA graph."""
    return table.is_cuda and torch.cuda.is_current_stream_capturing()


def _copied(values: NDArray[Any], device: torch.device) -> Tensor:
    tensor = torch.from_numpy(np.ascontiguousarray(values))
    if device.type != "cuda":
        return tensor.to(device)
    return tensor.pin_memory().to(device, non_blocking=True)  # pragma: no cover: of a device
