"""The steps by which the paper is built, each a function from files to files."""

import json
import os
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

import typst

from analysis.files import write_atomically
from paper import demo, theory
from paper.figures import landscapes
from paper.figures.demo import draw_demo as draw_demo_figure
from proofs.registry import read as read_registry

from . import answers, prose, typeset
from .values import EXPERIMENTS, RESULTS, values

FIGURES: Mapping[str, Callable[[Path], None]] = {
    **{
        name: theory.FIGURES[name]
        for name in ("laws", "regimes", "rounding", "bifurcation", "flows", "wells", "zeta")
    },
    "landscapes": landscapes.landscapes,
}
"""The figures that the paper shows beside those of its results."""


def write_values(out: Path, results: Path = RESULTS, experiments: Path = EXPERIMENTS) -> Path:
    """Write all that the text takes from elsewhere: values.json.

    Parameters
    ----------
    out
        Folder of the paper that is built.
    results
        Folder of the committed results.
    experiments
        Folder of the experiments' records and answers.
    """
    found = values(results)
    answered = answers.filled(answers.read(experiments))
    content = {
        "values": found,
        "tables": {**typeset.tables(results), "claims": typeset.shown_claims(found, answered)},
        "answers": answered,
        "theorems": {key: entry.kind for key, entry in sorted(read_registry().items())},
    }
    path = out / "values.json"
    write_atomically(path, json.dumps(content, indent=1, ensure_ascii=False) + "\n")
    return path


def draw(name: str, out: Path) -> Path:
    """Draw one of `FIGURES` for print."""
    path = out / "figures" / f"{name}.pdf"
    FIGURES[name](path)
    return path


def draw_demo(out: Path, results: Path = RESULTS) -> Path:
    """Draw the demo from its committed results."""
    runs = demo.read(results)
    path = out / "figures" / "demo.pdf"
    draw_demo_figure(
        demo.by_method(runs, "published_regression"), demo.by_method(runs, "digits"), path
    )
    return path


def typeset_pdf(out: Path, text: Path = prose.TEXT) -> Path:
    """Compile the text with the values and figures in a folder to its paper.pdf.

    The same inputs give the same bytes: no font of the system is used, and the PDF has no date.

    Raises
    ------
    ValueError
        If the compiler warns or fails; it names the places.
    """
    copied = out / "text"
    shutil.rmtree(copied, ignore_errors=True)
    shutil.copytree(text, copied)
    try:
        made, warnings = typst.compile_with_warnings(
            copied / "paper.typ", root=out, ignore_system_fonts=True, format="pdf", timestamp=0
        )
    except typst.TypstError as error:
        raise ValueError(f"the paper does not compile: {error}\n{error.diagnostic}") from error
    if warnings:
        raise ValueError(f"the paper compiles with warnings: {[str(w) for w in warnings]}")
    path = out / "paper.pdf"
    part = path.with_name(path.name + ".part")
    part.write_bytes(made)
    os.replace(part, path)
    return path
