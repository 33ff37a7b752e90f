"""The limit: scales proposed updates so that no block exceeds its speed limit.

Notation: u an update, θ the parameters, c the speed limit, r = ‖u‖/c, n the number of entries. The
norm ranges over a block: every tensor of the model ("global"), each tensor ("per_param") or each
entry ("per_component").

The norm is taken of u/2ᵏ, with 2ᵏ the power of two next to the largest entry, so that squares
neither overflow nor vanish; the division is exact. Norms and gains are float64: a sum of squares in
binary32 over 10⁷ entries is off by 10⁻³, and gains can be below the smallest binary32.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .arithmetic import Arithmetic, Scalar
from .laws import Law
from .sharding import Divided, Sharding, reduce_each

MODES = ("global", "per_param", "per_component")
UNITS = ("norm", "rms", "relative")

RELATIVE_FLOOR = 1e-3
"""The relative unit takes a block's root mean square to be at least this."""

LEAST_POWER = 2.0**-1022
"""The power of two that stands for no entries, or none but zeros."""


@dataclass
class Proposal:
    """Proposed updates of some tensors on one device, in one dtype, under one law.

    Attributes
    ----------
    updates
        Real tensors in binary32 or binary64; what the limit makes of them replaces them.
    params
        The parameters they belong to, in the same shapes.
    owners
        The same as the optimizer holds them: DTensors, of which ``params`` are this process's
        parts, or complex.
    limit
        c ≥ 0: one for all, or float64, shape (tensors,); ∞ leaves an update as it is, 0 stops it.
    law, unit
        The speed law, and what c is measured in (an element of `UNITS`).
    arithmetic
        How to compute.
    """

    updates: list[Tensor]
    params: list[Tensor]
    owners: list[Tensor]
    limit: Scalar
    law: Law
    unit: str
    arithmetic: Arithmetic

    @property
    def counts(self) -> list[int]:
        """The number of real entries of each whole tensor."""
        return [owner.numel() * (2 if owner.is_complex() else 1) for owner in self.owners]

    @property
    def unlimited(self) -> bool:
        """Whether it is known, without asking the device, that nothing is to be limited."""
        return not isinstance(self.limit, Tensor) and math.isinf(self.limit)

    def limits(self, device: torch.device) -> Tensor:
        """Return the limit of each tensor, float64, shape (tensors,)."""
        if isinstance(self.limit, Tensor):
            limit = self.limit.to(device, non_blocking=True)
        else:
            limit = torch.full((), self.limit, dtype=torch.float64, device=device)
        return limit.expand(len(self.updates))

    def stop(self) -> None:
        """Make the updates 0 where c is: 0 times an update that is not finite would be NaN."""
        if isinstance(self.limit, Tensor):
            stopped = (self.limits(self.updates[0].device) == 0).unbind()
            for update, where in zip(self.updates, stopped, strict=True):
                update.masked_fill_(where, 0)
        elif self.limit == 0:
            for update in self.updates:
                update.zero_()


class Measure(NamedTuple):
    """‖·‖ of some tensors as products norms·powers, float64; the powers are powers of two."""

    norms: Tensor
    powers: Tensor


def limit_entries(proposal: Proposal) -> None:
    """Limit every entry by itself."""
    law = proposal.law
    apply = law.limit_entries_recorded if proposal.arithmetic.recorded else law.limit_entries
    device, dtype = proposal.updates[0].device, proposal.updates[0].dtype
    limits = tensor_toward_zero(proposal.limits(device), dtype).unbind()
    for i, (update, param, c) in enumerate(
        zip(proposal.updates, proposal.params, limits, strict=True)
    ):
        if proposal.unit == "relative":
            c = c * param.to(dtype).abs().clamp_(min=RELATIVE_FLOOR)  # noqa: PLW2901
        proposal.updates[i] = apply(update, c)
    proposal.stop()


def limit_tensors(proposals: Sequence[Proposal], divided: Divided, relative: bool) -> None:
    """Limit every tensor by itself.

    Parameters
    ----------
    proposals
        On any devices.
    divided
        The parameters that are divided among processes, with or without a proposal here.
    relative
        Whether any process needs ‖θ‖.
    """
    own = [_normalise(proposal) for proposal in proposals]
    whole = _of_whole_tensors(own, proposals, divided)
    thetas = [_of_parameters(proposal, relative) for proposal in proposals]
    if relative:
        thetas = _of_whole_tensors(thetas, proposals, divided)
    for proposal, part, block, theta in zip(proposals, own, whole, thetas, strict=True):
        _apply_gains(proposal, part.powers, block, theta, proposal.counts)


def limit_together(proposals: Sequence[Proposal], divided: Divided, relative: bool) -> None:
    """Limit all tensors of all proposals as one block; each tensor applies its own c."""
    if not proposals and not divided:
        return
    own = [_normalise(proposal) for proposal in proposals]
    block = _of_model(own, proposals, divided)
    thetas = [_of_parameters(proposal, relative) for proposal in proposals]
    theta = _of_model(thetas, proposals, divided) if relative else block
    count = sum(n for proposal in proposals for n in proposal.counts)
    for proposal, part in zip(proposals, own, strict=True):
        block_here, theta_here = (
            Measure(*(value.to(part.powers.device, non_blocking=True) for value in measure))
            for measure in (block, theta)
        )
        _apply_gains(proposal, part.powers, block_here, theta_here, [count])


def round_toward_zero(value: float, dtype: torch.dtype) -> float:
    """Return the largest number of a dtype that is at most ``value`` ≥ 0."""
    return tensor_toward_zero(torch.tensor(value, dtype=torch.float64), dtype).item()


def tensor_toward_zero(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the largest numbers of a dtype that are at most ``values`` ≥ 0; ∞ remains."""
    rounded = values.clamp(max=torch.finfo(dtype).max).to(dtype)
    lower = torch.nextafter(rounded, torch.zeros_like(rounded))
    rounded = torch.where(rounded.to(torch.float64) > values, lower, rounded)
    return torch.where(values.isinf(), values.to(dtype), rounded)


def _normalise(proposal: Proposal) -> Measure:
    """Divide each update by a power of two; return the norms after it and the powers."""
    arithmetic = proposal.arithmetic
    powers = _powers_near([update.detach() for update in proposal.updates], proposal)
    inverses = powers.reciprocal().to(proposal.updates[0].dtype)
    proposal.updates = arithmetic.mul(proposal.updates, list(inverses.unbind()))
    norms = arithmetic.norms(proposal.updates, 2, torch.float64)
    return Measure(torch.stack(norms), powers)


def _of_parameters(proposal: Proposal, needed: bool) -> Measure:
    """Return ‖θ‖ of every tensor, or zeros if they are not needed."""
    params, arithmetic = proposal.params, proposal.arithmetic
    ones = torch.ones(len(params), dtype=torch.float64, device=params[0].device)
    if not needed:
        return Measure(torch.zeros_like(ones), ones)
    if params[0].dtype != torch.float64:  # whose squares float64 holds
        return Measure(torch.stack(arithmetic.norms(params, 2, torch.float64)), ones)
    powers = _powers_near([param.detach() for param in params], proposal)
    scaled = arithmetic.div(params, list(powers.unbind()), fresh=True)
    return Measure(torch.stack(arithmetic.norms(scaled, 2, torch.float64)), powers)


def _powers_near(tensors: list[Tensor], proposal: Proposal) -> Tensor:
    """Return, in float64, the power of two next to each tensor's largest entry.

    Its inverse is a normal number in the dtype of the tensors too.
    """
    peaks = torch.stack(proposal.arithmetic.norms(tensors, math.inf))
    largest = math.frexp(torch.finfo(peaks.dtype).max)[1] - 2
    exponents = torch.frexp(peaks).exponent.masked_fill(peaks == 0, -largest)
    return torch.exp2(exponents.clamp(-largest, largest).to(torch.float64))


def _of_whole_tensors(
    own: list[Measure], proposals: Sequence[Proposal], divided: Divided
) -> list[Measure]:
    """Return the measure of every whole tensor from those of the parts held here."""
    if not divided:
        return own
    owners = [owner for proposal in proposals for owner in proposal.owners]
    norms, own_powers = (
        [value for vector in vectors for value in vector.unbind()]
        for vectors in ([m.norms for m in own], [m.powers for m in own])
    )
    powers = reduce_each(own_powers, owners, divided, "max", LEAST_POWER)
    squares = [(n * (o / p)).square() for n, o, p in zip(norms, own_powers, powers, strict=True)]
    squares = reduce_each(squares, owners, divided, "sum", 0.0)
    square, power = iter(squares), iter(powers)
    return [
        Measure(
            torch.stack([next(square) for _ in proposal.updates]).sqrt(),
            torch.stack([next(power) for _ in proposal.updates]),
        )
        for proposal in proposals
    ]


def _of_model(own: list[Measure], proposals: Sequence[Proposal], divided: Divided) -> Measure:
    """Return the measure of the whole model, shape (1,)."""
    kinds: dict[int, Sharding] = {
        id(param): sharding for sharding, params in divided.items() for param in params
    }
    parts: dict[Sharding | None, list[Measure]] = {None: [], **{key: [] for key in divided}}
    for measure, proposal in zip(own, proposals, strict=True):
        if not divided:
            parts[None].append(measure)
            continue
        rows = zip(proposal.owners, measure.norms.unbind(), measure.powers.unbind(), strict=True)
        for owner, norm, power in rows:
            parts[kinds.get(id(owner))].append(Measure(norm.reshape(1), power.reshape(1)))
    joined = [
        _joined(measures, sharding, divided[sharding][0].device if sharding else None)
        for sharding, measures in parts.items()
        if measures or sharding
    ]
    return _joined(joined, None, None)


def _joined(
    measures: list[Measure], sharding: Sharding | None, home: torch.device | None
) -> Measure:
    """Return the measure, shape (1,), of all these tensors in all processes of a sharding."""
    if measures:
        home = measures[0].powers.device
        norms, powers = (
            torch.cat([value.to(home, non_blocking=True) for value in values])
            for values in zip(*measures, strict=True)
        )
        power = powers.max().reshape(1)
        norm = torch.linalg.vector_norm(norms * (powers / power)).reshape(1)
    else:
        power = torch.full((1,), LEAST_POWER, dtype=torch.float64, device=home)
        norm = torch.zeros_like(power)
    if sharding is not None:
        whole = sharding.reduce(power.clone(), "max")
        norm = sharding.reduce((norm * (power / whole)).square(), "sum").sqrt()
        power = whole
    return Measure(norm, power)


def _apply_gains(
    proposal: Proposal, own_powers: Tensor, block: Measure, theta: Measure, counts: list[int]
) -> None:
    """Multiply each update, which ``own_powers`` has normalised, with the gain of its block."""
    arithmetic, c = proposal.arithmetic, proposal.limit
    gains = own_powers
    if not proposal.unlimited:
        norms, thetas = block.norms, theta.norms * theta.powers
        if proposal.unit != "norm":
            roots = [math.sqrt(count) for count in counts]
            norms, thetas = (
                torch.stack(arithmetic.div(list(values.unbind()), roots, fresh=True))
                for values in (norms, thetas)
            )
        if isinstance(c, Tensor):
            c = proposal.limits(norms.device)
        limits = thetas.clamp(min=RELATIVE_FLOOR) * c if proposal.unit == "relative" else c
        gains = proposal.law.factors(norms / limits, block.powers, own_powers)
        if isinstance(c, Tensor):  # a norm that is not finite has no ratio to ∞
            gains = torch.where(c.isinf(), own_powers, gains)
    factors = list(gains.to(proposal.updates[0].dtype).unbind())
    proposal.updates = arithmetic.mul(proposal.updates, factors)
    proposal.stop()
