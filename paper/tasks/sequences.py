"""The adding problem."""

import torch
from torch import Tensor, nn

from .task import Recurrent, Task, initialise


def adding(seed: int, length: int, width: int = 32, batch_size: int = 16) -> Task:
    """Return the adding problem with an LSTM.

    Two numbers of a sequence of U(0, 1) are marked, one in each half; the target is their sum, so
    that to answer 1 always has the mean squared error 1/6 (S. Hochreiter and J. Schmidhuber, Long
    Short-Term Memory, 1997, experiment 4). 4096 sequences train and 512 validate.
    """
    generator = torch.Generator().manual_seed(seed)
    x, y = _marked_sums(4096 + 512, length, generator)
    model = Adder(width, length, generator)
    return Task(
        model, (x[:4096], y[:4096]), (x[4096:], y[4096:]), nn.functional.mse_loss, batch_size
    )


class Adder(nn.Module):
    """An LSTM whose last output is read."""

    def __init__(self, width: int, memory: int, generator: torch.Generator) -> None:
        super().__init__()
        self.recurrent = Recurrent(2, width, memory, generator)
        self.head = nn.Linear(width, 1)
        initialise(self.head, 1.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the answer to each sequence, (samples, 1)."""
        answer: Tensor = self.head(self.recurrent(x)[:, -1])
        return answer


def _marked_sums(count: int, length: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    numbers = torch.rand(count, length, generator=generator)
    half = length // 2
    first = torch.randint(half, (count, 1), generator=generator)
    second = half + torch.randint(length - half, (count, 1), generator=generator)
    marks = torch.zeros(count, length).scatter_(1, torch.cat([first, second], dim=1), 1.0)
    return torch.stack([numbers, marks], dim=2), (numbers * marks).sum(dim=1, keepdim=True)
