"""A look at tensors before kernels are told where they are."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..state import lives_on_device
from .homes import refuse_converted
from .layout import alike, are_uniform, lie_alike, refuse_other_shapes, share_device
from .work import Work, remembered

State = dict[Tensor, dict[str, Any]]
"""What an optimizer keeps of each parameter."""


def looked_at(work: Work, keys: Sequence[str], state: State, home: str | None) -> Work:
    """Return tensors as kernels expect them, and what there is to remember of them.

    Parameters
    ----------
    work
        Tensors of a group, of which nothing is known.
    keys
        The names of the kinds of buffers.
    state
        Where steps and buffers are replaced that were not moved with their parameters.
    home
        The kind of device whose kernels are to step them, if any are.

    Raises
    ------
    RuntimeError
        If they are nothing for these kernels.
    """
    params, grads = work.params, work.grads
    if lives_on_device(work.group):
        follow(params, work.steps, state)
    uniform = are_uniform(params, grads, work.buffers, work.steps)
    if not uniform:
        buffers = dict(zip(keys, work.buffers, strict=True))
        refuse_other_shapes(work.number, params, grads, buffers)
        for key, values in buffers.items():
            _lay_out(params, key, values, state)
        grads = alike(grads, params)
    if home is not None:
        refuse_converted(work, home)
    found = work._replace(grads=grads, uniform=uniform)
    return found if grads is not work.grads else found._replace(known=remembered(found, home))


def follow(params: list[Tensor], steps: list[Tensor], state: State) -> None:
    """Have steps in binary32 on the device of their parameters, which may have been moved."""
    kind = torch.float32
    if all(x.dtype is kind for x in steps) and share_device([*params, *steps], params[0]):
        return
    for i, (param, step) in enumerate(zip(params, steps, strict=True)):
        if step.device != param.device or step.dtype is not kind:
            steps[i] = state[param]["step"] = step.to(param.device, kind)


def _lay_out(params: list[Tensor], key: str, values: list[Tensor], state: State) -> None:
    """Have buffers lie in memory as their parameters do, which may have been moved since."""
    if lie_alike(values, params):
        return
    for i, (param, value) in enumerate(zip(params, values, strict=True)):
        if not lie_alike([value], [param]):
            values[i] = torch.empty_like(param, dtype=value.dtype).copy_(value)
            state[param][key] = values[i]
