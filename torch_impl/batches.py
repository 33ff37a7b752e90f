"""What a step works on: the tensors of a parameter group that have a gradient, seen as real.

A batch holds one tensor on the single-tensor path; on the multi-tensor (foreach) path all tensors
of the group that share a device and a dtype.
"""

from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import _default_to_fused_or_foreach

State = MutableMapping[str, Any]


@dataclass
class Batch:
    """Tensors that are stepped together; parallel lists, complex tensors viewed as real pairs.

    Attributes
    ----------
    params
        The parameters, to be written.
    grads
        What to descend along: the gradients in the dtype of the state, negated for ``maximize``.
        Not to be written: they may be the user's own.
    states
        The optimizer's state of each parameter.
    steps
        Each parameter's own step, counted from 1.
    foreach
        Whether to use multi-tensor operations.
    """

    params: list[Tensor]
    grads: list[Tensor]
    states: list[State]
    steps: list[int]
    foreach: bool

    def buffers(self, key: str) -> list[Tensor]:
        """Return a state tensor of every parameter, viewed as real."""
        return [as_real(state[key]) for state in self.states]

    def penalise(self, weight_decay: float) -> None:
        """Add the gradient of an L2 penalty: g ← g + λθ."""
        if weight_decay == 0:
            return
        if self.foreach:
            self.grads = list(torch._foreach_add(self.grads, self.params, alpha=weight_decay))
        else:
            pairs = zip(self.grads, self.params, strict=True)
            self.grads = [g.add(p, alpha=weight_decay) for g, p in pairs]


def as_real(tensor: Tensor) -> Tensor:
    """View a complex tensor as real, with a last dimension of 2; return others as they are."""
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def state_dtype(param: Tensor) -> torch.dtype:
    """Return the dtype of a parameter's state: its own, but at least 32 bits wide."""
    return torch.promote_types(param.dtype, torch.float32)


def working_dtype(param: Tensor) -> torch.dtype:
    """Return the real dtype in which a parameter's update is computed."""
    return state_dtype(param).to_real()


def refuse_sparse_gradients(optimizer: torch.optim.Optimizer) -> None:
    """Raise RuntimeError if a gradient is sparse, before a step changes anything."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            if param.grad is not None and param.grad.layout is not torch.strided:
                raise RuntimeError(
                    f"{type(optimizer).__name__} does not support sparse gradients: one of shape "
                    f"{tuple(param.grad.shape)} has layout {param.grad.layout}; use a dense one"
                )


def batches(
    optimizer: torch.optim.Optimizer,
    group: dict[str, Any],
    new_state: Callable[[Tensor, dict[str, Any]], State],
) -> Iterator[Batch]:
    """Count a step for every parameter of a group that has a gradient, and yield their batches.

    Tensors without entries are counted and left out.

    Parameters
    ----------
    optimizer
        Whose state is read and filled.
    group
        One of its parameter groups, with ``foreach`` and ``maximize``.
    new_state
        Makes the state of a parameter at its first gradient.
    """
    present = [param for param in group["params"] if param.grad is not None]
    for param in present:
        if len(optimizer.state[param]) == 0:
            step = torch.zeros((), dtype=torch.float32)
            optimizer.state[param] = {"step": step, **new_state(param, group)}
        optimizer.state[param]["step"] += 1
    foreach = group["foreach"]
    if foreach is None:
        _, foreach = _default_to_fused_or_foreach(present, differentiable=False, use_fused=False)
    together: dict[Any, list[Tensor]] = {}
    for i, param in enumerate(present):
        if param.numel() > 0:
            key = (param.device, param.dtype) if foreach else i
            together.setdefault(key, []).append(param)
    for params in together.values():
        grads = [
            as_real(param.grad.to(state_dtype(param)).resolve_conj())
            for param in params
            if param.grad is not None
        ]
        if group["maximize"]:
            grads = list(torch._foreach_neg(grads)) if foreach else [-grad for grad in grads]
        states = [optimizer.state[param] for param in params]
        steps = [int(state["step"].item()) for state in states]
        yield Batch([as_real(param) for param in params], grads, states, steps, foreach)
