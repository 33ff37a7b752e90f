"""What a step works on: the tensors of a parameter group that have a gradient, seen as real.

A batch holds one tensor on the single-tensor path; on the multi-tensor (foreach) path all tensors
of the group that share a device and a dtype. Of a DTensor it holds this process's part.
"""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import _default_to_fused_or_foreach

from .arithmetic import Arithmetic, Scalar, moved
from .sharding import local, local_gradient

PLAIN = {Tensor, torch.nn.Parameter}
"""The types whose operations are torch's own."""


class Batch:
    """Tensors that are stepped together; parallel lists, complex tensors viewed as real pairs.

    Attributes
    ----------
    group
        The options of the parameter group.
    owners
        The parameters as the optimizer holds them.
    params
        The same, to be read; `write` writes them.
    grads
        What to descend along: the gradients in the dtype of the state, negated for ``maximize``.
        Not to be written: they may be the user's own.
    steps
        Each parameter's own step, counted from 1: numbers, or float64 tensors without dimensions
        where a step may not wait for the device or is recorded.
    arithmetic
        How to compute.
    """

    def __init__(
        self,
        group: dict[str, Any],
        owners: list[Tensor],
        grads: list[Tensor],
        steps: list[Tensor],
        buffers: Mapping[str, list[Tensor]],
        foreach: bool,
    ) -> None:
        self.group = group
        self.owners = owners
        self.arithmetic = Arithmetic(foreach, group["differentiable"])
        self._written = {
            key: [as_real(local(tensor)) for tensor in tensors]
            for key, tensors in (("param", owners), *buffers.items())
        }
        self.params = self.read("param")
        self._owns_grads = False
        self.steps = _advanced(steps, group, foreach)
        self.grads = self._descent_directions(grads)

    @property
    def device(self) -> torch.device:
        """The device that all tensors of the batch are on."""
        return self.params[0].device

    def read(self, key: str) -> list[Tensor]:
        """Return a state buffer of every parameter; a copy where autograd records the step."""
        tensors = self._written[key]
        return [tensor.clone() for tensor in tensors] if self.arithmetic.recorded else tensors

    def write(self, key: str, tensors: list[Tensor]) -> None:
        """Store what a state buffer, or "param", has become; needed where it is a copy."""
        for old, new in zip(self._written[key], tensors, strict=True):
            if old is not new:
                old.copy_(new)

    def number(self, name: str) -> Scalar:
        """Return an option: a number, or a float64 tensor without dimensions."""
        return self.as_scalar(self.group[name])

    def as_scalar(self, value: Scalar) -> Scalar:
        """Return a number, or a float64 tensor without dimensions that goes with the batch's.

        Tensors do not take whole numbers of more than 64 bits.
        """
        if not isinstance(value, Tensor):
            return float(value)
        value = value.reshape(()).to(torch.float64)
        return value if value.is_cpu else moved(value, self.device)

    def own_grads(self) -> list[Tensor]:
        """Return the gradients for overwriting, and forget them."""
        grads, self.grads = self.grads, []
        if not self._owns_grads and not self.arithmetic.recorded:
            grads = [grad.clone() for grad in grads]
        self._owns_grads = True
        return grads

    def saturate(self) -> None:
        """Bring the gradients' entries to where their squares are finite; NaN and ±∞ become NaN."""
        grads = self.arithmetic.add(self.grads, self.grads, 0, fresh=not self._owns_grads)
        # 0·∞ was NaN: what is not finite stays so.
        self.grads = self.arithmetic.clamp(grads, largest_with_square(grads[0].dtype))
        self._owns_grads = True

    def penalise(self) -> None:
        """Add the gradient of an L2 penalty: g ← g + λθ."""
        weight_decay = self.number("weight_decay")
        if not isinstance(weight_decay, Tensor) and weight_decay == 0:
            return
        fresh = not self._owns_grads
        self.grads = self.arithmetic.add(self.grads, self.params, weight_decay, fresh=fresh)

    def _descent_directions(self, grads: list[Tensor]) -> list[Tensor]:
        given = [local_gradient(*pair) for pair in zip(self.owners, grads, strict=True)]
        dtype = state_dtype(self.owners[0])
        grads = [as_real(grad.to(dtype).resolve_conj()) for grad in given]
        # Gradients that had to be converted are the step's own, and can be overwritten.
        self._owns_grads = all(grad.dtype is not dtype for grad in given)
        if self.group["maximize"]:
            grads = self.arithmetic.negate(grads, fresh=not self._owns_grads)
            self._owns_grads = True
        return grads


def batches(
    group: dict[str, Any],
    params: list[Tensor],
    grads: list[Tensor],
    steps: list[Tensor],
    buffers: Mapping[str, list[Tensor]],
) -> Iterator[Batch]:
    """Count a step for every parameter and yield their batches, each made when it is asked for.

    Parameters
    ----------
    group
        The options of the parameter group.
    params, grads, steps, buffers
        Its parameters that have a gradient, and of these the steps and, by key, state buffers.
    """
    foreach = group["foreach"]
    if foreach is None:
        parts = [local(param) for param in params]
        _, foreach = _default_to_fused_or_foreach(parts, group["differentiable"], use_fused=False)
    together: dict[Any, list[int]] = {}
    for i, param in enumerate(params):
        key = (param.device, param.dtype) if foreach else i
        together.setdefault(key, []).append(i)
    for indices in together.values():
        yield Batch(
            group,
            [params[i] for i in indices],
            [grads[i] for i in indices],
            [steps[i] for i in indices],
            {key: [values[i] for i in indices] for key, values in buffers.items()},
            foreach,
        )


def as_real(tensor: Tensor) -> Tensor:
    """View a complex tensor as real, with a last dimension of 2; return others as they are."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def is_dense(tensor: Tensor) -> bool:
    """Whether the entries of a tensor fill their memory, in whatever order."""
    return bool(torch.ops.aten.is_non_overlapping_and_dense(tensor))


def state_dtype(param: Tensor) -> torch.dtype:
    """Return the dtype in which a parameter is stepped: its own, but at least 32 bits wide."""
    return torch.promote_types(param.dtype, torch.float32)


def buffer_dtype(param: Tensor, group: Mapping[str, Any]) -> torch.dtype:
    """Return the dtype in which a parameter's state is kept: the same, unless it may be narrow."""
    return param.dtype if group.get("narrow_state") else state_dtype(param)


_REAL = {torch.complex64: torch.float32, torch.complex128: torch.float64}
"""What `torch.dtype.to_real` says, which torch.compile does not trace."""


def working_dtype(param: Tensor) -> torch.dtype:
    """Return the real dtype in which a parameter's update is computed."""
    dtype = state_dtype(param)
    return _REAL.get(dtype, dtype)


def largest_with_square(dtype: torch.dtype) -> float:
    """Return the largest power of two whose square is finite in a dtype, with room to double."""
    return 2.0 ** ((math.frexp(torch.finfo(dtype).max)[1] - 2) // 2)


def refuse_sparse_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Raise RuntimeError if a gradient is sparse, before a step changes anything."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            grad = param.grad
            if grad is not None and grad.layout is not torch.strided:
                raise RuntimeError(
                    f"{type(optimizer).__name__} does not support sparse gradients: one of shape "
                    f"{tuple(grad.shape)} has layout {grad.layout}; use a dense one"
                )


def _advanced(steps: list[Tensor], group: dict[str, Any], foreach: bool) -> list[Scalar]:
    """Add 1 to each step, and return them as numbers or as float64 tensors."""
    Arithmetic(foreach).add_number(steps, 1)
    if group["capturable"] or group["differentiable"] or torch.compiler.is_compiling():
        return [step.to(torch.float64, copy=True) for step in steps]
    return [step.item() for step in steps]
