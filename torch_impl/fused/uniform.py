"""The usual case: tensors in binary32 on one device, each in the shape and order of its parameter.

Of a thousand small tensors each question takes as long as their step, and there are many. Here they
are asked of all tensors together, and what did not change is not asked again.
"""

import weakref
from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter, call, is_

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_DTYPE, _IS_CPU, _SHAPE = map(attrgetter, ("dtype", "is_cpu", "shape"))

Rows = Sequence[list[Tensor]]
"""Parallel lists of tensors."""


class Known:
    """Tensors of a group that were uniform, and where they were.

    As long as they are the same tensors in the same places, which a step has to read anyway, their
    dtypes, devices and shapes are the same. A parameter can be given other data that begin in the
    same place: of it more is asked; of gradients, which are new in every step, everything.

    Parameters
    ----------
    params, buffers, steps
        The tensors. State that is replaced is not kept alive.

    Attributes
    ----------
    addresses
        Of parameters, each kind of buffer and steps, a row of each.
    """

    def __init__(self, params: list[Tensor], buffers: Rows, steps: list[Tensor]) -> None:
        self._params = params
        self._shapes, self._sizes = [*map(_SHAPE, params)], [*map(Tensor.numel, params)]
        self._state = [*map(weakref.ref, chain(*buffers, steps))]
        self.addresses = addresses_of((params, *buffers, steps))

    def are_still(
        self, params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
    ) -> bool:
        """Whether these are the same tensors, uniform as they were, and so are new gradients."""
        state = [*chain(*buffers, steps)]
        return (
            np.array_equal(addresses_of((params, *buffers, steps)), self.addresses)
            and all(map(is_, params, self._params))
            and all(map(is_, state, map(call, self._state)))
            and [*map(Tensor.numel, params)] == self._sizes
            and all(map(Tensor.is_contiguous, params))
            and _are_alike(grads, self._shapes, params[0])
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
        return all(map(_IS_CPU, tensors))
    number = first.get_device()
    return number >= 0 and {*map(Tensor.get_device, tensors)} == {number}


def addresses_of(rows: Rows) -> NDArray[np.int64]:
    """Return where tensors are, a row for each row of them."""
    shape = len(rows), len(rows[0])
    where = np.fromiter(map(Tensor.data_ptr, chain(*rows)), np.int64, shape[0] * shape[1])
    return where.reshape(shape)


def _are_alike(row: list[Tensor], shapes: list[torch.Size], first: Tensor) -> bool:
    return (
        {*map(_DTYPE, row)} == {torch.float32}
        and share_device(row, first)
        and all(map(Tensor.is_contiguous, row))
        and [*map(_SHAPE, row)] == shapes
    )
