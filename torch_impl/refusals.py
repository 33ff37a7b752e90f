"""Refusals: what an optimizer cannot do right with the part of a model that it is given."""

import sys
from collections.abc import Mapping
from typing import Any

import torch


def refuse_a_part_of_the_model() -> None:
    """Raise RuntimeError inside a backward pass, where not every gradient is there yet.

    There, one optimizer per parameter takes its step.
    """
    if not torch.compiler.is_compiling() and torch._C._current_graph_task_id() != -1:
        raise RuntimeError(
            "relativistic_mode='global' takes the norm of the whole model's update, and inside a "
            "backward pass only a part of it is known: use 'per_param' or 'per_component'"
        )


def refuse_partitioned(option: str, expected: str) -> None:
    """Raise ValueError if ZeroRedundancyOptimizer is handing out a part of the parameters."""
    module = sys.modules.get("torch.distributed.optim.zero_redundancy_optimizer")
    frame = sys._getframe(1) if module else None
    while frame is not None:
        if isinstance(frame.f_locals.get("self"), module.ZeroRedundancyOptimizer):  # type: ignore[union-attr]
            raise ValueError(
                f"{option}: expected {expected} under ZeroRedundancyOptimizer, which gives each "
                "process a part of the model; torch.distributed.fsdp.fully_shard can have it"
            )
        frame = frame.f_back


def refuse_flattened(group: Mapping[str, Any]) -> None:
    """Raise ValueError if FullyShardedDataParallel has cut the parameters of a group up."""
    if any(getattr(param, "_fsdp_flattened", False) for param in group["params"]):
        raise ValueError(
            "a parameter is a piece that FullyShardedDataParallel has cut off, of whose tensor "
            "nothing can be known: use torch.distributed.fsdp.fully_shard"
        )
