"""RelativisticAdam and RelativisticAdamW: an Adam direction, limited by a speed law.

Notation: θ the parameter, g its gradient, m and v the moments (v̂, m̂ with bias correction), t the
step, counted from 1, u the proposed update, s the applied one.
"""

import math
from collections.abc import Sequence

from numpy.typing import ArrayLike

from .adam import AdamState, States, adam_direction
from .arguments import (
    Array,
    PerArray,
    arrays,
    at_least_zero,
    flag,
    number,
    one_of,
    per_array,
    same_shapes,
    speed_limit_of,
)
from .limit import limit

PLACEMENTS = ("update", "gradient")
"""What the law is applied to."""


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
    placement: str = "update",
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
    placement
        "update" limits u; "gradient" limits g, before the decay is added and before it enters the
        moments, with c in gradient units.
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
    return _step(
        params,
        grads,
        states,
        lr=lr,
        betas=betas,
        eps=eps,
        speed_limit=speed_limit,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        mode=mode,
        adaptive_speed=adaptive_speed,
        speed_warmup_steps=speed_warmup_steps,
        law=law,
        unit=unit,
        placement=placement,
        maximize=maximize,
        decoupled=False,
    )


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
    placement: str = "update",
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
    return _step(
        params,
        grads,
        states,
        lr=lr,
        betas=betas,
        eps=eps,
        speed_limit=speed_limit,
        weight_decay=weight_decay,
        amsgrad=amsgrad,
        mode=mode,
        adaptive_speed=adaptive_speed,
        speed_warmup_steps=speed_warmup_steps,
        law=law,
        unit=unit,
        placement=placement,
        maximize=maximize,
        decoupled=True,
    )


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
    placement: str,
    maximize: bool,
    decoupled: bool,
) -> tuple[list[Array], list[AdamState | None]]:
    flag("maximize", maximize)
    thetas = arrays("params", params)
    present, states_after = with_gradient(thetas, grads, states)
    rates = per_array("lr", lr, len(thetas), at_least_zero)
    decays = per_array("weight_decay", weight_decay, len(thetas), at_least_zero)
    limits = per_array("speed_limit", speed_limit, len(thetas), speed_limit_of)
    thetas_present = [thetas[i] for i in present]
    limits_now = [
        warmed_up(limits[i], _step_after(states_after[i]), adaptive_speed, speed_warmup_steps)
        for i in present
    ]

    def limited(proposed: list[Array]) -> list[Array]:
        return limit(proposed, limits_now, params=thetas_present, law=law, mode=mode, unit=unit)

    ascents = [-g if maximize else g for g in present.values()]
    if one_of("placement", placement, PLACEMENTS) == "gradient":
        ascents = limited(ascents)
    updates = []
    for i, ascent in zip(present, ascents, strict=True):
        penalised = ascent if decoupled else ascent + decays[i] * thetas[i]
        u, states_after[i] = adam_direction(
            penalised, states_after[i], lr=rates[i], betas=betas, eps=eps, amsgrad=amsgrad
        )
        updates.append(u)
    applied = limited(updates) if placement == "update" else updates
    after = [theta.copy() for theta in thetas]
    for i, s in zip(present, applied, strict=True):
        kept = thetas[i] * (1 - rates[i] * decays[i]) if decoupled else thetas[i]
        after[i] = kept - s
    return after, states_after


def _step_after(state: AdamState | None) -> int:
    return 1 if state is None else state.step + 1


def warmed_up(c: float, step: int, adaptive_speed: bool, speed_warmup_steps: float) -> float:
    """Return c_t = c·min(1, t/`speed_warmup_steps`), or c without warm-up."""
    number("speed_warmup_steps", speed_warmup_steps, math.isfinite, "a finite number")
    if not flag("adaptive_speed", adaptive_speed) or speed_warmup_steps <= 0:
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
