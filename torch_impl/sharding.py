"""Parameters divided among processes: DTensors, as `fully_shard` and tensor parallelism make them.

A step works on the local part of every parameter. What it needs of the whole tensor, a maximum or a
sum of squares, is reduced over the mesh dimensions along which the tensor is divided. Every process
of a mesh takes part in every reduction, also with an empty part and without a gradient: a process
that stayed away would leave the others waiting.
"""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor


@dataclass(frozen=True)
class Sharding:
    """Along which dimensions of which mesh a parameter is divided."""

    mesh: Any
    dims: tuple[int, ...]

    def sum(self, values: Tensor) -> Tensor:
        """Return the elementwise sum over the processes."""
        return self._reduced(values.clone(), "SUM")

    def max(self, values: Tensor) -> Tensor:
        """Return the elementwise maximum over the processes: NaN where a process has NaN.

        NaN is reduced apart from the numbers, since gloo's maximum loses it.
        """
        numbers = values.nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)
        both = self._reduced(torch.stack([numbers, values.isnan().to(values.dtype)]), "MAX")
        return torch.where(both[1] > 0, math.nan, both[0])

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        from torch import distributed  # noqa: PLC0415  # absent from some builds of torch

        for dim in self.dims:
            kind = getattr(distributed.ReduceOp, operation)
            distributed.all_reduce(values, kind, self.mesh.get_group(dim))
        return values


Divided = Mapping[Sharding, Sequence[Tensor]]


def is_distributed(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor; where nobody has imported these, there is none."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def local(tensor: Tensor) -> Tensor:
    """Return this process's part of a DTensor, sharing its memory; other tensors as they are."""
    part: Tensor = tensor.to_local() if is_distributed(tensor) else tensor  # type: ignore[attr-defined]
    return part


def local_gradient(param: Tensor, grad: Tensor) -> Tensor:
    """Return this process's part of a gradient, divided as its parameter is."""
    if is_distributed(param) and grad.placements != param.placements:  # type: ignore[attr-defined]
        grad = grad.redistribute(param.device_mesh, param.placements)  # type: ignore[attr-defined]
    return local(grad)


def sharding_of(param: Tensor) -> Sharding | None:
    """Return how a parameter is divided; None if every process holds the whole of it.

    Raises
    ------
    ValueError
        If the processes hold summands of it.
    """
    if not is_distributed(param):
        return None
    mesh, placements = param.device_mesh, param.placements  # type: ignore[attr-defined]
    if any(placement.is_partial() for placement in placements):
        raise ValueError(f"a parameter has placements {placements}: expected no partial one")
    dims = tuple(i for i, placement in enumerate(placements) if not placement.is_replicate())
    return Sharding(mesh, dims) if dims else None


def parameters_by_sharding(params: Iterable[Tensor]) -> Divided:
    """Return the divided ones of some parameters, in their order, which is every process's."""
    divided: dict[Sharding, list[Tensor]] = {}
    for param in params:
        sharding = sharding_of(param)
        if sharding is not None:
            divided.setdefault(sharding, []).append(param)
    return divided


def reduce_each(
    values: list[Tensor],
    owners: Sequence[Tensor],
    divided: Divided,
    reduce: Callable[[Sharding, Tensor], Tensor],
    absent: float,
) -> list[Tensor]:
    """Reduce one value per parameter over the processes that the parameter is divided among.

    Parameters
    ----------
    values
        0-d, the value of each owner's part; those of undivided owners are returned as they are.
    owners
        The parameters that the values belong to.
    divided
        What `parameters_by_sharding` returned: the parameters that may have owners elsewhere.
    reduce
        `Sharding.max` or `Sharding.sum`.
    absent
        The value of a parameter that is not among the owners here.
    """
    values = list(values)
    at = {id(owner): i for i, owner in enumerate(owners)}
    for sharding, params in divided.items():
        none = torch.full((), absent, dtype=torch.float64, device=params[0].device)
        here = [values[at[id(p)]].to(none) if id(p) in at else none for p in params]
        joined = reduce(sharding, torch.stack(here)).unbind()
        for param, value in zip(params, joined, strict=True):
            if id(param) in at:
                values[at[id(param)]] = value
    return values


def divided_like(full: Tensor, param: Tensor) -> Tensor:
    """Return a tensor that every process holds in full, divided as ``param`` is."""
    if not is_distributed(param):
        return full
    from torch.distributed.tensor import distribute_tensor  # noqa: PLC0415

    return distribute_tensor(full, param.device_mesh, param.placements, src_data_rank=None)  # type: ignore[attr-defined]
