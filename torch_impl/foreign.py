"""What a handle of `limit_speed` keeps for a step, and asks of the optimizer and its groups."""

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, StateDict

from .arguments import as_number, check_number
from .forms import as_dict, as_list, check_form, keys_of
from .nonfinite import Found
from .schedules import MEASURED_STEPS, SIZES
from .sharding import is_distributed
from .snapshot import Snapshot
from .state import check_order, check_state

REFERENCE = "speed_reference_lr"

_MOMENTS = ("exp_avg", "exp_avg_sq")

BUFFERS: Mapping[type[Optimizer], Sequence[str]] = {
    **dict.fromkeys(
        (torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RAdam), _MOMENTS
    ),
    torch.optim.Adadelta: ("square_avg", "acc_delta"),
    torch.optim.Adagrad: ("sum",),
    torch.optim.Adamax: ("exp_avg", "exp_inf"),
    torch.optim.RMSprop: ("square_avg",),
    torch.optim.Rprop: ("prev", "step_size"),
}
"""What optimizers of torch keep of every parameter, in its shape, from its first step on."""


class Own(NamedTuple):
    """What a handle knows of a parameter group.

    Attributes
    ----------
    added
        The keys that the group had not before.
    values
        What it holds, by key, when it was last looked at.
    """

    added: list[str]
    values: dict[str, Any]


@dataclass
class Step:
    """What belongs to the step that is being taken.

    Attributes
    ----------
    closure
        Whether the step was given one.
    copies
        θ₀ of the parameters that it may change.
    hidden
        Gradients that it is not to see.
    before
        What it takes to undo it.
    found
        Why it is to be skipped.
    """

    closure: bool = False
    copies: dict[Tensor, Tensor] = field(default_factory=dict)
    hidden: dict[Tensor, Tensor] = field(default_factory=dict)
    before: Snapshot | None = None
    found: Found | None = None

    def hide_gradients(self, params: Iterable[Tensor]) -> None:
        """Take the gradients away."""
        self.hidden = {param: param.grad for param in params if param.grad is not None}
        for param in self.hidden:
            param.grad = None

    def show_gradients(self) -> None:
        """Give them back."""
        for param, grad in self.hidden.items():
            if param.grad is None:
                param.grad = grad


def rate_of(group: Mapping[str, Any], key: str = "lr") -> float | Tensor:
    """Return a learning rate of a group, 0 if it has none."""
    rate = group.get(key)
    return 0.0 if rate is None else rate


def reference_of(group: Mapping[str, Any]) -> float:
    """Return the learning rate that a scheduler starts from, or else the group's."""
    return float(as_number(rate_of(group, "initial_lr" if "initial_lr" in group else "lr")))


def copy_of_gradient(param: Tensor) -> Tensor:
    """Return a copy of a parameter's gradient, divided among processes as the parameter is."""
    owner: Any = param  # perhaps a DTensor
    grad = owner.grad.detach()
    divided = is_distributed(param) and grad.placements != owner.placements
    if divided:
        grad = grad.redistribute(owner.device_mesh, owner.placements)
    return grad if divided else grad.clone()  # type: ignore[no-any-return]


def refuse_recording(group: Mapping[str, Any]) -> None:
    """Raise ValueError if autograd is to record the step, which hooks do not show it."""
    if group.get("differentiable"):
        raise ValueError(
            "a group has differentiable=True: expected False, since what limit_speed does has no "
            "derivative; RelativisticAdam has one"
        )


def refuse_policy(optimizer: Optimizer, policy: str) -> None:
    """Raise ValueError if a step of this optimizer cannot be undone by every process alike."""
    module = sys.modules.get("torch.distributed.optim.zero_redundancy_optimizer")
    if module is not None and isinstance(optimizer, module.ZeroRedundancyOptimizer):
        raise ValueError(
            f"on_nonfinite={policy!r}: expected 'propagate' for ZeroRedundancyOptimizer, which "
            "keeps its state elsewhere; torch.distributed.fsdp.fully_shard can have it"
        )
    for group in optimizer.param_groups:
        if group.get("capturable") and any(map(is_distributed, group["params"])):
            raise ValueError(
                f"on_nonfinite={policy!r} with capturable=True on DTensors: expected 'propagate', "
                "since processes that differ in their state could not agree on the device"
            )


def check_loaded(optimizer: Optimizer, state_dict: StateDict) -> None:
    """Raise ValueError if a state that is to be loaded cannot be the optimizer's own.

    Of most optimizers nothing can be known but its form and the order of named parameters.
    """
    saved = as_dict("state_dict", state_dict)
    check_form({key: {} if key == "state" else value for key, value in saved.items()})
    for i, group in enumerate(saved["param_groups"]):
        for name in ("capturable", "fused"):  # which torch.optim asks while it loads
            value = group.get(name)
            if isinstance(value, Tensor) and value.numel() != 1:
                raise ValueError(f"{name} of param_groups[{i}] is {value!r}: expected a flag")
    check_order(optimizer, state_dict)
    needed = BUFFERS.get(type(optimizer))
    if needed is not None:
        check_form(state_dict)
        check_state(optimizer, state_dict, needed, others=False)


def check_saved(
    saved: Mapping[str, Any],
    options: Mapping[str, Any],
    groups: Sequence[Mapping[str, Any]],
    params: int,
) -> None:
    """Raise ValueError unless a state dict has the form of a handle's with this placement.

    Parameters
    ----------
    saved
        What is to be loaded.
    options, groups
        The handle's options and the optimizer's groups.
    params
        How many parameters the optimizer has.
    """
    _check_keys(
        "state_dict",
        saved,
        ("options", "speed_limit", "groups", "state", "skipped_steps", "consecutive_skips"),
    )
    _check_keys("options", saved["options"], options)
    if saved["options"]["placement"] != options["placement"]:
        raise ValueError(
            f"placement={saved['options']['placement']!r}: expected {options['placement']!r}, that "
            "of the handle"
        )
    if len(as_list("groups", saved["groups"])) != len(groups):
        raise ValueError(f"groups has {len(saved['groups'])} entries: expected {len(groups)}")
    reference = [REFERENCE] if options["placement"] == "update" else []
    for group in saved["groups"]:
        _check_keys("a group", group, ["speed_limit", *reference])
    for name in ("skipped_steps", "consecutive_skips"):
        check_number(name, saved[name], lambda n: n >= 0 and n == int(n), "an integer >= 0")
    for i, state in as_dict("state", saved["state"]).items():
        own = as_dict(f"state {i!r}", state)
        if i not in range(params) or not {"step"} <= own.keys() <= {"step", SIZES}:
            raise ValueError(f"state {i!r} is {state!r}: expected steps and sizes by parameter")
        for key, count in (("step", 1), (SIZES, MEASURED_STEPS)):
            value = own.get(key)
            if key in own and (not isinstance(value, Tensor) or value.numel() != count):
                raise ValueError(f"state {i!r} has {key}={value!r}: expected {count} numbers")


def _check_keys(name: str, value: object, expected: Any) -> None:
    mapping = as_dict(name, value)
    if set(mapping) != set(expected):
        raise ValueError(f"{name} has keys {keys_of(mapping)}: expected {sorted(expected)}")
