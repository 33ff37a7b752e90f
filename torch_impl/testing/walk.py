"""An optimizer of a subject on its way, step by step."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from ..invariants import Invariants
from .subject import Subject

Gradients = Sequence[Tensor | None]


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed torch's generator of the CPU, and give it back its state in the end.

    torch.manual_seed does so for every device, which takes longer than a step.
    """
    before = torch.default_generator.get_state()
    torch.default_generator.manual_seed(seed)
    try:
        yield
    finally:
        torch.default_generator.set_state(before)


class Walk:
    """Takes steps from copies of parameters; what is drawn in a step has the step's own seed.

    Attributes
    ----------
    params
        The parameters.
    optimizer
        The optimizer.
    """

    def __init__(self, subject: Subject, params: Sequence[Tensor], **more: Any) -> None:
        self.params = [param.detach().clone().requires_grad_() for param in params]
        self._declaration = subject.invariants
        with seeded(0):
            self.optimizer = subject.build(self.params, **more)

    def promised(self) -> Invariants:
        """Return what the optimizer, as it is now, promises of its next step."""
        if self._declaration is not None:
            return self._declaration(self.optimizer)
        if hasattr(self.optimizer, "invariants"):
            promised: Invariants = self.optimizer.invariants()
            return promised
        return Invariants()

    def values(self) -> list[Tensor]:
        """Return copies of the parameters."""
        return [param.detach().clone() for param in self.params]

    def move_to(self, values: Sequence[Tensor]) -> None:
        """Give the parameters these values."""
        with torch.no_grad():
            for param, value in zip(self.params, values, strict=True):
                param.copy_(value)

    def set_rate(self, rate: float) -> None:
        """Change the learning rate of every group, as a scheduler does."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate

    def step(self, gradients: Gradients, seed: int = 0) -> None:
        """Take a step; gradients are copied."""
        for param, gradient in zip(self.params, gradients, strict=True):
            param.grad = None if gradient is None else gradient.clone()
        with seeded(seed):
            self.optimizer.step()

    def moved(self, gradients: Gradients, seed: int = 0) -> list[Tensor]:
        """Take a step, and return in float64 what it takes off the parameters."""
        before = self.values()
        self.step(gradients, seed)
        return [
            old.to(torch.float64) - new.detach().to(torch.float64)
            for old, new in zip(before, self.params, strict=True)
        ]
