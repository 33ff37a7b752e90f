"""An answer to a question, and numbers as texts show them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from paper.statistics import Interval


@dataclass(frozen=True)
class Answer:
    """What the experiments say to a question.

    Attributes
    ----------
    question
        What is asked.
    statistic
        What is measured, and when the answer is yes.
    verdict
        The answer in a few words.
    finding
        The numbers behind it, with their intervals.
    tables
        Rows by name, the first one the head.
    """

    question: str
    statistic: str
    verdict: str
    finding: str
    tables: Mapping[str, Sequence[Sequence[str]]] = field(default_factory=dict)


def number(value: float, digits: int = 2) -> str:
    """Return a number in a few digits, with a true minus sign."""
    if math.isnan(value):
        return "–"
    if 1 <= abs(value) < 1e4:  # noqa: PLR2004
        text = np.format_float_positional(value, digits, unique=False, fractional=False, trim="-")
    else:
        text = f"{value:.{digits}g}"
    return text.replace("-", "−").replace("inf", "∞")


def interval(found: Interval, digits: int = 2) -> str:
    """Return an estimate with its interval."""
    low, high = number(found.low, digits), number(found.high, digits)
    return f"{number(found.estimate, digits)} [{low}, {high}]"


def share(part: int, whole: int) -> str:
    """Return a count out of another."""
    return f"{part} of {whole}"
