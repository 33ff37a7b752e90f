"""What has kernels, and what is refused where there are none."""

import importlib.util
from collections.abc import Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..batches import is_dense
from ..sharding import is_distributed
from .work import Work


class Home(NamedTuple):
    """What kernels for a kind of device need, and what they are for."""

    package: str
    install: str
    dtypes: tuple[torch.dtype, ...]
    options: tuple[str, ...] = ()


HOMES: Mapping[str, Home] = {
    "cpu": Home(
        "numba",
        "Numba, which is not installed: pip install 'subluminal[cpu]'",
        (torch.float32, torch.complex64),
    ),
    "cuda": Home(
        "triton",
        "Triton, which is not installed: it comes with torch's CUDA builds",
        (torch.float32, torch.bfloat16, torch.float16, torch.complex64),
        options=("capturable", "stochastic_rounding", "narrow_state"),
    ),
}
"""Kind of device → what its kernels need."""


def home_of(param: Tensor) -> str:
    """Return the kind of device whose kernels step a parameter."""
    return param.device.type


def refuse_without_kernels(group: Mapping[str, Any], first: Tensor) -> None:
    """Raise RuntimeError if there are no kernels for the parameters of a group, and say why.

    Parameters
    ----------
    group
        Its options and parameters.
    first
        The first parameter of the optimizer, whose kind of device is that of all.

    Raises
    ------
    RuntimeError
        Naming what stands in the way, and what to do.
    """
    if group.get("telemetry"):
        raise RuntimeError("`fused` and `telemetry` cannot be `True` together")
    if group.get("placement", "update") != "update":
        raise RuntimeError("`fused=True` limits updates: expected placement='update'")
    if isinstance(group.get("speed_limit"), str):
        raise RuntimeError("`fused=True` measures no limit: expected speed_limit to be a number")
    for param in group["params"]:
        _refuse_parameter(param, group, home_of(first))


def refuse_converted(work: Work, kind: str) -> None:
    """Raise RuntimeError for parameters that were converted since the optimizer was made.

    Kernels know no more than addresses.

    Parameters
    ----------
    work
        What is to be stepped, before anything is.
    kind
        The kind of device that the kernels are for.
    """
    for (device, dtype), param in {(p.device, p.dtype): p for p in work.params}.items():
        if home_of(param) != kind or dtype not in HOMES[kind].dtypes:
            known = ", ".join(map(str, HOMES[kind].dtypes))
            raise RuntimeError(
                f"group {work.number} has a parameter in {dtype} on {device}: `fused=True` "
                f"expected {known} on {kind}, as when the optimizer was made; make a new one "
                "of converted parameters"
            )
    for buffers in work.buffers:
        for dtype, own in {(p.dtype, b.dtype) for p, b in zip(work.params, buffers, strict=True)}:
            expected = (
                dtype if work.group["narrow_state"] else torch.promote_types(dtype, torch.float32)
            )
            if own != expected:
                raise RuntimeError(
                    f"group {work.number} has state in {own} of a parameter in {dtype}: "
                    f"`fused=True` expected {expected}; make a new optimizer of converted "
                    "parameters"
                )
    if not all(map(Tensor.is_contiguous, work.params)):
        for param in work.params:
            if not is_dense(param):
                raise RuntimeError(
                    f"group {work.number} has a parameter of strides {param.stride()}: "
                    "`fused=True` expected entries that fill their memory, as when the "
                    "optimizer was made"
                )


def _refuse_parameter(param: Tensor, group: Mapping[str, Any], kind: str) -> None:
    if is_distributed(param):
        raise RuntimeError("`fused=True` does not support DTensors")
    home = HOMES.get(home_of(param))
    if home is None or param.dtype not in home.dtypes:
        known = "; ".join(
            f"{', '.join(map(str, home.dtypes))} on {kind}" for kind, home in HOMES.items()
        )
        raise RuntimeError(
            f"`fused=True` is for parameters in {known}: one is in {param.dtype} on {param.device}"
        )
    if home_of(param) != kind:
        raise RuntimeError(
            f"`fused=True` is for parameters on one kind of device: one is on {param.device}, the "
            f"first on {kind}"
        )
    if importlib.util.find_spec(home.package) is None:
        raise RuntimeError(f"`fused=True` needs {home.install}, or leave fused to None")
    for option in ("capturable", "stochastic_rounding", "narrow_state"):
        if group[option] and option not in home.options:
            raise RuntimeError(
                f"`fused` and `{option}` cannot be `True` together on {param.device}"
            )
    if param.is_conj() or param.is_neg():
        raise RuntimeError("`fused=True` needs parameters that are no views of what they are not")
    if not is_dense(param):
        raise RuntimeError(
            "`fused=True` needs parameters whose entries fill their memory: one of shape "
            f"{tuple(param.shape)} has strides {param.stride()}"
        )
