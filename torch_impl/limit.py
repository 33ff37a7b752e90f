"""The limit: scales proposed updates in place so that no block exceeds its speed limit.

Notation: u an update, θ the parameters, c the speed limit, r = ‖u‖/c. The norm ranges over a block:
every tensor of the model ("global"), each tensor ("per_param") or each entry ("per_component").

The norm is taken of u/2ᵏ, with 2ᵏ the power of two next to the largest entry, so that squares
neither overflow nor vanish; the division is exact. Norms and gains are float64: a sum of squares in
binary32 over 10⁷ entries is off by 10⁻³, and gains can be below the smallest binary32.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .laws import Law

MODES = ("global", "per_param", "per_component")
UNITS = ("norm", "rms", "relative")

RELATIVE_FLOOR = 1e-3
"""The relative unit takes a block's root mean square to be at least this."""


@dataclass
class Proposal:
    """Proposed updates of some tensors on one device, in one dtype, under one law.

    Attributes
    ----------
    updates
        Real tensors in binary32 or binary64, not empty; overwritten by the applied updates.
    params
        The parameters they belong to, in the same shapes.
    limits
        c ≥ 0 for each tensor: ∞ leaves the update as it is, 0 stops it.
    law, unit
        The speed law, and what c is measured in (an element of `UNITS`).
    foreach
        Whether to use multi-tensor operations.
    """

    updates: list[Tensor]
    params: list[Tensor]
    limits: list[float]
    law: Law
    unit: str
    foreach: bool

    @property
    def unlimited(self) -> bool:
        """Whether nothing is to be limited."""
        return all(math.isinf(c) for c in self.limits)


def limit_entries_(proposal: Proposal) -> None:
    """Limit every entry by itself."""
    for update, param, c in zip(proposal.updates, proposal.params, proposal.limits, strict=True):
        if c == 0:
            update.zero_()
        elif not math.isinf(c):
            limit = update.new_full((), round_toward_zero(c, update.dtype))
            if proposal.unit == "relative":
                limit = limit * param.to(update.dtype).abs().clamp_(min=RELATIVE_FLOOR)
            update.copy_(proposal.law.limit_entries(update, limit))


@dataclass
class Blocks:
    """The block of each of some tensors: one value per tensor.

    Attributes
    ----------
    norms, powers
        The block's ‖u‖ as a product of the two, float64, ``powers`` a power of two.
    thetas
        The block's ‖θ‖, float64; anything where the unit does not ask for it.
    counts
        The block's number of entries n.
    """

    norms: Tensor
    powers: Tensor
    thetas: Tensor
    counts: list[int]


def limit_tensors_(proposal: Proposal) -> None:
    """Limit every tensor by itself."""
    if proposal.unlimited:
        return
    powers, norms = _normalise_(proposal)
    thetas = _parameter_norms(proposal, proposal.unit == "relative")
    counts = [update.numel() for update in proposal.updates]
    _apply_gains_(proposal, Blocks(norms, powers, thetas, counts), powers)


def limit_together_(proposals: Sequence[Proposal]) -> None:
    """Limit all tensors of all proposals as one block; each tensor applies its own c."""
    if all(proposal.unlimited for proposal in proposals):
        return
    home = proposals[0].updates[0].device
    normalised = [_normalise_(proposal) for proposal in proposals]
    powers = torch.cat([own.to(home, non_blocking=True) for own, _ in normalised])
    norms = torch.cat([own.to(home, non_blocking=True) for _, own in normalised])
    needed = any(proposal.unit == "relative" for proposal in proposals)
    thetas = torch.cat([_parameter_norms(p, needed).to(home, non_blocking=True) for p in proposals])
    power = powers.max()
    norm = torch.linalg.vector_norm(norms * (powers / power))
    theta_power = _powers(thetas.max())
    theta = torch.linalg.vector_norm(thetas / theta_power) * theta_power
    count = sum(update.numel() for proposal in proposals for update in proposal.updates)
    for proposal, (own_powers, _) in zip(proposals, normalised, strict=True):
        norms, powers, thetas = (
            value.to(own_powers.device, non_blocking=True).expand_as(own_powers)
            for value in (norm, power, theta)
        )
        blocks = Blocks(norms, powers, thetas, [count] * len(proposal.updates))
        _apply_gains_(proposal, blocks, own_powers)


def round_toward_zero(value: float, dtype: torch.dtype) -> float:
    """Return the largest number of a dtype that is at most ``value`` ≥ 0."""
    rounded = torch.tensor(min(value, torch.finfo(dtype).max), dtype=dtype)
    if rounded.item() > value:
        rounded = torch.nextafter(rounded, torch.zeros_like(rounded))
    return rounded.item()


def _normalise_(proposal: Proposal) -> tuple[Tensor, Tensor]:
    """Divide each update by a power of two; return the powers and the norms after it."""
    powers = _powers(_norms(proposal.updates, math.inf, None, proposal.foreach))
    _scale_(proposal.updates, powers.reciprocal(), proposal.foreach)
    return powers, _norms(proposal.updates, 2, torch.float64, proposal.foreach)


def _powers(peaks: Tensor) -> Tensor:
    """Return, in float64, the power of two next to each peak: the least for a peak of 0.

    Its inverse is a normal number in the dtype of the peaks too.
    """
    largest = math.frexp(torch.finfo(peaks.dtype).max)[1] - 2
    exponents = torch.frexp(peaks).exponent.masked_fill(peaks == 0, -largest)
    return torch.exp2(exponents.clamp(-largest, largest).to(torch.float64))


def _apply_gains_(proposal: Proposal, blocks: Blocks, own_powers: Tensor) -> None:
    """Multiply each update, which ``own_powers`` has normalised, with its gain."""
    limits = [
        _in_parameter_units(c, proposal.unit, theta, count)
        for c, theta, count in zip(
            proposal.limits, blocks.thetas.unbind(), blocks.counts, strict=True
        )
    ]
    ratios = torch.stack([a / c for a, c in zip(blocks.norms.unbind(), limits, strict=True)])
    gains = proposal.law.factors(ratios, blocks.powers, own_powers)
    unlimited = [math.isinf(c) for c in proposal.limits]
    if any(unlimited):
        pairs = zip(unlimited, own_powers.unbind(), gains.unbind(), strict=True)
        gains = torch.stack([power if free else gain for free, power, gain in pairs])
    _scale_(proposal.updates, gains, proposal.foreach)
    for update, c in zip(proposal.updates, proposal.limits, strict=True):
        if c == 0:
            update.zero_()


def _in_parameter_units(c: float, unit: str, theta: Tensor, count: int) -> Tensor | float:
    """Return the limit of a block of norm ‖θ‖ with ``count`` entries."""
    root = math.sqrt(count)
    if unit == "relative":
        return theta.clamp(min=RELATIVE_FLOOR * root) * c
    return c * root if unit == "rms" else c


def _parameter_norms(proposal: Proposal, needed: bool) -> Tensor:
    """Return ‖θ‖ of every tensor in float64, or zeros if they are not needed."""
    params = proposal.params
    if not needed:
        return torch.zeros(len(params), dtype=torch.float64, device=params[0].device)
    if params[0].dtype != torch.float64:  # whose squares float64 holds
        return _norms(params, 2, torch.float64, proposal.foreach)
    powers = _powers(_norms(params, math.inf, None, proposal.foreach))
    scaled = [param / power for param, power in zip(params, powers.unbind(), strict=True)]
    return _norms(scaled, 2, torch.float64, proposal.foreach) * powers


def _norms(tensors: list[Tensor], order: float, dtype: torch.dtype | None, foreach: bool) -> Tensor:
    """Return one norm per tensor."""
    if foreach:
        return torch.stack(torch._foreach_norm(tensors, order, dtype=dtype))
    return torch.stack([torch.linalg.vector_norm(t, order, dtype=dtype) for t in tensors])


def _scale_(tensors: list[Tensor], factors: Tensor, foreach: bool) -> None:
    """Multiply each tensor with its factor."""
    each = factors.to(tensors[0].dtype).unbind()
    if foreach:
        torch._foreach_mul_(tensors, list(each))
    else:
        for tensor, factor in zip(tensors, each, strict=True):
            tensor.mul_(factor)
