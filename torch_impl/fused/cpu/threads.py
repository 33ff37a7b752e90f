"""Tensors as the kernels of the CPU see them, and how torch's threads share their step."""

import functools
import os
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..work import Work
from .blocks import GRAD

PIECE = 2**18
"""Entries of a tensor that one thread takes on; a multiple of `blocks.BLOCK`."""

ALONE = 2**20
"""Entries below which waking a thread takes longer than it saves."""

Numbers = NDArray[np.int64]
"""Pieces, by their numbers: some, or the first one of every tensor and, last, where these end."""


class Tensors:
    """The tensors of a group that have a gradient, and their pieces.

    Parameters
    ----------
    work
        The tensors, which have to outlive a step.

    Attributes
    ----------
    table
        Addresses, as `blocks` describes them.
    counts
        Entries of every tensor.
    work
        Tensor, first entry and end of every piece.
    firsts
        The first piece of every tensor, and the number of pieces.
    """

    def __init__(self, work: Work) -> None:
        self._known = work.known
        self.table = np.array(work.addresses(), dtype=np.int64)
        self.counts = work.sizes
        self._refuse_without_memory()
        self.work, self.firsts = cut_into_pieces(tuple(self.counts), PIECE)

    def follow(self, work: Work) -> bool:
        """Point to new gradients, if of all others it is known that they are still the same."""
        if self._known is None or self._known is not work.known:
            return False
        self.table[GRAD] = [*map(Tensor.data_ptr, work.grads)]
        self._refuse_without_memory()
        return True

    def _refuse_without_memory(self) -> None:
        if self.table[:-1].all():
            return
        if not self.table[:-1, np.array(self.counts) > 0].all():
            raise RuntimeError("`fused=True` expected tensors with memory of their own")

    def spread(self, task: Callable[[slice], None]) -> None:
        """Have threads do a task on all pieces, each on a run of them with its share of entries."""
        _together(task, self._runs(self.work))

    def in_turn(
        self,
        whole: Callable[[Numbers], None],
        measure: Callable[[slice], None],
        settle: Callable[[Numbers], None],
        finish: Callable[[Numbers], None],
    ) -> None:
        """Have threads step one tensor after the other, so that each is still at hand.

        Only a tensor that no thread has for itself takes two passes, with all threads in each.

        Parameters
        ----------
        whole
            Steps tensors, told by where they begin among the pieces and where the last one ends.
        measure
            Does what comes before the norm of a tensor is known, for a run of pieces.
        settle
            Makes the norm of a tensor, told as for ``whole``, of what was measured.
        finish
            Does the rest, for pieces told by their numbers.
        """

        def start(run: slice) -> None:
            inside = self.firsts[(run.start <= self.firsts) & (self.firsts <= run.stop)]
            begun, left = (inside[0], inside[-1]) if len(inside) else (run.stop, run.stop)
            if begun > run.start:
                measure(slice(run.start, begun))
            if len(inside) > 1:
                whole(inside)
            if left < run.stop:
                measure(slice(left, run.stop))

        runs = self._runs(self.work)
        if len(runs) == 1:
            whole(self.firsts)
            return
        _together(start, runs)
        cut = {self.work[run.start, 0] for run in runs[1:] if self.work[run.start, 1] > 0}
        for tensor in cut:
            settle(self.firsts[tensor : tensor + 2])
        if cut:
            rest = np.flatnonzero(np.isin(self.work[:, 0], list(cut)))
            _together(lambda run: finish(rest[run]), self._runs(self.work[rest]))

    def _runs(self, work: NDArray[np.int64]) -> list[slice]:
        """Cut pieces into a run for every thread."""
        threads = torch.get_num_threads()
        if threads == 1 or sum(self.counts) <= ALONE:
            return [slice(0, len(work))]
        begins = np.append(0, np.cumsum(work[:, 2] - work[:, 1]))
        shares = begins[-1] * np.arange(1, threads) / threads
        after = np.searchsorted(begins, shares)
        cuts = after - (shares - begins[after - 1] < begins[after] - shares)  # the nearest ones
        return [slice(a, b) for a, b in pairwise(sorted({0, *cuts.tolist(), len(work)}))]


@functools.lru_cache(maxsize=16)
def cut_into_pieces(
    counts: tuple[int, ...], piece: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return tensor, first entry and end of every piece, and each tensor's first piece.

    A tensor without entries has a piece too; after the last first piece comes their number. The
    same is returned for the same tensors: it is only read.
    """
    sizes = np.array(counts, dtype=np.int64)
    pieces = np.maximum(-(-sizes // piece), 1)
    firsts = np.append(0, np.cumsum(pieces))
    tensors = np.repeat(np.arange(len(counts)), pieces)
    lows = (np.arange(firsts[-1]) - firsts[tensors]) * piece
    ends = np.minimum(lows + piece, sizes[tensors])
    return np.stack([tensors, lows, ends], axis=1), firsts


def _together(task: Callable[[slice], None], runs: Sequence[slice]) -> None:
    """Do a task on every run, on the first one in this thread."""
    if len(runs) == 1:
        task(runs[0])
        return
    others: list[Future[None]] = []
    try:
        others.extend(_pool().submit(task, run) for run in runs[1:])
        task(runs[0])
    finally:  # when this ends nothing is written any more: addresses do not keep tensors alive
        try:
            wait(others)
        except BaseException:  # an interrupt
            wait(others)
            raise
    for other in others:
        other.result()


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """Return threads of this process: those of its parent have not come through a fork."""
    key = (os.getpid(), torch.get_num_threads())
    if key not in _pools:
        _pools.clear()
        _pools[key] = ThreadPoolExecutor(key[1] - 1)
    return _pools[key]
