"""What is trained: a network, data, and when it counts as trained."""

import itertools
import math
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
    trivial
        The score of what has learned nothing.
    """

    make: Callable[[int], Task]
    steps: int
    score: Literal["loss", "error"]
    goal: float
    trivial: float


def relu_network(widths: list[int], bias: float, generator: torch.Generator) -> nn.Sequential:
    """Return linear layers with ReLU between them, Kaiming-normal weights and constant biases."""
    layers: list[nn.Module] = []
    for fan_in, fan_out in itertools.pairwise(widths):
        linear = nn.Linear(fan_in, fan_out)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu", generator=generator)
        nn.init.constant_(linear.bias, bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers[:-1])


def initialise(model: nn.Module, gain: float, generator: torch.Generator) -> None:
    """Draw weights from N(0, gain²/fan-in) in place and let biases be 0."""
    for parameter in model.parameters():
        if parameter.dim() == 1:
            nn.init.zeros_(parameter)
        else:
            fan_in = parameter[0].numel()
            nn.init.normal_(parameter, std=gain / math.sqrt(fan_in), generator=generator)


class Recurrent(nn.Module):
    """One layer of LSTM cells over sequences (samples, steps, inputs).

    Weights of the inputs ~ N(0, 1/inputs), those of the recurrence orthogonal gate by gate.

    Parameters
    ----------
    inputs, width
        Numbers that go into a step and that come out of it.
    memory
        The cells' time constants are drawn from 1 to this many steps, by the biases of their
        forget and input gates (C. Tallec and Y. Ollivier, Can recurrent neural networks warp
        time?, ICLR 2018, eq. 17).
    generator
        What everything is drawn with.
    """

    def __init__(self, inputs: int, width: int, memory: float, generator: torch.Generator) -> None:
        super().__init__()
        self.cells = nn.LSTM(inputs, width, batch_first=True)
        initialise(self.cells, 1.0, generator)
        _, recurrence, bias, _ = self.cells.parameters()
        for gate in range(4):
            rows = slice(gate * width, (gate + 1) * width)
            nn.init.orthogonal_(recurrence[rows], generator=generator)
        steps = torch.empty(width).uniform_(1, memory - 1, generator=generator)
        with torch.no_grad():
            bias[width : 2 * width] = steps.log()
            bias[:width] = -steps.log()

    def forward(self, x: Tensor) -> Tensor:
        """Return the outputs of all steps, (samples, steps, width)."""
        outputs: Tensor = self.cells(x)[0]
        return outputs
