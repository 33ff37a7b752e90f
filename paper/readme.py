"""Writes the tables of the README from the committed results: ``python -m paper.readme``."""

import re
from pathlib import Path

from analysis.files import write_atomically

from . import contract, overhead
from .demo import digits_rows, markdown, read, regression_rows

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "paper" / "results"


def blocks() -> dict[str, str]:
    """Return what stands between the README's markers, by marker."""
    results = read(RESULTS)
    counted = contract.read(RESULTS)
    costs = overhead.read(RESULTS)
    return {
        "contract-environment": contract.environment(counted),
        "contract-works-with": markdown(contract.works_with_rows(counted)),
        "contract-distributed": markdown(contract.distributed_rows(counted)),
        "overhead": markdown(overhead.rows(costs)),
        "overhead-environment": overhead.environment(costs),
        "demo-regression": markdown(regression_rows(results)),
        "demo-digits": markdown(digits_rows(results)),
    }


def filled(text: str) -> str:
    """Return a text with every generated block brought up to date.

    Raises
    ------
    ValueError
        If a marker is missing.
    """
    for name, block in blocks().items():
        parts = re.split(rf"(<!-- (?:end )?{name} -->\n)", text)
        if len(parts) != 5:  # noqa: PLR2004
            raise ValueError(f"the text has {len(parts) // 2} markers {name!r}: expected two")
        text = "".join([*parts[:2], block + "\n", *parts[3:]])
    return text


if __name__ == "__main__":
    readme = ROOT / "README.md"
    write_atomically(readme, filled(readme.read_text(encoding="utf-8")))
