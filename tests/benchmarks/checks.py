"""What fused steps have to satisfy on a device before their time means anything."""

import contextlib
import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

import reference
from tests import waiting
from torch_impl import LAWS, Gravity, RelativisticAdam, RelativisticAdamW

SHAPES = ((65, 33), (7,), (), (0, 2), (300_001,))
STEPS = 5
LR = 0.1

ROUNDINGS = 64
"""More roundings than any update passes, each of which is off by half an ulp of one at most."""

Options = Mapping[str, Any]


def subjects() -> Mapping[str, tuple[Any, Options]]:
    """Return the optimizers that are checked, by name: every law without a jump, in every mode."""
    adams: dict[str, tuple[Any, Options]] = {
        f"RelativisticAdamW, {key}, {mode}": (
            RelativisticAdamW,
            {
                "law": key,
                "relativistic_mode": mode,
                "speed_limit": 0.05,
                "speed_unit": "rms",
            },
        )
        for key in LAWS
        if reference.LAWS[key].claims["continuous"].holds
        for mode in ("per_component", "per_param", "global")
    }
    others: dict[str, tuple[Any, Options]] = {
        "RelativisticAdam, AMSGrad, penalty": (
            RelativisticAdam,
            {"amsgrad": True, "weight_decay": 0.1, "speed_unit": "relative"},
        ),
        "Gravity": (Gravity, {"alpha": 0.0}),
        "Gravity, max_step_grad": (Gravity, {"alpha": 0.0, "max_step_grad": 2.0}),
    }
    return adams | others


def first_line(error: Exception) -> str:
    """Return what an error says, in a line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def largest_error(name: str, device: str) -> float:
    """Return the largest error of float32 fused steps, over the largest that rounding explains.

    Beside them steps of foreach are taken in float64. A step rounds θ once, and its update, no
    longer than a few times lr, passes fewer than `ROUNDINGS` roundings.
    """
    fused = _steps(name, device, torch.float32, fused=True)
    exact = _steps(name, device, torch.float64, foreach=True)
    largest = max(float(theta.abs().max()) for theta in exact if theta.numel())
    allowed = STEPS * torch.finfo(torch.float32).eps * (largest + ROUNDINGS * LR)
    pairs = zip(fused, exact, strict=True)
    errors = [(one.double() - other).abs().max() for one, other in pairs if other.numel()]
    return float(torch.stack(errors).max()) / allowed


def is_deterministic(name: str, device: str) -> bool:
    """Return whether two runs leave the same bits."""
    one, other = (_steps(name, device, torch.float32, fused=True) for _ in range(2))
    return all(map(torch.equal, one, other))


def replays(name: str, device: str) -> bool:
    """Return whether a captured graph of a step leaves the bits of eager steps."""
    graph = torch.cuda.CUDAGraph()

    def captured(optimizer: Optimizer, count: int) -> None:
        if count == 2:
            with torch.cuda.graph(graph):
                optimizer.step()
        if count >= 2:
            graph.replay()
        else:
            optimizer.step()

    steps = partial(_steps, name, device, torch.float32, fixed=True, fused=True, capturable=True)
    eager, graphed = steps(), steps(advance=captured)
    return all(map(torch.equal, eager, graphed))


def waits_for_nothing(name: str, device: str) -> bool:
    """Return whether a step leaves the host free."""

    def strictly(optimizer: Optimizer, count: int) -> None:
        with waiting.refused() if count else contextlib.nullcontext():
            optimizer.step()

    _steps(name, device, torch.float32, advance=strictly, fused=True)
    return True


def check(device: str) -> list[dict[str, Any]]:
    """Return what was found, by check; on the CPU there are no graphs and no waiting."""
    found = [_of_all("agrees with foreach in float64", _agreement, device)]
    found.append(_of_all("leaves the same bits in every run", is_deterministic, device))
    if device == "cuda":
        found.append(_of_all("replays as a captured graph, bit for bit", replays, device))
        found.append(_of_all("does not wait for the device", waits_for_nothing, device))
    return found


def _agreement(name: str, device: str) -> bool:
    return largest_error(name, device) <= 1


def _of_all(name: str, holds: Callable[[str, str], bool], device: str) -> dict[str, Any]:
    """Return whether something holds of every subject, and of which it does not."""
    failed = []
    for subject in subjects():
        try:
            passed = holds(subject, device)
        except Exception as error:  # of a compiler, for one
            failed.append(f"{subject} ({first_line(error)})")
        else:
            failed += [] if passed else [subject]
    total = len(subjects())
    text = f"{total - len(failed)} of {total}" + "".join(f"; not {one}" for one in failed)
    return {"name": f"a fused step {name}", "passed": not failed, "found": text}


def _steps(
    name: str,
    device: str,
    dtype: torch.dtype,
    *,
    advance: Callable[[Optimizer, int], None] | None = None,
    fixed: bool = False,
    **options: Any,
) -> list[Tensor]:
    """Return parameters after some steps from the same start with the same gradients.

    Parameters
    ----------
    name
        From `subjects`.
    device, dtype
        Of the parameters; the values are those of float32.
    advance
        Takes a step, of an optimizer and by its number; `step` by default.
    fixed
        Whether the gradients of all steps lie in the same place, where a graph looks for them.
    **options
        Of the optimizer, beside its own.
    """
    generator = torch.Generator().manual_seed(0)

    def normal() -> list[Tensor]:
        drawn = (torch.randn(shape, generator=generator) for shape in SHAPES)
        return [tensor.to(device, dtype) for tensor in drawn]

    params = [tensor.requires_grad_() for tensor in normal()]
    cls, own = subjects()[name]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of laws that are there for comparison
        optimizer = cls(params, lr=LR, **own, **options)
    for count in range(STEPS):
        for param, gradient in zip(params, normal(), strict=True):
            if fixed and param.grad is not None:
                param.grad.copy_(gradient)
            else:
                param.grad = gradient
        if advance is None:
            optimizer.step()
        else:
            advance(optimizer, count)
    return [param.detach() for param in params]
