"""Finds numbers that are typed into the paper's text: those that are measured come from results.

A number may stand in a heading, a label, a citation, a name (binary32, `float16`) and, if it is a
whole number or a fraction of such, in mathematics; every other one, also in words from eleven on,
has to be listed in text/constants.toml with what makes it a constant.
"""

import re
from collections.abc import Collection
from pathlib import Path

from analysis.forms import read_toml

TEXT = Path(__file__).with_name("text")

FORM = {"constant": [{"text": str, "reason": str}]}
"""What constants.toml holds."""

_NUMBER = re.compile(r"(?<![\w.])\d+(?:[.,]\d+)*")
_DECIMAL = re.compile(r"\d+\.\d+")
_WORD = re.compile(
    r"\b(?:eleven|twelve|\w+teen|(?:twen|thir|for|fif|six|seven|eigh|nine)ty|hundred|thousand|"
    r"million|billion|dozen)s?\b"
)
_NOT_PROSE = (
    re.compile(r"//[^\n]*"),  # comments
    re.compile(r"(?m)^=+ [^\n]*"),  # headings
    re.compile(r"`[^`]*`"),  # code
    re.compile(
        r"#(?:v|thm|fig|tab|answer|question|import|include|bibliography)\b(?:\(?\s*\"[^\"]*\")*"
    ),
    re.compile(r"\bwidth: \d+%|\bsize: [\d.]+pt|\bcolumns: \([^()]*\)"),  # layout
    re.compile(r"@[\w:-]+"),  # citations and references
    re.compile(r"<[\w:-]+>"),  # labels
)


def constants(source: Path = TEXT / "constants.toml") -> set[str]:
    """Return the numbers that may stand in the text, as they stand there."""
    return {row["text"] for row in read_toml(source, FORM)["constant"]}


def stray_numbers(text: str, allowed: Collection[str] = ()) -> list[str]:
    """Return the numbers in a text that no rule and no list allows.

    Parameters
    ----------
    text
        Typst source.
    allowed
        Numbers that may stand there.

    Examples
    --------
    >>> stray_numbers('Of $n^2/4$ in binary32 #v("demo.loss") and 0.87 remain $(r = 0.5)$.')
    ['0.87', '0.5']
    """
    for pattern in _NOT_PROSE:
        text = pattern.sub(" ", text)
    *_, last = parts = text.split("$")
    if len(parts) % 2 == 0:
        raise ValueError(f"mathematics is not closed before {last[:40]!r}")
    found: list[str] = []
    for i, part in enumerate(parts):
        found += _DECIMAL.findall(part) if i % 2 else _NUMBER.findall(part) + _WORD.findall(part)
    return [number for number in found if number not in allowed]


def sources() -> list[Path]:
    """Return the files of the text whose prose is checked."""
    return [TEXT / "paper.typ", *sorted((TEXT / "sections").glob("*.typ"))]


def check() -> None:
    """Raise ValueError if a number is typed into the text."""
    allowed = constants()
    for path in sources():
        stray = stray_numbers(path.read_text(encoding="utf-8"), allowed)
        if stray:
            raise ValueError(
                f"{path.name} has the numbers {stray}: expected them from the results, by #v(…), "
                "or among the constants"
            )
