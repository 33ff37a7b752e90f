"""Steps that would leave a number that is not finite: let through, skipped, or an error.

A step is judged by its gradients, and by the parameters and states that it leaves behind. Skipping
is atomic: what a step has changed, of any tensor, is put back. That takes a copy of parameters and
states for the length of a step.
"""

import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arguments import check_number, check_one_of
from .arithmetic import Arithmetic, Scalar, moved
from .batches import as_real
from .sharding import Sharding, local, parameters_by_sharding, reduce_each

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
class Before:
    """Parameters, states and options of an optimizer as they were before a step.

    Attributes
    ----------
    tensors
        Each tensor that a step may write, and a copy of it.
    """

    optimizer: Optimizer
    tensors: list[tuple[Tensor, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        self.tensors = [(tensor, tensor.detach().clone()) for tensor in _written(self.optimizer)]
        self._states = {param: dict(state) for param, state in self.optimizer.state.items()}
        self._groups = [dict(group) for group in self.optimizer.param_groups]

    def covers_state(self) -> bool:
        """Whether the step has added no state to what is copied here."""
        return all(
            state.keys() == self._states.get(param, {}).keys()
            for param, state in self.optimizer.state.items()
        )

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back, and forget state that was not there."""
        for tensor, copy in self.tensors:
            local(tensor).copy_(local(copy))
        state = self.optimizer.state
        for param in list(state):
            if param in self._states:
                state[param].clear()
                state[param].update(self._states[param])
            else:
                del state[param]
        for group, options in zip(self.optimizer.param_groups, self._groups, strict=True):
            group.clear()
            group.update(options)

    @torch.no_grad()
    def restore_where(self, bad: Tensor) -> None:
        """Put the tensors back on the device where ``bad``, of no dimensions, is true."""
        for tensor, copy in self.tensors:
            own, old = local(tensor), local(copy)
            own.copy_(torch.where(moved(bad, own.device), old, own))


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
    """Return the first gradient that is not finite in any process, after waiting for the device."""
    given = [named for named in params if named.param.grad is not None]
    grads = [named.param.grad for named in given]
    bounds = [largest(named.param) for named in given]
    bad = _first(_not_finite(grads, [named.param for named in given], params, bounds))  # type: ignore[arg-type]
    return None if bad is None else Found(f"the gradient of {given[bad].name}")


def results_found(optimizer: Optimizer, params: Sequence[Named]) -> Found | None:
    """Return the first parameter, or state of one, that is not finite in any process."""
    tensors, owners, names = [], [], []
    for param, name in params:
        for what, tensor in (("", param.detach()), *_buffers(optimizer, param)):
            tensors.append(tensor)
            owners.append(param)
            names.append(f"after the step {what and f'state {what!r} of '}{name}")
    bad = _first(_not_finite(tensors, owners, params, [any_finite(t) for t in tensors]))
    return None if bad is None else Found(names[bad])


def anything_found(
    optimizer: Optimizer, params: Sequence[Named], largest: Largest = any_finite
) -> Tensor:
    """Return on the device whether any gradient, parameter or state is not finite."""
    tensors, owners, bounds = [], [], []
    for param, _ in params:
        found = [param.detach(), *(tensor for _, tensor in _buffers(optimizer, param))]
        bounds += [any_finite(tensor) for tensor in found]
        if param.grad is not None:
            found.append(param.grad)
            bounds.append(largest(param))
        tensors += found
        owners += [param] * len(found)
    flags = _not_finite(tensors, owners, params, bounds)
    home = flags[0].device
    return torch.stack([moved(flag, home) for flag in flags]).any()


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
    """Return the parameters with their names, or their places in their groups."""
    return [
        Named(param, name)
        for i, group in enumerate(optimizer.param_groups)
        for param, name in zip(group["params"], names_of(group, i), strict=True)
    ]


def names_of(group: dict[str, Any], index: int) -> list[str]:
    """Return what the parameters of a group are called: their names, or their places."""
    if "param_names" in group:
        return list(group["param_names"])
    return [f"parameter {i} of group {index}" for i in range(len(group["params"]))]


def _first(flags: list[Tensor]) -> int | None:
    """Return the index of the first flag that is set, reading them all at once."""
    if not flags:
        return None
    at = torch.stack([flag.cpu() for flag in flags]).nonzero()
    return int(at[0]) if len(at) else None


def _not_finite(
    tensors: list[Tensor], owners: list[Tensor], params: Sequence[Named], bounds: list[float]
) -> list[Tensor]:
    """Return for each tensor whether an entry, in whichever process, is NaN or beyond a bound."""
    together: dict[Any, list[int]] = {}
    for i, tensor in enumerate(tensors):
        together.setdefault((tensor.device, tensor.dtype), []).append(i)
    flags: list[Tensor] = [torch.empty(())] * len(tensors)
    for indices in together.values():
        parts = [as_real(local(tensors[i]).detach().resolve_conj()) for i in indices]
        norms = Arithmetic(foreach=True).norms(parts, math.inf)
        for i, norm in zip(indices, norms, strict=True):
            flags[i] = (norm.to(torch.float64) <= bounds[i]).logical_not()
    divided = parameters_by_sharding(named.param for named in params)
    if not divided:
        return flags
    # One flag per parameter is reduced: processes may hold state for different ones.
    worst: dict[int, Tensor] = {}
    unique: list[Tensor] = []
    for owner, flag in zip(owners, flags, strict=True):
        if id(owner) not in worst:
            unique.append(owner)
        worst[id(owner)] = flag | worst[id(owner)] if id(owner) in worst else flag
    values = [worst[id(owner)].to(torch.float64) for owner in unique]
    reduced = reduce_each(values, unique, divided, Sharding.max, 0.0)
    elsewhere = {id(owner): value > 0 for owner, value in zip(unique, reduced, strict=True)}
    return [elsewhere[id(owner)].to(flag.device) for owner, flag in zip(owners, flags, strict=True)]


def _buffers(optimizer: Optimizer, param: Tensor) -> Iterator[tuple[str, Tensor]]:
    for key, value in optimizer.state.get(param, {}).items():
        if isinstance(value, Tensor) and (value.is_floating_point() or value.is_complex()):
            yield key, value


def _written(optimizer: Optimizer) -> Iterator[Tensor]:
    """Yield every tensor that a step may write: parameters, states and those in the options."""
    for group in optimizer.param_groups:
        for param in group["params"]:
            yield param
            yield from (v for v in optimizer.state.get(param, {}).values() if isinstance(v, Tensor))
        yield from (v for key, v in group.items() if isinstance(v, Tensor))
