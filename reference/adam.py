"""Adam directions: torch.optim's, relativistic-adam 1.0.0's and its README pseudo-code's.

Notation: g the gradient, m and v the moments (m̂, v̂ with bias correction), t the step, counted from
1, u the proposed update.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arguments import Array, arrays, at_least_zero, flag, pair_of_betas, same_shapes


@dataclass(frozen=True)
class AdamState:
    """What Adam remembers of one parameter.

    Attributes
    ----------
    step
        Number of steps taken.
    exp_avg, exp_avg_sq
        The moments m and v, in the parameter's shape.
    max_exp_avg_sq
        The largest v so far, kept by AMSGrad only.
    """

    step: int
    exp_avg: Array
    exp_avg_sq: Array
    max_exp_avg_sq: Array | None = None


States = Sequence[AdamState | None]


def advance_moments(
    grad: Array, state: AdamState | None, betas: tuple[float, float], amsgrad: bool
) -> tuple[AdamState, Array]:
    """Return the state after this gradient, and the second moment that divides: v, or its maximum.

    m ← β₁m + (1−β₁)g and v ← β₂v + (1−β₂)g², from m = v = 0.
    """
    beta1, beta2 = betas
    flag("amsgrad", amsgrad)
    if state is None:
        zero = np.zeros_like(grad)
        state = AdamState(0, zero, zero, zero if amsgrad else None)
    m = beta1 * state.exp_avg + (1 - beta1) * grad
    v = beta2 * state.exp_avg_sq + (1 - beta2) * grad * grad
    largest = state.max_exp_avg_sq
    if amsgrad:
        largest = np.maximum(v if largest is None else largest, v)
    return AdamState(state.step + 1, m, v, largest), v if largest is None else largest


def adam_direction(
    grad: ArrayLike,
    state: AdamState | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> tuple[Array, AdamState]:
    """Propose an update as torch.optim.Adam does: u = lr·m̂/(√v̂ + ε).

    m̂ = m/(1−β₁ᵗ) and v̂ = v/(1−β₂ᵗ) are the moments with bias correction (Kingma and Ba,
    arXiv 1412.6980, algorithm 1). If β₁² < β₂ and without AMSGrad, |u| ≤ lr·√K, K =
    β₂(1−β₁)²/((1−β₂)(β₂−β₁²)) once t is large: 7.27·lr at the defaults.

    Parameters
    ----------
    grad
        Gradient g, any shape.
    state
        State before the step; None before the first.
    lr
        Learning rate ≥ 0.
    betas
        Decay rates β₁, β₂ of the moments, in [0, 1).
    eps
        ε ≥ 0, in gradient units.
    amsgrad
        Divide by the largest v so far (arXiv 1904.09237).

    Returns
    -------
    The proposed update u in the gradient's shape (parameter units) and the state after the step.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> update, state = adam_direction([4.0], lr=0.5, eps=0.0)
    >>> update, state.step
    (array([0.5]), 1)
    """
    lr, betas, eps, (g,) = _direction_arguments(lr, betas, eps, grad, state)
    after, v = advance_moments(g, state, betas, amsgrad)
    m_hat = after.exp_avg / (1 - betas[0] ** after.step)
    v_hat = v / (1 - betas[1] ** after.step)
    with np.errstate(divide="ignore", invalid="ignore"):
        return lr * m_hat / (np.sqrt(v_hat) + eps), after


def published_direction(
    grad: ArrayLike,
    state: AdamState | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    amsgrad: bool = False,
) -> tuple[Array, AdamState]:
    """Propose an update as relativistic-adam 1.0.0 does: u = lr·√(1−β₂ᵗ)/(1−β₁ᵗ)·m/(√v + ε).

    This is `adam_direction` with ε divided by √(1−β₂ᵗ): 31.6 times larger at the first step with
    the defaults. With ε = 0 the two agree. Parameters, results and errors are those of
    `adam_direction`.

    Examples
    --------
    >>> published_direction([4.0], lr=0.5, eps=0.0)[0]
    array([0.5])
    """
    lr, betas, eps, (g,) = _direction_arguments(lr, betas, eps, grad, state)
    after, v = advance_moments(g, state, betas, amsgrad)
    step_size = lr * np.sqrt(1 - betas[1] ** after.step) / (1 - betas[0] ** after.step)
    with np.errstate(divide="ignore", invalid="ignore"):
        return step_size * (after.exp_avg / (np.sqrt(v) + eps)), after


def readme_direction(
    grad: ArrayLike,
    state: AdamState | None = None,
    *,
    lr: float = 1e-3,
    beta: float = 0.9,
    eps: float = 1e-8,
) -> tuple[Array, AdamState]:
    """Propose an update as the README's pseudo-code does: u = lr·m/(v + ε).

    One β for both moments, no square root and no bias correction; the update is therefore not
    invariant to the gradient's scale as Adam's is. Results and errors are those of
    `adam_direction`.

    Examples
    --------
    >>> readme_direction([4.0], lr=1.0, beta=0.5, eps=0.0)[0]
    array([0.25])
    """
    lr, betas, eps, (g,) = _direction_arguments(lr, (beta, beta), eps, grad, state)
    after, v = advance_moments(g, state, betas, amsgrad=False)
    with np.errstate(divide="ignore", invalid="ignore"):
        return lr * after.exp_avg / (v + eps), after


def _direction_arguments(
    lr: float,
    betas: tuple[float, float],
    eps: float,
    grad: ArrayLike,
    state: AdamState | None,
) -> tuple[float, tuple[float, float], float, list[Array]]:
    g = arrays("grad", [grad])
    if state is not None:
        same_shapes("grad", g, "state", [state.exp_avg])
    return at_least_zero("lr", lr), pair_of_betas(betas), at_least_zero("eps", eps), g
