"""The speed laws as symbolic expressions.

Notation: r = ‖u‖/c the speed ratio, φ(r) the gain, ρ(r) = r·φ(r) the speed. The expressions are
written independently of `reference.laws` and compared with it; `analysis.facts` derives what
follows from them.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import sympy as sp

r = sp.Symbol("r", positive=True)


@dataclass(frozen=True)
class SymbolicLaw:
    """A law as gains below and above the limit.

    Attributes
    ----------
    key
        Name of the law, as in `reference.LAWS`.
    below, above
        φ(r) for r < 1 and for r ≥ 1; ``above`` is None where the law is not defined there. One
        expression given twice is one analytic function.
    """

    key: str
    below: sp.Expr
    above: sp.Expr | None

    @property
    def analytic(self) -> bool:
        """Whether one expression holds on both sides of r = 1."""
        return bool(self.above == self.below)

    def pieces(self) -> Iterator[tuple[sp.Expr, sp.Expr, sp.Expr]]:
        """Yield (gain, start, end) of each interval on which one expression holds."""
        if self.analytic:
            yield self.below, sp.Integer(0), sp.oo
            return
        yield self.below, sp.Integer(0), sp.Integer(1)
        if self.above is not None:
            yield self.above, sp.Integer(1), sp.oo

    @property
    def gain(self) -> sp.Expr:
        """φ(r) as one expression; NaN where the law is not defined."""
        if self.analytic:
            return self.below
        above = sp.nan if self.above is None else self.above
        return sp.Piecewise((self.below, r < 1), (above, True))


_TANH = sp.tanh(r) / r
_SMOOTH = 1 / sp.sqrt(1 + r**2)

LAWS: Mapping[str, SymbolicLaw] = {
    law.key: law
    for law in (
        SymbolicLaw("newtonian", sp.Integer(1), sp.Integer(1)),
        SymbolicLaw("smooth_sqrt", _SMOOTH, _SMOOTH),
        SymbolicLaw("tanh", _TANH, _TANH),
        SymbolicLaw("hard_clip", sp.Integer(1), 1 / r),
        SymbolicLaw("published", sp.sqrt(1 - r**2), _TANH),
        SymbolicLaw("piecewise", 1 / (1 - r**2), _TANH),
        SymbolicLaw("gamma", 1 / sp.sqrt(1 - r**2), None),
    )
}
"""The registry of symbolic laws, in the order of `reference.LAWS`."""
