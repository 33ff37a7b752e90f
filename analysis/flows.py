"""The relativistic flow that limited Adam discretises, for a frozen preconditioner.

Notation: x the parameters, p the momentum, M = diag(M₁, …, Mₙ) the preconditioner, γ the friction,
C the speed limit per unit of time, f the loss. With β₁ = e^(−γh), lr = ηh and c = Ch the optimizer
is a discretisation with the time step h of

    p′ = −∇f(x) − γp,   x′ = φ(‖M⁻¹p‖/C)·M⁻¹p,

where the norm ranges over what the mode says: each entry ("per_component"), the tensor in the
metric of M ("metric", r² = pᵀM⁻¹p/C²) or the tensor in the Euclidean norm ("per_param").

A law of two formulas gives a field with an edge at r = 1. Since p′ does not see the law, p crosses
the edge and never slides along it: the integration stops there and goes on with the other formula.
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
from .laws import LAWS, r

Array = NDArray[np.float64]

GEOMETRIES = ("per_component", "metric", "per_param")

SMALLEST_RATIO = 1e-300
"""The formulas divide by r."""

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
        Key of a law; its kinetic energy needs ∫ρ to be finite.
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
            return sp.Abs(free[0]) / C, sp.Abs(free[1]) / C
        squares = [v * p for v, p in zip(free, momenta, strict=True)]
        if self.geometry == "per_param":
            squares = [v * v for v in free]
        ratio = sp.sqrt(sum(squares)) / C
        return ratio, ratio

    @cached_property
    def velocity(self) -> tuple[Any, ...]:
        """x′ as expressions in p."""
        gain = LAWS[self.law].gain
        rows = zip(momenta, masses, self.ratios, strict=True)
        return tuple(gain.subs(r, ratio) * p / m for p, m, ratio in rows)

    @cached_property
    def curl(self) -> Any:
        """∂v₁/∂p₂ − ∂v₂/∂p₁: where it is not 0, no kinetic energy has the velocity as gradient."""
        one, two = self.velocity
        return sp.simplify(sp.diff(one, momenta[1]) - sp.diff(two, momenta[0]))

    @cached_property
    def kinetic_energy(self) -> Any:
        """K(p) with ∇K = x′ off the edge: C²∫ρ of the law, per component or of the metric norm.

        It is continuous for every law, and convex where ρ never falls.

        Raises
        ------
        ValueError
            For "per_param", whose velocity has a curl unless M is isotropic, and if ∫ρ diverges.
        """
        if self.geometry == "per_param":
            raise ValueError(f"the velocity of 'per_param' has the curl {self.curl}")
        stored = potential(LAWS[self.law])
        if self.geometry == "per_component":
            rows = zip(masses, self.ratios, strict=True)
            return sum(m * C**2 * stored.subs(r, ratio) for m, ratio in rows)
        return C**2 * stored.subs(r, self.ratios[0])

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
class Crossing:
    """A speed ratio that passes 1: an entry, or the tensor, saturates or comes back.

    Attributes
    ----------
    time
        When.
    entry
        Whose ratio, 0 for a tensor's.
    rising
        Whether it saturates.
    """

    time: float
    entry: int
    rising: bool


def _edge(ratios: Callable[[Array], Array], entry: int, *, rising: bool) -> Callable[..., float]:
    """Return the event of `solve_ivp` at which the ratio of an entry crosses 1."""

    def distance(_: float, z: Array) -> float:
        return float(ratios(z[2:])[entry] - 1)

    distance.terminal = True  # type: ignore[attr-defined]
    distance.direction = 1.0 if rising else -1.0  # type: ignore[attr-defined]
    return distance


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

    def ratios(self, flow: Flow) -> Callable[[Array], Array]:
        """Return the speed ratios, shape (2,), as a function of p."""
        values = dict(zip(masses, self.mass, strict=True)) | {C: self.limit}
        function = sp.lambdify([momenta], [ratio.subs(values) for ratio in flow.ratios], "numpy")
        return lambda p: np.array(function(p))

    def velocity(self, flow: Flow) -> Callable[..., Array]:
        """Return x′ as a function of p and, optionally, of which formula each entry takes.

        The formulas are continued beyond their edge by their values there.
        """
        law, ratios = LAWS[flow.law], self.ratios(flow)
        low, high = (sp.lambdify(r, gain, "numpy") for gain in (law.below, law.above))

        def velocity(p: Array, above: NDArray[np.bool_] | None = None) -> Array:
            ratio = ratios(p)
            if law.analytic:
                gain = np.ones(2)
                moving = ratio > 0
                gain[moving] = low(ratio[moving])
            else:
                inside = np.clip(ratio, SMALLEST_RATIO, 1)
                over = ratio >= 1 if above is None else above
                gain = np.where(over, high(np.maximum(ratio, 1)), low(inside))
            return np.asarray(gain * p / self.mass)

        return velocity

    def energy(self, flow: Flow, loss: Callable[[Array], Array]) -> Callable[[Array], Array]:
        """Return E = f(x) + K(p) as a function of states (x, p) of shape (times, 4)."""
        values = dict(zip(masses, self.mass, strict=True)) | {C: self.limit}
        kinetic = sp.lambdify(momenta, flow.kinetic_energy.subs(values), "numpy")

        def energy(z: Array) -> Array:
            with np.errstate(invalid="ignore"):  # each formula is evaluated on either side
                return np.asarray(loss(z[:, :2]) + kinetic(z[:, 2], z[:, 3]))

        return energy

    def trajectory(self, flow: Flow, times: ArrayLike) -> Array:
        """Return (x, p) at some times, shape (times, 4); see `solve`."""
        return self.solve(flow, times)[0]

    def solve(self, flow: Flow, times: ArrayLike) -> tuple[Array, list[Crossing]]:
        """Integrate from rest by DOP853, and tell when the speed ratios crossed 1.

        Parameters
        ----------
        flow
            Law and geometry.
        times
            Times ≥ 0, ascending.

        Returns
        -------
        (x, p) at the times, shape (times, 4), and the crossings in order.
        """
        when = np.asarray(times, dtype=np.float64)
        velocity, ratios = self.velocity(flow), self.ratios(flow)
        entries = range(2 if flow.geometry == "per_component" else 1)
        above = np.zeros(2, dtype=bool)
        now, z = 0.0, np.concatenate([self.start, np.zeros(2)])
        states, crossings = [z] * int(np.sum(when == 0)), list[Crossing]()

        def field(_: float, z: Array) -> Array:
            pull = -self.gradient(z[:2]) - self.friction * z[2:]
            return np.concatenate([velocity(z[2:], above), pull])

        while now < when[-1]:
            events = [_edge(ratios, entry, rising=not above[entry]) for entry in entries]
            ahead = when[when > now]
            solution = solve_ivp(
                field, (now, when[-1]), z, "DOP853", ahead, events=events, rtol=1e-12, atol=1e-13
            )
            states += list(np.reshape(solution.y, (4, -1)).T)  # a list where no time was reached
            if not solution.t_events or not any(map(len, solution.t_events)):
                break
            entry = next(i for i, found in enumerate(solution.t_events) if len(found))
            now, z = float(solution.t_events[entry][0]), solution.y_events[entry][0]
            crossings.append(Crossing(now, entry, rising=not above[entry]))
            above[entry if flow.geometry == "per_component" else slice(None)] ^= True
        return np.array(states), crossings

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

    def leapfrog_step(self, velocity: Callable[[Array], Array], z: Array, h: float) -> Array:
        """Return (x, p) after one conformal leapfrog step, half a damping on either side."""
        half = np.exp(-self.friction * h / 2)
        x, p = z[:2], half * z[2:]
        p = p - h / 2 * self.gradient(x)
        x = x + h * velocity(p)
        p = p - h / 2 * self.gradient(x)
        return np.concatenate([x, half * p])

    def leapfrog(self, flow: Flow, time: float, steps: int) -> Array:
        """Return x after conformal leapfrog steps."""
        z, velocity = np.concatenate([self.start, np.zeros(2)]), self.velocity(flow)
        for _ in range(steps):
            z = self.leapfrog_step(velocity, z, time / steps)
        return z[:2]


def orders(errors: ArrayLike) -> Array:
    """Return the measured order between each two errors of which the second has half the step."""
    return -np.diff(np.log2(np.asarray(errors, dtype=np.float64)))
