"""Training tasks that need no download: data, network and loss from a seed."""

from .images import digits
from .regression import published_regression
from .task import Problem, Task

TASKS: dict[str, Problem] = {
    "published_regression": Problem(published_regression, steps=200, score="loss", goal=1.0),
    "digits": Problem(digits, steps=300, score="error", goal=0.1),
}

__all__ = ["TASKS", "Problem", "Task"]
