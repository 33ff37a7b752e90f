"""The relativistic flow that limited Adam discretises, for a frozen preconditioner.

Notation: x the parameters, p the momentum, M = diag(M₁, …, Mₙ) the preconditioner, γ the friction,
C the speed limit per unit of time, f the loss. With β₁ = e^(−γh), lr = ηh and c = Ch the optimizer
is a discretisation with the time step h of

    p′ = −∇f(x) − γp,   x′ = φ(‖M⁻¹p‖/C)·M⁻¹p,

where the norm ranges over what the mode says: each entry ("per_component"), the tensor in the
metric of M ("metric", r² = pᵀM⁻¹p/C²) or the tensor in the Euclidean norm ("per_param").
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

from .calculus import integral
from .laws import LAWS, r

Array = NDArray[np.float64]

GEOMETRIES = ("per_component", "metric", "per_param")

C, gamma = sp.symbols("C gamma", positive=True)
momenta = sp.symbols("p_1 p_2", real=True)
masses = sp.symbols("M_1 M_2", positive=True)
positions = sp.symbols("x_1 x_2", real=True)


@dataclass(frozen=True)
class Flow:
    """The flow of one law in one geometry, for two parameters; all its facts are derived.

    Attributes
    ----------
    law
        Key of an analytic law.
    geometry
        An element of `GEOMETRIES`.
    """

    law: str
    geometry: str

    @cached_property
    def ratios(self) -> tuple[Any, Any]:
        """The speed ratio r that each component of the velocity is limited by."""
        free = [p / m for p, m in zip(momenta, masses, strict=True)]
        if self.geometry == "per_component":
            return free[0] / C, free[1] / C
        squares = [v * p for v, p in zip(free, momenta, strict=True)]
        if self.geometry == "per_param":
            squares = [v * v for v in free]
        ratio = sp.sqrt(sum(squares)) / C
        return ratio, ratio

    @cached_property
    def velocity(self) -> tuple[Any, ...]:
        """x′ as expressions in p."""
        gain = LAWS[self.law].below
        rows = zip(momenta, masses, self.ratios, strict=True)
        return tuple(gain.subs(r, ratio) * p / m for p, m, ratio in rows)

    @cached_property
    def curl(self) -> Any:
        """∂v₁/∂p₂ − ∂v₂/∂p₁: where it is not 0, no kinetic energy has the velocity as gradient."""
        one, two = self.velocity
        return sp.simplify(sp.diff(one, momenta[1]) - sp.diff(two, momenta[0]))

    @cached_property
    def kinetic_energy(self) -> Any:
        """K(p) with ∇K = x′: the potential C²∫ρ of the law, per component or of the metric norm.

        Raises
        ------
        ValueError
            For "per_param", whose velocity has a curl unless M is isotropic.
        """
        if self.geometry == "per_param":
            raise ValueError(f"the velocity of 'per_param' has the curl {self.curl}")
        potential = integral(r * LAWS[self.law].below, r)
        if self.geometry == "per_component":
            rows = zip(masses, self.ratios, strict=True)
            return sum(m * C**2 * potential.subs(r, ratio) for m, ratio in rows)
        return C**2 * potential.subs(r, self.ratios[0])

    @cached_property
    def energy_rate(self) -> Any:
        """dE/dt of E = f(x) + K(p) along the flow, for any loss f."""
        loss = sp.Function("f")(*positions)
        energy = loss + self.kinetic_energy
        slopes = [sp.diff(loss, x) for x in positions]
        forces = [-slope - gamma * p for slope, p in zip(slopes, momenta, strict=True)]
        along = sum(
            sp.diff(energy, x) * v for x, v in zip(positions, self.velocity, strict=True)
        ) + sum(sp.diff(energy, p) * force for p, force in zip(momenta, forces, strict=True))
        return sp.simplify(along)


@dataclass(frozen=True)
class Problem:
    """A loss on two parameters and the constants of the flow.

    Attributes
    ----------
    gradient
        ∇f of an array of shape (2,).
    mass, friction, limit
        M, γ and C.
    start
        x at time 0, where p = 0.
    """

    gradient: Callable[[Array], Array]
    mass: Array
    friction: float
    limit: float
    start: Array

    def velocity(self, flow: Flow) -> Callable[[Array], Array]:
        """Return x′ as a function of p."""
        values = dict(zip(masses, self.mass, strict=True)) | {C: self.limit}
        function = sp.lambdify([momenta], [v.subs(values) for v in flow.velocity], "numpy")
        return lambda p: np.array(function(p)) if p.any() else np.zeros(2)

    def energy(self, flow: Flow, loss: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return E = f(x) + K(p) as a function of states (x, p) of shape (times, 4)."""
        values = dict(zip(masses, self.mass, strict=True)) | {C: self.limit}
        kinetic = sp.lambdify(momenta, flow.kinetic_energy.subs(values), "numpy")
        return lambda z: loss(z[:, :2]) + kinetic(z[:, 2], z[:, 3])

    def trajectory(self, flow: Flow, times: ArrayLike) -> Array:
        """Return (x, p) at some times by DOP853, shape (times, 4)."""
        velocity = self.velocity(flow)

        def field(_: float, z: Array) -> Array:
            return np.concatenate([velocity(z[2:]), -self.gradient(z[:2]) - self.friction * z[2:]])

        when = np.asarray(times, dtype=np.float64)
        first = np.concatenate([self.start, np.zeros(2)])
        solution = solve_ivp(field, (0.0, when[-1]), first, "DOP853", when, rtol=1e-12, atol=1e-13)
        return np.asarray(solution.y.T)

    def optimizer(self, flow: Flow, time: float, steps: int) -> Array:
        """Return x after heavy-ball steps limited by `reference.limit` with c = C·h.

        p ← e^(−γh)p − h·∇f(x), u = −h·M⁻¹p: Adam's direction with a frozen second moment, up to the
        constant that the learning rate takes. The metric geometry has no mode in the reference.
        """
        h, x, p = time / steps, self.start.copy(), np.zeros(2)
        for _ in range(steps):
            p = np.exp(-self.friction * h) * p - h * self.gradient(x)
            (update,) = reference.limit(
                [-h * p / self.mass], self.limit * h, law=flow.law, mode=flow.geometry
            )
            x = x - update
        return np.asarray(x)

    def leapfrog_step(self, flow: Flow, z: Array, h: float) -> Array:
        """Return (x, p) after one conformal leapfrog step, half a damping on either side."""
        velocity, half = self.velocity(flow), np.exp(-self.friction * h / 2)
        x, p = z[:2], half * z[2:]
        p = p - h / 2 * self.gradient(x)
        x = x + h * velocity(p)
        p = p - h / 2 * self.gradient(x)
        return np.concatenate([x, half * p])

    def leapfrog(self, flow: Flow, time: float, steps: int) -> Array:
        """Return x after conformal leapfrog steps."""
        z = np.concatenate([self.start, np.zeros(2)])
        for _ in range(steps):
            z = self.leapfrog_step(flow, z, time / steps)
        return z[:2]


def orders(errors: ArrayLike) -> Array:
    """Return the measured order between each two errors of which the second has half the step."""
    return -np.diff(np.log2(np.asarray(errors, dtype=np.float64)))
