"""Checks of optimizers, each a function of a subject, listed where it is defined."""

from collections.abc import Callable
from dataclasses import dataclass

from .subject import Subject

Run = Callable[[Subject], None]


class NotApplicable(Exception):  # noqa: N818
    """Raised by a check that does not apply to a subject; its message is the reason."""


@dataclass(frozen=True)
class Check:
    """A check of an optimizer.

    Attributes
    ----------
    name
        A statement, as the name of a function.
    topic
        What it is about, in a word.
    run
        Raises AssertionError if the statement is false of the subject, `NotApplicable` if it says
        nothing of it; any other exception is a failure too.
    costly
        Whether it takes long, so that a quick run leaves it out.
    beyond_torch
        Why torch.optim's own optimizers fail it, if they do: it applies to subjects that are
        ``strict`` then.
    """

    name: str
    topic: str
    run: Run
    costly: bool = False
    beyond_torch: str = ""

    @property
    def statement(self) -> str:
        """What is checked, in words."""
        return self.name.replace("_", " ")

    def __call__(self, subject: Subject) -> None:
        """Run it on a subject; see ``run`` for what it raises."""
        if self.beyond_torch and not subject.strict:
            raise NotApplicable(f"is for strict subjects: {self.beyond_torch}")
        self.run(subject)


CHECKS: dict[str, Check] = {}
"""All checks, by name, in the order in which they are defined."""


def check(topic: str, *, costly: bool = False, beyond_torch: str = "") -> Callable[[Run], Run]:
    """Register a function as the check of its name."""

    def register(run: Run) -> Run:
        if run.__name__ in CHECKS:
            raise ValueError(f"check {run.__name__!r}: expected a name that is not taken")
        CHECKS[run.__name__] = Check(run.__name__, topic, run, costly, beyond_torch)
        return run

    return register
