"""Energies of the continuous flows: their rates as polynomials, by the chain rule.

Notation: f the slope of the loss, x′ = v. Relativistic flow: p the momentum, M the mass, C the
limit, γ ≥ 0 the friction, p′ = −f − γp, v = φp/M with the gain φ; the kinetic energy is the
integral of v over p, so that E′ = f·v + v·p′. Gravity's flow: V the velocity, a = 1/s + 1/τ, x′ =
−V, V′ = a(ζ − V), E = loss + V²/(2a), E′ = −f·V + V·V′/a + V²/(2a²s²).
"""

from collections.abc import Mapping

from .formulas import Formula, reals

f, p, dp, v, mass, limit, friction, w, gain = reals("f p dp v M C gamma w phi")
velocity, dv, s, tau, a, rate, zeta = reals("V dV s tau a rate zeta")

_MASS = [mass > 0, limit > 0, friction >= 0]
_LORENTZ = [w > 0, mass * mass * limit * limit * (w * w - 1) == p * p, v * mass * w == p]
_RATE = [dp == -f - friction * p, rate == f * v + v * dp]
_GAINED = [dp == -f + friction * p, rate == f * v + v * dp]

_TIME = [s > 0, tau > 0, a * s * tau == s + tau]
_FALL = [dv == a * (f - velocity)]
_KINETIC = [
    rate * 2 * a * a * s * s
    == -f * velocity * 2 * a * a * s * s + 2 * a * s * s * velocity * dv + velocity * velocity
]
_TWICE = [rate * a * a * s * s == a * s * s * velocity * (2 * dv - a * f) + velocity * velocity]

FORMULAS: Mapping[str, Formula] = {
    "relativistic-flow-speed": Formula(
        [*_MASS, *_LORENTZ],
        v * v < limit * limit,
        {"no root": [*_MASS, v * mass == p]},
    ),
    "relativistic-flow-energy": Formula(
        [*_MASS, *_LORENTZ, *_RATE],
        rate <= 0,
        {"friction that pushes": [*_MASS, *_LORENTZ, *_GAINED]},
    ),
    "any-laws-flow-energy": Formula(
        [*_MASS, gain >= 0, v * mass == gain * p, *_RATE],
        rate <= 0,
        {"a gain below 0": [*_MASS, v * mass == gain * p, *_RATE]},
    ),
    "gravity-flow-energy": Formula(
        [*_TIME, *_FALL, *_KINETIC],
        2 * rate <= -velocity * velocity,
        {"V²/a": [*_TIME, *_FALL, *_TWICE]},
    ),
    "gravity-flow-energy-with-zeta": Formula(
        [
            *_TIME,
            *_KINETIC,
            *[s == 1, tau == 1, f == 2, velocity == -1],
            zeta * (1 + f * f * f * f) == f,
            dv == a * (zeta - velocity),
        ],
        rate > 0,
    ),
}
