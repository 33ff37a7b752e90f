"""Gravity, the kinematic optimizer (Bahrami and Zadeh, arXiv 2101.09192).

Notation: θ the parameter, g its gradient, G = max|g| over the tensor, m the max-step gradient,
ζ the gradient term, V the velocity, t the clock, β̂ the running coefficient.
"""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arguments import Array, arrays, at_least_zero, flag, fraction, number, one_of, same_shapes
from .claims import Claim, Property, claims_from, relative_excess

CLOCKS: Mapping[str, int] = {
    "paper_algorithm_1": 1,
    "paper_equation_28": 0,
    "keras": 0,
    "pytorch": 1,
}
"""Published description → the value of t at the first update; the paper contradicts itself."""

ZETA_SUPREMUM = 3**0.75 / 4
"""sup|ζ| over all gradients: 0.56988, attained by an entry of size G = 3^(−1/4)."""


@dataclass(frozen=True)
class GravityState:
    """What Gravity remembers of one parameter.

    Attributes
    ----------
    step
        Number of steps taken.
    velocity
        V, in the parameter's shape and gradient units.
    """

    step: int
    velocity: Array


def zeta(grad: ArrayLike, max_step_grad: str | float = "inverse_max") -> Array:
    """Return the gradient term ζ = g/(1 + (g/m)²).

    Every published text computes m = 1/max|g|, which gives ζ = g/(1 + (g·G)²) and is not invariant
    to the gradient's scale; m = κ·max|g| is the dimensionally consistent repair, and κ = 1 the
    second reading of the paper's "m".

    Parameters
    ----------
    grad
        Gradient g of one tensor, any shape.
    max_step_grad
        "inverse_max" for m = 1/max|g| as published, or κ > 0 for m = κ·max|g|.

    Returns
    -------
    ζ in the shape of ``grad``, |ζ| ≤ |g|; where an entry of g is infinite ζ is NaN there, and 0 in
    the other entries of an "inverse_max" ζ.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> zeta([2.0, 1.0])
    array([0.11764706, 0.2       ])
    >>> zeta([2.0, 1.0], max_step_grad=1.0)
    array([1. , 0.8])
    """
    (g,) = arrays("grad", [grad])
    kappa = _kappa(max_step_grad)
    peak = np.max(np.abs(g), initial=0.0)
    largest, smallest = np.finfo(np.float64).max, np.finfo(np.float64).tiny
    with np.errstate(all="ignore"):
        if kappa is None:
            return np.asarray(g / (1 + (g * np.minimum(peak, largest)) ** 2))
        m = np.clip(kappa * peak, smallest, largest)
        return np.asarray(g / (1 + (g / m) ** 2))


def beta_hat(beta: float, t: float) -> float:
    """Return the running coefficient β̂ = (βt + 1)/(t + 2), which goes from ½ (t = 0) to β (t → ∞).

    Parameters
    ----------
    beta
        β in [0, 1).
    t
        Clock ≥ 0, in steps.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> beta_hat(0.9, 0)
    0.5
    """
    beta, t = fraction("beta", beta), at_least_zero("t", t)
    return (beta * t + 1) / (t + 2)


def initial_velocity(
    params: Sequence[ArrayLike],
    rng: np.random.Generator,
    *,
    lr: float = 0.1,
    alpha: float = 0.01,
) -> list[Array]:
    """Draw V₀ ~ N(0, (α/lr)²) for every parameter; lr = 0 gives V₀ = 0.

    V₀ alone displaces a weight by lr·V₀·S, a multiple of α·N(0, 1) whatever lr: S = 2.831 with a
    clock from 1 and 1.9155 from 0 at β = 0.9.

    Parameters
    ----------
    params
        Arrays whose shapes V₀ takes.
    rng
        Source of the draws, which it advances.
    lr, alpha
        Learning rate ≥ 0 and α ≥ 0. A standard deviation above 1 warns: V₀ is then larger than any
        ζ ever is.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> (v0,) = initial_velocity([[0.0, 0.0]], np.random.default_rng(0))
    >>> v0.shape, bool(np.all(np.abs(v0) < 1))
    ((2,), True)
    """
    lr, alpha = at_least_zero("lr", lr), at_least_zero("alpha", alpha)
    deviation = alpha / lr if lr > 0 else 0.0
    if deviation > 1:
        warnings.warn(
            f"the initial velocity's standard deviation alpha/lr = {deviation:.3g} exceeds 1, more "
            "than any later velocity can reach",
            stacklevel=2,
        )
    return [deviation * rng.standard_normal(theta.shape) for theta in arrays("params", params)]


def gravity_step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: Sequence[GravityState],
    *,
    lr: float = 0.1,
    beta: float = 0.9,
    clock: str = "pytorch",
    decay: float = 0.0,
    weight_decay: float = 0.0,
    max_step_grad: str | float = "inverse_max",
    maximize: bool = False,
) -> tuple[list[Array], list[GravityState]]:
    """Take one Gravity step: V ← β̂V + (1−β̂)ζ, θ ← θ − lr_t·V.

    Parameters
    ----------
    params, grads
        Parameters θ and gradients g in the same shapes; a None gradient leaves its parameter alone.
    states
        One per parameter; before the first step ``GravityState(0, v0)`` with `initial_velocity`.
    lr, beta
        Learning rate ≥ 0 and β in [0, 1).
    clock
        Key of `CLOCKS`: which published description says what t is at the first update.
    decay
        Keras's learning-rate decay ≥ 0: lr_t = lr/(1 + decay·t).
    weight_decay
        λ ≥ 0: g ← g + λθ.
    max_step_grad
        As in `zeta`.
    maximize
        Ascend instead of descend.

    Returns
    -------
    Parameters and states after the step; nothing is mutated.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> params, states = gravity_step([[1.0]], [[1.0]], [GravityState(0, np.zeros(1))], beta=0.5)
    >>> params[0], states[0].velocity
    (array([0.975]), array([0.25]))
    """
    one_of("clock", clock, CLOCKS)
    flag("maximize", maximize)
    lr, decay = at_least_zero("lr", lr), at_least_zero("decay", decay)
    penalty = at_least_zero("weight_decay", weight_decay)
    thetas = arrays("params", params)
    same_shapes("states' velocities", [state.velocity for state in states], "params", thetas)
    if len(grads) != len(thetas):
        raise ValueError(
            f"grads has {len(grads)} arrays: expected {len(thetas)}, as params has (None where "
            "a parameter has no gradient)"
        )
    after, states_after = [theta.copy() for theta in thetas], list(states)
    for i, grad in enumerate(grads):
        if grad is None:
            continue
        (g,) = arrays("grad", [grad])
        same_shapes("grads", [g], "params", [thetas[i]])
        t = states[i].step + CLOCKS[clock]
        ascent = -g if maximize else g
        running = beta_hat(beta, t)
        velocity = running * states[i].velocity + (1 - running) * zeta(
            ascent + penalty * thetas[i], max_step_grad
        )
        states_after[i] = GravityState(states[i].step + 1, velocity)
        after[i] = thetas[i] - lr / (1 + decay * t) * velocity
    return after, states_after


def _kappa(max_step_grad: str | float) -> float | None:
    """Return κ, or None for the published m = 1/max|g|."""
    if max_step_grad == "inverse_max":
        return None
    return number(
        "max_step_grad", max_step_grad, lambda x: 0 < x < math.inf, '"inverse_max" or a number > 0'
    )


def _peak(values: ArrayLike) -> float:
    return float(np.max(np.abs(values), initial=0.0))


def _order_excess(grad: Sequence[float]) -> float:
    """Return how much larger |ζ| is at an entry of smaller |g| than at the largest one."""
    sizes = np.abs(zeta(grad))
    return relative_excess(float(sizes.max()), float(sizes[np.argmax(np.abs(grad))]))


def _descent_deficit(grad: Sequence[float]) -> float:
    g = np.asarray(grad)
    with np.errstate(over="ignore"):
        least = float((g @ g) / (1 + np.square(np.square(_peak(g)))))
    return relative_excess(least, float(zeta(g) @ g))


GRAVITY_CLAIMS: Mapping[str, Claim] = claims_from(
    {
        "zeta_below_half_inverse_max": Property(
            "|ζ| ≤ 1/(2·max|g|), with m = 1/max|g| in ζ: the paper's bound 1/(2m), read with "
            "m = max|g| in the bound alone",
            "gradient",
            lambda g: relative_excess(2 * _peak(zeta(g)) * _peak(g), 1.0),
        ),
        "zeta_below_half_inverse_m_as_coded": Property(
            "|ζ| ≤ 1/(2m) with the code's m = 1/max|g| in both",
            "gradient",
            lambda g: relative_excess(_peak(zeta(g)), _peak(g) / 2),
        ),
        "zeta_below_half_inverse_m_as_maximum": Property(
            "|ζ| ≤ 1/(2m) with m = max|g| in both",
            "gradient",
            lambda g: relative_excess(2 * _peak(zeta(g, 1.0)) * _peak(g), 1.0),
        ),
        "zeta_below_universal_bound": Property(
            "|ζ| ≤ 3^(3/4)/4 = 0.56988 for every gradient",
            "gradient",
            lambda g: relative_excess(_peak(zeta(g)) / ZETA_SUPREMUM, 1.0),
        ),
        "zeta_below_gradient": Property(
            "|ζ| ≤ |g| in every entry",
            "gradient",
            lambda g: relative_excess(_peak(np.divide(zeta(g), g, where=g != 0, out=0 * g)), 1.0),
        ),
        "descends": Property(
            "⟨ζ, g⟩ ≥ ‖g‖²/(1 + G⁴)",
            "gradient",
            _descent_deficit,
        ),
        "order_preserving": Property(
            "the steepest entry keeps the largest |ζ|",
            "gradient",
            _order_excess,
        ),
        "scale_equivariant": Property(
            "ζ(2g) = 2ζ(g)",
            "gradient",
            lambda g: relative_excess(_peak(zeta(2 * np.asarray(g)) - 2 * zeta(g)), 0.0),
        ),
    },
    fails={
        "zeta_below_half_inverse_m_as_coded": ((0.1, 0.05),),
        "zeta_below_half_inverse_m_as_maximum": ((2.0, 1.0),),
        "order_preserving": ((3.0, 1.0),),
        "scale_equivariant": ((10.0, 5.0),),
    },
)
"""What has been claimed of ζ: name → claim."""
