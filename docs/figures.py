"""The figures of the site, each drawn by the paper's own function."""

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from paper import theory
from paper.experiments.design import PROFILES
from paper.experiments.evidence import read
from paper.figures import experiments, landscapes
from paper.manuscript import answers
from paper.manuscript.values import EXPERIMENTS, RESULTS

Draw = Callable[[Path], None]

SHOWN: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    **landscapes.SHOWN,
    "RelativisticAdamW": ("RelativisticAdamW", {"speed_limit": landscapes.LIMIT}),
    "SGD behind limit_speed": (
        "limited SGD",
        {"momentum": 0.9, "limit": {"speed_limit": landscapes.LIMIT, "unit": "norm"}},
    ),
    "Gravity as published": ("Gravity", {"alpha": 0.0}),
}
"""The optimizers of the gallery: those of the paper's figure, and more."""

GALLERY: Mapping[str, str] = {
    title: f"gallery-{re.sub(r'[^a-z0-9]+', '-', title.lower())}.png" for title in SHOWN
}
"""By what an optimizer is called, the file of its paths."""


def figures() -> dict[str, Draw]:
    """Return what draws each figure, by its file's name."""
    answered = answers.filled(answers.read(EXPERIMENTS))["questions"].values()
    return {
        "demo.png": _demo,
        **{
            f"{name}.png": theory.FIGURES[name]
            for name in ("laws", "bifurcation", "portraits", "regimes")
        },
        **{file: _paths(title) for title, file in GALLERY.items()},
        **{
            experiment_picture(entry["figure"]): _experiment(entry["figure"])
            for entry in answered
            if entry["figure"]
        },
    }


def experiment_picture(figure: str) -> str:
    """Return the file of a figure of the experiments, from the one that the paper has."""
    return f"experiments-{Path(figure).stem}.png"


def _demo(path: Path) -> None:
    shutil.copyfile(RESULTS / "demo.png", path)


def _paths(title: str) -> Draw:
    return lambda path: landscapes.landscapes(path, {title: SHOWN[title]})


def _experiment(figure: str) -> Draw:
    def draw(path: Path) -> None:
        experiments.FIGURES[Path(figure).stem](read(PROFILES["full"], EXPERIMENTS), path)

    return draw
