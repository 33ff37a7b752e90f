"""The usual case: tensors in binary32 on one device, each in the shape and order of its parameter.

Of a thousand small tensors each question takes as long as their step, and there are many. Here they
are asked of all tensors together, and what did not change is not asked again.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter

import torch
from torch import Tensor

_BYTES, _DTYPE, _SHAPE = map(attrgetter, ("nbytes", "dtype", "shape"))

Rows = Sequence[list[Tensor]]
"""Parallel lists of tensors."""


class Known:
    """Where the tensors of a group are that were uniform, and how large they are.

    As long as they are in the same places, which a step has to read anyway, less is asked of them
    in the next step: of state, which is the optimizer's own, no more than how many bytes it has; of
    parameters, which can be given other data, and of gradients, which are new in every step, all.

    Parameters
    ----------
    params, buffers, steps
        The tensors, of which none is kept.

    Attributes
    ----------
    addresses
        Of parameters, each kind of buffer and steps, a row of each.
    """

    def __init__(self, params: list[Tensor], buffers: Rows, steps: list[Tensor]) -> None:
        self.addresses = addresses_of((params, *buffers, steps))
        self._shapes = [*map(_SHAPE, params)]
        self._bytes = [*map(_BYTES, chain(*buffers))]

    def are_still(
        self, params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
    ) -> bool:
        """Whether these are in the same places, uniform as before, and so are new gradients."""
        return (
            addresses_of((params, *buffers, steps)) == self.addresses
            and [*map(_BYTES, chain(*buffers))] == self._bytes
            and all(_are_alike(row, self._shapes, params[0]) for row in (params, grads))
            and not any(map(Tensor.is_neg, grads))
        )


def are_uniform(params: list[Tensor], grads: list[Tensor], buffers: Rows) -> bool:
    """Whether all are contiguous tensors in binary32 on one device, in the parameters' shapes."""
    shapes = [*map(_SHAPE, params)]
    rows = (params, grads, *buffers)
    alike = all(_are_alike(row, shapes, params[0]) for row in rows)
    return alike and not any(map(Tensor.is_neg, grads))


def share_device(tensors: Iterable[Tensor], first: Tensor) -> bool:
    """Whether tensors are on the device of a first one, which the CPU is, or one with a number.

    The number tells: of devices that have one torch has one kind at a time.
    """
    if first.is_cpu:
        return all(x.is_cpu for x in tensors)
    number = first.get_device()
    return number >= 0 and all(x.get_device() == number for x in tensors)


def addresses_of(rows: Rows) -> list[list[int]]:
    """Return where tensors are, a row for each row of them."""
    return [[*map(Tensor.data_ptr, row)] for row in rows]


def _are_alike(row: list[Tensor], shapes: list[torch.Size], first: Tensor) -> bool:
    return (
        {*map(_DTYPE, row)} == {torch.float32}
        and share_device(row, first)
        and all(map(Tensor.is_contiguous, row))
        and [*map(_SHAPE, row)] == shapes
    )
