"""What tensors are and how they lie in memory: kernels know no more than where they begin.

Of a thousand small tensors each question takes as long as their step, and there are many: most are
asked without a look at each from Python.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from operator import attrgetter

import torch
from torch import Tensor

_DTYPE, _SHAPE = map(attrgetter, ("dtype", "shape"))

Rows = Sequence[list[Tensor]]
"""Parallel lists of tensors."""


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


def lie_alike(some: list[Tensor], others: list[Tensor]) -> bool:
    """Whether the entries of tensors lie in memory as those of others of their shapes do."""
    if [x.device for x in some] != [x.device for x in others]:
        return False
    if all(map(Tensor.is_contiguous, some)) and all(map(Tensor.is_contiguous, others)):
        return True
    return list(map(Tensor.stride, some)) == list(map(Tensor.stride, others))


def refuse_other_shapes(
    number: int, params: list[Tensor], grads: list[Tensor], buffers: dict[str, list[Tensor]]
) -> None:
    """Raise RuntimeError if a gradient or state buffer has not the shape of its parameter.

    That may have been given other data since; kernels know no more than addresses.
    """
    for key, tensors in {"grad": grads, **buffers}.items():
        for param, tensor in zip(params, tensors, strict=True):
            if tensor.shape != param.shape:
                what = "a gradient" if key == "grad" else f"state {key!r}"
                raise RuntimeError(
                    f"group {number} has {what} of shape {tuple(tensor.shape)} for a parameter of "
                    f"shape {tuple(param.shape)}: expected the same; make a new optimizer of "
                    "parameters that were given another shape"
                )


def alike(grads: list[Tensor], params: list[Tensor]) -> list[Tensor]:
    """Return gradients whose entries lie in memory as those of their parameters do."""
    views = any(map(Tensor.is_conj, grads)) or any(map(Tensor.is_neg, grads))
    dtypes = [grad.dtype for grad in grads] == [param.dtype for param in params]
    if dtypes and not views and lie_alike(grads, params):
        return grads
    return [_like(grad, param) for grad, param in zip(grads, params, strict=True)]


def _like(grad: Tensor, param: Tensor) -> Tensor:
    """Return a gradient whose entries lie in memory as its parameter's do."""
    plain = grad.dtype is param.dtype and not grad.is_conj() and not grad.is_neg()
    strides = zip(param.shape, grad.stride(), param.stride(), strict=True)
    if plain and all(n == 1 or a == b for n, a, b in strides):
        return grad
    return torch.empty_like(param).copy_(grad)
