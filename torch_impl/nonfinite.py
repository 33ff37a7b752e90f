"""Steps that would leave a number that is not finite: let through, skipped, or an error.

A step is judged by its gradients, and by the parameters and states that it leaves behind. Skipping
is atomic: what a step has changed, of any tensor, is put back. That takes a copy of parameters and
states for the length of a step.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arguments import check_number, check_one_of
from .arithmetic import Arithmetic, Scalar, moved
from .batches import as_real
from .sharding import local, parameters_by_sharding
from .snapshot import tensors_in

POLICIES = ("propagate", "skip", "raise")
"""What to do about a step that is not finite."""


class Named(NamedTuple):
    """A parameter and what an error calls it."""

    param: Tensor
    name: str


@dataclass
class Skips:
    """How many steps have been skipped: in all, and since the last that was taken."""

    total: Scalar = 0
    consecutive: Scalar = 0

    def count(self, skipped: bool | Tensor) -> None:
        """Count a step; on the device if that is where it is known whether it was skipped."""
        if isinstance(skipped, Tensor):
            for name in ("total", "consecutive"):
                value = getattr(self, name)
                if not isinstance(value, Tensor):
                    setattr(self, name, torch.full_like(skipped, value, dtype=torch.int64))
            self.total.add_(skipped)  # type: ignore[union-attr]
            self.consecutive.add_(1).mul_(skipped)  # type: ignore[union-attr]
        else:
            self.total += skipped
            self.consecutive = self.consecutive + 1 if skipped else 0

    def read(self) -> tuple[int, int]:
        """Return both numbers, waiting for the device if they are there."""
        return int(self.total), int(self.consecutive)


@dataclass
class Guard:
    """Takes steps under a policy other than "propagate".

    Attributes
    ----------
    policy
        "skip" or "raise".
    most
        How many consecutive steps may be skipped.
    skips
        The counters.
    """

    policy: str
    most: float
    skips: Skips

    def refuse_or_skip(self, found: "Found") -> None:
        """Raise, or count a skipped step.

        Raises
        ------
        RuntimeError
            If the policy is "raise", or too many consecutive steps have been skipped.
        """
        if self.policy == "raise":
            raise RuntimeError(
                f"{found.what} is not finite; nothing has been changed (on_nonfinite='raise')"
            )
        self.skips.count(skipped=True)
        self.check(found.what)

    def check(self, what: str = "a gradient, parameter or state") -> None:
        """Raise RuntimeError if too many consecutive steps have been skipped."""
        _, consecutive = self.skips.read()
        if consecutive > self.most:
            raise RuntimeError(
                f"{consecutive} consecutive steps were skipped, the last because {what} is not "
                f"finite: expected at most max_consecutive_skips={self.most}"
            )


class Found(NamedTuple):
    """What is not finite, in words."""

    what: str


Largest = Callable[[Tensor], float]
"""Beyond what an entry of a parameter's gradient counts as not finite."""


def any_finite(_: Tensor) -> float:
    """Let every finite gradient pass."""
    return sys.float_info.max


def gradients_found(params: Sequence[Named], largest: Largest = any_finite) -> Found | None:
    """Return the first gradient that is not finite, after waiting for the device.

    Every process finds something if one does.
    """
    given = [named for named in params if named.param.grad is not None]
    flags = _not_finite([(n.param.grad, largest(n.param)) for n in given])  # type: ignore[misc]
    bad = _agreed(flags, params)
    return None if bad is None else Found(f"the gradient of {_name(given, bad)}")


def results_found(optimizer: Optimizer, params: Sequence[Named]) -> Found | None:
    """Return the first parameter, or state of one, that is not finite in any process."""
    tensors, names = [], []
    for param, name in params:
        for what, tensor in (("", param.detach()), *_states(optimizer, param)):
            tensors.append((tensor, any_finite(tensor)))
            names.append(Named(param, f"{what and f'state {what!r} of '}{name}"))
    bad = _agreed(_not_finite(tensors), params)
    return None if bad is None else Found(f"after the step {_name(names, bad)}")


def anything_found(
    optimizer: Optimizer, params: Sequence[Named], largest: Largest = any_finite
) -> Tensor:
    """Return on the device whether any gradient, parameter or state is not finite."""
    tensors = []
    for param, _ in params:
        found = [param.detach(), *(tensor for _, tensor in _states(optimizer, param))]
        tensors += [(tensor, any_finite(tensor)) for tensor in found]
        if param.grad is not None:
            tensors.append((param.grad, largest(param)))
    flags = _not_finite(tensors)
    if not flags:
        return torch.zeros((), dtype=torch.bool)
    home = flags[0].device
    found_here = torch.stack([moved(flag, home) for flag in flags]).any()
    return _whole(found_here, params)


def check_policy(options: dict[str, Any]) -> None:
    """Raise ValueError unless policy and longest run of skips are valid."""
    check_one_of("on_nonfinite", options["on_nonfinite"], POLICIES)
    most = options["max_consecutive_skips"]
    check_number("max_consecutive_skips", most, lambda n: n >= 1, "a number >= 1 (inf for no end)")
    if options["on_nonfinite"] != "propagate" and options.get("differentiable"):
        raise ValueError(
            f"on_nonfinite={options['on_nonfinite']!r} with differentiable=True: expected "
            "'propagate', since what autograd has recorded cannot be undone"
        )
    if options["on_nonfinite"] == "raise" and options.get("capturable"):
        raise ValueError(
            "on_nonfinite='raise' with capturable=True: expected 'skip' or 'propagate', since to "
            "raise the step would have to wait for the device"
        )


def named_parameters(optimizer: Optimizer) -> list[Named]:
    """Return the parameters with their names, or their places in their groups.

    Of names that repeat, all but the first are told apart by their group.
    """
    named: list[Named] = []
    taken: set[str] = set()
    for i, group in enumerate(optimizer.param_groups):
        places = [f"parameter {j} of group {i}" for j in range(len(group["params"]))]
        for j, param in enumerate(group["params"]):
            name = str(group.get("param_names", places)[j])
            if name in taken:
                name = f"{name}, {places[j]}"
            taken.add(name)
            named.append(Named(param, name))
    return named


def _name(named: Sequence[Named], at: int) -> str:
    return named[at].name if at >= 0 else "a tensor in another process"


def _agreed(flags: list[Tensor], params: Sequence[Named]) -> int | None:
    """Return the index of the first flag that is set, −1 if only other processes have one.

    All flags are read at once.
    """
    at = torch.stack([flag.cpu() for flag in flags]).nonzero() if flags else torch.empty(0)
    here = int(at[0]) if len(at) else None
    divided = parameters_by_sharding(named.param for named in params)
    if not divided:
        return here
    found = torch.tensor(here is not None)
    anywhere = bool(_whole(found, params))
    return here if here is not None or not anywhere else -1


def _whole(found: Tensor, params: Sequence[Named]) -> Tensor:
    """Return whether any process that parameters are divided among has found something.

    One reduction per way of dividing: whoever has a gradient or none takes part.
    """
    divided = parameters_by_sharding(named.param for named in params)
    for sharding, some in divided.items():
        value = moved(found, some[0].device).to(torch.float64)
        found = sharding.max(value.reshape(1)).reshape(()) > 0
    return found


def _not_finite(tensors: Sequence[tuple[Tensor, float]]) -> list[Tensor]:
    """Return for each tensor whether an entry of it, here, is NaN or beyond its bound."""
    together: dict[Any, list[int]] = {}
    for i, (tensor, bound) in enumerate(tensors):
        together.setdefault((tensor.device, tensor.dtype, bound), []).append(i)
    flags: list[Tensor] = [torch.empty(())] * len(tensors)
    for (_, _, bound), indices in together.items():
        parts = [as_real(local(tensors[i][0]).detach().resolve_conj()) for i in indices]
        norms = torch.stack(Arithmetic(foreach=True).norms(parts, math.inf))
        beyond = (norms.to(torch.float64) <= bound).logical_not()
        for i, flag in zip(indices, beyond.unbind(), strict=True):
            flags[i] = flag
    return flags


def _states(optimizer: Optimizer, param: Tensor) -> Iterator[tuple[str, Tensor]]:
    state = optimizer.state.get(param, {})
    for key, value in state.items() if isinstance(state, dict) else ():
        yield from ((str(key), tensor) for tensor in tensors_in(value))
