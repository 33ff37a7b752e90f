"""What an optimizer has made of a fault."""

import re
from typing import NamedTuple

SURVIVED = "survived"
CLEAR_ERROR = "clear error"
OTHER_ERROR = "other error"
SILENT_DAMAGE = "silent damage"

KINDS = (SURVIVED, CLEAR_ERROR, OTHER_ERROR, SILENT_DAMAGE)
"""The kinds of verdict, the best first."""

_UNPLANNED = (AssertionError, AttributeError, LookupError, TypeError, ArithmeticError)
"""Errors of code that has met what nobody thought of."""


class Verdict(NamedTuple):
    """What an optimizer has made of a fault.

    Attributes
    ----------
    kind
        "survived": all is finite and goes on. "clear error": an error that says what is wrong, and
        nothing has changed. "other error": one that does not, or comes too late. "silent damage":
        something is not finite, has stopped, or is not what was saved, and nobody was told.
    detail
        What is damaged, or the error.
    """

    kind: str
    detail: str = ""


def of_error(error: Exception, words: str, changed: str) -> Verdict:
    """Judge an error.

    Parameters
    ----------
    error
        What was raised.
    words
        A pattern of which a clear message has a match.
    changed
        What is not as it was before; "" if nothing.
    """
    said = words_of(error)
    if changed:
        return Verdict(OTHER_ERROR, f"{said}; {changed}")
    if isinstance(error, _UNPLANNED) or not re.search(words, str(error), re.IGNORECASE):
        return Verdict(OTHER_ERROR, said)
    return Verdict(CLEAR_ERROR, said)


def words_of(error: Exception, most: int = 160) -> str:
    """Return the kind of an error and what it says, cut off if it is long."""
    line = " ".join(str(error).split())
    if len(line) > most:
        line = line[:most].rsplit(" ", 1)[0] + " …"
    return f"{type(error).__name__}: {line}"
