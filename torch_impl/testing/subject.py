"""What is checked: an optimizer class or factory, with its options."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..invariants import Declaration

Make = Callable[..., Optimizer]
"""A class, or any function that makes an optimizer of parameters and options."""

Options = dict[str, Any]


@dataclass(frozen=True)
class Subject:
    """An optimizer that is checked.

    Attributes
    ----------
    make
        Makes it, of parameters (tensors or groups) and options.
    options
        Options that it is always made with.
    strict
        Whether it is to pass the checks, too, that torch.optim's own optimizers fail.
    invariants
        What it promises of its steps; None asks its own method ``invariants``, if it has one.
    seed
        What Hypothesis draws its examples by; None chooses one.
    """

    make: Make
    options: Mapping[str, Any] = field(default_factory=dict)
    strict: bool = False
    invariants: Declaration | None = None
    seed: int | None = None

    @property
    def name(self) -> str:
        """The name of the class or factory."""
        return getattr(self.make, "__qualname__", repr(self.make))

    def build(self, params: Any, **more: Any) -> Any:
        """Make an optimizer of parameters; ``more`` has precedence over its own options."""
        return self.make(params, **{**self.options, **more})

    def has(self, option: str) -> bool:
        """Whether the class or factory has an option of this name."""
        kinds = {name: p.kind for name, p in inspect.signature(self.make).parameters.items()}
        if inspect.Parameter.VAR_KEYWORD in kinds.values() and option not in kinds:
            return option in self.build([torch.zeros(2, 2)]).defaults
        return option in kinds

    def takes(self, option: str) -> bool:
        """Whether it has an option of this name, and no value of it is given."""
        return option not in self.options and self.has(option)

    def paths(self) -> list[Options]:
        """Return the options that choose between ways to compute a step: foreach or not."""
        fixed = any(self.options.get(name) for name in ("fused", "differentiable"))
        if fixed or not self.takes("foreach"):
            return [{}]
        return [{"foreach": False}, {"foreach": True}]

    def having(self, **options: Any) -> Options:
        """Return those of the options that it takes."""
        return {name: value for name, value in options.items() if self.takes(name)}

    def trained(
        self,
        params: Iterable[Tensor],
        gradients: Callable[[int], Any],
        steps: int = 3,
        **more: Any,
    ) -> list[Tensor]:
        """Take steps from copies of the parameters; return where they end.

        Whatever an optimizer draws is drawn from the same seed in every call.
        """
        leaves = [param.detach().clone().requires_grad_() for param in params]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            optimizer = self.build(leaves, **more)
            for step in range(steps):
                for leaf, gradient in zip(leaves, gradients(step), strict=True):
                    leaf.grad = gradient
                optimizer.step()
        return [leaf.detach() for leaf in leaves]


def normal(shape: Any, seed: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Return a tensor of normal numbers that the seed fixes."""
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)
