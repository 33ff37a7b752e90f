"""What every figure has: a style, and a way to its file."""

import os
from collections.abc import Mapping
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

STYLE = Path(__file__).with_name("style.mplstyle")
DASHES = ("-", "--", "-.", ":", (0, (5, 1)), (0, (1, 1)))
MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_UNDATED: Mapping[str, dict[str, str | None]] = {
    "png": {"Software": ""},
    "pdf": {"Creator": None, "Producer": None, "CreationDate": None},
}


def save(figure: Figure, path: Path) -> None:
    """Write a figure atomically, in the format that its name ends with, and close it.

    What would differ between two files of the same figure is left out: who made it, and when.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    kind = path.suffix.removeprefix(".")
    figure.savefig(part, format=kind, metadata=_UNDATED[kind])
    plt.close(figure)
    os.replace(part, path)
