"""Writes the tables of the texts from the committed results: ``python -m paper.readme``."""

import re
from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.files import markdown, write_atomically

from .demo import digits_rows, read, regression_rows
from .manuscript import answers
from .manuscript.values import EXPERIMENTS
from .questions import report
from .tables import bench, contract, experiments, faults, fuzz, mutants, scores, theorems, thorough

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "paper" / "results"

IN_README = {
    "cpu": ("steps", "environment"),
    "cuda": ("steps", "environment"),
}
"""The tables of benchmarks that the README shows."""


def blocks() -> dict[str, str]:
    """Return what stands between the README's markers, by marker."""
    answered = answers.read(EXPERIMENTS)
    return {
        "answers-environment": answered["environment"] if answered else answers.NOT_YET,
        "answers-table": markdown(report.rows(answers.filled(answered))),
        **_worked_with(),
        **bench.blocks(RESULTS, IN_README),
        "theorems-counts": markdown(theorems.counts()),
    }


def _worked_with() -> dict[str, str]:
    counted = contract.read(RESULTS)
    return {
        "contract-environment": contract.environment(counted),
        "contract-works-with": markdown(contract.works_with_rows(counted)),
    }


def working() -> dict[str, str]:
    """Return what stands between the markers of the text on what works, by marker."""
    distributed = markdown(contract.distributed_rows(contract.read(RESULTS)))
    return {**_worked_with(), "contract-distributed": distributed}


def demonstrated() -> dict[str, str]:
    """Return what stands between the markers of the text on the demo, by marker."""
    results = read(RESULTS)
    return {
        "demo-regression": markdown(regression_rows(results)),
        "demo-digits": markdown(digits_rows(results)),
    }


def lists() -> dict[str, str]:
    """Return what stands between the markers of the list of theorems, by marker."""
    return {
        "theorems-methods": markdown(theorems.methods()),
        "theorems-axioms": markdown(theorems.axioms()),
        "theorems-reals": markdown(theorems.rows("reals")),
        "theorems-floats": markdown(theorems.rows("floats")),
        "theorems-claims": markdown(theorems.claims()),
        "theorems-deep": theorems.deep_run(),
        "theorems-enumeration": theorems.enumeration(),
    }


def fuzzing() -> dict[str, str]:
    """Return what stands between the markers of the text on fuzzing, by marker."""
    results = fuzz.read(RESULTS)
    return {
        "fuzz-targets": markdown(fuzz.rows(results)),
        "fuzz-environment": fuzz.environment(results),
    }


def mutation() -> dict[str, str]:
    """Return what stands between the markers of the text on mutation testing, by marker."""
    results = mutants.read(RESULTS)
    return {
        "mutants-files": markdown(mutants.rows(results)),
        "mutants-survivors": markdown(mutants.survivors(results)),
    }


def thoroughly() -> dict[str, str]:
    """Return what stands between the markers of the text on thorough runs, by marker."""
    results = thorough.read(RESULTS)
    return {
        "thorough-properties": markdown(thorough.rows(results)),
        "thorough-environment": thorough.environment(results),
    }


TEXTS: Mapping[str, Callable[[], dict[str, str]]] = {
    "README.md": blocks,
    "tests/benchmarks/README.md": lambda: bench.blocks(RESULTS),
    "proofs/README.md": lists,
    "docs/demo.md": demonstrated,
    "docs/works-with.md": working,
    "docs/checks.md": lambda: scores.blocks(RESULTS),
    "docs/experiments.md": lambda: experiments.blocks(EXPERIMENTS),
    "docs/faults.md": lambda: faults.blocks(RESULTS),
    "docs/fuzz.md": fuzzing,
    "docs/mutants.md": mutation,
    "docs/thorough.md": thoroughly,
}
"""Text → what its blocks are made from."""


def filled(text: str, made: Mapping[str, str]) -> str:
    """Return a text with its generated blocks brought up to date.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    for name, block in made.items():
        parts = re.split(rf"(<!-- (?:end )?{name} -->\n)", text)
        if len(parts) != 5:  # noqa: PLR2004
            raise ValueError(f"the text has {len(parts) // 2} markers {name!r}: expected two")
        text = "".join([*parts[:2], block + "\n", *parts[3:]])
    return text


if __name__ == "__main__":
    for name, made in TEXTS.items():
        path = ROOT / name
        write_atomically(path, filled(path.read_text(encoding="utf-8"), made()))
