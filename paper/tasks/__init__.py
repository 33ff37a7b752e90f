"""Training tasks that need no download: data, network and loss from a seed."""

from functools import partial

from .images import deep_tanh, digits, digits_bf16, digits_cnn, faces_cnn
from .landscapes import noisy_double_well, noisy_quadratic
from .regression import published_regression
from .sequences import adding
from .task import Problem, Task
from .text import byte_gpt, byte_gpt_bf16, byte_lstm, post_ln_gpt

TASKS: dict[str, Problem] = {
    "published_regression": Problem(published_regression, steps=200, score="loss", goal=1.0),
    "digits": Problem(digits, steps=300, score="error", goal=0.1),
    **{
        f"digits_width_{width}": Problem(
            partial(digits, width=width), steps=300, score="error", goal=0.1
        )
        for width in (32, 64, 256, 512)
    },
    "digits_bf16": Problem(digits_bf16, steps=300, score="error", goal=0.1),
    "deep_tanh": Problem(deep_tanh, steps=300, score="error", goal=0.2),
    "digits_cnn": Problem(digits_cnn, steps=300, score="error", goal=0.1),
    "faces_cnn": Problem(faces_cnn, steps=300, score="error", goal=0.1),
    "adding_100": Problem(partial(adding, length=100), steps=500, score="loss", goal=0.1),
    "adding_200": Problem(partial(adding, length=200), steps=500, score="loss", goal=0.1),
    "byte_lstm": Problem(byte_lstm, steps=300, score="loss", goal=3.0),
    "byte_gpt": Problem(byte_gpt, steps=300, score="loss", goal=3.0),
    "byte_gpt_bf16": Problem(byte_gpt_bf16, steps=200, score="loss", goal=3.0),
    "post_ln_gpt": Problem(post_ln_gpt, steps=300, score="loss", goal=3.0),
    "noisy_quadratic": Problem(noisy_quadratic, steps=300, score="loss", goal=1.0),
    "noisy_double_well": Problem(noisy_double_well, steps=300, score="loss", goal=1.0),
}

__all__ = ["TASKS", "Problem", "Task"]
