"""The launches of a step: a handful for every bucket of tensors, however many there are."""

import contextlib
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
import triton.language as tl
from numpy.typing import NDArray
from torch import Tensor

from ...arguments import as_number
from ...laws import LAWS
from ..work import Known, Scaling, Work
from . import adam, gravity
from .blocks import GRAD, PLACE, WARPS, How
from .buckets import Bucket, is_capturing

KINDS: Mapping[torch.dtype, tl.dtype] = {
    torch.float32: tl.float32,
    torch.complex64: tl.float32,
    torch.float16: tl.float16,
    torch.bfloat16: tl.bfloat16,
}
"""What Triton calls the dtypes of entries."""

ROUNDED: Mapping[str, Any] = {"enable_fp_fusion": False}
"""Without fused multiply-adds, so that a step is rounded as on the other paths."""

_ALIGNMENT = 16


class Part:
    """The tensors of a group that share a bucket, and how they are stepped."""

    def __init__(
        self, work: Work, bucket: Bucket, aligned: bool, scaling: Scaling, *, decoupled: bool
    ) -> None:
        group, param = work.group, work.params[0]
        self.work = work  # whose gradients, where they are copies, have to outlive the launches
        self.group, self.bucket = group, bucket
        device = param.device
        self.scale, self.found = (
            x if x is None else x.to(device, non_blocking=True) for x in scaling
        )
        self.seed = group.get("rounding_seed", 0)
        penalty = group["weight_decay"]
        decays = isinstance(penalty, Tensor) or penalty != 0
        self.how = How(
            kind=KINDS[param.dtype],
            state=KINDS[work.buffers[0][0].dtype],
            aligned=aligned,
            maximize=group["maximize"],
            penalised=decays and not decoupled,
            decoupled=decays and decoupled,
            amsgrad=group.get("amsgrad", False),
            relative=group.get("max_step_grad", "inverse_max") != "inverse_max",
            stochastic=group["stochastic_rounding"] and param.dtype == torch.bfloat16,
        )

    @contextlib.contextmanager
    def on_device(self) -> Iterator[None]:
        """Launch where the tensors are."""
        table = self.bucket.table
        with torch.cuda.device(table.device) if table.is_cuda else contextlib.nullcontext():
            yield

    def options(self, *values: float | Tensor) -> tuple[Any, ...]:
        """Return options as numbers, then those that are tensors of a device as such."""
        here = self.bucket.table.device
        on_device = [isinstance(x, Tensor) and (x.is_cuda or x.device == here) for x in values]
        numbers, tensors = [], []
        for x, there in zip(values, on_device, strict=True):
            numbers.append(0.0 if there else float(as_number(x)))
            tensors.append(x.to(here, non_blocking=True) if there else None)  # type: ignore[union-attr]
        return (*numbers, *tensors)


class AdamPart(Part):
    """The same for RelativisticAdam and RelativisticAdamW."""

    def __init__(self, *args: Any, decoupled: bool) -> None:
        super().__init__(*args, decoupled=decoupled)
        self.decoupled = decoupled
        law, mode = LAWS[self.group["law"]], self.group["relativistic_mode"]
        self.limit = self.group["speed_limit"] if law.limits else math.inf
        unlimited = not isinstance(self.limit, Tensor) and math.isinf(self.limit)
        self.law, self.unit = law.key, self.group["speed_unit"]
        self.together = mode == "global"
        self.by_entries = mode == "per_component" or (mode == "per_param" and unlimited)

    def begin(self) -> None:
        """Count a step of every tensor and fill in its numbers."""
        group, bucket = self.group, self.bucket
        beta1, beta2 = group["betas"]
        adam.begin[(len(bucket.sizes),)](
            bucket.table,
            bucket.numbers,
            len(bucket.sizes),
            self.found,
            *self.options(group["lr"], beta1, beta2, group["weight_decay"], self.limit),
            float(group["eps"]),
            float(group["speed_warmup_steps"]) if group["adaptive_speed"] else 0.0,
            float(group["speed_reference_lr"]),
            follows=group["speed_follows_lr"],
            decoupled=self.decoupled,
            num_warps=1,
            **ROUNDED,
        )

    def limit_entries(self) -> None:
        """Take the whole step, entry by entry."""
        bucket = self.bucket
        adam.limit_entries[(bucket.count,)](
            *bucket.where(),
            self.scale,
            self.seed,
            self.found,
            how=self.how,
            law=self.law,
            unit=self.unit,
            num_warps=WARPS,
            **ROUNDED,
        )

    def measure(self, *, weighed: bool) -> None:
        """Advance the moments and store what blocks add up to: Σu², and Σθ² if ``weighed``."""
        bucket = self.bucket
        adam.measure[(bucket.count,)](
            *bucket.where(),
            bucket.squares,
            bucket.thetas if weighed else None,
            self.scale,
            self.found,
            how=self.how,
            num_warps=WARPS,
            **ROUNDED,
        )

    def add_up(self, *, weighed: bool) -> Tensor:
        """Return Σu², and Σθ² if ``weighed``, of the whole bucket."""
        bucket = self.bucket
        adam.add_up[(1,)](
            bucket.squares,
            bucket.thetas if weighed else None,
            bucket.total,
            bucket.count,
            self.found,
            num_warps=16,
        )
        return bucket.total

    def find_factors(self, total: Tensor | None = None, count: int = 0) -> None:
        """Store what the û of each tensor is to be multiplied with.

        Parameters
        ----------
        total, count
            Σu², Σθ² and entries of the model, where that is the block of the limit.
        """
        bucket = self.bucket
        weighed = self.unit == "relative" and total is None
        adam.find_factors[(len(bucket.sizes),)](
            bucket.squares,
            bucket.thetas if weighed else None,
            total,
            bucket.firsts,
            bucket.counts,
            len(bucket.sizes),
            bucket.numbers,
            bucket.factors,
            float(count),
            self.found,
            law=self.law,
            unit=self.unit,
            num_warps=16,
            **ROUNDED,
        )

    def finish(self) -> None:
        """Apply the updates."""
        bucket = self.bucket
        adam.finish[(bucket.count,)](
            *bucket.where(),
            bucket.factors,
            self.seed,
            self.found,
            how=self.how,
            num_warps=WARPS,
            **ROUNDED,
        )

    def take(self) -> None:
        """Take a step in which no block of the limit is larger than a tensor."""
        if not self.bucket.count:
            return
        if self.by_entries:
            self.limit_entries()
            return
        self.measure(weighed=self.unit == "relative")
        self.find_factors()
        self.finish()


class GravityPart(Part):
    """The same for Gravity."""

    def take(self) -> None:
        """Take the step."""
        group, bucket = self.group, self.bucket
        kappa = float(group["max_step_grad"]) if self.how.relative else 1.0
        gravity.begin[(len(bucket.sizes),)](
            bucket.table,
            bucket.numbers,
            len(bucket.sizes),
            self.found,
            *self.options(group["lr"], group["beta"], group["weight_decay"]),
            float(group["initial_step"]),
            num_warps=1,
            **ROUNDED,
        )
        if not bucket.count:
            return
        where, launch = bucket.where(), {"how": self.how, "num_warps": WARPS, **ROUNDED}
        gravity.find_peaks[(bucket.count,)](*where, bucket.peaks, self.scale, self.found, **launch)
        gravity.find_factors[(len(bucket.sizes),)](
            bucket.peaks,
            bucket.firsts,
            bucket.factors,
            kappa,
            self.found,
            relative=self.how.relative,
            num_warps=8,
        )
        gravity.advance[(bucket.count,)](
            *where, bucket.factors, self.scale, self.seed, self.found, **launch
        )


class Kept(NamedTuple):
    """Where the tensors of a group were in the last step, and how they were divided."""

    known: Known | None
    table: NDArray[np.int64]
    aligned: NDArray[np.bool]
    kinds: dict[Any, list[int]]


class Kernels:
    """The kernels of an optimizer, with the buckets that they keep from step to step.

    Attributes
    ----------
    home
        "cuda".
    unscales
        True: they divide by a GradScaler's scale, and do nothing where it has found an ∞.
    """

    home = "cuda"
    unscales = True

    def __init__(self) -> None:
        self._kept: dict[int, Kept] = {}
        self._buckets: dict[Any, Bucket] = {}
        self._captured: list[Bucket] = []

    def take_adam_steps(self, works: Sequence[Work], scaling: Scaling, *, decoupled: bool) -> None:
        """Take the step of every group, those whose blocks are the model with one norm."""
        parts = [
            AdamPart(*each, scaling, decoupled=decoupled)
            for each in self._divided(works, adam.NUMBERS)
        ]
        for part in parts:
            with part.on_device():
                part.begin()
                if not part.together:
                    part.take()
        together = [part for part in parts if part.together and part.bucket.count]
        weighed = any(part.unit == "relative" for part in together)
        totals = []
        for part in together:
            with part.on_device():
                part.measure(weighed=weighed)
                totals.append(part.add_up(weighed=weighed))
        count = sum(sum(part.bucket.sizes) for part in together)
        for part in together:
            with part.on_device():
                part.find_factors(_sum(totals, part), count)
                part.finish()

    def take_gravity_steps(self, works: Sequence[Work], scaling: Scaling) -> None:
        """Take the step of every group."""
        for each in self._divided(works, gravity.NUMBERS):
            part = GravityPart(*each, scaling, decoupled=False)
            with part.on_device():
                part.take()

    def _divided(self, works: Sequence[Work], numbers: int) -> Iterator[tuple[Work, Bucket, bool]]:
        """Yield the tensors of every bucket, the bucket, and whether they are aligned."""
        for work in works:
            table, kinds = self._table(work)
            for kind, indices in kinds.items():
                whole = len(kinds) == 1
                some, own = (work, table) if whole else (work.at(indices), table[:, indices])
                yield some, self._bucket(some, kind, own, numbers), kind[-1]

    def _table(self, work: Work) -> tuple[NDArray[np.int64], dict[Any, list[int]]]:
        """Return where the tensors of a group are, and the places of those of one kind.

        Where nothing but gradients has changed little is asked again.
        """
        kept = self._kept.get(work.number)
        if kept is None or kept.known is None or kept.known is not work.known:
            kept, table = None, np.array([*work.addresses(), work.places], dtype=np.int64)
        else:
            table = kept.table.copy()
            table[int(GRAD)] = [*map(Tensor.data_ptr, work.grads)]
            if work.group["stochastic_rounding"]:
                table[int(PLACE)] = work.places
        aligned = np.bitwise_or.reduce(table[:-2]) % _ALIGNMENT == 0  # beside steps and places
        if kept is not None and np.array_equal(kept.aligned, aligned):
            kinds = kept.kinds
        else:
            kinds = _kinds(work, aligned)
        self._kept[work.number] = Kept(work.known, table, aligned, kinds)
        return table, kinds

    def _bucket(self, work: Work, kind: Any, table: NDArray[np.int64], numbers: int) -> Bucket:
        """Return the bucket of tensors of one kind, with their addresses."""
        key, sizes = (work.number, *kind), work.sizes
        bucket = self._buckets.get(key)
        if bucket is None or bucket.sizes != sizes:
            if is_capturing(work.params[0]):
                raise RuntimeError(
                    "a CUDA graph captures a fused step on parameters that none was taken on: "
                    "expected steps before, with gradients of the same parameters"
                )
            if bucket is not None and bucket.captured:
                self._captured.append(bucket)
            bucket = self._buckets[key] = Bucket(kind[0], sizes, numbers)
        bucket.point_to(table)
        return bucket


def _kinds(work: Work, aligned: NDArray[np.bool]) -> dict[Any, list[int]]:
    """Return the places of tensors of one device, dtype, state dtype and alignment, by these."""
    devices, dtypes, states = (
        [param.device for param in work.params],
        [param.dtype for param in work.params],
        [buffer.dtype for buffer in work.buffers[0]],
    )
    kinds: dict[Any, list[int]] = {}
    for i, kind in enumerate(zip(devices, dtypes, states, aligned.tolist(), strict=True)):
        kinds.setdefault(kind, []).append(i)
    return kinds


def _sum(totals: Sequence[Tensor], part: Part) -> Tensor:
    """Return the sum of what buckets add up to, on the device of a part."""
    if len(totals) == 1:
        return totals[0]
    device = part.bucket.table.device
    return torch.stack([total.to(device, non_blocking=True) for total in totals]).sum(dim=0)
