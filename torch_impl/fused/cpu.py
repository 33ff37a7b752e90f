"""``fused=True`` on the CPU: whole steps by the kernels of `cpu_kernels`, on torch's threads.

Notation: c the speed limit, η the learning rate, t the step, n entries, θ a parameter.
"""

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from ..arguments import as_number
from ..laws import LAWS
from ..limit import UNITS
from ..schedules import following
from . import cpu_kernels as kernels
from . import refuse_converted
from .work import Scaling, Work

PIECE = 2**18
"""Entries of a tensor that one thread takes on; a multiple of `kernels.BLOCK`."""

ALONE = 2**17
"""Entries below which starting threads takes longer than they save."""

LAW_CODES = {key: code for code, key in enumerate(LAWS)}
"""Laws as the kernels number them."""


class Adam(NamedTuple):
    """What the kernels are told of a group; of β and 1 − β, formed in binary64, also binary32."""

    beta1: np.float32
    rest1: np.float32
    beta2: np.float32
    rest2: np.float32
    eps: np.float32
    sign: np.float32
    penalty: np.float32
    decay: np.float32
    lr: float
    wide_beta1: float
    wide_beta2: float
    limit: float
    warmup: float
    law: int
    unit: int
    entries: bool
    weighs: bool
    amsgrad: bool
    common: bool


class Gravity(NamedTuple):
    """What the kernels are told of a group of Gravity."""

    lr: np.float32
    sign: np.float32
    penalty: np.float32
    kappa: np.float32
    beta: float
    initial_step: float
    relative: bool


class Tensors:
    """The tensors of a group that have a gradient, as the kernels see them.

    Parameters
    ----------
    rows
        Parameters, gradients that lie in memory as they do, state buffers and steps, as in
        `kernels`, which have to outlive this; the last kinds of buffer may be missing.
    """

    def __init__(self, *rows: Sequence[Tensor]) -> None:
        addresses = [[*map(Tensor.data_ptr, row)] for row in rows]
        params, grads, first, *others, steps = addresses
        second = others[0] if others else first
        largest = others[1] if len(others) > 1 else second
        self.table = np.array((params, grads, first, second, largest, steps), dtype=np.int64)
        self.counts = [param.numel() * (1 + param.is_complex()) for param in rows[0]]
        self.work, self.firsts = _pieces(self.counts)

    @property
    def alone(self) -> bool:
        """Whether one thread is to do all."""
        return torch.get_num_threads() == 1 or sum(self.counts) <= ALONE

    def spread(self, task: Callable[[slice], None]) -> None:
        """Have threads do a task on pieces, each on a run of them with its share of entries."""
        if self.alone:
            task(slice(None))
            return
        threads = torch.get_num_threads()
        ends = np.cumsum(self.work[:, 2] - self.work[:, 1])
        cuts = np.searchsorted(ends, ends[-1] * np.arange(1, threads) / threads)
        edges = sorted({0, *cuts.tolist(), len(self.work)})
        list(_pool().map(task, (slice(a, b) for a, b in pairwise(edges))))


class AdamStep:
    """The step of a group.

    Parameters
    ----------
    group
        Its options.
    tensors
        Its parameters, gradients, moments and steps.
    decoupled
        Whether the decay is outside the limit.
    """

    def __init__(self, group: dict[str, Any], tensors: Tensors, *, decoupled: bool) -> None:
        self.tensors = tensors
        self.together = group["relativistic_mode"] == "global"
        self.options = _adam(group, decoupled=decoupled)
        pieces, count = len(tensors.work), len(tensors.counts)
        self.numbers = np.empty((3, count))
        self.squares, self.thetas = np.zeros(pieces), np.zeros(pieces)
        self.factors = np.empty(pieces, dtype=np.float32)
        kernels.begin(tensors.table, self.options, self.numbers)

    def measure(self) -> None:
        """Advance all moments; limit the entries if each is its own block."""
        self.tensors.spread(
            lambda k: kernels.measure(
                self.tensors.table,
                self.tensors.work[k],
                self.options,
                self.numbers,
                self.squares[k],
                self.thetas[k],
            )
        )

    def finish(self) -> None:
        """Apply the updates with the factors that are known."""
        self.tensors.spread(
            lambda k: kernels.finish(
                self.tensors.table,
                self.tensors.work[k],
                self.options,
                self.numbers,
                self.factors[k],
            )
        )

    def take(self) -> None:
        """Take a step in which no block is larger than a tensor."""
        tensors, known = self.tensors, (self.options, self.numbers)
        sums = (self.squares, self.thetas, self.factors)
        if tensors.alone:
            kernels.whole(tensors.table, tensors.work, tensors.firsts, *known, *sums)
            return
        self.measure()
        if not self.options.entries:
            kernels.factors_of_tensors(tensors.work, tensors.firsts, *known, *sums)
            self.finish()


class Kernels:
    """The kernels of the CPU, which keep nothing from step to step.

    Attributes
    ----------
    unscales
        False: a GradScaler does.
    """

    unscales = False

    def take_adam_steps(self, works: Sequence[Work], _scaling: Scaling, *, decoupled: bool) -> None:
        """Take the step of every group of RelativisticAdam(W)."""
        refuse_converted(works, "cpu")
        take_adam_steps([AdamStep(w.group, _tensors(w), decoupled=decoupled) for w in works])

    def take_gravity_steps(self, works: Sequence[Work], _scaling: Scaling) -> None:
        """Take the step of every group of Gravity."""
        refuse_converted(works, "cpu")
        for work in works:
            take_gravity_step(work.group, _tensors(work))


def _tensors(work: Work) -> Tensors:
    return Tensors(work.params, work.grads, *work.buffers, work.steps)


def take_adam_steps(steps: Sequence[AdamStep]) -> None:
    """Take the step of every group, those whose blocks are the model with one norm."""
    for step in steps:
        if not step.together:
            step.take()
    together = [step for step in steps if step.together]
    weighs = any(step.options.weighs for step in together)  # the block is the whole model
    for step in together:
        step.options = step.options._replace(weighs=weighs)
        step.measure()
    square = math.fsum(x for step in together for x in step.squares)
    theta = math.fsum(x for step in together for x in step.thetas)
    count = sum(n for step in together for n in step.tensors.counts)
    for step in together:
        kernels.factors_of_model(
            step.tensors.work, step.options, step.numbers, square, theta, count, step.factors
        )
        step.finish()


def take_gravity_step(group: dict[str, Any], tensors: Tensors) -> None:
    """Take the step of a group of Gravity."""
    relative = group["max_step_grad"] != "inverse_max"
    options = Gravity(
        lr=np.float32(as_number(group["lr"])),
        sign=np.float32(-1 if group["maximize"] else 1),
        penalty=np.float32(as_number(group["weight_decay"])),
        kappa=np.float32(group["max_step_grad"] if relative else 1),
        beta=as_number(group["beta"]),
        initial_step=float(group["initial_step"]),
        relative=relative,
    )
    numbers = np.empty((2, len(tensors.counts)))
    largest = np.empty(len(tensors.work), dtype=np.float32)
    table, work, firsts = tensors.table, tensors.work, tensors.firsts
    kernels.begin_gravity(table, options, numbers)
    if tensors.alone:
        kernels.whole_gravity(table, work, firsts, options, numbers, largest)
        return
    tensors.spread(lambda k: kernels.peaks(table, work[k], options, largest[k]))
    kernels.scales_of_tensors(work, firsts, options, numbers, largest)
    tensors.spread(lambda k: kernels.advance_gravity(table, work[k], options, numbers))


def _adam(group: dict[str, Any], *, decoupled: bool) -> Adam:
    beta1, beta2 = map(as_number, group["betas"])
    lr, penalty = as_number(group["lr"]), as_number(group["weight_decay"])
    law, mode = LAWS[group["law"]], group["relativistic_mode"]
    limit = as_number(group["speed_limit"])
    if group["speed_follows_lr"]:
        limit = float(following(limit, lr, group["speed_reference_lr"]))
    unlimited = not law.limits or math.isinf(limit)
    return Adam(
        beta1=np.float32(beta1),
        rest1=np.float32(1 - beta1),
        beta2=np.float32(beta2),
        rest2=np.float32(1 - beta2),
        eps=np.float32(group["eps"]),
        sign=np.float32(-1 if group["maximize"] else 1),
        penalty=np.float32(0 if decoupled else penalty),
        decay=np.float32(lr * penalty if decoupled else 0),
        lr=lr,
        wide_beta1=beta1,
        wide_beta2=beta2,
        limit=limit,
        warmup=float(group["speed_warmup_steps"]) if group["adaptive_speed"] else 0.0,
        law=LAW_CODES[law.key],
        unit=UNITS.index(group["speed_unit"]),
        weighs=group["speed_unit"] == "relative",
        entries=mode == "per_component" or (mode == "per_param" and unlimited),
        amsgrad=group["amsgrad"],
        common=law.key == "smooth_sqrt"
        and not group["amsgrad"]
        and group["speed_unit"] != "relative"
        and (decoupled or penalty == 0),
    )


def _pieces(counts: Sequence[int]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return tensor, first entry and end of every piece, and each tensor's first piece.

    A tensor without entries has a piece too; after the last first piece comes their number.
    """
    entries = np.array(counts, dtype=np.int64)
    pieces = np.maximum(-(-entries // PIECE), 1)
    firsts = np.append(0, np.cumsum(pieces))
    tensors = np.repeat(np.arange(len(counts)), pieces)
    lows = (np.arange(firsts[-1]) - firsts[tensors]) * PIECE
    ends = np.minimum(lows + PIECE, entries[tensors])
    return np.stack([tensors, lows, ends], axis=1), firsts


_pools: dict[tuple[int, int], ThreadPoolExecutor] = {}


def _pool() -> ThreadPoolExecutor:
    """Return threads of this process: those of its parent have not come through a fork."""
    key = (os.getpid(), torch.get_num_threads())
    if key not in _pools:
        _pools.clear()
        _pools[key] = ThreadPoolExecutor(key[1])
    return _pools[key]
