"""What may become of an input: it is taken, or refused with an error that says what is wrong."""

from collections.abc import Callable
from typing import Any

CLEAR = (ValueError, OSError)
"""Errors that say what is wrong with an input; another one is a finding."""

CONTRADICTION = RuntimeError
"""What options that contradict each other raise besides, naming them in backticks."""


class FindingError(AssertionError):
    """An input that was neither taken nor refused as it should be."""


def check_says_something(error: Exception) -> None:
    """Raise FindingError if an error has no words, or not those of a contradiction."""
    if not str(error):
        raise FindingError("the error says nothing") from error
    if isinstance(error, CONTRADICTION) and (
        type(error) is not CONTRADICTION or "`" not in str(error)
    ):
        raise FindingError(f"{type(error).__name__} names no options: {error}") from error


def is_taken(read: Callable[[], Any]) -> bool:
    """Return whether an input is taken, False if it is refused."""
    try:
        read()
    except CLEAR as error:
        check_says_something(error)
        return False
    return True
