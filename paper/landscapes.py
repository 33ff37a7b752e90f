"""Paths of optimizers over functions of two variables."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from .optimizers import OPTIMIZERS

Array = npt.NDArray[np.float64]


@dataclass(frozen=True)
class Landscape:
    """A function of two variables.

    Attributes
    ----------
    height
        The function: points of shape (..., 2) to heights of shape (...).
    minimum
        Where it is smallest, and 0.
    start
        Where paths begin unless told otherwise.
    extent
        What figures show: left, right, bottom, top.
    """

    height: Callable[[Tensor], Tensor]
    minimum: tuple[float, float]
    start: tuple[float, float]
    extent: tuple[float, float, float, float]


def rosenbrock(points: Tensor) -> Tensor:
    """Return (1 − x)² + 100(y − x²)²: a curved valley.

    Where it is lowest it bends 2,500 times as much across as along.
    """
    x, y = points[..., 0], points[..., 1]
    return (1 - x) ** 2 + 100 * (y - x**2) ** 2


def rastrigin(points: Tensor) -> Tensor:
    """Return 20 + Σ(x² − 10 cos 2πx): a bowl with a minimum near every pair of whole numbers."""
    waves: Tensor = points**2 - 10 * torch.cos(2 * torch.pi * points)
    return 20 + waves.sum(dim=-1)


LANDSCAPES: Mapping[str, Landscape] = {
    "Rosenbrock": Landscape(rosenbrock, (1.0, 1.0), (-1.2, 1.0), (-2.0, 2.0, -1.0, 3.0)),
    "Rastrigin": Landscape(rastrigin, (0.0, 0.0), (2.8, 2.3), (-1.5, 4.0, -1.5, 4.0)),
}


def trajectory(
    landscape: str,
    optimizer: str,
    options: Mapping[str, Any],
    *,
    steps: int,
    start: tuple[float, float] | None = None,
    seed: int = 0,
) -> Array:
    """Return the points that an optimizer passes.

    Parameters
    ----------
    landscape
        Key of `LANDSCAPES`.
    optimizer, options
        Key of `paper.optimizers.OPTIMIZERS`, and its arguments.
    steps
        How many steps, at least 0.
    start
        Where it begins; None for the landscape's.
    seed
        Of what the optimizer draws, such as Gravity's first velocity.

    Returns
    -------
    Points in float64, of shape (steps + 1, 2), the start first; fewer, if a step leads where height
    or slope is not finite: the path ends before that.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    for name, key, known in (
        ("landscape", landscape, LANDSCAPES),
        ("optimizer", optimizer, OPTIMIZERS),
    ):
        if key not in known:
            raise ValueError(f"{name}={key!r}: expected one of {', '.join(known)}")
    if not isinstance(steps, int) or steps < 0:
        raise ValueError(f"steps={steps!r}: expected a whole number >= 0")
    height = LANDSCAPES[landscape].height
    point = torch.nn.Parameter(
        torch.tensor(start or LANDSCAPES[landscape].start, dtype=torch.float64)
    )
    passed = [point.detach().numpy().copy()]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        moving = OPTIMIZERS[optimizer]([point], **options)
        for _ in range(steps):
            (point.grad,) = torch.autograd.grad(height(point), point)
            moving.step()
            (slope,) = torch.autograd.grad(height(point), point)
            if not (torch.isfinite(slope).all() and torch.isfinite(height(point))):
                break
            passed.append(point.detach().numpy().copy())
    return np.array(passed)


def heights(landscape: str, points: Array) -> Array:
    """Return the heights at points of shape (..., 2)."""
    found: Array = LANDSCAPES[landscape].height(torch.from_numpy(points)).numpy()
    return found
