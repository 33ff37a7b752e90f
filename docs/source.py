"""The sources of the site: hand-written pages, texts of the tree, and what is generated."""

import posixpath
import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from analysis.files import write_atomically
from analysis.tables import Table
from paper.manuscript.values import ROOT
from paper.readme import TEXTS, filled

from . import api
from .pieces import pieces

PAGES = Path(__file__).with_name("pages")

TAKEN: Mapping[str, str] = {
    "theorems.md": "proofs/README.md",
    "step-times.md": "tests/benchmarks/README.md",
    "contributing.md": "CONTRIBUTING.md",
    "changelog.md": "CHANGELOG.md",
    **{
        f"{name}.md": f"docs/{name}.md"
        for name in (
            "checks",
            "demo",
            "experiments",
            "faults",
            "fuzz",
            "mutants",
            "thorough",
            "works-with",
        )
    },
}
"""Pages that are texts of the tree, with what they are there."""

_LINK = re.compile(r"(?<!!)\[([^\]]*)\]\(([^)\s]+)\)")


def texts(derived: Mapping[str, Table]) -> dict[str, str]:
    """Return every page of the site in Markdown, by its path.

    Parameters
    ----------
    derived
        What follows from each law: `docs.derived.facts`.

    Raises
    ------
    ValueError
        If a page asks for a piece that does not exist.
    """
    made = pieces(derived)
    pages = {
        path.relative_to(PAGES).as_posix(): _with_pieces(path, made) for path in PAGES.glob("*.md")
    }
    for page, source in TAKEN.items():
        text = (ROOT / source).read_text(encoding="utf-8")
        pages[page] = relinked(filled(text, TEXTS[source]()) if source in TEXTS else text, source)
    return pages | {f"api/{name}.md": api.page(name) for name in api.MODULES}


def _with_pieces(path: Path, made: Mapping[str, Callable[[], str]]) -> str:
    def piece(match: re.Match[str]) -> str:
        if match[1] not in made:
            raise ValueError(f"{path.name} asks for {match[1]!r}: expected one of {sorted(made)}")
        return relinked(made[match[1]](), "README.md")

    return re.sub(r"^\{\{ ([\w-]+) \}\}$", piece, path.read_text(encoding="utf-8"), flags=re.M)


def relinked(text: str, source: str) -> str:
    """Return a text of the tree with its links as the site has them.

    A link to a text that is a page leads there; one to another file becomes the file's name.

    Parameters
    ----------
    text, source
        The text, and its path in the tree.
    """
    pages = {taken: page for page, taken in TAKEN.items()}

    def link(match: re.Match[str]) -> str:
        label, target = match.groups()
        place = posixpath.normpath(posixpath.join(posixpath.dirname(source), target))
        if place in pages:
            named = label in {target, posixpath.basename(target)}
            return f"[{'' if named else label}]({pages[place]})"
        if not (ROOT / place).exists():
            return match[0]
        return f"`{place}`" if posixpath.basename(place) in label else f"{label} (`{place}`)"

    return _LINK.sub(link, text)


def assemble(folder: Path, derived: Mapping[str, Table], figures: Path) -> None:
    """Write the sources into a folder that is made anew: pages and figures.

    Parameters
    ----------
    folder
        What Sphinx reads.
    derived
        As for `texts`.
    figures
        Folder of the figures that are drawn.
    """
    shutil.rmtree(folder, ignore_errors=True)
    for page, text in texts(derived).items():
        write_atomically(folder / page, text)
    shutil.copytree(figures, folder / "figures")


def installed_names(folder: Path) -> None:
    """Copy the package into a folder as it is installed, for Sphinx to import."""
    shutil.rmtree(folder, ignore_errors=True)
    hidden = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "torch_impl", folder / "subluminal", ignore=hidden)
    shutil.copytree(ROOT / "reference", folder / "subluminal" / "reference", ignore=hidden)
