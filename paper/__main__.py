"""Builds the paper: ``python -m paper [--out FOLDER]``, from the committed results.

A graph of pytask's tasks: what is up to date is skipped.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytask
from pytask import Product, task

from . import answers, experiment_figures, pdf, prose
from .experiments.design import PROFILES
from .experiments.evidence import read
from .questions.report import FIGURES
from .values import RESULTS, ROOT

SOURCES = ("analysis", "paper", "proofs", "reference", "torch_impl")
"""The rooms whose sources the paper is made from."""


def tasks(out: Path, results: Path = RESULTS) -> list[Callable[..., Any]]:
    """Return the tasks that build the paper into a folder.

    Parameters
    ----------
    out
        Folder of the paper that is built.
    results
        Folder of the committed results.
    """
    data = sorted(results.glob("*.json"))
    runs = sorted((results / "experiments").glob("*.jsonl"))
    answered = read_answers(results)
    pictures = [
        *(_picture(name, out) for name in pdf.FIGURES),
        _demo(results, out),
        *(
            _experiment(name, file, runs, out)
            for name, (file, _) in FIGURES.items()
            if name in answered
        ),
    ]
    figures = [out / "figures" / f"{name}.pdf" for name in (*pdf.FIGURES, "demo")]
    figures += [out / "figures" / file for name, (file, _) in FIGURES.items() if name in answered]
    return [*pictures, _values(data, results, out), _pdf(figures, out)]


def read_answers(results: Path) -> set[str]:
    """Return the questions that are answered."""
    found = answers.read(results)
    return set(found["questions"]) if found else set()


def _sources() -> list[Path]:
    """Return every source that numbers and figures are computed by."""
    found: Iterator[Path] = (
        path
        for room in SOURCES
        for pattern in ("*.py", "*.toml", "*.mplstyle")
        for path in (ROOT / room).rglob(pattern)
    )
    return sorted(found)


def _picture(name: str, out: Path) -> Any:
    sources = _sources()

    @task(name=f"figure {name}", id=name)
    def draw(
        sources: list[Path] = sources,
        path: Annotated[Path, Product] = out / "figures" / f"{name}.pdf",
    ) -> None:
        pdf.draw(name, path.parents[1])

    return draw


def _demo(results: Path, out: Path) -> Any:
    @task(name="figure demo")
    def draw_demo(
        runs: Path = results / "demo.json",
        path: Annotated[Path, Product] = out / "figures" / "demo.pdf",
    ) -> None:
        pdf.draw_demo(path.parents[1], runs.parent)

    return draw_demo


def _experiment(name: str, file: str, runs: list[Path], out: Path) -> Any:
    @task(name=f"figure of the experiments {name}", id=name)
    def draw_experiment(
        runs: list[Path] = runs,
        path: Annotated[Path, Product] = out / "figures" / file,
    ) -> None:
        evidence = read(PROFILES["full"], runs[0].parent)
        experiment_figures.FIGURES[path.stem](evidence, path)

    return draw_experiment


def _values(data: list[Path], results: Path, out: Path) -> Any:
    sources = _sources()

    @task(name="values")
    def write_values(
        data: list[Path] = data,
        sources: list[Path] = sources,
        path: Annotated[Path, Product] = out / "values.json",
    ) -> None:
        pdf.write_values(path.parent, results)

    return write_values


def _pdf(figures: list[Path], out: Path) -> Any:
    texts = sorted(path for path in prose.TEXT.rglob("*") if path.is_file())

    @task(name="pdf")
    def typeset(
        texts: list[Path] = texts,
        figures: list[Path] = figures,
        values: Path = out / "values.json",
        path: Annotated[Path, Product] = out / "paper.pdf",
    ) -> None:
        prose.check()
        pdf.typeset_pdf(path.parent)

    return typeset


def build(out: Path, results: Path = RESULTS) -> Path:
    """Build the paper into a folder and return it.

    Raises
    ------
    RuntimeError
        If a task fails; pytask has said which, and why.
    """
    session = pytask.build(
        tasks=tasks(out.absolute(), results), config=ROOT / "pyproject.toml", verbose=1
    )
    if session.exit_code != pytask.ExitCode.OK:
        raise RuntimeError(f"the paper is not built: pytask ends with {session.exit_code!r}")
    return out / "paper.pdf"


def main(arguments: Sequence[str]) -> None:
    """Build the paper."""
    parser = argparse.ArgumentParser(prog="python -m paper", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("build/paper"), help="folder to write to")
    path = build(parser.parse_args(arguments).out)
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
