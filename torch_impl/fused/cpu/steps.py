"""Steps of whole models on the CPU, by the kernels of `adam` and `gravity`, on torch's threads.

Notation: c the speed limit, η the learning rate, t the step, n entries, θ a parameter.
"""

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ...arguments import as_number
from ...laws import LAWS
from ...limit import UNITS
from ...schedules import following
from ..work import Scaling, Work
from . import adam, gravity
from .threads import Numbers, Tensors

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
        adam.begin(tensors.table, self.options, self.numbers)

    def take(self) -> None:
        """Take a step in which no block is larger than a tensor."""
        if self.options.entries:
            self.tensors.spread(self.measure)
        else:
            self.tensors.in_turn(self.whole, self.measure, self.settle, self.finish)

    def whole(self, firsts: Numbers) -> None:
        """Step tensors one after the other."""
        known = (self.options, self.numbers, self.squares, self.thetas, self.factors)
        adam.whole(self.tensors.table, self.tensors.work, firsts, *known)

    def measure(self, run: slice) -> None:
        """Advance the moments of pieces; limit the entries if each is its own block."""
        known = (self.options, self.numbers, self.squares[run], self.thetas[run], None)
        adam.measure(self.tensors.table, self.tensors.work[run], *known)

    def settle(self, firsts: Numbers) -> None:
        """Make the factors of tensors whose pieces are measured."""
        known = (self.options, self.numbers, self.squares, self.thetas, self.factors)
        adam.factors_of_tensors(self.tensors.work, firsts, *known)

    def finish(self, run: slice | Numbers) -> None:
        """Apply the updates of pieces with the factors that are known."""
        known = (self.options, self.numbers, self.factors[run], None)
        adam.finish(self.tensors.table, self.tensors.work[run], *known)


class Kernels:
    """The kernels of the CPU, which keep tables of tensors from step to step.

    Attributes
    ----------
    home
        "cpu".
    unscales
        False: a GradScaler does.
    """

    home = "cpu"
    unscales = False

    def __init__(self) -> None:
        self._tensors: dict[int, Tensors] = {}

    def take_adam_steps(self, works: Sequence[Work], _scaling: Scaling, *, decoupled: bool) -> None:
        """Take the step of every group of RelativisticAdam(W)."""
        tensors = self._tensors_of(works)
        take_adam_steps([AdamStep(w.group, t, decoupled=decoupled) for w, t in tensors])

    def take_gravity_steps(self, works: Sequence[Work], _scaling: Scaling) -> None:
        """Take the step of every group of Gravity."""
        for work, tensors in self._tensors_of(works):
            take_gravity_step(work.group, tensors)

    def _tensors_of(self, works: Sequence[Work]) -> list[tuple[Work, Tensors]]:
        """Return the tensors of every group, those kept where nothing else has changed."""
        kept = self._tensors
        self._tensors = {work.number: _followed(work, kept.get(work.number)) for work in works}
        return [(work, self._tensors[work.number]) for work in works]


def _followed(work: Work, kept: Tensors | None) -> Tensors:
    return kept if kept is not None and kept.follow(work) else Tensors(work)


def take_adam_steps(steps: Sequence[AdamStep]) -> None:
    """Take the step of every group, those whose blocks are the model with one norm."""
    for step in steps:
        if not step.together:
            step.take()
    together = [step for step in steps if step.together]
    weighs = any(step.options.weighs for step in together)  # the block is the whole model
    for step in together:
        step.options = step.options._replace(weighs=weighs)
        step.tensors.spread(step.measure)
    square = math.fsum(x for step in together for x in step.squares)
    theta = math.fsum(x for step in together for x in step.thetas)
    count = sum(n for step in together for n in step.tensors.counts)
    for step in together:
        adam.factors_of_model(
            step.tensors.work, step.options, step.numbers, square, theta, count, step.factors
        )
        step.tensors.spread(step.finish)


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
    table, work = tensors.table, tensors.work
    gravity.begin(table, options, numbers)

    def whole(firsts: Numbers) -> None:
        gravity.whole(table, work, firsts, options, numbers, largest)

    def measure(run: slice) -> None:
        gravity.peaks(table, work[run], options, largest[run])

    def settle(firsts: Numbers) -> None:
        gravity.scales_of_tensors(work, firsts, options, numbers, largest)

    def finish(run: Numbers) -> None:
        gravity.advance(table, work[run], options, numbers)

    tensors.in_turn(whole, measure, settle, finish)


def _adam(group: dict[str, Any], *, decoupled: bool) -> Adam:
    beta1, beta2 = map(as_number, group["betas"])
    lr, penalty = as_number(group["lr"]), as_number(group["weight_decay"])
    law, mode = LAWS[group["law"]], group["relativistic_mode"]
    limit = as_number(group["speed_limit"]) if law.limits else math.inf
    if group["speed_follows_lr"] and law.limits:
        limit = float(following(limit, lr, group["speed_reference_lr"]))
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
        entries=mode == "per_component" or (mode == "per_param" and math.isinf(limit)),
        amsgrad=group["amsgrad"],
        common=law.key == "smooth_sqrt"
        and not group["amsgrad"]
        and group["speed_unit"] != "relative"
        and (decoupled or penalty == 0),
    )
