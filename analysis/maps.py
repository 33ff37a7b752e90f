"""The optimizer's step as a map: on a quadratic, alone and under gradient noise.

Notation: f the loss, x the parameter, c the speed limit, ρ(r) = r·φ(r) the speed, η the learning
rate, L the curvature, a = ηL. On f = Lx²/2 the step is x ← x − c·ρ(a|x|/c)·sign(x); in units of c,
y = x/c, it is y ← y − ρ(a|y|)·sign(y), which has one parameter, a.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import sympy as sp
from numpy.typing import ArrayLike, NDArray
from scipy.integrate import quad
from scipy.optimize import brentq

import reference

from .laws import LAWS, SymbolicLaw, r

a = sp.Symbol("a", positive=True)

Array = NDArray[np.float64]

JUMP = 1e-6
"""A change of sign that is farther than this from 0 is a jump; gains are steep, but not so."""


@dataclass(frozen=True)
class QuadraticMap:
    """The step on a quadratic under one law, in units of c; symbolic facts and numbers.

    Attributes
    ----------
    law
        The law as an expression.
    """

    law: SymbolicLaw

    @cached_property
    def multiplier_at_zero(self) -> Any:
        """The derivative of the map at 0, 1 − a·ρ′(0): 0 attracts where its size is below 1."""
        return sp.simplify(1 - a * sp.limit(sp.diff(r * self.law.below, r), r, 0, "+"))

    @cached_property
    def first_repelling(self) -> Any:
        """The a beyond which 0 repels: where the multiplier is −1."""
        (root,) = sp.solve(sp.Eq(self.multiplier_at_zero, -1), a)
        return root

    @cached_property
    def cycle_ratios(self) -> list[tuple[Any, Any, Any]]:
        """(r, start, end) of each symmetric 2-cycle ±y that sympy solves for, r = a·y.

        The map takes y to −y where 2y = ρ(ay), that is φ(r) = 2/a; r is in a and counts where it
        lies between start and end.
        """
        found = []
        for gain, start, end in self.law.pieces():
            try:
                roots = sp.solve(sp.Eq(gain, 2 / a), r)
            except NotImplementedError:
                continue
            found += [(sp.simplify(root), start, end) for root in roots if root.has(a)]
        return found

    def cycle_multiplier(self, ratio: Any) -> Any:
        """Return the derivative of the map applied twice, at a symmetric 2-cycle of this ratio."""
        gain = self.law.below
        return sp.simplify((1 - a * sp.diff(r * gain, r)).subs(r, ratio) ** 2)

    def cycle_amplitude(self, rate: float) -> float:
        """Return y of the largest symmetric 2-cycle at a = ``rate`` by root-finding; NaN for none.

        φ(r) − 2/a is searched for changes of sign over r in [10⁻⁶, a]: a bounded law does not reach
        φ(r) = 2/a beyond r = a/2. Where the law jumps over 2/a there is no cycle.
        """
        gain = reference.LAWS[self.law.key].gain

        def excess(ratio: float) -> float:
            return float(gain(ratio)) - 2 / rate

        grid = np.geomspace(1e-6, max(rate, 2.0), 2000)
        signs = np.sign([excess(ratio) for ratio in grid])
        for i in reversed(np.nonzero(np.diff(signs))[0]):
            root = float(brentq(excess, grid[i], grid[i + 1], xtol=1e-15))
            if abs(excess(root)) < JUMP:
                return root / rate
        return math.nan

    def orbit(self, rate: ArrayLike, start: ArrayLike, steps: int, keep: int) -> Array:
        """Iterate the map; return the last ``keep`` points, shape (keep, …).

        Parameters
        ----------
        rate, start
            a and y₀, broadcast together.
        steps
            How many steps to take in all.
        keep
            How many of the last points to return.
        """
        rates, y = np.broadcast_arrays(np.asarray(rate, float), np.asarray(start, float))
        speed = reference.LAWS[self.law.key].speed
        kept = []
        for step in range(steps):
            y = y - speed(rates * np.abs(y)) * np.sign(y)
            if step >= steps - keep:
                kept.append(y)
        return np.array(kept)


MAPS = {
    key: QuadraticMap(law)
    for key, law in LAWS.items()
    if reference.LAWS[key].limits and math.isinf(reference.LAWS[key].domain)
}
"""The maps of the laws that limit and are defined for every ratio."""


def noise_floor(law: str, rate: float, noise: float) -> float:
    """Return the stationary standard deviation of x/c under gradient noise, by linearisation.

    With u = η(Lx + σξ), ξ ~ N(0, 1), and x small beside the noise, x ← (1 − k)x + s with the drift
    k = a·E[ρ′(n|ξ|)] and steps of variance D = c²·E[ρ(n|ξ|)²], n = ησ/c; so the variance of x is
    D/(2k − k²). Without a limit it is that of SGD, ησ²/(L(2 − a)).

    Parameters
    ----------
    law
        Key of a law that is continuous.
    rate
        a = ηL.
    noise
        n = ησ/c, the noise of a proposed step in units of c.
    """
    speed = reference.LAWS[law].speed
    variance = _mean(lambda ratio: float(speed(ratio)) ** 2, noise, 0.0, math.inf)
    drift = 0.0
    for gain, start, end in LAWS[law].pieces():
        slope = sp.lambdify(r, sp.diff(r * gain, r), "math")
        drift += _mean(slope, noise, float(start), float(end))
    k = rate * drift
    return math.sqrt(variance / (2 * k - k * k))


def _mean(value: Callable[[float], float], noise: float, start: float, end: float) -> float:
    """Return E[value(n|ξ|)] over n|ξ| between start and end, ξ ~ N(0, 1), decade by decade."""

    def weighted(ratio: float) -> float:
        return value(ratio) * math.exp(-((ratio / noise) ** 2) / 2)

    farthest = 12 * noise  # beyond which the density is below 1e-31
    decades = [0.0, *(farthest * 10.0**-k for k in range(12, -1, -1))]
    edges = sorted({min(max(edge, start), end) for edge in [*decades, start, end]} - {math.inf})
    pieces = (quad(weighted, low, high)[0] for low, high in pairwise(edges) if high <= farthest)
    return float(sum(pieces)) * math.sqrt(2 / math.pi) / noise


def simulated_noise_floor(
    law: str, rate: float, noise: float, steps: int, chains: int, seed: int
) -> float:
    """Return the standard deviation of x/c over the second half of simulated chains from 0."""
    rng = np.random.default_rng(seed)
    speed = reference.LAWS[law].speed
    y = np.zeros(chains)
    squares = 0.0
    for step in range(steps):
        update = rate * y + noise * rng.standard_normal(chains)
        y = y - speed(np.abs(update)) * np.sign(update)
        if step >= steps // 2:
            squares += float(np.mean(y * y))
    return math.sqrt(squares / (steps - steps // 2))
