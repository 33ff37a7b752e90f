"""Parameters and gradients to check what is promised of a step on."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from torch import Tensor

from ...invariants import Invariants
from ..draws import drawn
from ..registry import NotApplicable
from ..subject import Subject
from ..walk import Walk

DTYPES = (torch.float32, torch.float64, torch.bfloat16, torch.float16)
WIDE, NARROW = DTYPES[:2], DTYPES[2:]
SHAPES = ((3,), (), (1,), (2, 3))


@dataclass(frozen=True)
class Problem:
    """Parameters, and their gradients in some steps."""

    params: list[Tensor]
    gradients: list[list[Tensor]]

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of all of them."""
        return self.params[0].dtype


any_finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
"""Every finite number of binary32, subnormals and the largest among them."""

moderate = st.integers(-32, 32).map(lambda n: n / 8)
"""Numbers of size up to 4, of which few are 0."""

rates = st.integers(-10, 20).map(lambda power: 2.0**power)
"""Learning rates from far below to far above what any speed limit lets through."""


@st.composite
def problems(
    draw: st.DrawFn,
    entries: st.SearchStrategy[float] = moderate,
    dtypes: Sequence[torch.dtype] = WIDE,
    steps: int = 3,
) -> Problem:
    """One to three tensors of one dtype; gradients beyond its range are at its ends."""
    dtype = draw(st.sampled_from(dtypes))
    shapes = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=3))
    params = [_tensor(draw, shape, moderate, dtype) for shape in shapes]
    gradients = [[_tensor(draw, shape, entries, dtype) for shape in shapes] for _ in range(steps)]
    return Problem(params, gradients)


@st.composite
def steady_problems(draw: st.DrawFn, steps: int = 3) -> Problem:
    """Gradients that keep their sign and outweigh every penalty: nothing cancels.

    Then what differs by a rounding stays near: an average or a sum of them magnifies nothing.
    """
    directions = draw(problems(steps=1))
    (signs,) = [[torch.where(g < 0, -1, 1) for g in step] for step in directions.gradients]
    sizes = st.integers(64, 256).map(lambda n: n / 8)
    dtype = directions.dtype
    gradients = [
        [sign * _tensor(draw, tuple(sign.shape), sizes, dtype) for sign in signs]
        for _ in range(steps)
    ]
    return Problem(directions.params, gradients)


def _tensor(
    draw: st.DrawFn, shape: tuple[int, ...], entries: st.SearchStrategy[float], dtype: torch.dtype
) -> Tensor:
    count = torch.Size(shape).numel()
    values = draw(st.lists(entries, min_size=count, max_size=count))
    largest = torch.finfo(dtype).max
    return torch.tensor(values, dtype=torch.float64).clamp(-largest, largest).to(dtype).view(shape)


def for_all(
    *, share: float = 1.0, **strategies: st.SearchStrategy[Any]
) -> Callable[[Callable[..., None]], None]:
    """Run a function on examples, of which none is kept on the disk.

    Parameters
    ----------
    share
        Of the number of examples that Hypothesis' profile says: less where each takes many steps.
    strategies
        What its arguments are drawn from.
    """
    decorate = given(**strategies)
    quiet = settings(
        max_examples=max(1, round(share * settings().max_examples)),
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=(Phase.generate, Phase.shrink),
    )
    return lambda function: drawn(quiet(decorate(function)))()


def promises_of(subject: Subject) -> Invariants:
    """Return what a subject promises of its first step."""
    return Walk(subject, [torch.ones(2)]).promised()


def promised(subject: Subject, name: str) -> Any:
    """Return what a subject promises under a name, of its first step.

    Raises
    ------
    NotApplicable
        If it promises nothing.
    """
    promise = getattr(promises_of(subject), name)
    if promise is None or promise is False:
        raise NotApplicable(f"does not declare {name} under these options")
    return promise
