"""Faults of a step: gradients, parameters and calls that a training meets."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import NamedTuple

import torch
from torch import Tensor

from ..subject import Subject, normal
from .trial import AFTER, BEFORE, Trial, plain, stopped
from .verdict import SILENT_DAMAGE, SURVIVED, Verdict, of_error, words_of

RECOVERY = 50
"""Steps between a spike and when every entry has to go on.

Moments of a finite spike are forgotten in the end, infinite ones never. With `SHORT_MEMORY` from
the spike on, log₁₀ 3.4e38 = 39 steps do, where β₂ = 0.999 takes 80,000.
"""

SHORT_MEMORY = {"betas": (0.1, 0.1), "momentum": 0.1}
"""Options of groups from a spike on, of a trial and of its twin."""

PATIENCE = 101
"""One step more than a policy may skip in a row without a word."""


class DamageError(Exception):
    """Raised by a fault that sees the damage itself; its message says what is damaged."""


class PlannedError(Exception):
    """Raised by a closure."""


def _small(**more: Tensor) -> dict[str, Tensor]:
    """Return two parameters, and more; so small that no step is lost to their rounding."""
    return {"first": 0.01 * _normal((3, 4)), "second": 0.01 * _normal((5,)), **more}


def _normal(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
    return normal(shape, 7).to(dtype)


class Fault(NamedTuple):
    """Something that happens to an optimizer between two steps of a training.

    Attributes
    ----------
    happen
        Has it happen in a step of a trial, whose twin takes an ordinary one.
    words
        A pattern of which a clear error has a match.
    params
        Makes the parameters, for all of the training; the twin's are ordinary ones.
    before
        How many steps are taken before.
    scale
        Of the gradients.
    recovery
        How many steps are taken after it before every entry has to go on.
    """

    happen: Callable[[Trial], None] = Trial.step
    words: str = "$^"
    params: Callable[[], dict[str, Tensor]] = _small
    before: int = BEFORE
    scale: float = 1.0
    recovery: int = 0


def _second_gradient(trial: Trial) -> Tensor:
    gradient = trial.params["second"].grad
    assert gradient is not None  # noqa: S101
    return gradient


def _spike(value: float) -> Fault:
    """Return the fault of one gradient entry of the second parameter."""

    def happen(trial: Trial) -> None:
        trial.set_gradients()
        _second_gradient(trial)[2] = value
        trial.take()

    return Fault(
        happen,
        words=r"finite|\bnan\b|\binf\b|overflow",
        recovery=RECOVERY if math.isfinite(value) else 0,
    )


def _zeros(trial: Trial) -> None:
    for _ in range(BEFORE):
        trial.set_gradients()
        for param in trial.params.values():
            param.grad = torch.zeros_like(param)
        trial.take()


def _none(trial: Trial) -> None:
    before = trial.values()["second"]
    for _ in range(BEFORE):
        trial.set_gradients()
        trial.params["second"].grad = None
        trial.take()
    if not torch.equal(before, trial.values()["second"]):
        raise DamageError("a parameter without a gradient has been stepped")


def _sparse(trial: Trial) -> None:
    trial.set_gradients()
    trial.params["second"].grad = _second_gradient(trial).to_sparse()
    trial.take()


def _new() -> Tensor:
    """Return the parameter of a group that is added; the twin has it from the start."""
    return 0.01 * _normal((4,))


def _new_group(trial: Trial) -> None:
    new = _new().requires_grad_()
    trial.optimizer.add_param_group({"params": [new]})
    trial.params["new"] = new
    trial.step()


def _interrupted(trial: Trial) -> None:
    def closure() -> float:
        trial.set_gradients()
        raise PlannedError

    try:
        trial.optimizer.step(closure)
    except PlannedError:
        if changed := trial.changed():
            raise DamageError(changed) from None
    else:
        raise DamageError("the exception of a closure has been swallowed")


NOT_FINITE = {"NaN": math.nan, "inf": math.inf}
"""Gradient entries that are not finite, by name."""

FAULTS: Mapping[str, Fault] = {
    **{name: _spike(value) for name, value in (NOT_FINITE | {"1e38": 1e38, "1e20": 1e20}).items()},
    "float16 underflow": Fault(
        words="float16|half|dtype|finite",
        params=lambda: {name: param.half() for name, param in _small().items()},
        before=PATIENCE,
        scale=1e-6,
    ),
    "all-zero gradient": Fault(_zeros, before=0, words="zero"),
    "None": Fault(_none, before=0, words="none|no gradient|without a gradient"),
    "empty": Fault(params=lambda: _small(empty=torch.zeros(0, 3)), words="empty|no entries"),
    "0-d": Fault(params=lambda: _small(scalar=torch.tensor(0.01)), words="dimension|scalar|0-d"),
    "non-contiguous": Fault(
        params=lambda: _small(strided=(0.01 * _normal((4, 3))).t()), words="contiguous|stride"
    ),
    "sparse": Fault(_sparse, words="sparse"),
    "complex": Fault(
        params=lambda: _small(complex=0.01 * _normal((4, 3), torch.complex64) * (1 + 1j)),
        words="complex",
    ),
    "mixed dtypes": Fault(
        params=lambda: _small(
            double=0.01 * _normal((4,), torch.float64),
            narrow=0.01 * _normal((4,), torch.bfloat16),
        ),
        words="dtype|type|float64|bfloat16",
    ),
    "mixed devices": Fault(
        params=lambda: _small(elsewhere=torch.zeros(4, device="meta")), words="meta|device"
    ),
    "group added mid-run": Fault(_new_group, words="group"),
    "exception inside the closure": Fault(_interrupted),
}
"""The faults of a step, by name."""


def outcome(subject: Subject, fault: Fault) -> Verdict:
    """Return what an optimizer makes of a fault of a step.

    After a fault that has passed, all that the optimizer holds has to be finite, and every entry
    to go on as its twin's does; after a clear error it has to go on as if the step had not been
    asked for.
    """
    params = fault.params()
    judged = {name: p for name, p in params.items() if not p.is_meta and p.numel() > 0}
    formats = {name: param.dtype.to_real() for name, param in judged.items()}
    others = {name: plain(param) for name, param in judged.items()}
    if fault.happen is _new_group:
        others["new"] = _new()
    twin = Trial(subject, others, fault.scale, formats=formats)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trial = Trial(subject, params, fault.scale)
        except Exception as error:
            return of_error(error, fault.words, "")
        return _judged(trial, twin, fault)


def _judged(trial: Trial, twin: Trial, fault: Fault) -> Verdict:
    try:
        trial.step(fault.before)
        trial.last = trial.values()
        fault.happen(trial)
    except DamageError as seen:
        return Verdict(SILENT_DAMAGE, str(seen))
    except Exception as error:
        return of_error(error, fault.words, trial.changed() or _goes_on(trial, twin, fault))
    try:
        damage = _damage(trial, twin, fault)
    except Exception as error:
        return of_error(error, fault.words, trial.changed())
    return Verdict(SILENT_DAMAGE, damage) if damage else Verdict(SURVIVED)


def _damage(trial: Trial, twin: Trial, fault: Fault) -> str:
    """Return what is damaged after a fault that has passed; "" if nothing is."""
    twin.step(trial.taken)
    if fault.recovery:
        for one in (trial, twin):
            _shorten_memory(one)
            one.step(fault.recovery)
    motionless = stopped(trial, twin)
    return trial.not_finite() or motionless


def _shorten_memory(trial: Trial) -> None:
    for group in trial.optimizer.param_groups:
        group.update({name: value for name, value in SHORT_MEMORY.items() if name in group})


def _goes_on(trial: Trial, twin: Trial, fault: Fault) -> str:
    """Return what keeps a trial from going on as if a step had not been asked for."""
    if fault.happen is Trial.step:  # it is still there
        return ""
    try:
        trial.step(AFTER)
    except Exception as error:
        return f"in a later step {words_of(error)}"
    twin.step(fault.before + AFTER)
    for name, value in trial.values().items():
        if name in twin.params and not torch.equal(value, twin.values()[name]):
            return "some of the step had been taken"
    return ""
