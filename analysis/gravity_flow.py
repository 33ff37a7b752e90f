"""Gravity's flow: what its steps tend to as lr → 0 with 1 − β = lr/τ.

Notation: x the parameters, V the velocity, ζ the gradient term, f the loss, s = lr·t the time and
τ the memory. From 1 − β̂ = ((1 − β)t + 1)/(t + 2):

    V′ = a(s)·(ζ(∇f(x)) − V),   x′ = −V,   a(s) = 1/s + 1/τ,

singular at s = 0, where V = ζ(∇f(x₀)) is the one solution that stays bounded.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import solve_ivp

import reference

Array = NDArray[np.float64]
Gradient = Callable[[Array], Array]

s, tau, h = sp.symbols("s tau h", positive=True)


def rate() -> sp.Expr:
    """Return a(s) = lim (1 − β̂)/h at t = s/h, β = 1 − h/τ, for h → 0."""
    t = s / h
    beta_hat = ((1 - h / tau) * t + 1) / (t + 2)
    return sp.simplify(sp.limit((1 - beta_hat) / h, h, 0))


def energy_rate() -> sp.Expr:
    """Return dE/ds over |V|² of E = f + |V|²/(2a) along the flow with ζ = identity.

    The inner products with ∇f cancel; what remains is a multiple of |V|², so that one dimension
    tells it.
    """
    x = sp.Symbol("x", real=True)
    velocity = sp.Symbol("V", real=True)
    loss = sp.Function("f")(x)
    energy = loss + velocity**2 / (2 * rate())
    slope = sp.diff(loss, x)
    along = (
        sp.diff(energy, s)
        + sp.diff(energy, x) * -velocity
        + sp.diff(energy, velocity) * rate() * (slope - velocity)
    )
    return sp.factor(sp.simplify(along / velocity**2))


def trajectory(
    gradient: Gradient, start: ArrayLike, memory: float, times: ArrayLike, kappa: Any
) -> tuple[Array, Array]:
    """Return x and V at some times by DOP853, each of shape (times, n).

    Parameters
    ----------
    gradient
        ∇f.
    start
        x₀, shape (n,).
    memory
        τ.
    times
        s > 0, ascending.
    kappa
        m of `reference.zeta`; None for ζ = identity.
    """
    x0 = np.asarray(start, dtype=np.float64)
    n = len(x0)

    def zeta(x: Array) -> Array:
        g = gradient(x)
        return g if kappa is None else np.asarray(reference.zeta(g, kappa))

    def field(now: float, z: Array) -> Array:
        pull = (1 / now + 1 / memory) * (zeta(z[:n]) - z[n:])
        return np.concatenate([-z[n:], pull])

    when = np.asarray(times, dtype=np.float64)
    first = 1e-7  # where V is within 1e-7 of ζ(∇f(x₀)), and x of x₀ − s·V
    v0 = zeta(x0)
    z0 = np.concatenate([x0 - first * v0, v0])
    solution = solve_ivp(field, (first, when[-1]), z0, "DOP853", when, rtol=1e-11, atol=1e-12)
    return np.asarray(solution.y[:n].T), np.asarray(solution.y[n:].T)


def optimizer(
    gradient: Gradient,
    start: ArrayLike,
    memory: float,
    time: float,
    steps: int,
    *,
    kappa: Any,
    from_rest: bool,
) -> Array:
    """Return x after steps of `reference.gravity_step` with lr = h and β = 1 − h/τ.

    Parameters
    ----------
    gradient, start, memory, kappa
        As for `trajectory`.
    time, steps
        The time to reach, and in how many steps.
    from_rest
        Whether V₀ = 0, as with α = 0, or V₀ = ζ(∇f(x₀)).
    """
    lr = time / steps
    params = [np.asarray(start, dtype=np.float64)]
    first = np.zeros_like(params[0])
    if not from_rest:
        first = np.asarray(reference.zeta(gradient(params[0]), kappa))
    states = [reference.GravityState(0, first)]
    for _ in range(steps):
        params, states = reference.gravity_step(
            params,
            [gradient(params[0])],
            states,
            lr=lr,
            beta=1 - lr / memory,
            max_step_grad=kappa,
        )
    return np.asarray(params[0])
