"""The usual case: tensors in binary32 on one device, each in the shape and order of its parameter.

Of a thousand small tensors each question takes as long as their step, and there are many. Here they
are asked of all tensors together, and of tensors that were uniform in the step before torch is
asked only once whether they are what they were: by the guards of torch.compile, which look at type,
dtype, device, shape and strides. Where a torch has none nothing is remembered.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor

try:
    from torch._C._dynamo.guards import TensorGuards
except ImportError:
    TensorGuards: Any = None  # type: ignore[no-redef]

_DTYPE, _SHAPE = map(attrgetter, ("dtype", "shape"))

Rows = Sequence[list[Tensor]]
"""Parallel lists of tensors."""


class Known:
    """Where the tensors of a group are that were uniform, and what they are.

    Parameters
    ----------
    params, grads, buffers, steps
        The tensors, of which none is kept.

    Attributes
    ----------
    addresses
        Of parameters, each kind of buffer and steps, a row of each.
    sizes
        Entries of the parameters.
    """

    def __init__(
        self, params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
    ) -> None:
        self.addresses = addresses_of((params, *buffers, steps))
        self.sizes = [*map(Tensor.numel, params)]
        everything = chain(params, grads, *buffers, steps)
        self._guards = TensorGuards(*everything, dynamic_dims_sizes=None, dynamic_dims_strides=None)

    def are_still(
        self, params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
    ) -> bool:
        """Whether these are what they were, in the same places but for gradients."""
        return addresses_of((params, *buffers, steps)) == self.addresses and self._guards.check(
            *params, *grads, *chain(*buffers), *steps
        )


def remembered(
    params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
) -> Known | None:
    """Return what to remember of tensors, if they are uniform."""
    if TensorGuards is None or not are_uniform(params, grads, buffers, steps):
        return None
    return Known(params, grads, buffers, steps)


def are_uniform(
    params: list[Tensor], grads: list[Tensor], buffers: Rows, steps: list[Tensor]
) -> bool:
    """Whether all are in binary32 on one device, and contiguous in the parameters' shapes.

    Steps have a shape of their own.
    """
    shapes, rows = [*map(_SHAPE, params)], (params, grads, *buffers)
    return (
        {*map(_DTYPE, chain(*rows, steps))} == {torch.float32}
        and share_device(chain(*rows, steps), params[0])
        and all(map(Tensor.is_contiguous, chain(*rows)))
        and all([*map(_SHAPE, row)] == shapes for row in rows)
        and not any(map(Tensor.is_neg, grads))
    )


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
