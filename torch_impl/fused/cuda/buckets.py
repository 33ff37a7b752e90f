"""Tables of tensors on the device, kept from step to step."""

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .blocks import BLOCK, ROWS

LEAST_WAVE = 2**20
"""Entries of a wave on a device that does not say how large its cache is."""


class Wave(NamedTuple):
    """Tensors that one launch takes on."""

    first_block: int
    blocks: int
    first_tensor: int
    tensors: int


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
    wave_bytes
        Bytes per entry that are to stay in the device's cache from one pass to the next.

    Attributes
    ----------
    sizes
        Entries of each tensor.
    table
        Addresses, shape (`ROWS`, tensors).
    numbers, factors
        What kernels store of tensors.
    squares, thetas, peaks, total
        What they store of blocks, and of all of them together.
    whole, waves
        All tensors; runs of them of which two passes are taken one after the other.
    """

    def __init__(
        self, device: torch.device, sizes: Sequence[int], numbers: int, wave_bytes: int
    ) -> None:
        self.sizes = list(sizes)
        each = np.array(sizes, dtype=np.int64)
        blocks = -(-each // int(BLOCK))
        firsts = np.concatenate([[0], np.cumsum(blocks)])
        count, tensors = int(firsts[-1]), len(sizes)
        self.whole = Wave(0, count, 0, tensors)
        self.waves = _waves(self.sizes, firsts.tolist(), _cached_entries(device, wave_bytes))
        self.firsts = _copied(firsts.astype(np.int32), device)
        self.counts = _copied(each, device)
        self.blocks = _copied(np.repeat(np.arange(tensors, dtype=np.int32), blocks), device)
        self.table = torch.zeros((ROWS, tensors), dtype=torch.int64, device=device)
        self.numbers = torch.zeros((numbers, tensors), dtype=torch.float64, device=device)
        self.factors = torch.zeros(tensors, dtype=torch.float32, device=device)
        self.squares = torch.zeros(count, dtype=torch.float64, device=device)
        self.thetas = torch.zeros(count, dtype=torch.float64, device=device)
        self.peaks = torch.zeros(count, dtype=torch.int32, device=device)
        self.total = torch.zeros(2, dtype=torch.float64, device=device)
        self._rows: Sequence[Sequence[int]] = []
        self._spare: Tensor | None = self._room()  # a capture may not ask for it
        self._captured: list[Tensor] = []

    def where(self, wave: Wave) -> tuple[Any, ...]:
        """Return what tells the programs of a launch which blocks are theirs."""
        own = (self.table, self.blocks, self.firsts, self.counts, len(self.sizes))
        return (*own, wave.first_block, self.numbers)

    @property
    def captured(self) -> bool:
        """Whether a graph reads this table."""
        return bool(self._captured)

    def point_to(self, rows: Sequence[Sequence[int]]) -> None:
        """Have the table hold these addresses and places."""
        capturing = is_capturing(self.table)
        if rows == self._rows and not capturing and not self.captured:
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


def _cached_entries(device: torch.device, wave_bytes: int) -> int:
    """Return how many entries' state half of the cache holds."""
    if device.type != "cuda":
        return LEAST_WAVE
    cache = torch.cuda.get_device_properties(device).L2_cache_size  # pragma: no cover: of a device
    return max(LEAST_WAVE, cache // 2 // wave_bytes)  # pragma: no cover


def _waves(sizes: Sequence[int], firsts: Sequence[int], most: int) -> list[Wave]:
    """Return runs of tensors with at most so many entries, or of a single larger one."""
    edges, entries = [0], 0
    for t, size in enumerate(sizes):
        if t > edges[-1] and entries + size > most:
            edges.append(t)
            entries = 0
        entries += size
    edges.append(len(sizes))
    return [
        Wave(firsts[a], firsts[b] - firsts[a], a, b - a)
        for a, b in pairwise(edges)
        if firsts[b] > firsts[a]
    ]
