"""The speed limit of a step: c as the group says it, warmed up, and following the learning rate."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from .arguments import as_number, check_flag, check_number, check_one_of, check_scalar
from .arithmetic import Scalar, moved
from .batches import Batch

PLACEMENTS = ("update", "gradient")
"""What a speed law is applied to."""

PUBLISHED_LIMIT = float("0.1")
"""c by default, in parameter units; an object of its own, so that it is known from a given 0.1."""


SIZES = "proposed_sizes"
"""State buffer of the sizes that an automatic limit is measured from, float64, one per step."""

MEASURED_STEPS = 20
"""How many sizes, of steps in which there was something to limit."""

MEASURED_FACTOR = 4.0


def is_auto(speed_limit: object) -> bool:
    """Whether the limit is to be measured."""
    return isinstance(speed_limit, str)


def speed_limit_now(batch: Batch) -> Scalar:
    """Return c·min(1, t/`speed_warmup_steps`)·lr/lr_ref of a batch; one value if it can."""
    group = batch.group
    c = _measured_limits(batch) if is_auto(group["speed_limit"]) else batch.number("speed_limit")
    if group["speed_follows_lr"]:
        c = following(c, batch.number("lr"), group["speed_reference_lr"])
    warmup = group["speed_warmup_steps"]
    if not group["adaptive_speed"] or warmup <= 0:
        return c
    tensors = [step for step in batch.steps if isinstance(step, Tensor)]
    if tensors:
        shares: Scalar = (torch.stack(tensors) / warmup).clamp(max=1)
    else:
        each = [min(1.0, float(step) / warmup) for step in batch.steps]
        shares = each[0] if len(set(each)) == 1 else torch.tensor(each, dtype=torch.float64)
    if isinstance(c, Tensor) and isinstance(shares, Tensor):
        shares = moved(shares, c.device)
    return c * shares


def _measured_limits(batch: Batch) -> Tensor:
    """Return 4·median of each parameter's sizes; ∞ until there are enough of them."""
    sizes = torch.stack(batch.read(SIZES))
    limits = MEASURED_FACTOR * sizes.quantile(0.5, dim=1)
    return torch.where((sizes > 0).all(dim=1), limits, math.inf)


def remember_sizes(batch: Batch, sizes: list[Tensor]) -> None:
    """Store sizes in the first places that are free; 0, and what is not finite, is no size.

    If c follows the learning rate, what is stored is for the reference rate.

    Parameters
    ----------
    batch
        Parameters that a step has been proposed for.
    sizes
        Of each, float64, without dimensions.
    """
    group, stored = batch.group, torch.stack(batch.read(SIZES))
    found = torch.stack([size.to(stored.device) for size in sizes])
    if group["speed_follows_lr"]:
        found = found / batch.number("lr") * group["speed_reference_lr"]
    found = torch.where(found.isfinite(), found, 0.0)
    places = torch.arange(MEASURED_STEPS, device=stored.device)
    free = places == (stored > 0).sum(dim=1, keepdim=True)
    batch.write(SIZES, list(torch.where(free, found[:, None], stored).unbind()))


def is_measured(sizes: Tensor | None) -> bool:
    """Whether it is known without waiting for a device that all sizes are there."""
    return sizes is not None and sizes.is_cpu and bool((sizes > 0).all())


def following(c: Scalar, lr: Scalar, reference: float) -> Scalar:
    """Return c·lr/lr_ref; ∞ stays ∞, also at lr = 0."""
    if isinstance(c, Tensor):
        return torch.where(c.isinf(), c, c * (lr / reference))
    return c if math.isinf(c) else c * (lr / reference)


def reference_lr(options: Mapping[str, Any]) -> float:
    """Return lr_ref of a group that is added: as given, else its learning rate."""
    given = options["speed_reference_lr"]
    return float(as_number(options["lr"])) if given is None else given


def check_limit(speed_limit: object, *, scheduled: bool = False) -> None:
    """Raise ValueError unless a limit is valid; 0 is, where a schedule may have led to it."""
    if isinstance(speed_limit, str) and speed_limit == "auto":
        return
    check_scalar(
        "speed_limit",
        speed_limit,
        lambda c: c > 0 or (scheduled and c == 0),
        f"a number >{'=' * scheduled} 0 (inf means no limit), or 'auto'",
    )


def check_schedule(options: Mapping[str, Any]) -> None:
    """Raise ValueError unless placement, warm-up and reference learning rate are valid."""
    if is_auto(options.get("speed_limit")) and options.get("differentiable") is True:
        raise ValueError(
            "speed_limit='auto' with differentiable=True: expected a number > 0, since what is "
            "measured has no derivative"
        )
    check_one_of("placement", options["placement"], PLACEMENTS)
    check_flag("adaptive_speed", options["adaptive_speed"])
    check_number(
        "speed_warmup_steps", options["speed_warmup_steps"], math.isfinite, "a finite number"
    )
    check_flag("speed_follows_lr", options["speed_follows_lr"])
    given, follows = options["speed_reference_lr"], options["speed_follows_lr"]
    if given is not None:
        least, expected = (0.0, "a finite number > 0") if follows else (-1.0, "a number >= 0")
        check_number("speed_reference_lr", given, lambda x: least < x < math.inf, expected)
    elif follows and as_number(options["lr"]) == 0:
        raise ValueError(
            "lr=0 with speed_follows_lr=True: expected a learning rate > 0, or "
            "speed_reference_lr, the one at which speed_limit holds"
        )
    if options["placement"] == "gradient" and follows:
        raise ValueError(
            "speed_follows_lr=True with placement='gradient': expected False, since a limit in "
            "gradient units has nothing to do with the learning rate"
        )


def check_given_limit(options: Mapping[str, Any]) -> None:
    """Raise ValueError if gradients are to be limited by the default limit of updates."""
    if options["placement"] == "gradient" and options["speed_limit"] is PUBLISHED_LIMIT:
        raise ValueError(
            "speed_limit is not given: expected a number > 0 in gradient units for "
            "placement='gradient', ten times a typical gradient for instance, or 'auto'"
        )
