"""Prints what follows from the laws and from Gravity: ``python -m analysis``."""

import sys

import sympy as sp
from rich.console import Console
from rich.table import Table

from . import gravity
from .facts import FACTS, LawFacts


def _text(value: object) -> str:
    if value is None:
        return "–"
    if isinstance(value, sp.Float):
        return f"{float(value):.6g}"
    return str(value).replace("**", "^").replace("oo", "∞")


def rows(facts: LawFacts) -> dict[str, str]:
    """Return every fact of a law as text, by name."""
    limits = facts.speed_limits
    peaks = ", ".join(f"{_text(value)} at r = {_text(where)}" for where, value in facts.peaks)
    radial, tangential = zip(*facts.eigenvalues, strict=True)
    return {
        "φ near 0": _text(facts.series),
        "ρ at 0, 1⁻, 1⁺, ∞": ", ".join(_text(limits[at]) for at in ("0", "1-", "1+", "oo")),
        "jump of ρ at 1": _text(facts.jump),
        "ρ is C^k at 1, k": _text(facts.smoothness),
        "ρ nondecreasing": "yes" if facts.monotone else "no",
        "turning points of ρ": peaks or "none",
        "sup ρ": _text(facts.speed_supremum),
        "ρ > 1 from r": _text(facts.first_excess),
        "sup φ": _text(facts.gain_supremum),
        "sup |φ − 1|/r²": _text(facts.identity_coefficient),
        "radial eigenvalue ρ′": "; ".join(map(_text, radial)),
        "tangential eigenvalue ρ/r": "; ".join(map(_text, tangential)),
        "Lipschitz constant": _text(facts.lipschitz),
        "inverse r(y)": _text(facts.inverse),
        "potential ∫ρ": _text(facts.potential),
        "its conjugate": _text(facts.conjugate),
    }


def gravity_rows() -> dict[str, dict[str, str]]:
    """Return every fact about Gravity as text, by title and name."""
    tables = {}
    for reading, facts in gravity.FACTS.items():
        supremum, where = facts.supremum
        power, value = facts.large_scale
        tables[f"ζ with m = {_text(gravity.READINGS[reading])}"] = {
            "ζ(g, G)": _text(facts.zeta),
            "turning point in g, and ζ there": f"{_text(facts.turning_point)}, {_text(facts.peak)}",
            "reached from G": _text(facts.turns_within_from),
            "ζ of the steepest entry": _text(facts.steepest),
            "sup |ζ|, at G": f"{_text(supremum)}, {_text(where)}",
            "ζ(λg)/λ for λ → 0": _text(facts.small_scale),
            "ζ(λg) for λ → ∞": f"λ^{-power} · {_text(value)}",
            "⟨ζ, g⟩/‖g‖² at least": _text(facts.descent),
        }
    tables["β̂ and V₀"] = {
        "β̂(t)": _text(gravity.running_coefficient()),
        "Π β̂ over n steps": _text(gravity.coefficient_product()),
        **{
            f"reach S of V₀, β = 0.9, t from {clock}": f"{gravity.displacement(clock, 0.9):.5g}"
            for clock in (0, 1)
        },
    }
    return tables


def main() -> None:
    """Print one table per law, and Gravity's."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    for title, facts in ({key: rows(law) for key, law in FACTS.items()} | gravity_rows()).items():
        table = Table("fact", "derived", title=title, title_justify="left", width=100)
        for name, value in facts.items():
            table.add_row(name, value)
        console.print(table)


if __name__ == "__main__":
    main()
