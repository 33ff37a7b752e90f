"""Builds the paper: ``python -m paper [--profile quick] [--out FOLDER]``.

From the committed results, or with the experiments of another profile in build. A graph of pytask's
tasks: what is up to date is skipped.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any

import pytask
from pytask import Product, task

from .experiments.design import PROFILES, Profile
from .experiments.evidence import folder_of, read
from .experiments.store import COLLECTED
from .figures import experiments as experiment_figures
from .manuscript import answers, pdf, prose
from .manuscript.values import EXPERIMENTS, RESULTS, ROOT
from .questions.report import FIGURES

SOURCES = ("analysis", "paper", "proofs", "reference", "torch_impl")
"""The rooms whose sources the paper is made from."""


def tasks(out: Path, profile: Profile, experiments: Path) -> list[Callable[..., Any]]:
    """Return the tasks that build the paper into a folder.

    Parameters
    ----------
    out
        Folder of the paper that is built.
    profile, experiments
        What the experiments were, and the folder of their records and answers.
    """
    found = answers.read(experiments)
    answered = found["questions"] if found else {}
    files = [file for name, (file, _) in FIGURES.items() if name in answered]
    figures = [out / "figures" / f"{name}.pdf" for name in (*pdf.FIGURES, "demo")]
    return [
        *(_picture(name, out) for name in pdf.FIGURES),
        _demo(out),
        *(_experiment(file, profile, experiments, out) for file in files),
        _values(experiments, out),
        _pdf([*figures, *(out / "figures" / file for file in files)], out),
    ]


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


def _demo(out: Path) -> Any:
    @task(name="figure demo")
    def draw_demo(
        runs: Path = RESULTS / "demo.json",
        path: Annotated[Path, Product] = out / "figures" / "demo.pdf",
    ) -> None:
        pdf.draw_demo(path.parents[1], runs.parent)

    return draw_demo


def _experiment(file: str, profile: Profile, experiments: Path, out: Path) -> Any:
    data = [*sorted(experiments.glob(f"*{COLLECTED}")), *_sources()]

    @task(name=f"figure {file}", id=file)
    def draw_experiment(
        data: list[Path] = data,
        path: Annotated[Path, Product] = out / "figures" / file,
    ) -> None:
        experiment_figures.FIGURES[path.stem](read(profile, experiments), path)

    return draw_experiment


def _values(experiments: Path, out: Path) -> Any:
    data = [*sorted(RESULTS.glob("*.json")), *sorted(experiments.glob("*.json")), *_sources()]

    @task(name="values")
    def write_values(
        data: list[Path] = data, path: Annotated[Path, Product] = out / "values.json"
    ) -> None:
        pdf.write_values(path.parent, experiments=experiments)

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


def build(out: Path, profile: Profile = PROFILES["full"], experiments: Path = EXPERIMENTS) -> Path:
    """Build the paper into a folder and return it.

    Raises
    ------
    RuntimeError
        If a task fails; pytask has said which, and why.
    """
    out.mkdir(parents=True, exist_ok=True)
    session = pytask.build(
        tasks=tasks(out.absolute(), profile, experiments),
        paths=out.absolute(),  # what is up to date is kept there, or with the tree that it is in
        verbose=1,
    )
    if session.exit_code != pytask.ExitCode.OK:
        raise RuntimeError(f"the paper is not built: pytask ends with {session.exit_code!r}")
    return out / "paper.pdf"


def main(arguments: Sequence[str]) -> None:
    """Build the paper."""
    parser = argparse.ArgumentParser(prog="python -m paper", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="full")
    parser.add_argument("--out", type=Path, default=Path("build/paper"), help="folder to write to")
    given = parser.parse_args(arguments)
    path = build(given.out, PROFILES[given.profile], folder_of(given.profile))
    print(f"{path}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main(sys.argv[1:])
