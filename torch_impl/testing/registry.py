"""Checks of optimizers, each a function of a subject, listed where it is defined."""

from collections.abc import Callable
from dataclasses import dataclass

from .subject import Subject

Run = Callable[[Subject], None]


class NotApplicable(Exception):
    """Raised by a check that does not apply to a subject; its message is the reason."""


@dataclass(frozen=True)
class Check:
    """A check of an optimizer.

    Attributes
    ----------
    name
        A statement, as the name of a function.
    topic
        What it is about: one of those of `TOPICS`.
    run
        Raises AssertionError if the statement is false of the subject, `NotApplicable` if it says
        nothing of it; any other exception is a failure too.
    """

    name: str
    topic: str
    run: Run

    @property
    def statement(self) -> str:
        """What is checked, in words."""
        return self.name.replace("_", " ")


CHECKS: dict[str, Check] = {}
"""All checks, by name, in the order in which they are defined."""


def check(topic: str) -> Callable[[Run], Run]:
    """Register a function as the check of its name."""

    def register(run: Run) -> Run:
        if run.__name__ in CHECKS:
            raise ValueError(f"check {run.__name__!r}: expected a name that is not taken")
        CHECKS[run.__name__] = Check(run.__name__, topic, run)
        return run

    return register
