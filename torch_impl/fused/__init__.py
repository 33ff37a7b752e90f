"""Whole steps as one kernel: ``fused=True``."""

import importlib.util
from collections.abc import Mapping
from typing import Any

import torch

from ..sharding import is_distributed

DTYPES = (torch.float32, torch.complex64)


def refuse_without_kernels(group: Mapping[str, Any]) -> None:
    """Raise RuntimeError if there are no kernels for the parameters of a group, and say why.

    Raises
    ------
    RuntimeError
        Naming what stands in the way, and what to do.
    """
    if importlib.util.find_spec("numba") is None:
        raise RuntimeError(
            "`fused=True` needs Numba, which is not installed: pip install 'subluminal[cpu]', or "
            "leave fused to None"
        )
    for option in ("capturable", "telemetry"):
        if group.get(option):
            raise RuntimeError(f"`fused` and `{option}` cannot be `True` together")
    if group.get("placement", "update") != "update":
        raise RuntimeError("`fused=True` limits updates: expected placement='update'")
    if isinstance(group.get("speed_limit"), str):
        raise RuntimeError("`fused=True` measures no limit: expected speed_limit to be a number")
    for param in group["params"]:
        if is_distributed(param):
            raise RuntimeError("`fused=True` does not support DTensors")
        if param.device.type != "cpu" or param.dtype not in DTYPES:
            raise RuntimeError(
                f"`fused=True` is for parameters in float32 or complex64 on the CPU: one is in "
                f"{param.dtype} on {param.device}"
            )
        if torch.empty_like(param, device="meta").stride() != param.stride():
            raise RuntimeError(
                "`fused=True` needs parameters whose entries fill their memory: one of shape "
                f"{tuple(param.shape)} has strides {param.stride()}"
            )
