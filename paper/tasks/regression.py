"""The task of relativistic-adam's demo."""

import torch
from torch import nn

from .task import Task, relu_network


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
