"""The limit: scales proposed updates so that no block exceeds its speed limit.

Notation: u an update, θ the parameters, c the speed limit, r = ‖u‖/c, n the number of entries. The
norm ranges over a block: every tensor of the model ("global"), each tensor ("per_param") or each
entry ("per_component").

Gains are float64: they can be below the smallest binary32.
"""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

import torch
from torch import Tensor

from .arithmetic import Arithmetic, Scalar, moved
from .laws import Law
from .measures import Measure, entries_of_model, measured, of_model, of_whole_tensors, powers_near
from .sharding import Divided

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
        Real tensors in binary32 or binary64; what the limit makes of them replaces them.
    params
        The parameters they belong to, in the same shapes.
    owners
        The same as the optimizer holds them: DTensors, of which ``params`` are this process's
        parts, or complex.
    limit
        c ≥ 0: one for all, or float64, shape (tensors,); ∞ leaves an update as it is, 0 stops it.
    law, unit, mode
        The speed law, what c is measured in (an element of `UNITS`), and what the norm ranges over
        (an element of `MODES`).
    arithmetic
        How to compute.
    """

    updates: list[Tensor]
    params: list[Tensor]
    owners: list[Tensor]
    limit: Scalar
    law: Law
    unit: str
    mode: str
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
        """Return the limit of each tensor, float64, shape (tensors,); 1 for 0, which `stop` does.

        So a limit of 0 has no part in a quotient, nor in its derivative.
        """
        if isinstance(self.limit, Tensor):
            limit = moved(self.limit, device)
        else:
            limit = torch.full((), self.limit, dtype=torch.float64, device=device)
        return torch.where(limit == 0, 1, limit).expand(len(self.updates))

    def stop(self) -> None:
        """Make the updates 0 where c is: 0 times an update that is not finite would be NaN."""
        if isinstance(self.limit, Tensor):
            stopped = moved(self.limit == 0, self.updates[0].device).expand(len(self.updates))
            for update, where in zip(self.updates, stopped.unbind(), strict=True):
                update.masked_fill_(where, 0)
        elif self.limit == 0:
            for update in self.updates:
                update.zero_()


def limit_entries(proposal: Proposal) -> None:
    """Limit every entry by itself."""
    if proposal.unlimited:
        return
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


def limit_tensors(proposals: Sequence[Proposal], divided: Divided, units: AbstractSet[str]) -> None:
    """Limit every tensor by itself.

    Parameters
    ----------
    proposals
        On any devices.
    divided
        The parameters that are divided among processes, with or without a proposal here.
    units
        The units that any process measures in.
    """
    owners = [proposal.owners for proposal in proposals]
    own = [_normalise(proposal) for proposal in proposals]
    blocks = of_whole_tensors(own, owners, divided)
    thetas: list[Measure | None] = [None] * len(proposals)
    if "relative" in units:
        parts = [measured(proposal.params, proposal.arithmetic) for proposal in proposals]
        thetas = list(of_whole_tensors(parts, owners, divided))
    for proposal, part, block, theta in zip(proposals, own, blocks, thetas, strict=True):
        _apply_gains(proposal, part.powers, block, theta, proposal.counts)


def limit_together(
    proposals: Sequence[Proposal], divided: Divided, units: AbstractSet[str]
) -> None:
    """Limit all tensors of all proposals as one block; each tensor applies its own c.

    The block's entries are those that have an update, in whichever process. Parameters are those of
    `limit_tensors`.
    """
    if not proposals and not divided:
        return
    owners = [proposal.owners for proposal in proposals]
    own = [_normalise(proposal) for proposal in proposals]
    block = of_model(own, owners, divided)
    theta: Measure | None = None
    if "relative" in units:
        parts = [measured(proposal.params, proposal.arithmetic) for proposal in proposals]
        theta = of_model(parts, owners, divided)
    count: Scalar = 1
    if units - {"norm"}:
        count = entries_of_model([proposal.params for proposal in proposals], owners, divided)
    for proposal, part in zip(proposals, own, strict=True):
        home = part.powers.device
        theta_here = None if theta is None else theta.moved(home)
        _apply_gains(proposal, part.powers, block.moved(home), theta_here, [count])


def round_toward_zero(value: float, dtype: torch.dtype) -> float:
    """Return the largest number of a dtype that is at most ``value`` ≥ 0."""
    return tensor_toward_zero(torch.tensor(value, dtype=torch.float64, device="cpu"), dtype).item()


def tensor_toward_zero(values: Tensor, dtype: torch.dtype) -> Tensor:
    """Return the largest numbers of a dtype that are at most ``values`` ≥ 0; ∞ remains."""
    rounded = values.clamp(max=torch.finfo(dtype).max).to(dtype)
    lower = torch.nextafter(rounded, torch.zeros_like(rounded))
    rounded = torch.where(rounded.to(torch.float64) > values, lower, rounded)
    return torch.where(values.isinf(), values.to(dtype), rounded)


def _normalise(proposal: Proposal) -> Measure:
    """Divide each update by a power of two; return the norms after it and the powers."""
    arithmetic = proposal.arithmetic
    powers = powers_near(proposal.updates, arithmetic)
    inverses = powers.reciprocal().to(proposal.updates[0].dtype)
    proposal.updates = arithmetic.mul(proposal.updates, list(inverses.unbind()))
    norms = arithmetic.norms(proposal.updates, 2, torch.float64)
    return Measure(torch.stack(norms), powers)


def _apply_gains(
    proposal: Proposal,
    own_powers: Tensor,
    block: Measure,
    theta: Measure | None,
    counts: Sequence[Scalar],
) -> None:
    """Multiply each update, which ``own_powers`` has normalised, with the gain of its block."""
    arithmetic, c = proposal.arithmetic, proposal.limit
    gains = own_powers
    if not proposal.unlimited:
        norms = block.norms
        if isinstance(c, Tensor) or c == 0:
            c = proposal.limits(norms.device)
        limits = c
        if proposal.unit != "norm":
            norms = _per_root(norms, counts, arithmetic)
        if proposal.unit == "relative" and theta is not None:
            thetas = _per_root(theta.norms * theta.powers, counts, arithmetic)
            limits = thetas.clamp(min=RELATIVE_FLOOR) * c
        gains = proposal.law.factors(norms / limits, block.powers, own_powers)
        if isinstance(c, Tensor):  # a norm that is not finite has no ratio to ∞
            gains = torch.where(c.isinf(), own_powers, gains)
    factors = list(gains.to(proposal.updates[0].dtype).unbind())
    proposal.updates = arithmetic.mul(proposal.updates, factors)
    proposal.stop()


def _per_root(norms: Tensor, counts: Sequence[Scalar], arithmetic: Arithmetic) -> Tensor:
    """Return each norm over √n; a tensor without entries has none to divide."""
    roots = [
        count.clamp(min=1).reshape(()).sqrt() if isinstance(count, Tensor) else max(count, 1) ** 0.5
        for count in counts
    ]
    return torch.stack(arithmetic.div(list(norms.unbind()), roots, fresh=True))
