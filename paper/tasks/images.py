"""Small images: scikit-learn's digits."""

import functools

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from .task import Task, relu_network


def digits(seed: int, width: int = 128) -> Task:
    """Return scikit-learn's 8×8 digits with a six-layer network, 128 samples a batch."""
    generator = torch.Generator().manual_seed(seed)
    x, y = _digits()
    order = torch.randperm(len(y), generator=generator)
    train, validation = order[: len(y) * 4 // 5], order[len(y) * 4 // 5 :]
    model = relu_network([64, *[width] * 5, 10], bias=0.0, generator=generator)
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
