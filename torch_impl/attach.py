"""A speed limit for any optimizer."""

import torch
from torch.optim.optimizer import Optimizer

from .handle import SpeedLimitHandle
from .relativistic import RelativisticAdam


def limit_speed(
    optimizer: Optimizer,
    speed_limit: float | torch.Tensor | str,
    *,
    law: str = "smooth_sqrt",
    mode: str = "per_param",
    unit: str = "rms",
    placement: str = "update",
    adaptive_speed: bool = False,
    speed_warmup_steps: float = 1000,
    speed_follows_lr: bool = False,
    speed_reference_lr: float | None = None,
    on_nonfinite: str = "propagate",
    max_consecutive_skips: float = 100,
    telemetry: bool = False,
) -> SpeedLimitHandle:
    r"""Keep an optimizer below a speed limit from now on.

    .. math::
        \theta \leftarrow \theta_0 - \varphi(\|u\|/c)\,u, \quad u = \theta_0 - \theta_1

    where θ₀ → θ₁ is what the optimizer's own step does, weight decay included. It stays the same
    object: schedulers, GradScaler and trainers see nothing new.

    Parameters
    ----------
    optimizer
        Any torch.optim.Optimizer that has no speed limit of its own.
    speed_limit
        c > 0, ∞ for none, or "auto" to measure it. Each parameter group holds its own, as
        ``speed_limit`` (``gradient_speed_limit`` for gradients): give another there, or change it
        at any time.
    law, mode, unit
        The law, what its norm ranges over and what c is measured in, as `RelativisticAdam` has
        them (``law``, ``relativistic_mode``, ``speed_unit``).
    placement
        "update" limits what the step does, at the cost of one copy of the parameters; "gradient"
        limits gradients before the step, which then sees copies of them, with c in their units.
    adaptive_speed, speed_warmup_steps, speed_follows_lr, speed_reference_lr
        Schedules of c, as in `RelativisticAdam`; t counts the steps since now.
    on_nonfinite, max_consecutive_skips, telemetry
        As in `RelativisticAdam`.

    Returns
    -------
    A handle, which reports, saves and removes the limit.

    Raises
    ------
    ValueError
        If an argument is not as described, or the optimizer has a speed limit already.
    RuntimeError
        In a step: with placement "gradient" if it is given a closure or unscales gradients itself,
        which would replace what has been limited.

    Notes
    -----
    torch.optim neither copies nor pickles hooks: limit a copy anew; its groups keep the limits that
    they hold. With "gradient", a step that raises leaves the copies in ``.grad`` until the next
    step, or until the handle is removed. What the optimizer itself makes infinite, or NaN, of a
    finite gradient is not mended, but with ``on_nonfinite`` "skip" or "raise" it is undone: all
    tensors, numbers and containers in its state, but no objects of other kinds. A state whose named
    parameters are in another order, or whose groups hold what is no limit, is refused by
    ``load_state_dict``, before anything changes; so is, by torch.optim's optimizers of the Adam,
    Adagrad and RMSprop kind, one that lacks a buffer or whose buffers do not go with the
    parameters.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = torch.optim.SGD([weight], lr=1.0)
    >>> handle = limit_speed(optimizer, 0.5, law="hard_clip")
    >>> weight.grad = torch.tensor([-8.0])
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    >>> handle.remove()
    """
    options = {
        "law": law,
        "mode": mode,
        "unit": unit,
        "placement": placement,
        "adaptive_speed": adaptive_speed,
        "speed_warmup_steps": speed_warmup_steps,
        "speed_follows_lr": speed_follows_lr,
        "speed_reference_lr": speed_reference_lr,
        "on_nonfinite": on_nonfinite,
        "max_consecutive_skips": max_consecutive_skips,
        "telemetry": telemetry,
    }
    if not isinstance(optimizer, Optimizer):
        raise ValueError(
            f"optimizer is a {type(optimizer).__name__}: expected a torch.optim.Optimizer"
        )
    if isinstance(optimizer, RelativisticAdam):
        raise ValueError(
            f"optimizer is a {type(optimizer).__name__}, which has a speed limit of its own: set "
            "its speed_limit"
        )
    return SpeedLimitHandle(optimizer, speed_limit, options)
