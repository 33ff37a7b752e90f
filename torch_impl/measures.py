"""Norms of tensors, of whole tensors from their parts, and of a model from its tensors.

A norm is taken of u/2ᵏ, with 2ᵏ the power of two next to the largest entry, so that squares neither
overflow nor vanish; the division is exact where its result is not subnormal. Norms are float64: a
sum of squares in binary32 over 10⁷ entries is off by 10⁻³.

Lists go together: of measures, one for each device and dtype, and of the tensors they are of.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .arithmetic import Arithmetic, Scalar, moved
from .sharding import Divided, Sharding, reduce_each

LEAST_POWER = 2.0**-1022
"""The power of two that stands for no entries, or none but zeros."""


class Measure(NamedTuple):
    """‖·‖ of some tensors as products norms·powers, float64; the powers are powers of two."""

    norms: Tensor
    powers: Tensor

    def moved(self, device: torch.device) -> "Measure":
        """Return the same on a device."""
        return Measure(moved(self.norms, device), moved(self.powers, device))


def measured(tensors: list[Tensor], arithmetic: Arithmetic) -> Measure:
    """Return the measure of each tensor."""
    if tensors[0].dtype != torch.float64:  # whose squares float64 holds
        norms = torch.stack(arithmetic.norms(tensors, 2, torch.float64))
        return Measure(norms, torch.ones_like(norms))
    powers = powers_near(tensors, arithmetic)
    scaled = arithmetic.div(tensors, list(powers.unbind()), fresh=True)
    return Measure(torch.stack(arithmetic.norms(scaled, 2, torch.float64)), powers)


def powers_near(tensors: list[Tensor], arithmetic: Arithmetic) -> Tensor:
    """Return, in float64, the power of two next to each tensor's largest entry.

    Its inverse is a normal number in the dtype of the tensors too. It has no derivative, and needs
    none: it cancels.
    """
    peaks = torch.stack(arithmetic.norms([tensor.detach() for tensor in tensors], math.inf))
    largest = math.frexp(torch.finfo(peaks.dtype).max)[1] - 2
    exponents = torch.frexp(peaks).exponent.masked_fill(peaks == 0, -largest)
    return torch.exp2(exponents.clamp(-largest, largest).to(torch.float64))


def of_whole_tensors(
    own: list[Measure], owners: list[list[Tensor]], divided: Divided
) -> list[Measure]:
    """Return the measure of every whole tensor from those of the parts held here."""
    if not divided:
        return own
    norms, own_powers = (
        [value for vector in vectors for value in vector.unbind()]
        for vectors in ([m.norms for m in own], [m.powers for m in own])
    )
    each = [owner for some in owners for owner in some]
    powers = reduce_each(own_powers, each, divided, Sharding.max, LEAST_POWER)
    squares = [(n * (o / p)).square() for n, o, p in zip(norms, own_powers, powers, strict=True)]
    square = iter(reduce_each(squares, each, divided, Sharding.sum, 0.0))
    power = iter(powers)
    return [
        Measure(
            torch.stack([next(square) for _ in some]).sqrt(),
            torch.stack([next(power) for _ in some]),
        )
        for some in owners
    ]


def of_model(own: list[Measure], owners: list[list[Tensor]], divided: Divided) -> Measure:
    """Return the measure of the whole model, shape (1,)."""
    if not divided:
        return _joined(own)
    kinds = _kinds(divided)
    parts: dict[Sharding | None, list[Measure]] = {None: [], **{key: [] for key in divided}}
    for measure, some in zip(own, owners, strict=True):
        rows = zip(some, measure.norms.unbind(), measure.powers.unbind(), strict=True)
        for owner, norm, power in rows:
            parts[kinds.get(id(owner))].append(Measure(norm.reshape(1), power.reshape(1)))
    plain = [_joined(parts[None])] if parts[None] else []
    return _joined([*plain, *(_joined_over(key, parts[key], divided[key][0]) for key in divided)])


def entries_of_model(
    tensors: list[list[Tensor]], owners: list[list[Tensor]], divided: Divided
) -> Scalar:
    """Return the number of entries of all the tensors in all processes.

    Parameters
    ----------
    tensors
        The parts held here.
    owners
        The parameters whose parts they are.
    divided
        The parameters that are divided among processes.
    """
    kinds = _kinds(divided)
    counts: dict[Sharding | None, int] = {None: 0, **dict.fromkeys(divided, 0)}
    for parts, some in zip(tensors, owners, strict=True):
        for part, owner in zip(parts, some, strict=True):
            counts[kinds.get(id(owner))] += part.numel()
    total: Scalar = counts[None]
    for sharding, params in divided.items():
        own = torch.full((1,), counts[sharding], dtype=torch.float64, device=params[0].device)
        total = total + sharding.sum(own)
    return total


def _kinds(divided: Divided) -> dict[int, Sharding]:
    """Return how each parameter is divided, by its id."""
    return {id(param): sharding for sharding, params in divided.items() for param in params}


def _joined(measures: list[Measure]) -> Measure:
    """Return the measure, shape (1,), of all these tensors together."""
    home = measures[0].powers.device
    norms, powers = (
        torch.cat([moved(value, home) for value in values])
        for values in zip(*measures, strict=True)
    )
    power = powers.max().reshape(1)
    return Measure(torch.linalg.vector_norm(norms * (powers / power)).reshape(1), power)


def _joined_over(sharding: Sharding, measures: list[Measure], like: Tensor) -> Measure:
    """Return the measure of all these tensors in all processes; there may be none here."""
    none = torch.zeros(1, dtype=torch.float64, device=like.device)
    norm, power = _joined(measures) if measures else Measure(none, none + LEAST_POWER)
    whole = sharding.max(power)
    return Measure(sharding.sum((norm * (power / whole)).square()).sqrt(), whole)
