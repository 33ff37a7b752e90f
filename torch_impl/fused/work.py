"""What kernels are given: the tensors of a parameter group that have a gradient."""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from .uniform import Known, addresses_of


class Work(NamedTuple):
    """The tensors of a parameter group that have a gradient; parallel lists.

    Attributes
    ----------
    number, group
        The number of the group, and its options.
    params, grads, buffers, steps
        Parameters, gradients laid out in memory as these are, the state buffers of each kind, and
        steps. A gradient may be a copy that is not held by anyone else.
    known
        What is remembered of them, if it is: all are as `are_uniform` says.
    """

    number: int
    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    buffers: list[list[Tensor]]
    steps: list[Tensor]
    known: Known | None

    def addresses(self) -> list[list[int]]:
        """Return where parameters, gradients, three kinds of buffers and steps are, a row of each.

        Where there is no such kind, it is the one before.
        """
        own = (self.params, *self.buffers, self.steps)
        known = addresses_of(own) if self.known is None else self.known.addresses
        params, first, *others, steps = known
        (grads,) = addresses_of([self.grads])
        second = others[0] if others else first
        largest = others[1] if len(others) > 1 else second
        return [params, grads, first, second, largest, steps]

    @property
    def sizes(self) -> list[int]:
        """The numbers of real entries of the tensors."""
        if self.known:
            return self.known.sizes
        return [x.numel() * (2 if x.is_complex() else 1) for x in self.params]

    @property
    def places(self) -> list[int]:
        """The places of the parameters in their group, which are the same in every step."""
        known = self.group["params"]
        if len(self.params) == len(known):
            return list(range(len(known)))
        place = {id(param): i for i, param in enumerate(known)}
        return [place[id(param)] for param in self.params]

    def at(self, indices: list[int]) -> "Work":
        """Return some of the tensors."""

        def some(row: list[Tensor]) -> list[Tensor]:
            return [row[i] for i in indices]

        params, grads, steps = some(self.params), some(self.grads), some(self.steps)
        buffers = [some(row) for row in self.buffers]
        return Work(self.number, self.group, params, grads, buffers, steps, None)


class Scaling(NamedTuple):
    """What a torch.amp.GradScaler says: what gradients are divided by, and whether one is bad.

    Both are tensors of one element, or None.
    """

    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None


def is_dense(tensor: Tensor) -> bool:
    """Whether the entries of a tensor fill their memory, in whatever order."""
    return bool(torch.ops.aten.is_non_overlapping_and_dense(tensor))


def lie_alike(some: list[Tensor], others: list[Tensor]) -> bool:
    """Whether the entries of tensors lie in memory as those of others of their shapes do.

    Of a thousand small tensors most of it is asked without a look at each from Python.
    """
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
