"""Docstrings as Sphinx reads them: rooms by their installed names, and bars that are bars."""

import re

INSTALLED = {"reference": "subluminal.reference", "torch_impl": "subluminal"}
"""Room → what it is called where it is installed."""


def adapted(text: str) -> str:
    """Return a docstring as it is to be read.

    In reStructuredText |u| would ask for a substitution, of which docstrings have none; in examples
    and displayed formulas it does not.
    """
    for room, installed in INSTALLED.items():
        text = re.sub(rf"(?<=`){room}(?=[.`])", installed, text)
    paragraphs = re.split(r"(\n\s*\n)", text)
    return "".join(
        part if ">>>" in part or ".. math::" in part else _escaped(part) for part in paragraphs
    )


def _escaped(paragraph: str) -> str:
    """Escape bars outside literals."""
    pieces = paragraph.split("``")
    pieces[::2] = [piece.replace("|", r"\|") for piece in pieces[::2]]
    return "``".join(pieces)
