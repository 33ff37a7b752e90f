"""Adam's own bound, derived: |u| ≤ √K·lr for gradients of any size.

Notation: m = Σaᵢg_{t−i} and v = Σbᵢg²_{t−i} the moments after t steps, i = 0, …, t − 1 counting
back; m̂ and v̂ with bias correction.
"""

import sympy as sp

beta1, beta2 = sp.symbols("beta_1 beta_2", positive=True)
i = sp.Symbol("i", integer=True, nonnegative=True)
t = sp.Symbol("t", integer=True, positive=True)


def weights() -> tuple[sp.Expr, sp.Expr]:
    """Return (aᵢ, bᵢ), from unrolling m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g²."""
    return (1 - beta1) * beta1**i, (1 - beta2) * beta2**i


def cauchy_schwarz_constant(quotient: sp.Expr | None = None) -> sp.Expr:
    """Return K_t = Σ aᵢ²/bᵢ over i < t, the least K_t with m² ≤ K_t·v.

    It is attained by gradients proportional to aᵢ/bᵢ. The terms are a geometric sequence, whose
    quotient β₁²/β₂ must not be 1.
    """
    a, b = weights()
    first = sp.simplify((a**2 / b).subs(i, 0))
    ratio = quotient or sp.simplify((a**2 / b).subs(i, 1) / first)
    return first * (1 - ratio**t) / (1 - ratio)


def limit_constant() -> sp.Expr:
    """Return K = lim K_t for β₁² < β₂."""
    small = sp.Symbol("q", positive=True)
    vanishing = cauchy_schwarz_constant(small).subs(small**t, 0)
    return sp.factor(vanishing.subs(small, beta1**2 / beta2))


def corrected_bound() -> sp.Expr:
    """Return the least bound of |m̂|/√v̂ after t steps: √K_t·√(1−β₂ᵗ)/(1−β₁ᵗ)."""
    return sp.sqrt(cauchy_schwarz_constant() * (1 - beta2**t)) / (1 - beta1**t)
