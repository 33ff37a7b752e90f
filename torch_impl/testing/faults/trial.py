"""A short training of an optimizer, with a twin that nothing happens to."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ...batches import as_real
from ...snapshot import tensors_in
from ..subject import Subject, normal

BEFORE = 3
"""Steps before a fault."""

AFTER = 10
"""Steps after it, in which every entry has to go on."""

STOPPED = 0.01
"""An entry that goes less far than this times its twin's way has stopped.

A step that is only smaller (limited, or with other moments) goes farther; one that is lost to
rounding, or divided by an infinite moment, goes nowhere.
"""


class Trial:
    """Parameters, an optimizer of them, and the gradients of its steps: 1 and a little noise.

    So every entry has somewhere to go and keeps going there. What a step draws, or is given,
    depends on nothing but how many were taken before.

    Parameters
    ----------
    subject
        Makes the optimizer.
    params
        Its parameters, by name; they are copied. Those without entries, or without values (on the
        device "meta"), are not judged.
    scale
        What gradients are multiplied with.
    named
        Whether the optimizer is told the names.
    formats
        Dtypes that parameters are rounded to after each step: a twin is to stop where another
        trial's parameters could not hold a step in any case.
    """

    def __init__(
        self,
        subject: Subject,
        params: Mapping[str, Tensor],
        scale: float = 1.0,
        named: bool = False,
        formats: Mapping[str, torch.dtype] | None = None,
    ) -> None:
        self.params = {name: _copied(param).requires_grad_() for name, param in params.items()}
        self.scale = scale
        self.formats = formats or {}
        self.taken = 0
        self.last = self.values()
        leaves: Any = list(self.params.items()) if named else list(self.params.values())
        self.optimizer = subject.build(leaves)

    def set_gradients(self) -> None:
        """Give every parameter its next gradient, which lies in memory as it does."""
        for i, param in enumerate(self.params.values()):
            noise = normal(_plain_shape(param), 1000 * self.taken + i)
            real = self.scale * (1 + 0.1 * noise)
            values = torch.view_as_complex(real) if param.is_complex() else real
            param.grad = torch.empty_like(param).copy_(values.reshape(param.shape))

    def take(self) -> None:
        """Take a step with the gradients that are there."""
        self.last = self.values()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.taken)
            self.optimizer.step()
        self.taken += 1
        for name, dtype in self.formats.items():
            values = self.params[name].detach()
            values.copy_(values.to(dtype))

    def step(self, count: int = 1) -> None:
        """Take steps."""
        for _ in range(count):
            self.set_gradients()
            self.take()

    def values(self) -> dict[str, Tensor]:
        """Return the real numbers that the parameters hold, in copies."""
        return {
            name: as_real(param.detach()).to(torch.float64, copy=True).reshape(_plain_shape(param))
            for name, param in self.params.items()
            if not param.is_meta and param.numel() > 0
        }

    def changed(self) -> str:
        """Return which parameter is not as it was before the last step; "" if none."""
        for name, value in self.values().items():
            if name in self.last and not torch.equal(value, self.last[name]):
                return f"parameter {name!r} has changed"
        return ""

    def not_finite(self) -> str:
        """Return what is not finite, a parameter or its state; "" if all is."""
        for name, param in self.params.items():
            own = self.optimizer.state.get(param, {})
            for key, value in (("", param.detach()), *own.items()):
                for tensor in tensors_in(value):
                    bad = 0 if tensor.is_meta else int((~tensor.isfinite()).sum())
                    if bad:
                        what = f"state {key!r} of {name!r}" if key else f"parameter {name!r}"
                        return f"{bad} of {tensor.numel()} entries of {what} are not finite"
        return ""


def plain(param: Tensor) -> Tensor:
    """Return a parameter as an ordinary one: real, float32, contiguous, with a dimension."""
    return as_real(param).to(torch.float32).contiguous().reshape(_plain_shape(param))


def stopped(trial: Trial, twin: Trial) -> str:
    """Return which entries stop while their twins take as many steps; "" if none does."""
    before, befores = trial.values(), twin.values()
    trial.step(AFTER)
    twin.step(AFTER)
    ways = {name: end - befores[name] for name, end in twin.values().items()}
    for name, end in trial.values().items():
        way = (end - before[name]).abs()
        few = int((way < STOPPED * ways[name].abs()).sum())
        if few:
            return f"{few} of {end.numel()} entries of parameter {name!r} have stopped"
    return ""


def _plain_shape(param: Tensor) -> tuple[int, ...]:
    shape = (*param.shape, 2) if param.is_complex() else tuple(param.shape)
    return shape or (1,)


def _copied(param: Tensor) -> Tensor:
    """Return a copy that lies in memory as the parameter does."""
    return param.detach().clone(memory_format=torch.preserve_format)
