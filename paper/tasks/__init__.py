"""Training tasks that need no download: data, network and loss from a seed.

The goal of a task lies nine tenths of the way from the score of a trivial predictor to what AdamW
with a cosine reached in a small pilot, at the best of the one to four learning rates that were
tried: the median of one to three seeds from 1000 to 1002, which no experiment uses.
The trivial predictor draws one of the classes, answers 1 to the adding problem (a mean squared
error of 1/6) or knows how often each byte is in the text; on a landscape it stays where it starts,
at the expected height. All networks on the digits that have ReLUs share the goal of `digits`,
which is the demo's. On `published_regression` AdamW ends worse than a constant answer, whose loss
is 1; its goal is to explain three tenths of the variance.
"""

from functools import partial

import torch

from .images import deep_tanh, digits, digits_bf16, digits_cnn, faces_cnn
from .landscapes import noisy_double_well, noisy_quadratic
from .regression import published_regression
from .sequences import adding
from .task import Problem, Task
from .text import byte_gpt, byte_gpt_small, byte_lstm, post_ln_gpt

BYTES = 3.15
"""Cross-entropy of the validation text under the frequencies of the bytes."""

TASKS: dict[str, Problem] = {
    "published_regression": Problem(
        published_regression, steps=200, score="loss", goal=0.7, trivial=1.0
    ),
    "digits": Problem(digits, steps=300, score="error", goal=0.1, trivial=0.9),
    "digits_width_32": Problem(
        partial(digits, width=32), steps=300, score="error", goal=0.1, trivial=0.9
    ),
    "digits_width_64": Problem(
        partial(digits, width=64), steps=300, score="error", goal=0.1, trivial=0.9
    ),
    "digits_width_256": Problem(
        partial(digits, width=256), steps=300, score="error", goal=0.1, trivial=0.9
    ),
    "digits_width_512": Problem(
        partial(digits, width=512), steps=300, score="error", goal=0.1, trivial=0.9
    ),
    "digits_bf16": Problem(digits_bf16, steps=300, score="error", goal=0.1, trivial=0.9),
    "digits_cnn": Problem(digits_cnn, steps=300, score="error", goal=0.1, trivial=0.9),
    "deep_tanh": Problem(deep_tanh, steps=300, score="error", goal=0.31, trivial=0.9),
    "faces_cnn": Problem(faces_cnn, steps=200, score="error", goal=0.061, trivial=0.5),
    "adding_100": Problem(
        partial(adding, length=100), steps=500, score="loss", goal=0.018, trivial=1 / 6
    ),
    "adding_200": Problem(
        partial(adding, length=200), steps=500, score="loss", goal=0.019, trivial=1 / 6
    ),
    "byte_lstm": Problem(byte_lstm, steps=300, score="loss", goal=2.0, trivial=BYTES),
    "byte_gpt": Problem(byte_gpt, steps=300, score="loss", goal=2.52, trivial=BYTES),
    "byte_gpt_small": Problem(byte_gpt_small, steps=200, score="loss", goal=2.64, trivial=BYTES),
    "byte_gpt_bf16": Problem(
        partial(byte_gpt_small, autocast=torch.bfloat16),
        steps=200,
        score="loss",
        goal=2.64,
        trivial=BYTES,
    ),
    "post_ln_gpt": Problem(post_ln_gpt, steps=300, score="loss", goal=2.73, trivial=BYTES),
    "noisy_quadratic": Problem(noisy_quadratic, steps=300, score="loss", goal=0.41, trivial=3.68),
    "noisy_double_well": Problem(
        noisy_double_well, steps=300, score="loss", goal=3.3, trivial=32.0
    ),
}

__all__ = ["TASKS", "Problem", "Task"]
