"""The explorer: one page with sliders that works without a network, plotly's script within it."""

import inspect
import json
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl
from plotly.offline import get_plotlyjs

import reference
from paper.figures.drawing import STYLE
from paper.figures.theory import REGIMES
from paper.landscapes import LANDSCAPES
from reference.limit import MODES, RELATIVE_FLOOR
from reference.regime import LINEAR_BELOW, SATURATED_ABOVE

HERE = Path(__file__).parent

FILE = "explorer.html"


def data() -> dict[str, Any]:
    """Return the numbers and names that the page takes from the other rooms."""
    options = inspect.signature(reference.relativistic_adam_step).parameters
    palette = mpl.rc_params_from_file(STYLE, use_default_template=False)["axes.prop_cycle"]
    return {
        "laws": [
            {
                "key": law.key,
                "equation": law.equation,
                "bounded": law.claims["bounded"].holds,
                "continuous": law.claims["continuous"].holds,
                "fails": [
                    name.replace("_", " ") for name, claim in law.claims.items() if not claim.holds
                ],
            }
            for law in reference.LAWS.values()
        ],
        **{name: options[name].default for name in ("law", "mode", "betas", "eps")},
        "modes": MODES,
        "relativeFloor": RELATIVE_FLOOR,
        "linearBelow": LINEAR_BELOW,
        "saturatedAbove": SATURATED_ABOVE,
        "landscapes": {
            name: {"minimum": item.minimum, "start": item.start, "extent": item.extent}
            for name, item in LANDSCAPES.items()
        },
        "palette": palette.by_key()["color"],
        "regimes": REGIMES,
    }


def page() -> str:
    """Return the page, whole."""
    parts = {
        "data": json.dumps(data(), ensure_ascii=False),
        "plotly": get_plotlyjs(),
        **{name: _read(name) for name in ("style.css", "formulas.js", "page.js")},
    }
    return re.sub(r"\{\{ ([\w.]+) \}\}", lambda match: parts[match[1]], _read("page.html"))


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
