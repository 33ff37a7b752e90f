"""How far limited steps can go: displacement and growth, with decay and with schedules of c.

Notation: θ_t the parameters of a block after t steps, c_t the speed limit of step t = 1, …, T,
d = lr·λ the decay of a step. Every bounded law gives ‖s_t‖ ≤ c_t; with decoupled decay
θ_t = (1 − d)θ_{t−1} − s_t, so that unrolling gives

    ‖θ_T‖ ≤ (1 − d)ᵀ‖θ₀‖ + Σ (1 − d)^(T−t) c_t,

which for d = 0 bounds ‖θ_T − θ₀‖ by Σ c_t. Steps of full speed in one direction attain it.
"""

from collections.abc import Callable, Mapping
from typing import Any

import sympy as sp

t, T, w = sp.symbols("t T w", positive=True, integer=True)
c, d, norm = sp.symbols("c d theta_0", positive=True)

SCHEDULES: Mapping[str, Any] = {
    "constant": c,
    "linear to 0": c * (1 - (t - 1) / T),
    "cosine to 0": c * (1 + sp.cos(sp.pi * (t - 1) / T)) / 2,
    "warm-up over w": sp.Piecewise((c * t / w, t < w), (c, True)),
}
"""c_t by schedule; step t = 1 has the full limit but in the warm-up, `adaptive_speed`."""


def displacement(schedule: str) -> Any:
    """Return the bound Σ c_t of ‖θ_T − θ₀‖ without decay, in closed form (for T ≥ w)."""
    limit = SCHEDULES[schedule]
    if isinstance(limit, sp.Piecewise):
        (early, _), (late, _) = limit.args
        return sp.simplify(sp.summation(early, (t, 1, w - 1)) + sp.summation(late, (t, w, T)))
    if limit.has(sp.cos):
        # The cosines of a half period, without their last, sum to 1: all but the first cancel.
        angle = sp.exp(sp.I * sp.pi / T)
        geometric = (1 - angle**T) / (1 - angle)
        return sp.simplify(c / 2 * (T + sp.re(sp.simplify(geometric))))
    return sp.simplify(sp.summation(limit, (t, 1, T)))


def growth() -> Any:
    """Return the bound of ‖θ_T‖ under decay d and a constant c."""
    powers = sp.summation((1 - d) ** (T - t), (t, 1, T))
    powers = powers.replace(sp.Piecewise, lambda *branches: branches[0][0])  # d > 0 is no case
    return sp.simplify((1 - d) ** T * norm + c * powers)


def resting_norm() -> Any:
    """Return the norm that the growth bound tends to for 0 < d < 1: where decay and limit meet."""
    shrinking = sp.Symbol("q", positive=True)  # (1 − d)ᵀ, which vanishes
    bound = growth().subs((1 - d) ** T, shrinking)
    return sp.simplify(sp.limit(bound, shrinking, 0))


def growth_under(schedule: Callable[[int], float], decay: float, start: float, steps: int) -> float:
    """Return the bound of ‖θ_T‖ for any schedule, by unrolling it.

    Parameters
    ----------
    schedule
        c_t of step t = 1, 2, …
    decay
        d in [0, 1).
    start
        ‖θ₀‖.
    steps
        T.
    """
    bound = start
    for step in range(1, steps + 1):
        bound = (1 - decay) * bound + schedule(step)
    return bound
