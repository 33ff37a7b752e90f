"""Saved state: is it this optimizer's, and does it keep its precision when it is loaded."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeGuard

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, StateDict

from .batches import buffer_dtype
from .pages import empty_like_each
from .schedules import MEASURED_STEPS, SIZES
from .sharding import divided_like, is_distributed

_LARGEST_STEP = torch.finfo(torch.float32).max


class Saved(NamedTuple):
    """A parameter, its group in the optimizer, and what was saved of it."""

    param: Tensor
    group: dict[str, Any]
    state: dict[str, Any]
    name: str


def saved_parameters(optimizer: Optimizer, state_dict: StateDict) -> Iterator[Saved]:
    """Yield the parameters of an optimizer for which a state dict holds state.

    Where the numbers of groups or parameters differ, only what they share: torch.optim reports it.
    """
    groups = zip(optimizer.param_groups, state_dict["param_groups"], strict=False)
    for i, (group, saved_group) in enumerate(groups):
        names = saved_group.get("param_names", group.get("param_names", saved_group["params"]))
        for param, key, name in zip(group["params"], saved_group["params"], names, strict=False):
            state = state_dict["state"].get(key)
            if state:
                yield Saved(param, group, state, f"of parameter {name} in group {i}")


def check_order(optimizer: Optimizer, state_dict: StateDict) -> None:
    """Raise ValueError if the optimizer's named parameters were saved in another order.

    State goes by position. Other names are no matter: those of a wrapped model are.
    """
    own, saved = _names(optimizer.param_groups), _names(state_dict["param_groups"])
    if own != saved and sorted(own) == sorted(saved):
        at = next(i for i, pair in enumerate(zip(own, saved, strict=True)) if pair[0] != pair[1])
        raise ValueError(
            f"param_names has {saved[at]!r} as parameter {at}, which is {own[at]!r} here: expected "
            "the order of this optimizer's parameters, by which state is loaded"
        )


def _names(groups: Iterable[Mapping[str, Any]]) -> list[str]:
    return [name for group in groups for name in group.get("param_names", ())]


def check_state(
    optimizer: Optimizer, state_dict: StateDict, needed: Sequence[str], *, others: bool = True
) -> None:
    """Raise ValueError unless every state has a step and the buffers that are ``needed``.

    A buffer must be a tensor in the shape of its parameter; with ``others``, so must every other
    tensor in the state.
    """
    for saved in saved_parameters(optimizer, state_dict):
        missing = [key for key in ("step", *needed) if key not in saved.state]
        if missing:
            raise ValueError(
                f"state {saved.name} has keys {sorted(map(str, saved.state))}: expected "
                f"{', '.join(map(repr, missing))} too, for {type(optimizer).__name__}"
            )
        step = saved.state["step"]
        if isinstance(step, Tensor) and step.numel() == 1 and not step.is_meta:
            step = step.item()
        if not isinstance(step, (int, float)) or not 0 <= step <= _LARGEST_STEP:
            raise ValueError(
                f"state 'step' {saved.name} is {step!r}: expected a finite number >= 0"
            )
        shape = tuple(saved.param.shape)
        keys = dict.fromkeys((*needed, *(_buffers(saved.state) if others else ())))
        for key in keys:
            value = saved.state[key]
            if not _has_entries(value, saved.param):
                raise ValueError(
                    f"state {key!r} {saved.name} is {value!r}: expected a dense tensor"
                )
        sizes = saved.state.get(SIZES)
        if SIZES in saved.state and (
            not _has_entries(sizes, saved.param) or sizes.shape != (MEASURED_STEPS,)
        ):
            raise ValueError(
                f"state {SIZES!r} {saved.name} is {sizes!r}: expected {MEASURED_STEPS} numbers"
            )
        for key in keys:
            value = saved.state[key]
            numbers = value.is_floating_point() or value.is_complex()
            if not numbers or value.is_complex() != saved.param.is_complex():
                raise ValueError(
                    f"state {key!r} {saved.name} has dtype {value.dtype}: expected one that goes "
                    f"with the parameter's, {saved.param.dtype}"
                )
            if value.shape != shape:
                raise ValueError(
                    f"state {key!r} {saved.name} has shape {tuple(value.shape)}: expected the "
                    f"parameter's, {shape}"
                )
            if is_distributed(value) and not is_distributed(saved.param):
                raise ValueError(
                    f"state {key!r} {saved.name} is divided among processes, the parameter is not: "
                    "expected a full state dict"
                )


def _has_entries(value: Any, param: Tensor) -> TypeGuard[Tensor]:
    """Whether a value is a dense tensor, and on the meta device only if its parameter is."""
    if not isinstance(value, Tensor) or value.layout is not torch.strided:
        return False
    return param.is_meta or not value.is_meta


def restore_precision(optimizer: Optimizer, state_dict: StateDict) -> None:
    """Replace buffers that torch.optim cast to their parameter's dtype by copies in their own.

    A buffer lies in memory as its parameter does, and is divided as it is.
    """
    buffers: dict[str, list[Saved]] = {}
    for saved in saved_parameters(optimizer, state_dict):
        state = optimizer.state[saved.param]
        for key in _buffers(saved.state):
            buffers.setdefault(key, []).append(saved)
        if SIZES in saved.state:
            sizes = saved.state[SIZES].detach()
            state[SIZES] = sizes.to(saved.param.device, torch.float64, copy=True)
        state["step"] = step_tensor(saved.param, saved.group, float(saved.state["step"]))
    for key, several in buffers.items():
        dtypes = [buffer_dtype(saved.param, saved.group) for saved in several]
        wide = empty_like_each([saved.param for saved in several], dtypes)
        for saved, buffer in zip(several, wide, strict=True):
            source = saved.state[key].detach()
            if is_distributed(saved.param) and not is_distributed(source):
                source = divided_like(source.to(saved.param.device), saved.param)
            optimizer.state[saved.param][key] = buffer.detach().copy_(source)


def step_tensor(param: Tensor, group: dict[str, Any], value: float = 0.0) -> Tensor:
    """Return a step: on the host, which reads it, unless it must stay on the device."""
    device = param.device if lives_on_device(group) else "cpu"
    return torch.full((), value, dtype=torch.float32, device=device)


def lives_on_device(group: Mapping[str, Any]) -> bool:
    """Whether steps are counted on the parameters' device: in a CUDA graph, or by its kernels."""
    return bool(group.get("capturable") or group.get("fused"))


def _buffers(state: dict[str, Any]) -> dict[str, Tensor]:
    """Return the buffers of a saved state: every tensor in the shape of its parameter."""
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, Tensor) and key not in {"step", SIZES}
    }
