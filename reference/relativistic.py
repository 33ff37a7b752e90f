"""RelativisticAdam and RelativisticAdamW: an Adam direction, limited by a speed law.

Notation: θ the parameter, g its gradient, m and v the moments (v̂, m̂ with bias correction), t the
step, counted from 1, u the proposed update, s the applied one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .arguments import (
    Array,
    PerArray,
    arrays,
    at_least_zero,
    number,
    pair_of_betas,
    per_array,
    same_shapes,
    speed_limit_of,
)
from .limit import limit


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


def relativistic_adam_step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: States | None = None,
    *,
    lr: PerArray = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    speed_limit: PerArray = 0.1,
    weight_decay: PerArray = 0.0,
    amsgrad: bool = False,
    mode: str = "per_param",
    adaptive_speed: bool = False,
    speed_warmup_steps: float = 1000,
    law: str = "smooth_sqrt",
    unit: str = "norm",
    maximize: bool = False,
) -> tuple[list[Array], list[AdamState | None]]:
    """Take one RelativisticAdam step: g ← g + λθ, u = `adam_direction`, θ ← θ − φ(‖u‖/c)·u.

    Parameters
    ----------
    params, grads
        Parameters θ and gradients g, one array each in the same shapes; a None gradient leaves its
        parameter and state alone, outside every norm.
    states
        States before the step, None for a parameter before its first.
    lr, speed_limit, weight_decay
        Learning rate, c and λ: one number, or one per array (parameter groups).
    betas, eps, amsgrad
        As in `adam_direction`.
    mode, law, unit
        As in `limit`; "relative" measures θ as it is before the step.
    adaptive_speed, speed_warmup_steps
        Warm c up: c_t = c·min(1, t/`speed_warmup_steps`) with t the parameter's own step, from 1.
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
    >>> params, states = relativistic_adam_step([[1.0]], [[5.0]], lr=1.0, speed_limit=0.1)
    >>> params[0].round(3)
    array([0.9])
    """
    return _step(**locals(), decoupled=False)


def relativistic_adamw_step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: States | None = None,
    *,
    lr: PerArray = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    speed_limit: PerArray = 0.1,
    weight_decay: PerArray = 1e-2,
    amsgrad: bool = False,
    mode: str = "per_param",
    adaptive_speed: bool = False,
    speed_warmup_steps: float = 1000,
    law: str = "smooth_sqrt",
    unit: str = "norm",
    maximize: bool = False,
) -> tuple[list[Array], list[AdamState | None]]:
    """Take one RelativisticAdamW step: u = `adam_direction`, θ ← θ(1 − lr·λ) − φ(‖u‖/c)·u.

    The decay is outside the limit: for a bounded law ‖Δθ‖ ≤ c + lr·λ·‖θ‖ in the block's norm.
    Parameters, results and errors are those of `relativistic_adam_step`.

    Examples
    --------
    >>> params, _ = relativistic_adamw_step([[1.0]], [[0.0]], lr=0.5, weight_decay=0.1)
    >>> params
    [array([0.95])]
    """
    return _step(**locals(), decoupled=True)


def _step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: States | None,
    *,
    lr: PerArray,
    betas: tuple[float, float],
    eps: float,
    speed_limit: PerArray,
    weight_decay: PerArray,
    amsgrad: bool,
    mode: str,
    adaptive_speed: bool,
    speed_warmup_steps: float,
    law: str,
    unit: str,
    maximize: bool,
    decoupled: bool,
) -> tuple[list[Array], list[AdamState | None]]:
    thetas = arrays("params", params)
    present, states_after = with_gradient(thetas, grads, states)
    rates = per_array("lr", lr, len(thetas), at_least_zero)
    decays = per_array("weight_decay", weight_decay, len(thetas), at_least_zero)
    limits = per_array("speed_limit", speed_limit, len(thetas), speed_limit_of)
    updates, limits_now = [], []
    for i, g in present.items():
        ascent = -g if maximize else g
        penalised = ascent if decoupled else ascent + decays[i] * thetas[i]
        u, state = adam_direction(
            penalised, states_after[i], lr=rates[i], betas=betas, eps=eps, amsgrad=amsgrad
        )
        states_after[i] = state
        updates.append(u)
        limits_now.append(warmed_up(limits[i], state.step, adaptive_speed, speed_warmup_steps))
    applied = limit(
        updates,
        limits_now,
        params=[thetas[i] for i in present],
        law=law,
        mode=mode,
        unit=unit,
    )
    after = [theta.copy() for theta in thetas]
    for i, s in zip(present, applied, strict=True):
        kept = thetas[i] * (1 - rates[i] * decays[i]) if decoupled else thetas[i]
        after[i] = kept - s
    return after, states_after


def warmed_up(c: float, step: int, adaptive_speed: bool, speed_warmup_steps: float) -> float:
    """Return c_t = c·min(1, t/`speed_warmup_steps`), or c without warm-up."""
    number("speed_warmup_steps", speed_warmup_steps, lambda x: x == x, "a number")  # noqa: PLR0124
    if not adaptive_speed or speed_warmup_steps <= 0:
        return c
    return c * min(1.0, step / speed_warmup_steps)


def with_gradient(
    thetas: Sequence[Array], grads: Sequence[ArrayLike | None], states: States | None
) -> tuple[dict[int, Array], list[AdamState | None]]:
    """Return the gradients that are present, by index, and a state or None per parameter."""
    known: list[AdamState | None] = list(states) if states is not None else [None] * len(thetas)
    if len(grads) != len(thetas) or len(known) != len(thetas):
        raise ValueError(
            f"grads has {len(grads)} arrays and states {len(known)}: expected {len(thetas)} each, "
            "as params has"
        )
    indices = [i for i, g in enumerate(grads) if g is not None]
    present = arrays("grads", [g for g in grads if g is not None])
    same_shapes("grads", present, "params", [thetas[i] for i in indices])
    return dict(zip(indices, present, strict=True)), known


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
