"""What is computed for the site and takes long: kept in a folder until its sources change."""

import json
import os
from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.facts import FACTS
from analysis.files import write_atomically
from analysis.forms import read_json
from analysis.tables import Table, law_rows
from paper.manuscript.values import ROOT

SOURCES = ("analysis", "docs/figures.py", "paper", "reference", "torch_impl")
"""What facts and figures are computed by and from: rooms, results among them, and a file."""

FORM = {law: {str: str} for law in FACTS}
"""What the file of facts holds."""


def newest() -> float:
    """Return when the sources and results were last changed, in seconds of the epoch."""
    suffixes = {".py", ".mplstyle", ".toml", ".json", ".gz", ".png"}
    return max(
        path.stat().st_mtime
        for name in SOURCES
        for path in (ROOT / name, *(ROOT / name).rglob("*"))
        if path.suffix in suffixes
    )


def facts(folder: Path) -> Mapping[str, Table]:
    """Return what follows from each law, derived by sympy: half a minute, if it is not kept."""
    path = folder / "facts.json"
    if not _is_kept(path):
        found = {law: law_rows(of_law) for law, of_law in FACTS.items()}
        write_atomically(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")
    return read(path)


def read(path: Path) -> Mapping[str, Table]:
    """Return the facts that a file keeps."""
    kept: Mapping[str, Table] = read_json(path, FORM)
    return kept


def draw(folder: Path, figures: Mapping[str, Callable[[Path], None]]) -> None:
    """Draw the figures that are not kept, and leave no others in the folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for path in folder.iterdir():
        if path.name not in figures:
            path.unlink()
    for name, make in figures.items():
        if not _is_kept(folder / name):
            part = folder / f"part-{name}"
            make(part)
            os.replace(part, folder / name)


def _is_kept(path: Path) -> bool:
    return path.exists() and path.stat().st_mtime > newest()
