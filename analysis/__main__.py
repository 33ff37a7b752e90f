"""Prints the table of the laws: ``python -m analysis``."""

import sys

import sympy as sp
from rich.console import Console
from rich.table import Table

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


def main() -> None:
    """Print one block per law."""
    console = Console() if sys.stdout.isatty() else Console(width=110)
    for key, facts in FACTS.items():
        table = Table("fact", "derived", title=key, title_justify="left", width=100)
        for name, value in rows(facts).items():
            table.add_row(name, value)
        console.print(table)


if __name__ == "__main__":
    main()
