"""Adam's moments, growth under a limit, decay, and the step on a quadratic.

Notation: m, v the moments, g the gradient, K the constant of m² ≤ Kv; N = ‖θ − θ₀‖, n = ‖θ‖, c the
speed limit of the block, δ = lr·λ the decay of a step; a = ηL > 2 the rate times the curvature and
x > 0 the position in units of c on a quadratic, where smooth_sqrt steps to x − ax/√(1 + (ax)²).
"""

from collections.abc import Mapping

import z3

from .formulas import Formula, number, reals

m, v, g, k, beta1, beta2 = reals("m v g K beta_1 beta_2")
far, after, c, step, size, decay, a, x, w, y, bound = reals("N N1 c s n delta a x w y B")

_BETAS = [beta1 >= 0, beta1 < 1, beta2 < 1, beta1 * beta1 < beta2]
_K = k * (1 - beta2) * (beta2 - beta1 * beta1)
_MOMENTS = [m * m <= k * v, v >= 0]
_NEXT = (beta1 * m + (1 - beta1) * g) * (beta1 * m + (1 - beta1) * g) <= k * (
    beta2 * v + (1 - beta2) * g * g
)
_WALK = [far >= 0, c >= 0, step >= 0, step <= c]
_QUADRATIC = [a > 2, x > 0, w > 0, w * w == 1 + a * a * x * x]
_UNRULY = [beta1 > 0, beta1 < 1, beta2 > 0, k > 0, v > 0, m * m == k * v]
_ROOT = [x > 0, a > 0, w > 0, w * w == 1 + a * a * x * x]
_STEP = [*_ROOT, y * w == x * w - a * x]
_ANYWHERE = [*_ROOT, bound >= x, bound >= 1]

FORMULAS: Mapping[str, Formula] = {
    "adam-moments": Formula(
        [*_BETAS, beta2 * (1 - beta1) * (1 - beta1) == _K, *_MOMENTS],
        _NEXT,
        {"K·9/10": [*_BETAS, number("9/10") * beta2 * (1 - beta1) * (1 - beta1) == _K, *_MOMENTS]},
    ),
    "growth-of-a-step": Formula(
        [*_WALK, after <= far + step],
        after <= far + c,
        {"no limit": [far >= 0, c >= 0, step >= 0, after <= far + step]},
    ),
    "decayed-step": Formula(
        [*_WALK, size >= 0, decay >= 0, decay <= 1, far <= decay * size, after <= far + step],
        after <= c + decay * size,
        {
            "twice the decay": [
                *_WALK,
                size >= 0,
                decay >= 0,
                decay <= 1,
                far <= 2 * decay * size,
                after <= far + step,
            ]
        },
    ),
    "quadratic-cycle": Formula(
        [*_QUADRATIC, a * a * x * x == a * a / 4 - 1, y * w == x * w - a * x],
        y == -x,
        {"½ for ¼": [*_QUADRATIC, a * a * x * x == a * a / 2 - 1, y * w == x * w - a * x]},
    ),
    "adam-moments-need-their-betas": Formula(
        [*_UNRULY, beta2 < beta1 * beta1],
        (beta1 * m) * (beta1 * m) > k * beta2 * v,
        {"any betas": _UNRULY},
    ),
    "quadratic-never-diverges": Formula(
        [*_ANYWHERE, y * w == x * w - a * x],
        z3.And(-bound <= y, y <= bound),
        {"twice the step": [*_ANYWHERE, y * w == x * w - 2 * a * x]},
    ),
    "quadratic-attracts": Formula(
        [*_STEP, a <= 2],
        y * y < x * x,
        {"beyond 2": [*_STEP, 2 * a <= 5]},
    ),
    "newtonian-diverges": Formula(
        [x > 0, a > 2, y == x - a * x],
        y * y > x * x,
        {"beyond 1": [x > 0, a > 1, y == x - a * x]},
    ),
}
