"""Next-byte prediction on sources of Python's standard library."""

import functools
import hashlib
import platform
import sysconfig
from pathlib import Path

import torch
from torch import Tensor, nn

from .task import Recurrent, Task, initialise
from .transformer import Gpt

MODULES = (
    *("bisect", "calendar", "cmd", "code", "colorsys", "copy", "filecmp", "fnmatch"),
    *("glob", "graphlib", "linecache", "numbers", "pprint", "queue", "reprlib", "sched"),
    *("string", "textwrap", "timeit"),
)
"""Modules of the standard library whose sources, one after the other, are the text."""

DIGEST = "e5b21311bde14f6ca9014a0727b320a12e64311d22ec2b47a44b4ba944853912"
"""SHA-256 of the text, as Python 3.11.7 has it."""

VOCABULARY = 128  # the text is ASCII
WINDOW = 64  # bytes that a prediction may look at


@functools.cache
def corpus() -> bytes:
    """Return the text.

    Raises
    ------
    ValueError
        If the running Python's sources are not those that the tasks are defined by.
    """
    library = Path(sysconfig.get_path("stdlib"))
    sources = [(library / f"{name}.py").read_text(encoding="utf-8") for name in MODULES]
    text = "".join(sources).encode()
    digest = hashlib.sha256(text).hexdigest()
    if digest != DIGEST:
        raise ValueError(
            f"the {len(MODULES)} modules paper.tasks.text.MODULES of {library} (Python "
            f"{platform.python_version()}) have the SHA-256 {digest}; the text tasks are defined "
            f"by {DIGEST}, the sources of Python 3.11.7"
        )
    return text


def byte_lstm(seed: int) -> Task:
    """Return the text with an LSTM of 64 cells, 16 windows a batch."""
    generator = torch.Generator().manual_seed(seed)
    train, validation = _windows(generator)
    return Task(ByteLstm(32, 64, generator), train, validation, _cross_entropy, 16)


def byte_gpt(seed: int) -> Task:
    """Return the text with a pre-LN transformer of 4 layers of width 64, 4 windows a batch."""
    generator = torch.Generator().manual_seed(seed)
    train, validation = _windows(generator)
    model = Gpt(VOCABULARY, WINDOW, 64, 4, 4, pre_norm=True, generator=generator)
    return Task(model, train, validation, _cross_entropy, 4)


def byte_gpt_small(seed: int, autocast: torch.dtype | None = None) -> Task:
    """Return the text with 2 layers of width 32, 4 windows a batch.

    It is what low precision is tried on, smaller than `byte_gpt` because processors without
    instructions for bfloat16 emulate them.
    """
    generator = torch.Generator().manual_seed(seed)
    train, validation = _windows(generator)
    model = Gpt(VOCABULARY, WINDOW, 32, 2, 2, pre_norm=True, generator=generator)
    return Task(model, train, validation, _cross_entropy, 4, autocast)


def post_ln_gpt(seed: int) -> Task:
    """Return the text with a post-LN transformer of 24 layers of width 32, 4 windows a batch."""
    generator = torch.Generator().manual_seed(seed)
    train, validation = _windows(generator)
    model = Gpt(VOCABULARY, WINDOW, 32, 24, 2, pre_norm=False, generator=generator)
    return Task(model, train, validation, _cross_entropy, 4)


class ByteLstm(nn.Module):
    """An LSTM that predicts the next byte of every step."""

    def __init__(self, inputs: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.embedding = nn.Embedding(VOCABULARY, inputs)
        self.recurrent = Recurrent(inputs, width, WINDOW, generator)
        self.head = nn.Linear(width, VOCABULARY)
        nn.init.normal_(self.embedding.weight, generator=generator)
        initialise(self.head, 1.0, generator)

    def forward(self, x: Tensor) -> Tensor:
        """Return the logits of the next bytes, (samples, bytes, vocabulary)."""
        logits: Tensor = self.head(self.recurrent(self.embedding(x)))
        return logits


def _windows(
    generator: torch.Generator,
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """Return windows that do not overlap, each with its bytes one on; 128 of them validate.

    Of windows with the same text there is one, so that none is in both.
    """
    text = torch.tensor(list(corpus()))
    windows = text[: len(text) // (WINDOW + 1) * (WINDOW + 1)].view(-1, WINDOW + 1)
    windows = torch.unique(windows, dim=0)
    windows = windows[torch.randperm(len(windows), generator=generator)]
    train, validation = windows[:-128], windows[-128:]
    return (train[:, :-1], train[:, 1:]), (validation[:, :-1], validation[:, 1:])


def _cross_entropy(logits: Tensor, targets: Tensor) -> Tensor:
    return nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
