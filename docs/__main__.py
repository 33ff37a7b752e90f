"""Builds the site into build/docs and runs its examples: ``python -m docs``.

A warning is an error, and so is a page that would fetch something when it is looked at.
"""

import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from html.parser import HTMLParser
from multiprocessing import get_context

from sphinx.cmd.build import build_main

from analysis.files import write_atomically
from paper.manuscript.values import ROOT

from . import derived, explorer
from .figures import figures
from .source import assemble, installed_names

BUILD = ROOT / "build"
OUT = BUILD / "docs"


class Remote(HTMLParser):
    """Finds what a page would fetch from elsewhere when it is looked at."""

    LOADED = (("script", "src"), ("link", "href"), ("img", "src"), ("iframe", "src"))

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the address, if the element loads one from elsewhere."""
        given = dict(attrs)
        for element, attribute in self.LOADED:
            address = given.get(attribute) or ""
            if tag == element and address.startswith(("http:", "https:", "//")):
                self.found.append(address)


def remote(html: str) -> list[str]:
    """Return the addresses elsewhere that a page loads something from."""
    parser = Remote()
    parser.feed(html)
    return parser.found


def main() -> int:
    """Build the site; return 0 unless something is wrong."""
    made = BUILD / "docs-made"
    # Spawned, since a fork would take over the locks of torch's and matplotlib's threads.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as aside:
        facts = aside.submit(derived.facts, made)
        derived.draw(made / "figures", figures())
        assemble(BUILD / "docs-source", facts.result(), made / "figures")
    write_atomically(BUILD / "docs-extra" / explorer.FILE, explorer.page())
    installed_names(BUILD / "docs-names")
    shutil.rmtree(OUT, ignore_errors=True)
    shutil.rmtree(BUILD / "docs-doctrees", ignore_errors=True)
    for builder, out in (("html", OUT), ("doctest", BUILD / "docs-doctest")):
        folders = ["-c", ROOT / "docs", "-d", BUILD / "docs-doctrees", BUILD / "docs-source", out]
        options = ["--fail-on-warning", "--quiet", "--builder", builder]
        if status := build_main([*options, *map(str, folders)]):
            return status
    fetched = {path: remote(path.read_text(encoding="utf-8")) for path in OUT.rglob("*.html")}
    for path, addresses in fetched.items():
        if addresses:
            sys.stderr.write(f"{path.relative_to(OUT)} loads {', '.join(addresses)}\n")
    if any(fetched.values()):
        return 1
    sys.stdout.write(f"{os.path.relpath(OUT / 'index.html')}: {len(fetched)} pages\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
