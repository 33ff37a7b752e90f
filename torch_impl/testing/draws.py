"""The seed of what Hypothesis draws, so that a failure can be seen again."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

from hypothesis import seed

Test = TypeVar("Test", bound=Callable[..., object])

_seed: ContextVar[int] = ContextVar("seed")


@contextmanager
def drawing_by(number: int) -> Iterator[None]:
    """Have what is `drawn` inside draw by a seed."""
    token = _seed.set(number)
    try:
        yield
    finally:
        _seed.reset(token)


def drawn(test: Test) -> Test:
    """Return a test that draws by the seed of `drawing_by`, if it is inside of one."""
    number = _seed.get(None)
    return test if number is None else seed(number)(test)
