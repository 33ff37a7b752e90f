"""One row per optimizer: what every generic test needs to know of it."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st
from torch.optim import Optimizer

import reference
from tests import strategies
from torch_impl import LAWS, Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.testing import Subject

Options = dict[str, Any]


def _without_reference(*_: Any, **__: Any) -> tuple[list[Any], list[Any]]:
    raise NotImplementedError("the control has no twin in the reference")


@dataclass(frozen=True)
class Case:
    """An optimizer, its twin in the reference and its arguments.

    Attributes
    ----------
    optimizer
        The torch.optim.Optimizer class.
    variants
        Options that every generic test is run for, by name.
    costly
        The variants that tests are run for which take long: one per mode.
    step
        The reference's step, which takes the options under the names of `renamed`.
    options
        Draws the other options.
    per_group
        The options that the reference takes one of per array.
    longest_step
        Bounds an entry's step, from the options and the largest gradient entry so far.
    errors
        Invalid options with the message expected.
    tolerance_of_tensors
        How far a step may be off where options or bias corrections are tensors: in the package
        they are float64, and some roundings differ.
    renamed
        Names of options in the reference where they differ, None for one it has not.
    """

    optimizer: Any
    variants: Mapping[str, Options]
    costly: Sequence[str]
    step: Callable[..., tuple[list[Any], list[Any]]] = _without_reference
    options: st.SearchStrategy[Options] = field(default_factory=st.nothing)
    per_group: Sequence[str] = ()
    longest_step: Callable[[Options, float], float] = lambda _options, _largest: math.inf
    errors: Sequence[tuple[Options, str]] = ()
    tolerance_of_tensors: float = 1e-13
    renamed: Mapping[str, str | None] = field(default_factory=dict)

    def subject(self, options: Options) -> Subject:
        """Return what checks take: strict, and without chance."""
        drawn = {"alpha": 0.0} if self.optimizer is Gravity else {}
        return Subject(self.optimizer, {**drawn, **options}, strict=True)

    def reference_options(self, options: Options) -> Options:
        """Return the options under the reference's names."""
        names = {name: self.renamed.get(name, name) for name in options}
        return {new: options[old] for old, new in names.items() if new is not None}


def number_errors(name: str, lowest: str, wrong: Sequence[Any]) -> list[tuple[Options, str]]:
    return [({name: value}, rf"{name}={value!r}: expected {lowest}") for value in wrong]


AT_LEAST_ZERO = (-1.0, math.nan, math.inf, 10**400, Fraction(1, 10), "1", None, True, 1j)
FRACTION = (-0.1, 1.0, 1.5, math.nan, "0.9", None)

SHARED_ERRORS = [
    *number_errors("lr", "a finite number >= 0", AT_LEAST_ZERO),
    *number_errors("weight_decay", "a finite number >= 0", AT_LEAST_ZERO),
    *number_errors("lr", "at most 3.4e+38", (1e39,)),
    *number_errors("weight_decay", "at most 3.4e+38", (1e39,)),
    *[
        error
        for flag in ("maximize", "capturable", "differentiable")
        for error in number_errors(flag, "True or False", (1, None, "yes"))
    ],
    *[
        error
        for flag in ("foreach", "fused")
        for error in number_errors(flag, "True, False, or None", (1, "yes"))
    ],
    *number_errors("on_nonfinite", "one of 'propagate', 'skip', 'raise'", ("stop", None, True)),
    *number_errors("max_consecutive_skips", "a number >= 1", (0, -1, math.nan, "3", None)),
    (
        {"on_nonfinite": "raise", "capturable": True},
        "on_nonfinite='raise' with capturable=True: expected 'skip' or 'propagate'",
    ),
    (
        {"on_nonfinite": "skip", "differentiable": True},
        "on_nonfinite='skip' with differentiable=True: expected 'propagate'",
    ),
    ({"lr": torch.ones(2)}, "Tensor lr must be 1-element"),
    ({"weight_decay": torch.ones(1, 2)}, "Tensor weight_decay must be 1-element"),
    (
        {"lr": torch.tensor(0.1), "foreach": True},
        "lr as a Tensor is not supported for capturable=False and foreach=True",
    ),
    ({"lr": torch.tensor(-1.0)}, "lr=-1.0: expected a finite number >= 0"),
]
"""Invalid options with the message expected; torch's own where torch forbids the same."""

CONTRADICTIONS: Sequence[tuple[Options, str]] = [
    ({"foreach": True, "fused": True}, "`fused` and `foreach` cannot be `True` together"),
    ({"fused": True, "differentiable": True}, "`fused` does not support `differentiable`"),
    ({"foreach": True, "differentiable": True}, "`foreach` does not support `differentiable`"),
]
"""Flags that no optimizer of the package takes together, with the RuntimeError expected."""

ADAM_ERRORS = [
    *SHARED_ERRORS,
    *number_errors("eps", "a finite number >= 0", AT_LEAST_ZERO),
    *number_errors("speed_limit", "a number > 0", (0.0, -0.1, math.nan, "c", None, False)),
    *number_errors("betas", "a pair of numbers", (0.9, None, "ab", (0.9,))),
    *[({"betas": (b, 0.999)}, r"betas\[0\]=.*: expected a number in \[0, 1\)") for b in FRACTION],
    *[({"betas": (0.9, b)}, r"betas\[1\]=.*: expected a number in \[0, 1\)") for b in FRACTION],
    ({"speed_limit": torch.ones(2)}, "Tensor speed_limit must be 1-element"),
    ({"speed_limit": torch.tensor(0.0)}, "speed_limit=0.0: expected a number > 0"),
    *[
        ({"betas": betas}, message)
        for betas, message in (
            ((0.9, torch.tensor(0.99)), "betas must be either both floats or both Tensors"),
            ((torch.tensor(0.9), 0.99), "betas must be either both floats or both Tensors"),
            ((torch.ones(2), torch.tensor(0.9)), "Tensor betas[0] must be 1-element"),
            ((torch.tensor(0.9), torch.ones(2)), "Tensor betas[1] must be 1-element"),
        )
    ],
    (
        {"betas": (torch.tensor(0.9), torch.tensor(0.99)), "foreach": True},
        "betas[0] as a Tensor is not supported for capturable=False and foreach=True",
    ),
    *number_errors("amsgrad", "True or False", (1, None)),
    *number_errors("relativistic_mode", "one of 'global', 'per_param'", ("tensor", None, 3)),
    *number_errors("adaptive_speed", "True or False", (0, "no")),
    *number_errors("speed_warmup_steps", "a finite number", (math.nan, math.inf, "many", None)),
    *number_errors("law", "one of 'newtonian', 'smooth_sqrt'", ("gamma", "Tanh", None)),
    *number_errors("speed_unit", "one of 'norm', 'rms', 'relative'", ("meter", None)),
    *number_errors("placement", "one of 'update', 'gradient'", ("both", None)),
    ({"placement": "gradient"}, "speed_limit is not given: expected a number > 0"),
    *number_errors("speed_follows_lr", "True or False", (1, None)),
    *number_errors("speed_reference_lr", "a number >= 0", (-1.0, math.nan, math.inf, "1")),
    (
        {"speed_follows_lr": True, "speed_reference_lr": 0.0},
        "speed_reference_lr=0.0: expected a finite number > 0",
    ),
    ({"speed_follows_lr": True, "lr": 0.0}, "lr=0 with speed_follows_lr=True"),
    (
        {"speed_limit": "auto", "differentiable": True},
        "speed_limit='auto' with differentiable=True: expected a number > 0",
    ),
    (
        {"speed_limit": "auto", "differentiable": torch.ones(3)},
        "differentiable=tensor([1., 1., 1.]): expected True or False",
    ),
    (
        {"speed_follows_lr": True, "placement": "gradient", "speed_limit": 1.0},
        "speed_follows_lr=True with placement='gradient'",
    ),
    (
        {"speed_limit": 1e-50},
        "speed_limit=1e-50: expected a number that is not 0 in torch.float32",
    ),
]

GRAVITY_ERRORS = [
    *SHARED_ERRORS,
    *number_errors("alpha", "a finite number >= 0", AT_LEAST_ZERO),
    *[({"beta": b}, r"beta=.*: expected a number in \[0, 1\)") for b in FRACTION],
    *number_errors("initial_step", "0 or 1", (-1, 2, 0.5, math.nan, None, True)),
    *number_errors("max_step_grad", "'inverse_max' or", (0.0, -1, math.nan, math.inf, "max", None)),
    *number_errors("generator", "a torch.Generator or None", (0, "seed")),
]

# A gradient limited to c·‖θ‖ must not cancel λθ: no c is drawn as readily as a round number.
ADAM_OPTIONS = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.0, 1e-4, 1e-2, 1.0, 10.0]),
        "betas": st.sampled_from([(0.9, 0.999), (0.0, 0.9), (0.5, 0.9), (0.9, 0.99)]),
        "eps": st.sampled_from([1e-8, 1e-3]),
        "speed_limit": st.one_of(strategies.speed_limits(1e-3, 1e3), st.just(math.inf)),
        "weight_decay": st.sampled_from([0, 0.07]),
        "amsgrad": st.booleans(),
        "adaptive_speed": st.booleans(),
        "speed_warmup_steps": st.sampled_from([-1, 0, 1, 5, 1000]),
        "speed_unit": st.sampled_from(["norm", "rms", "relative"]),
        "placement": st.sampled_from(["update", "gradient"]),
        "maximize": st.booleans(),
    }
)

GRAVITY_OPTIONS = st.fixed_dictionaries(
    {
        "lr": st.sampled_from([0.0, 1e-4, 1e-2, 1.0, 10.0]),
        "alpha": st.sampled_from([0.0, 1e-5]),
        "beta": st.sampled_from([0.0, 0.5, 0.9, 0.999]),
        "weight_decay": st.sampled_from([0, 0.1]),
        "maximize": st.booleans(),
    }
)


def _adam_longest_step(options: Options, _largest: float) -> float:
    """lr·√K ≤ 7.27·lr, for the pairs of betas above; K is Adam's own bound."""
    beta1, beta2 = options["betas"]
    k = beta2 * (1 - beta1) ** 2 / ((1 - beta2) * (beta2 - beta1**2))
    return float(options["lr"] * math.sqrt(k))


def _gravity_longest_step(options: Options, largest: float) -> float:
    """lr·|V|: |ζ| ≤ 0.56988 with the published m, |ζ| ≤ |g| with any; V₀ is below 1 unit."""
    zeta = min(largest, 0.57) if options["max_step_grad"] == "inverse_max" else largest
    return float(options["lr"] * max(1.0, zeta))


TORCH_ALONE = dict.fromkeys(
    ("foreach", "capturable", "differentiable", "fused", "on_nonfinite", "max_consecutive_skips")
)
"""Options about how to compute, which the reference has not."""

SCHEDULES = dict.fromkeys(("speed_follows_lr", "speed_reference_lr"))
"""Options that change c from step to step, which the reference is told anew in each."""


def _adam(optimizer: type[Optimizer], step: Callable[..., Any]) -> Case:
    return Case(
        optimizer=optimizer,
        step=step,
        variants={
            f"{law}-{mode}": {"law": law, "relativistic_mode": mode}
            for law in LAWS
            for mode in ("global", "per_param", "per_component")
        },
        costly=[f"smooth_sqrt-{mode}" for mode in ("global", "per_param", "per_component")],
        options=ADAM_OPTIONS,
        per_group=("lr", "speed_limit", "weight_decay"),
        longest_step=_adam_longest_step,
        errors=ADAM_ERRORS,
        renamed={"relativistic_mode": "mode", "speed_unit": "unit", **TORCH_ALONE, **SCHEDULES},
    )


def _gravity_step(
    params: list[Any], grads: list[Any], states: list[Any], **options: Any
) -> tuple[list[Any], list[Any]]:
    clock = {0: "keras", 1: "pytorch"}[options.pop("initial_step", 1)]
    return reference.gravity_step(params, grads, states, clock=clock, **options)


CASES: Mapping[str, Case] = {
    "RelativisticAdam": _adam(RelativisticAdam, reference.relativistic_adam_step),
    "RelativisticAdamW": _adam(RelativisticAdamW, reference.relativistic_adamw_step),
    "Gravity": Case(
        optimizer=Gravity,
        step=_gravity_step,
        variants={
            f"{m}-from-{t}": {"max_step_grad": m, "initial_step": t}
            for m in ("inverse_max", 0.5, 3)
            for t in (0, 1)
        },
        costly=["inverse_max-from-1", "0.5-from-0"],
        options=GRAVITY_OPTIONS,
        per_group=(),
        longest_step=_gravity_longest_step,
        errors=GRAVITY_ERRORS,
        renamed={"alpha": None, **TORCH_ALONE},
    ),
}


CONTROL: Mapping[str, Case] = {
    "AdamW": Case(
        optimizer=torch.optim.AdamW,
        variants={"plain": {}},
        costly=["plain"],
        tolerance_of_tensors=1e-3,  # they are binary32, in which 1 − 0.999ᵗ is off by 6e-5 at t = 1
    )
}
"""The peer that the tests of the contract are run on too: a test it fails says why."""

SUBJECTS: Mapping[str, Case] = {**CASES, **CONTROL}
"""What the contract is tested on."""


def float64(tensor: torch.Tensor | None) -> strategies.Array:
    """Return a copy of a tensor's values."""
    assert tensor is not None
    return np.asarray(tensor.detach().to(torch.float64, copy=True).numpy())


def initial_states(optimizer: Optimizer, params: Sequence[torch.Tensor]) -> list[Any]:
    """Return the reference's states before the first step, with V₀ shared where there is one."""
    if not isinstance(optimizer, Gravity):
        return [None] * len(params)
    states = []
    for group in optimizer.param_groups:
        for param in group["params"]:
            v0 = torch.randn_like(param) * group["velocity_std"]
            optimizer.state[param] = {"step": torch.tensor(0.0), "v": v0}
            states.append(reference.GravityState(0, float64(v0)))
    return states
