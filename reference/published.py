"""What was published under the name RelativisticAdam, to the letter: contradictions included.

`published_step` is the code of relativistic-adam 1.0.0, `readme_step` the pseudo-code "The Core
Algorithm" of its README. Neither keeps what the README promises; `reference.relativistic` holds the
optimizer that does.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from .adam import AdamState, States, published_direction, readme_direction
from .arguments import Array, arrays, at_least_zero, flag, number, one_of
from .claims import Claim, Property, claims_from, relative_excess
from .limit import MODES
from .relativistic import warmed_up, with_gradient

READINGS = ("literal", "directional")


def published_step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: States | None = None,
    *,
    lr: float = 1e-3,
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float = 1e-8,
    speed_limit: float = 0.1,
    weight_decay: float = 0.0,
    amsgrad: bool = False,
    mode: str = "per_param",
    adaptive_speed: bool = False,
    speed_warmup_steps: float = 1000,
    decoupled: bool = False,
) -> tuple[list[Array], list[AdamState | None]]:
    """Take one step of relativistic-adam 1.0.0.

    The law is `published`. Its "global" mode takes one norm per tensor, as "per_param" does, and a
    norm that overflows makes the step zero.

    Parameters
    ----------
    params, grads, states, betas, eps, amsgrad, adaptive_speed, speed_warmup_steps
        As in `reference.relativistic_adam_step`.
    lr, speed_limit, weight_decay
        Learning rate ≥ 0, c > 0 and λ ≥ 0, one number each.
    mode
        "global", "per_param" or "per_component".
    decoupled
        False: RelativisticAdam, g ← g + λθ. True: RelativisticAdamW, which decays *after* the step:
        θ ← (θ − s)(1 − lr·λ).

    Returns
    -------
    Parameters and states after the step; nothing is mutated.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> params, _ = published_step([[1.0]], [[5.0]], lr=1.0, speed_limit=0.1)
    >>> params[0].round(3)
    array([0.9])
    """
    one_of("mode", mode, MODES)
    flag("decoupled", decoupled)
    c = _positive("speed_limit", speed_limit)
    decay = at_least_zero("weight_decay", weight_decay)
    thetas = arrays("params", params)
    present, states_after = with_gradient(thetas, grads, states)
    after = [theta.copy() for theta in thetas]
    for i, g in present.items():
        penalised = g if decoupled else g + decay * thetas[i]
        u, state = published_direction(
            penalised, states_after[i], lr=lr, betas=betas, eps=eps, amsgrad=amsgrad
        )
        states_after[i] = state
        c_t = warmed_up(c, state.step, adaptive_speed, speed_warmup_steps)
        after[i] = thetas[i] - _published_scaling(u, c_t, mode)
        if decoupled:
            after[i] = after[i] * (1 - lr * decay)
    return after, states_after


def _published_scaling(u: Array, c: float, mode: str) -> Array:
    with np.errstate(all="ignore"):
        if mode == "per_component":
            ratio = np.abs(u) / c
            slow = u / (1 / np.sqrt(1 - ratio**2))
            return np.where(ratio < 1, slow, np.sign(u) * c * np.tanh(ratio))
        norm = np.sqrt(np.sum(u * u))
        if not norm > 0:
            return u
        ratio = norm / c
        if ratio < 1:
            return np.asarray(u / (1 / np.sqrt(1 - ratio * ratio)))
        return np.asarray(u * (c / norm) * np.tanh(ratio))


def readme_limit(update: ArrayLike, speed_limit: float, *, reading: str = "literal") -> Array:
    """Limit one tensor as the README's pseudo-code does.

    u/(1 − (‖u‖/c)²) if ‖u‖ < c, which amplifies; else c·tanh(‖u‖/c).

    Parameters
    ----------
    update
        Proposed update u, any shape (parameter units).
    speed_limit
        c > 0, in parameter units.
    reading
        "literal": at and above the limit every entry becomes the same positive scalar, so that the
        direction and the sign are lost. "directional": that scalar is the norm of the step, along
        u, which is the law `piecewise`.

    Returns
    -------
    The step, in the shape of ``update``.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> readme_limit([-3.0, -4.0], speed_limit=1.0).round(4)
    array([0.9999, 0.9999])
    """
    one_of("reading", reading, READINGS)
    c = _positive("speed_limit", speed_limit)
    (u,) = arrays("update", [update])
    with np.errstate(all="ignore"):
        norm = np.sqrt(np.sum(u * u))
        if norm < c:
            return np.asarray(u / (1 - (norm / c) ** 2))
        saturated = c * np.tanh(norm / c)
        direction = np.ones_like(u) if reading == "literal" else u / norm
        return np.asarray(direction * saturated)


def readme_step(
    params: Sequence[ArrayLike],
    grads: Sequence[ArrayLike | None],
    states: States | None = None,
    *,
    lr: float = 1e-3,
    beta: float = 0.9,
    eps: float = 1e-8,
    speed_limit: float = 0.1,
    reading: str = "literal",
) -> tuple[list[Array], list[AdamState | None]]:
    """Take one step of the README's "The Core Algorithm".

    u = lr·m/(v + ε) with one β (`readme_direction`), then `readme_limit`, tensor by tensor.

    Parameters
    ----------
    params, grads, states
        As in `reference.relativistic_adam_step`.
    lr, beta, eps
        As in `reference.readme_direction`.
    speed_limit, reading
        As in `readme_limit`.

    Returns
    -------
    Parameters and states after the step; nothing is mutated.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    >>> params, _ = readme_step([[1.0]], [[-2.0]], lr=1.0)
    >>> params[0].round(3)
    array([0.9])
    """
    thetas = arrays("params", params)
    present, states_after = with_gradient(thetas, grads, states)
    after = [theta.copy() for theta in thetas]
    for i, g in present.items():
        u, states_after[i] = readme_direction(g, states_after[i], lr=lr, beta=beta, eps=eps)
        after[i] = thetas[i] - readme_limit(u, speed_limit, reading=reading)
    return after, states_after


def _positive(name: str, value: object) -> float:
    return number(name, value, lambda x: x > 0, "a number > 0")


@dataclass(frozen=True)
class Reading:
    """A reading of the README's pseudo-code, with its claims about the limit c = 1.

    Attributes
    ----------
    key
        What `readme_limit` calls it.
    equation
        The step s that an update u becomes.
    source
        Where it was published.
    claims
        Verdicts by name.
    """

    key: str
    equation: str
    source: str
    claims: Mapping[str, Claim]


def _norm(values: ArrayLike) -> float:
    return float(np.linalg.norm(np.asarray(values)))


def _reading(key: str, equation: str, fails: Mapping[str, tuple[Sequence[float]]]) -> Reading:
    def limited(update: Sequence[float]) -> Array:
        return readme_limit(update, 1.0, reading=key)

    def cosine_deficit(update: Sequence[float]) -> float:
        step = limited(update)
        return relative_excess(1.0, float(np.dot(update, step)) / _norm(update) / _norm(step))

    properties = {
        "direction_preserving": Property("s points where u does", "update", cosine_deficit),
        "bounded": Property(
            "‖s‖ ≤ c", "update", lambda update: relative_excess(_norm(limited(update)), 1.0)
        ),
        "never_amplifies": Property(
            "‖s‖ ≤ ‖u‖",
            "update",
            lambda update: relative_excess(_norm(limited(update)), _norm(update)),
        ),
    }
    source = "relativistic-adam's README, 'The Core Algorithm'"
    return Reading(key, equation, source, claims_from(properties, fails))


_AMPLIFIES: dict[str, tuple[Sequence[float]]] = {
    "bounded": ((0.9, 0.0),),
    "never_amplifies": ((0.3, 0.4),),
}

README_READINGS: Mapping[str, Reading] = {
    "literal": _reading(
        "literal",
        "s = u/(1 − r²) if r < 1, else the scalar c·tanh(r) in every entry",
        {"direction_preserving": ((-3.0, -4.0),), **_AMPLIFIES},
    ),
    "directional": _reading(
        "directional",
        "s = u/(1 − r²) if r < 1, else c·tanh(r)·u/‖u‖: the law `piecewise`",
        _AMPLIFIES,
    ),
}
"""Both readings of the pseudo-code: what `readme_limit` does, and which claims fail."""
