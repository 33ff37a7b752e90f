"""What is compared with what: variants and their baselines, by table and row."""

import importlib
import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim import Optimizer

from torch_impl import Gravity, RelativisticAdamW, limit_speed
from torch_impl.pages import zeros_like_each

from .contenders import Make


class Pair(NamedTuple):
    """A variant and what it is compared with.

    Attributes
    ----------
    over
        The baseline's name.
    baseline, variant
        Make an optimizer of parameters.
    floor
        Bytes per float32 parameter that the variant has to move, if it is a single kernel.
    threads
        Threads of both.
    """

    over: str
    baseline: Make
    variant: Make
    floor: int | None = None
    threads: int = 1


def _torch(name: str, **options: Any) -> Make:
    return partial(getattr(torch.optim, name), **options)


def _adamw(**options: Any) -> Make:
    return partial(RelativisticAdamW, **{"speed_limit": 1e-3, "speed_unit": "rms", **options})


def _gravity(**options: Any) -> Make:
    return partial(Gravity, **options)


def _limited(**options: Any) -> Make:
    def make(params: list[Tensor]) -> Optimizer:
        optimizer = torch.optim.AdamW(params)
        limit_speed(optimizer, 1e-3, **options)
        return optimizer

    return make


def _published(module: str, name: str, **options: Any) -> Make:
    """Return a peer of another package, which is imported when one is made."""

    def make(params: list[Tensor]) -> Optimizer:
        optimizer: Optimizer = getattr(importlib.import_module(module), name)(params, **options)
        return optimizer

    return make


FLOORS = {"per_component": 28, "per_param": 36, "global": 36}
"""Bytes per parameter: AdamW's 28, and both moments once more where a norm comes first."""

_over_fused = partial(Pair, "AdamW, fused", _torch("AdamW", fused=True))

STEPS: Mapping[str, Pair] = {
    **{
        f"RelativisticAdamW, {mode}, fused": _over_fused(
            _adamw(relativistic_mode=mode, fused=True), floor
        )
        for mode, floor in FLOORS.items()
    },
    "Gravity, fused": _over_fused(_gravity(fused=True), 24),
    **{
        f"RelativisticAdamW, {mode}, foreach": _over_fused(
            _adamw(relativistic_mode=mode, foreach=True)
        )
        for mode in FLOORS
    },
    "Gravity, foreach": _over_fused(_gravity(foreach=True)),
    "AdamW, foreach": _over_fused(_torch("AdamW", foreach=True)),
}
"""Steps over those of the fastest AdamW."""


def _in_huge_pages(params: list[Tensor]) -> Optimizer:
    """Return AdamW with its state where ours is."""
    optimizer = torch.optim.AdamW(params, fused=True)
    moments = [zeros_like_each(params, [param.dtype for param in params]) for _ in range(2)]
    for param, first, second in zip(params, *moments, strict=True):
        step = torch.tensor(0.0)
        optimizer.state[param] = {"step": step, "exp_avg": first, "exp_avg_sq": second}
    return optimizer


STEPS_ON_CPU: Mapping[str, Pair] = {
    **STEPS,
    "AdamW, fused, its state in huge pages": _over_fused(_in_huge_pages),
}
"""The same, and what of a ratio is due to where the state is."""

FUSED: Mapping[str, Pair] = {name: pair for name, pair in STEPS.items() if pair.floor}
"""Those that are kernels."""

SCALING: Mapping[str, Pair] = {name: pair for name, pair in FUSED.items() if "global" not in name}
"""What has to take a time proportional to n; of one tensor, "global" is "per_param"."""

PARALLEL: Mapping[str, Pair] = {
    name: pair._replace(over="AdamW, fused, likewise", floor=None, threads=2)
    for name, pair in FUSED.items()
}
"""The same on two threads, AdamW's step too."""


def _serial_up_to(entries: float, make: Make) -> Make:
    """Return steps that are spread over threads from a number of entries on, whatever is usual."""

    def made(params: list[Tensor]) -> Optimizer:
        threads: Any = importlib.import_module("torch_impl.fused.cpu.threads")
        optimizer = make(params)
        step = optimizer.step

        def stepped() -> None:
            usual, threads.ALONE = threads.ALONE, entries
            try:
                step()
            finally:
                threads.ALONE = usual

        optimizer.step = stepped  # type: ignore[assignment, method-assign]
        return optimizer

    return made


SPREAD: Mapping[str, Pair] = {
    name: Pair(
        "the same on one of them",
        _serial_up_to(math.inf, pair.variant),
        _serial_up_to(0, pair.variant),
        threads=2,
    )
    for name, pair in FUSED.items()
}
"""Steps spread over two threads over those on one: from what size on is that worth it?"""

PEERS: Mapping[str, Pair] = {
    **{
        f"relativistic-adam 1.0.0, {mode}": Pair(
            f"RelativisticAdamW, {mode}, fused",
            _adamw(relativistic_mode=mode, fused=True),
            _published("relativistic_adam", "RelativisticAdamW", relativistic_mode=mode),
        )
        for mode in ("per_component", "per_param")
    },
    "pytorch-optimizer, Gravity": Pair(
        "Gravity, fused", _gravity(fused=True), _published("pytorch_optimizer", "Gravity")
    ),
    **{
        f"pytorch-optimizer, {name}": Pair(
            "RelativisticAdamW, per_param, fused",
            _adamw(fused=True),
            _published("pytorch_optimizer", name),
        )
        for name in ("Lamb", "StableAdamW")
    },
}
"""Steps of other packages over ours."""

_over_adamw = partial(Pair, "AdamW", _torch("AdamW"))
_over_ours = partial(Pair, "RelativisticAdamW", _adamw())
_over_ours_fused = partial(Pair, "RelativisticAdamW, fused", _adamw(fused=True))

COSTS: Mapping[str, Pair] = {
    "limit_speed": _over_adamw(_limited()),
    "limit_speed, per component": _over_adamw(_limited(mode="per_component")),
    "limit_speed, gradients": _over_adamw(_limited(placement="gradient")),
    "limit_speed with telemetry": _over_adamw(_limited(telemetry=True)),
    "limit_speed, skip": _over_adamw(_limited(on_nonfinite="skip")),
    "RelativisticAdamW": _over_adamw(_adamw()),
    "telemetry": _over_ours(_adamw(telemetry=True)),
    "skip": _over_ours(_adamw(on_nonfinite="skip")),
    "skip, fused": _over_ours_fused(_adamw(fused=True, on_nonfinite="skip")),
    "gradients limited": _over_ours(_adamw(placement="gradient")),
    "measured limit": _over_ours(_adamw(speed_limit="auto")),
}
"""Options over the same step without them."""
