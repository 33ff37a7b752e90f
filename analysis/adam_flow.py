"""Limited Adam's flow, with its moving preconditioner and bias correction.

Notation: x the parameters, m and v the moments, f the loss, g = ∇f, s the time, η the learning rate
and C the speed limit per unit of time, κ₁ and κ₂ the rates at which the moments forget. With
βᵢ = e^(−κᵢh), lr = ηh and c = Ch the optimizer is a discretisation with the time step h of

    m′ = κ₁(g − m),   v′ = κ₂(g² − v),   x′ = −φ(‖u‖/C)·u,
    u = η·m̂/(√v̂ + ε),   m̂ = m/b₁,   v̂ = v/b₂,   bᵢ = 1 − e^(−κᵢs),

singular at s = 0, where m̂ = g and v̂ = g² are the one bounded solution. Its field depends on the
time. Per entry, with B = u/m, the energy f + ΣC²·P(u/C)/(κ₁B), P = ∫ρ, changes at a rate that
`energy_rate` derives; what bounds it is `stiffening`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

import reference

from .calculus import potential
from .flows import SMALLEST_RATIO
from .laws import LAWS, r

Array = NDArray[np.float64]

s, kappa1, kappa2, eta, eps, C = sp.symbols("s kappa_1 kappa_2 eta epsilon C", positive=True)
m, v = sp.symbols("m v", positive=True)
slope = sp.Symbol("g", real=True)

FIRST_TIME = 1e-7
"""Where the integration starts: m̂ and v̂ are there within as much of g and g²."""


def responsiveness() -> Any:
    """Return B(s, v), what a moment m proposes: u = B·m."""
    corrected1, corrected2 = 1 - sp.exp(-kappa1 * s), 1 - sp.exp(-kappa2 * s)
    return eta / corrected1 / (sp.sqrt(v / corrected2) + eps)


def energy(law: str) -> Any:
    """Return the kinetic energy C²·P(u/C)/(κ₁B) of an entry with m ≥ 0, P the law's ∫ρ."""
    gain = responsiveness()
    return C**2 * potential(LAWS[law]).subs(r, gain * m / C) / (kappa1 * gain)


def energy_rate(law: str) -> Any:
    """Return dE/ds of an entry with m ≥ 0 along the flow, where f′ has cancelled.

    It is (C²/B)·(−rρ + (rρ − P)·(B′/B)/κ₁): what friction takes, and what a preconditioner that
    moves gives back.
    """
    stored, proposed = energy(law), responsiveness() * m
    speed = LAWS[law].gain.subs(r, proposed / C) * proposed
    return (
        -slope * speed
        + sp.diff(stored, s)
        + sp.diff(stored, m) * kappa1 * (slope - m)
        + sp.diff(stored, v) * kappa2 * (slope**2 - v)
    )


def stiffening() -> Any:
    """Return the largest rate B′/B at which an entry's responsiveness can grow, over g, v and ε.

    B′/B falls with g² and with ε, so that g = ε = 0 is the worst: what is left depends on s only,
    κ₂/(2b₂) − κ₁/b₁ + κ₁. The energy of a concave ρ, for which rρ − P ≤ rρ/2, falls where that is
    at most 2κ₁: always, if κ₂ ≤ 4κ₁ (β₂ ≥ β₁⁴; without a limit: Belotto da Silva and Gazeau, arXiv
    1810.13108). Of any ρ ≥ 0 that never falls it does if κ₂ ≤ 2κ₁ (β₂ ≥ β₁²).
    """
    gain = responsiveness()
    growth = (sp.diff(gain, s) + sp.diff(gain, v) * kappa2 * (slope**2 - v)) / gain
    return sp.simplify(growth.subs({slope: 0, eps: 0}))


@dataclass(frozen=True)
class Problem:
    """A loss and the constants of the flow.

    Attributes
    ----------
    gradient
        ∇f of an array of shape (n,).
    start
        x at time 0, shape (n,), where no entry of ∇f is 0.
    rate, limit, forgetting, eps
        η, C, (κ₁, κ₂) and ε.
    law, mode
        Key of an analytic law; "per_component" or "per_param".
    """

    gradient: Callable[[Array], Array]
    start: Array
    rate: float
    limit: float
    forgetting: tuple[float, float]
    eps: float
    law: str
    mode: str

    def __post_init__(self) -> None:
        if not LAWS[self.law].analytic:
            raise ValueError(f"law={self.law!r}: expected one that is analytic at r = 1")

    @cached_property
    def _gain(self) -> Callable[[Array], Array]:
        gain = sp.lambdify(r, LAWS[self.law].below, "numpy")
        return lambda ratio: np.asarray(gain(np.maximum(ratio, SMALLEST_RATIO)))

    def velocity(self, time: float, first: Array, second: Array) -> Array:
        """Return x′ at a time > 0 from m and v."""
        one, two = (-np.expm1(-kappa * time) for kappa in self.forgetting)
        update = self.rate * (first / one) / (np.sqrt(second / two) + self.eps)
        size = np.abs(update) if self.mode == "per_component" else np.linalg.norm(update)
        return np.asarray(-self._gain(np.asarray(size / self.limit)) * update)

    def trajectory(self, times: ArrayLike) -> Array:
        """Return (x, m, v) at some times > 0, ascending, by DOP853; shape (times, 3n)."""
        n = len(self.start)
        one, two = self.forgetting

        def field(time: float, z: Array) -> Array:
            g, first, second = self.gradient(z[:n]), z[n : 2 * n], np.maximum(z[2 * n :], 0)
            velocity = self.velocity(time, first, second)
            return np.concatenate([velocity, one * (g - first), two * (g * g - second)])

        when = np.asarray(times, dtype=np.float64)
        g = self.gradient(self.start)
        corrections = [-np.expm1(-kappa * FIRST_TIME) for kappa in self.forgetting]
        moments = [corrections[0] * g, corrections[1] * g * g]
        drift = FIRST_TIME * self.velocity(FIRST_TIME, *moments)
        z0 = np.concatenate([self.start + drift, *moments])
        span = (FIRST_TIME, when[-1])
        solution = solve_ivp(field, span, z0, "DOP853", when, rtol=1e-11, atol=1e-13)
        return np.asarray(solution.y.T)

    def energies(self, loss: Callable[[Array], Array], times: ArrayLike, states: Array) -> Array:
        """Return E at some times and states (x, m, v); of "per_component" only."""
        values = dict(zip((kappa1, kappa2), self.forgetting, strict=True))
        values |= {eta: self.rate, C: self.limit, eps: self.eps}
        stored = sp.lambdify((s, m, v), energy(self.law).subs(values), "numpy")
        n = len(self.start)
        when = np.asarray(times, dtype=np.float64)[:, None]
        entries = stored(when, np.abs(states[:, n : 2 * n]), states[:, 2 * n :])
        return np.asarray(loss(states[:, :n]) + entries.sum(axis=1))

    def optimizer(self, time: float, steps: int) -> Array:
        """Return x after steps of `reference.relativistic_adam_step` with h = time/steps."""
        h = time / steps
        params: list[Array] = [self.start]
        states = None
        for _ in range(steps):
            params, states = reference.relativistic_adam_step(
                params,
                [self.gradient(params[0])],
                states,
                lr=self.rate * h,
                betas=(np.exp(-self.forgetting[0] * h), np.exp(-self.forgetting[1] * h)),
                eps=self.eps,
                speed_limit=self.limit * h,
                law=self.law,
                mode=self.mode,
            )
        return params[0]
