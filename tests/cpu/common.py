"""Models and steps of the tests of ``fused=True`` on the CPU."""

from typing import Any

import torch

from tests.steps import normal

SHAPES = ((3, 4), (5,), (), (0,), (200, 200), (700, 1000))
"""Of several pieces the last, and of several blocks the one before."""


def parameters(shapes: Any = SHAPES) -> list[torch.Tensor]:
    return [normal(s, i, torch.float32).requires_grad_() for i, s in enumerate(shapes)]


def stepped(optimizer: Any, params: list[torch.Tensor], steps: int = 3, scale: float = 1) -> None:
    for step in range(steps):
        for i, param in enumerate(params):
            param.grad = scale * normal(param.shape, 100 * step + i, torch.float32)
        optimizer.step()


def everything(optimizer: Any, params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Parameters and state buffers, copied."""
    own = [v for p in params for v in optimizer.state[p].values() if isinstance(v, torch.Tensor)]
    return [tensor.detach().clone() for tensor in (*params, *own)]
