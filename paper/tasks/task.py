"""What is trained: a network, data, and when it counts as trained."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Task:
    """A network to train and the data to train it on.

    Attributes
    ----------
    model
        The network, freshly initialised.
    train, validation
        Inputs and targets, the first axis over the samples.
    loss
        Mean loss of outputs and targets.
    batch_size
        Samples per step; as many as there are for full batches.
    autocast
        Number format of the forward pass, under torch.autocast; None for that of the parameters.
    """

    model: nn.Module
    train: tuple[Tensor, Tensor]
    validation: tuple[Tensor, Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]
    batch_size: int
    autocast: torch.dtype | None = None


@dataclass(frozen=True)
class Problem:
    """A task for every seed, and how a run on it is judged.

    Attributes
    ----------
    make
        Returns the task of a seed: its data, its network and the order of its samples.
    steps
        Optimizer steps of a run.
    score
        What of the validation is judged, smaller is better: the "loss", or the "error", the share
        of wrong predictions.
    goal
        The largest score with which a run counts as trained.
    """

    make: Callable[[int], Task]
    steps: int
    score: Literal["loss", "error"]
    goal: float


def relu_network(widths: list[int], bias: float, generator: torch.Generator) -> nn.Sequential:
    """Return linear layers with ReLU between them, Kaiming-normal weights and constant biases."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        nn.init.constant_(linear.bias, bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])
