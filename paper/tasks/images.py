"""Small images: scikit-learn's digits and scikit-image's faces."""

import functools
import math
from dataclasses import replace

import numpy as np
import skimage.data
import torch
from sklearn.datasets import load_digits
from torch import Tensor, nn

from .task import Task, initialise, relu_network


def digits(seed: int, width: int = 128) -> Task:
    """Return scikit-learn's 8×8 digits with a six-layer network, 128 samples a batch."""
    generator = torch.Generator().manual_seed(seed)
    train, validation = _split(*_digits(), 0.8, generator)
    model = relu_network([64, *[width] * 5, 10], bias=0.0, generator=generator)
    return Task(model, train, validation, nn.functional.cross_entropy, 128)


def digits_bf16(seed: int) -> Task:
    """Return `digits` with its forward pass in bfloat16."""
    return replace(digits(seed), autocast=torch.bfloat16)


def deep_tanh(seed: int, width: int = 32) -> Task:
    """Return the digits with thirty layers of tanh, 64 samples a batch.

    Weights ~ N(0, 1/fan-in) and no biases at the start are the edge of chaos of tanh: neither
    signals nor gradients fade or grow exponentially with the depth, though a finite width lets
    them wander (S. S. Schoenholz et al., Deep Information Propagation, ICLR 2017). So the network
    trains, at learning rates that are chosen with care.
    """
    generator = torch.Generator().manual_seed(seed)
    train, validation = _split(*_digits(), 0.8, generator)
    layers: list[nn.Module] = [nn.Linear(64, width), nn.Tanh()]
    for _ in range(28):
        layers += [nn.Linear(width, width), nn.Tanh()]
    model = nn.Sequential(*layers, nn.Linear(width, 10))
    initialise(model, 1.0, generator)
    return Task(model, train, validation, nn.functional.cross_entropy, 64)


def digits_cnn(seed: int) -> Task:
    """Return the digits with two convolutions and a linear layer, 64 samples a batch."""
    generator = torch.Generator().manual_seed(seed)
    train, validation = _split(*_digits(), 0.8, generator)
    model = nn.Sequential(
        nn.Unflatten(1, (1, 8, 8)),
        *(nn.Conv2d(1, 16, 3, padding=1), nn.ReLU()),
        *(nn.Conv2d(16, 32, 3, stride=2, padding=1), nn.ReLU()),
        *(nn.Flatten(), nn.Linear(512, 10)),
    )
    initialise(model, math.sqrt(2), generator)
    return Task(model, train, validation, nn.functional.cross_entropy, 64)


def faces_cnn(seed: int) -> Task:
    """Return 200 images of 25×25, the half of them faces, with a network of three convolutions.

    The images are scikit-image's excerpt of Labeled Faces in the Wild; 120 train, 32 a batch.
    """
    generator = torch.Generator().manual_seed(seed)
    train, validation = _split(*_faces(), 0.6, generator)
    model = nn.Sequential(
        *(nn.Conv2d(1, 8, 3, stride=2), nn.ReLU()),  # 25 → 12
        *(nn.Conv2d(8, 16, 3, stride=2), nn.ReLU()),  # 12 → 5
        *(nn.Conv2d(16, 32, 3), nn.ReLU()),  # 5 → 3
        *(nn.Flatten(), nn.Linear(288, 2)),
    )
    initialise(model, math.sqrt(2), generator)
    return Task(model, train, validation, nn.functional.cross_entropy, 32)


def _split(
    x: Tensor, y: Tensor, share: float, generator: torch.Generator
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return a share of the samples to train on and the others to validate with."""
    order = torch.randperm(len(y), generator=generator)
    train, validation = order[: int(len(y) * share)], order[int(len(y) * share) :]
    return (x[train], y[train]), (x[validation], y[validation])


@functools.cache
def _digits() -> tuple[Tensor, Tensor]:
    data = load_digits()
    pixels = (np.asarray(data.data, dtype=np.float32) - 8) / 8  # 0 … 16 to −1 … 1
    return torch.from_numpy(pixels), torch.from_numpy(np.asarray(data.target, dtype=np.int64))


@functools.cache
def _faces() -> tuple[Tensor, Tensor]:
    images = skimage.data.lfw_subset()  # type: ignore[no-untyped-call]
    pixels = np.asarray(images, dtype=np.float32)[:, None]  # 0 … 1
    is_face = torch.arange(len(pixels)) < 100  # noqa: PLR2004 the excerpt's order
    return torch.from_numpy(2 * pixels - 1), is_face.long()
