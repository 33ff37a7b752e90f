"""What a step proposed, what was applied of it, and how near to the speed limit it was.

Everything is measured on the device and stays there until a report is read.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from .arithmetic import moved
from .batches import as_real
from .limit import RELATIVE_FLOOR, Proposal, tensor_toward_zero
from .measures import entries_of_model, measured, of_model, of_whole_tensors
from .sharding import Divided, Sharding, local, reduce_each


class TensorSpeed(NamedTuple):
    """How fast one tensor was in a step, in the units of what is limited: update or gradient.

    Attributes
    ----------
    proposed_norm, proposed_rms
        ‖u‖ and ‖u‖/√n of what was proposed.
    applied_norm, applied_rms
        The same of what was applied.
    ratio
        r = ‖u‖/c of the tensor's block, the largest of its entries' for "per_component"; 0 without
        a limit.
    gain
        ‖s‖/‖u‖, 1 where nothing was proposed.
    saturated
        The share of entries in blocks with r ≥ 1.
    applied_to_param
        ‖s‖/‖θ‖, the update-to-parameter ratio where updates are limited; θ is taken before the
        step, and s is without decoupled decay; ∞ for θ = 0.
    """

    proposed_norm: float
    proposed_rms: float
    applied_norm: float
    applied_rms: float
    ratio: float
    gain: float
    saturated: float
    applied_to_param: float


@dataclass(frozen=True)
class SpeedReport:
    """What the last step did.

    Attributes
    ----------
    tensors
        By name, or by place in its group, the tensors that had a gradient.
    skipped_steps, consecutive_skips
        How many steps have been skipped: in all, and since the last that was taken.
    """

    tensors: Mapping[str, TensorSpeed]
    skipped_steps: int
    consecutive_skips: int

    def flat(self, prefix: str = "speed") -> dict[str, float]:
        """Return one number per key "prefix/quantity/tensor", as loggers take them."""
        flat = {
            f"{prefix}/{quantity}/{name}": value
            for name, speed in self.tensors.items()
            for quantity, value in speed._asdict().items()
        }
        flat[f"{prefix}/skipped_steps"] = float(self.skipped_steps)
        flat[f"{prefix}/consecutive_skips"] = float(self.consecutive_skips)
        return flat


class Observation:
    """What is measured of a proposal before and after it is limited, on its device."""

    def __init__(self, proposal: Proposal) -> None:
        self.proposal: Proposal | None = proposal
        self.owners = proposal.owners
        self.mode, self.unit = proposal.mode, proposal.unit
        self.limit = _limits(proposal)
        self.before = measured(proposal.updates, proposal.arithmetic)
        self.theta = measured(proposal.params, proposal.arithmetic)
        self.after = self.before
        self.peak, self.over = _entries(proposal, self.limit)
        self.counts = _constants([max(n, 1) for n in proposal.counts], self.limit.device)

    def close(self) -> None:
        """Measure what has become of the proposal, and let go of it."""
        if self.proposal is not None:
            self.after = measured(self.proposal.updates, self.proposal.arithmetic)
        self.proposal = None


class Seen(NamedTuple):
    """What was measured of one parameter, on its device.

    Attributes
    ----------
    owner
        The parameter, as the optimizer holds it.
    speed
        The numbers of `TensorSpeed`, float64, shape (8,).
    size
        ‖u‖ of its block in the unit of c; for "per_component" that of a typical entry.
    """

    owner: Tensor
    speed: Tensor
    size: Tensor


def seen(
    observations: Sequence[Observation], divided: Divided, divided_together: Divided
) -> list[Seen]:
    """Put whole tensors and the whole model together, meeting the other processes.

    Parameters
    ----------
    observations
        Closed.
    divided
        All parameters that are divided among processes.
    divided_together
        Of these, those that are limited as one block.
    """
    owners = [one.owners for one in observations]
    before, after, thetas = (
        of_whole_tensors([getattr(one, name) for one in observations], owners, divided)
        for name in ("before", "after", "theta")
    )
    each = [owner for some in owners for owner in some]
    peaks, overs = (
        iter(
            reduce_each(
                [value for one in observations for value in getattr(one, name).unbind()],
                each,
                divided,
                reduce,
                0.0,
            )
        )
        for name, reduce in (("peak", Sharding.max), ("over", Sharding.sum))
    )
    together = [one for one in observations if one.mode == "global"]
    model = _model(together, divided_together) if together or divided_together else None
    rows = []
    for one, *measures in zip(observations, before, after, thetas, strict=True):
        proposed, applied, theta = (measure.norms * measure.powers for measure in measures)
        device, roots = one.limit.device, one.counts.sqrt()
        peak = torch.stack([next(peaks).to(device) for _ in one.owners])
        over = torch.stack([next(overs).to(device) for _ in one.owners]) / one.counts
        if one.mode == "per_component":
            size = in_units(proposed / roots, theta / roots, torch.ones_like(roots), one.unit)
        else:
            of_block = (proposed, theta, one.counts)
            if one.mode == "global" and model is not None:
                whole, whole_theta, n = (moved(value, device) for value in model)
                of_block = (whole, whole_theta, n)
            size = in_units(*of_block, one.unit).expand_as(proposed)
            peak = torch.where(one.limit.isinf() | (size == 0), 0.0, size / one.limit)
            over = (peak >= 1).to(torch.float64)
        gain = torch.where(proposed > 0, applied / proposed, 1.0)
        quantities = (
            *(proposed, proposed / roots, applied, applied / roots),
            *(peak, gain, over, torch.where(applied > 0, applied / theta, 0.0)),
        )
        columns = torch.stack(quantities).unbind(1)
        rows += [Seen(*row) for row in zip(one.owners, columns, size.unbind(), strict=True)]
    return rows


class Rows:
    """What was seen in the last step; one object, whose content compiled steps change too."""

    def __init__(self) -> None:
        self._rows: list[Seen] = []
        self._discarded: list[Tensor] = []

    def replace(self, rows: Sequence[Seen]) -> None:
        """Remember what was seen of a step instead."""
        self.clear()
        self._rows.extend(rows)

    def clear(self) -> None:
        """Forget everything."""
        self._rows.clear()
        self._discarded.clear()

    def discard_where(self, bad: Tensor) -> None:
        """Forget everything if ``bad``, which is on the device, is true."""
        self._discarded.append(bad)

    def report(self, names: Mapping[int, str], skips: tuple[int, int]) -> SpeedReport:
        """Return the report, waiting for the device.

        Parameters
        ----------
        names
            What each parameter is called, by its id, in order.
        skips
            How many steps were skipped, in all and in a row.
        """
        rows = [row for row in self._rows if id(row.owner) in names]
        if not rows or any(map(bool, self._discarded)):
            return SpeedReport({}, *skips)
        home = rows[0].speed.device
        table = torch.stack([moved(row.speed, home) for row in rows]).tolist()
        found = {
            names[id(row.owner)]: TensorSpeed(*numbers)
            for row, numbers in zip(rows, table, strict=True)
        }
        return SpeedReport({name: found[name] for name in names.values() if name in found}, *skips)


def in_units(norm: Tensor, theta: Tensor, count: Tensor, unit: str) -> Tensor:
    """Return ‖u‖ in the unit that c is measured in; of n entries and ‖θ‖ of the block."""
    if unit == "norm":
        return norm
    per_root = norm / count.sqrt()
    if unit == "rms":
        return per_root
    return per_root / (theta / count.sqrt()).clamp(min=RELATIVE_FLOOR)


def _model(seen: Sequence[Observation], divided: Divided) -> tuple[Tensor, Tensor, Tensor]:
    """Return ‖u‖, ‖θ‖ and n of all tensors that are limited together, shape (1,) each."""
    owners = [one.owners for one in seen]
    before = of_model([one.before for one in seen], owners, divided)
    theta = of_model([one.theta for one in seen], owners, divided)
    parts = [[as_real(local(owner)) for owner in some] for some in owners]
    count = entries_of_model(parts, owners, divided)
    home = before.norms.device
    n = moved(count, home).reshape(1) if isinstance(count, Tensor) else _constants([count], home)
    return before.norms * before.powers, theta.norms * theta.powers, n.clamp(min=1)


def _constants(values: Sequence[float], device: torch.device) -> Tensor:
    """Return numbers of the host on a device, float64, without a copy that waits for it."""
    made = {value: torch.full((), value, dtype=torch.float64, device=device) for value in values}
    return torch.stack([made[value] for value in values])


def _limits(proposal: Proposal) -> Tensor:
    """Return c of each tensor, float64; ∞ where nothing limits."""
    device, k = proposal.updates[0].device, len(proposal.updates)
    if isinstance(proposal.limit, Tensor):
        return moved(proposal.limit, device).expand(k)
    return torch.full((k,), proposal.limit, dtype=torch.float64, device=device)


def _entries(proposal: Proposal, limits: Tensor) -> tuple[Tensor, Tensor]:
    """Return, of entries limited by themselves, the largest ratio and the number with r ≥ 1."""
    none = torch.zeros_like(limits)
    if proposal.mode != "per_component" or proposal.unlimited:
        return none, none
    peaks, overs = [], []
    dtype = proposal.updates[0].dtype
    for update, param, c in zip(
        proposal.updates, proposal.params, tensor_toward_zero(limits, dtype).unbind(), strict=True
    ):
        size = update.abs()
        if proposal.unit == "relative":
            size.div_(param.to(dtype).abs().clamp_(min=RELATIVE_FLOOR))
        peak = size.max() if size.numel() else size.new_zeros(())
        ratio = peak.to(torch.float64) / c.to(torch.float64)
        peaks.append(torch.where(c.isinf() | (peak == 0), 0.0, ratio))
        overs.append((size >= c).sum().to(torch.float64) * (peak > 0))
    return torch.stack(peaks), torch.stack(overs)
