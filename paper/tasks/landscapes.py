"""Functions of 64 numbers whose gradient is known up to noise."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from .task import Task

DIMENSIONS = 64
CONDITION = 1e4
"""Largest over smallest curvature of the quadratic."""


class Landscape(nn.Module):
    """A point x of a landscape f; the output for a noise ξ is f(x) + ⟨ξ, x⟩.

    Its gradient is ∇f(x) + ξ.
    """

    def __init__(self, start: Tensor, height: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.x = nn.Parameter(start)
        self.height = height

    def forward(self, noise: Tensor) -> Tensor:
        """Return f(x) + ⟨ξ, x⟩ of each row ξ."""
        return self.height(self.x) + torch.mv(noise, self.x)


def noisy_quadratic(seed: int) -> Task:
    """Return f(x) = ½Σλᵢ(Qx)ᵢ², λ from 1e-4 to 1 in equal ratios, Q a random rotation.

    (Qx)ᵢ ~ N(0, 1) at the start; the gradient's noise is N(0, 0.1²) in every entry.
    """
    generator = torch.Generator().manual_seed(seed)
    square = torch.randn(DIMENSIONS, DIMENSIONS, dtype=torch.float64, generator=generator)
    rotation = torch.linalg.qr(square).Q
    curvature = torch.logspace(0, 1, DIMENSIONS, base=1 / CONDITION, dtype=torch.float64)
    root = (curvature.sqrt()[:, None] * rotation).float()

    def height(x: Tensor) -> Tensor:
        return torch.mv(root, x).square().sum() / 2

    start = torch.randn(DIMENSIONS, generator=generator)
    return _task(Landscape(start, height), 0.1, generator)


def noisy_double_well(seed: int) -> Task:
    """Return f(x) = Σ(xᵢ² − 1)²/4, from x ~ N(0, 1), with noise N(0, 0.5²) in the gradient."""
    generator = torch.Generator().manual_seed(seed)

    def height(x: Tensor) -> Tensor:
        return (x.square() - 1).square().sum() / 4

    start = torch.randn(DIMENSIONS, generator=generator)
    return _task(Landscape(start, height), 0.5, generator)


def _task(model: Landscape, deviation: float, generator: torch.Generator) -> Task:
    """Return the task of 1024 steps with a noise of their own; the validation has none."""
    noise = deviation * torch.randn(1024, DIMENSIONS, generator=generator)
    train, validation = (noise, torch.zeros(1024)), (torch.zeros(1, DIMENSIONS), torch.zeros(1))
    return Task(model, train, validation, _mean_output, 1)


def _mean_output(outputs: Tensor, _targets: Tensor) -> Tensor:
    return outputs.mean()
