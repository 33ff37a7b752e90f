"""What Sphinx is told; ``python -m docs`` says where the pages are and what is built from them.

Nothing is fetched: links into the documentation of Python, NumPy and PyTorch are made only where
DOCS_INTERSPHINX=1 asks for them, since their inventories come from the network.
"""

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "build" / "docs-names"), str(ROOT)]

from sphinx.application import Sphinx  # noqa: E402

from docs import docstrings, mathml  # noqa: E402
from torch_impl import __version__  # noqa: E402

project = "subluminal"
author = "The subluminal developers"
project_copyright = author
version = release = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_design",
]
exclude_patterns: list[str] = []

myst_enable_extensions = ["colon_fence", "dollarmath"]
myst_heading_anchors = 3

default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
python_maximum_signature_line_length = 88
napoleon_google_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False
python_use_unqualified_type_names = True

doctest_global_setup = "import torch; torch.set_num_threads(1)"

intersphinx_mapping = (
    {
        "python": ("https://docs.python.org/3", None),
        "numpy": ("https://numpy.org/doc/stable", None),
        "torch": ("https://docs.pytorch.org/docs/stable", None),
    }
    if os.environ.get("DOCS_INTERSPHINX") == "1"
    else {}
)

nitpicky = True
nitpick_ignore_regex = [("py:.*", r"(?!subluminal\.).*")]
"""A name of ours that leads nowhere is an error; others are known with intersphinx alone."""
nitpick_ignore = [("py:class", "subluminal.nonfinite.Guard")]  # which users never meet

WIDE = ("checking", "checks", "faults", "step-times", "theorems", "works-with")
"""Pages of wide tables, which have no list of their sections beside them."""

html_theme = "pydata_sphinx_theme"
html_title = "subluminal"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_math_renderer = "mathml"
html_extra_path = [str(ROOT / "build" / "docs-extra")]
templates_path = ["templates"]
html_sidebars = {"**": ["site-navigation.html"]}
html_theme_options = {
    "footer_start": ["copyright"],
    "footer_end": [],
    "navbar_center": [],
    "navigation_with_keys": False,
    "primary_sidebar_end": [],
    "secondary_sidebar_items": {
        "**": ["page-toc"],
        **{page: [] for page in WIDE},
    },
    "show_prev_next": False,
}


def adapt(
    _app: Sphinx, _what: str, _name: str, _item: object, _options: object, lines: list[str]
) -> None:
    """Make of a docstring what Sphinx reads."""
    lines[:] = docstrings.adapted("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> None:
    """Register what stands in this file."""
    mathml.setup(app)
    app.connect("autodoc-process-docstring", adapt)
