"""Training tasks that need no download: data, network and loss from a seed."""

import functools
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """A network to train and the data to train it on.

    Attributes
    ----------
    model
        The network, freshly initialised.
    train, validation
        Inputs and targets.
    loss
        Mean loss of outputs and targets.
    batch_size
        Samples per step; as many as there are for full batches.
    """

    model: nn.Module
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    batch_size: int


def relu_network(widths: list[int], bias: float, generator: torch.Generator) -> nn.Sequential:
    """Return linear layers with ReLU between them, Kaiming-normal weights and constant biases."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        nn.init.constant_(linear.bias, bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def published_regression(seed: int) -> Task:
    """Return the task of relativistic-adam's demo: an eight-layer network on 150 samples.

    200 samples of x ~ N(0, I₁₀), y = Σxᵢ² + ½Σ_{i≤5} xᵢxᵢ₊₅ + 0.1·N(0, 1), standardised; full
    batches, mean squared error.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(200, 10, generator=generator)
    y = (x**2).sum(dim=1) + 0.5 * (x[:, :5] * x[:, 5:]).sum(dim=1)
    y += 0.1 * torch.randn(200, generator=generator)
    y = ((y - y.mean()) / y.std()).unsqueeze(1)
    model = relu_network([10, *[128] * 7, 1], bias=0.01, generator=generator)
    return Task(model, (x[:150], y[:150]), (x[150:], y[150:]), nn.functional.mse_loss, 150)


def digits(seed: int) -> Task:
    """Return scikit-learn's 8×8 digits with a six-layer network, 128 samples a batch."""
    generator = torch.Generator().manual_seed(seed)
    x, y = _digits()
    order = torch.randperm(len(y), generator=generator)
    train, validation = order[: len(y) * 4 // 5], order[len(y) * 4 // 5 :]
    model = relu_network([64, *[128] * 5, 10], bias=0.0, generator=generator)
    return Task(
        model,
        (x[train], y[train]),
        (x[validation], y[validation]),
        nn.functional.cross_entropy,
        128,
    )


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    pixels = (np.asarray(data.data, dtype=np.float32) - 8) / 8  # 0 … 16 to −1 … 1
    return torch.from_numpy(pixels), torch.from_numpy(np.asarray(data.target, dtype=np.int64))


TASKS: dict[str, Callable[[int], Task]] = {
    "published_regression": published_regression,
    "digits": digits,
}
