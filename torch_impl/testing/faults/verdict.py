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
    said = f"{type(error).__name__}: {_shortened(str(error))}"
    if changed:
        return Verdict(OTHER_ERROR, f"{said}; {changed}")
    if isinstance(error, _UNPLANNED) or not re.search(words, str(error), re.IGNORECASE):
        return Verdict(OTHER_ERROR, said)
    return Verdict(CLEAR_ERROR, said)


def _shortened(message: str, most: int = 160) -> str:
    line = " ".join(message.split())
    return line if len(line) <= most else line[:most].rsplit(" ", 1)[0] + " …"
