"""What this package's optimizers promise of their steps, under which of their options."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

from .arguments import as_number
from .invariants import Invariants, NormBound, SmallUpdates, steps_taken
from .laws import LAWS
from .limit import RELATIVE_FLOOR
from .schedules import following, is_auto

_BLOCKS = {"global": "model", "per_param": "tensor", "per_component": "entry"}

_LARGEST_TERM = 3**0.75 / 4
"""The supremum of |ζ| under the published m, at max|g| = 3^(−1/4)."""

_SAME_DIRECTION = ("betas", "eps", "amsgrad", "maximize")


def promises_of_adam(optimizer: Optimizer, decoupled: bool) -> Invariants:
    """Return what holds of Adam behind a speed law.

    Of groups that differ, and of what is rounded by chance, it is that the same seed gives the same
    bits. With ε = 0 a gradient of 0 is 0/0. A limit of gradients bounds no step, and in its units
    the scale of a gradient matters; where a penalty can cancel what it leaves of one, roundings
    show.
    """
    group, *others = optimizer.param_groups
    guarded = group["on_nonfinite"] != "propagate"
    if others or group["stochastic_rounding"]:
        return Invariants(deterministic=True, guarded=guarded)
    law, mode = LAWS[group["law"]], group["relativistic_mode"]
    of_updates = group["placement"] == "update"
    penalty = as_number(group["weight_decay"]) > 0 and not decoupled
    limit = _limit(optimizer) if law.limits else math.inf
    unlimited = limit == math.inf
    defined = of_updates and group["eps"] > 0
    bounded = defined and law.bounded and not unlimited
    deviation = 0.0 if unlimited else law.deviation
    known = defined and not is_auto(group["speed_limit"]) and deviation < math.inf
    in_proportion = not of_updates or unlimited
    rounded_alike = mode == "per_component" or law.continuous
    return Invariants(
        norm_bound=NormBound(_BLOCKS[mode], _in_units(limit, group)) if bounded else None,
        decay=as_number(group["lr"]) * as_number(group["weight_decay"]) if decoupled else 0.0,
        small_updates=SmallUpdates(_plain_adam(group, decoupled), deviation) if known else None,
        degree=0 if of_updates and group["eps"] == 0 and not penalty else None,
        deterministic=True,
        odd=True,
        equivariant=rounded_alike and (of_updates or not penalty),
        monotone=law.monotone or in_proportion,
        continuous=law.continuous or in_proportion,
        descends=not group["maximize"],
        guarded=guarded,
    )


def promises_of_gravity(optimizer: Optimizer) -> Invariants:
    """Return what holds of Gravity.

    Of groups that differ, of what is rounded by chance, and where V₀ is drawn, it is that the same
    seed gives the same bits. With m = κ·max|g| the term scales with the gradient and has no bound.
    """
    group, *others = optimizer.param_groups
    guarded = group["on_nonfinite"] != "propagate"
    if others or group["stochastic_rounding"] or group["velocity_std"] > 0:
        return Invariants(deterministic=True, guarded=guarded)
    bounded = group["max_step_grad"] == "inverse_max"
    longest = as_number(group["lr"]) * _LARGEST_TERM
    scales = not bounded and as_number(group["weight_decay"]) == 0
    return Invariants(
        norm_bound=NormBound("entry", lambda _size, _count: longest) if bounded else None,
        degree=1 if scales else None,
        deterministic=True,
        odd=True,
        equivariant=True,
        monotone=True,
        continuous=True,
        descends=not group["maximize"],
        guarded=guarded,
    )


def _limit(optimizer: Optimizer) -> float:
    """Return the c of the step to come; ∞ while it is measured."""
    (group,) = optimizer.param_groups
    if is_auto(group["speed_limit"]):
        return math.inf
    c = as_number(group["speed_limit"])
    if group["speed_follows_lr"]:
        c = float(following(c, as_number(group["lr"]), group["speed_reference_lr"]))
    warmup = group["speed_warmup_steps"]
    if group["adaptive_speed"] and warmup > 0:
        c *= min(1.0, (steps_taken(optimizer) + 1) / warmup)
    return c


def _in_units(limit: float, group: dict[str, Any]) -> Callable[[float, int], float]:
    """Return c of a block with n entries of norm ‖θ‖, in its unit."""
    unit = group["speed_unit"]

    def in_unit(size: float, count: int) -> float:
        root = math.sqrt(count)
        relative = max(size, RELATIVE_FLOOR * root)
        return limit * {"norm": 1.0, "rms": root, "relative": relative}[unit]

    return in_unit


def _plain_adam(group: dict[str, Any], decoupled: bool) -> Callable[[Any], Optimizer]:
    """Return what makes torch's optimizer with the direction of a group."""
    options = {name: group[name] for name in _SAME_DIRECTION}
    for name in ("lr", "weight_decay"):
        options[name] = as_number(group[name])
    make = torch.optim.AdamW if decoupled else torch.optim.Adam
    return lambda params: make(params, **options)
