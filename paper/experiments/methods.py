"""The methods that experiments compare: an optimizer with its options, clipping and schedule."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from paper.training import Run

Schedule = Literal["constant", "cosine"]


@dataclass(frozen=True)
class Method:
    """A way to train, up to the learning rate.

    Attributes
    ----------
    name
        What tables call it.
    optimizer
        Key of `paper.optimizers.OPTIMIZERS`.
    options
        Its arguments but for the learning rate.
    clip_norm
        Bound for clip_grad_norm_, None for no clipping.
    horizon
        Its argument that is told how many steps there will be, None for none.
    """

    name: str
    optimizer: str
    options: Mapping[str, Any] = field(default_factory=dict)
    clip_norm: float | None = None
    horizon: str | None = None

    def run(self, task: str, lr: float, seed: int, steps: int, schedule: Schedule) -> Run:
        """Return the run of this method on a task."""
        told = {} if self.horizon is None else {self.horizon: steps}
        return Run(
            method=self.name,
            task=task,
            optimizer=self.optimizer,
            options={**self.options, **told, "lr": lr},
            steps=steps,
            seed=seed,
            clip_norm=self.clip_norm,
            schedule=schedule,
            span=max(1, steps // POINTS),
        )


POINTS = 20
"""How many points of a loss curve are kept."""


def limited(
    speed_limit: float,
    *,
    law: str = "smooth_sqrt",
    unit: str = "rms",
    mode: str = "per_param",
    placement: str = "update",
    decayed: bool = False,
) -> Method:
    """Return a RelativisticAdam, named by its limit and by what is not usual of it.

    Parameters
    ----------
    speed_limit, law, unit, mode, placement
        c and the options of `RelativisticAdam`.
    decayed
        Whether c follows the learning rate.

    Notes
    -----
    It has no weight decay: AdamW's is in proportion to the learning rate, so that what is compared
    at rates three decades apart would also be decays three decades apart. Steps are fused where
    there is a kernel, which small models need to be trained in the time that torch's own take.
    """
    given = {"law": law, "mode": mode, "placement": placement}
    differs = [value for key, value in given.items() if value != _USUAL[key]]
    parts = [f"{unit} c = {speed_limit:g}", *differs, *(["decayed"] if decayed else [])]
    options = {
        "speed_limit": speed_limit,
        "law": law,
        "speed_unit": unit,
        "relativistic_mode": mode,
        "placement": placement,
        "speed_follows_lr": decayed,
        "fused": placement == "update",
    }
    return Method(f"limited, {', '.join(parts)}", "RelativisticAdam", options)


_USUAL = {"law": "smooth_sqrt", "mode": "per_param", "placement": "update"}


ADAMW = Method("AdamW", "AdamW")
CLIPPED = Method("AdamW + clip_grad_norm_", "AdamW", clip_norm=1.0)
UNDECAYED = Method(
    "AdamW + clip_grad_norm_, no decay", "AdamW", {"weight_decay": 0.0}, clip_norm=1.0
)
STABLE = Method("StableAdamW", "StableAdamW")
SPAM = Method("SPAM", "SPAM")
ADAGC = Method("AdaGC", "AdaGC")
GRAVITY = Method("Gravity", "Gravity", {"fused": True})
GRAVITIES = tuple(
    replace(GRAVITY, name=f"Gravity{name}", options={**GRAVITY.options, **options})
    for name, options in (
        ("", {}),
        (", α = 0", {"alpha": 0.0}),
        (", m = max|g|", {"max_step_grad": 1.0}),
        (", m = max|g|, α = 0", {"max_step_grad": 1.0, "alpha": 0.0}),
    )
)
"""Gravity as published and with the repaired m, each with and without its drawn V₀."""

PUBLISHED = limited(0.1, law="published", unit="norm")
"""relativistic-adam's law, unit, mode and limit."""

BASELINES = (
    Method("SGD with momentum", "SGD", {"momentum": 0.9}),
    Method("Adam", "Adam"),
    ADAMW,
    CLIPPED,
    Method("Adafactor", "Adafactor"),
    STABLE,
    Method("LAMB", "Lamb"),
    ADAGC,
    SPAM,
    Method("RAD", "RAD", horizon="max_iter"),
    Method("RGD", "RGD"),
    *GRAVITIES,
)
"""What is compared with, in the order of the tables."""

VARIANTS = (
    limited(1e-3),
    *(limited(1e-3, law=law) for law in ("published", "tanh", "hard_clip")),
    PUBLISHED,
    limited(0.1, unit="norm"),
    limited(1e-2, unit="relative"),
    *(limited(1e-3, mode=mode) for mode in ("global", "per_component")),
    limited(1e-2, placement="gradient"),
    replace(
        limited(1e-3), name="limited, rms c = 0.001, weight decay", optimizer="RelativisticAdamW"
    ),
)
"""Speed limits that differ in one thing each."""


def on_another(inner: Method, speed_limit: float) -> Method:
    """Return a method behind `limit_speed`, in the rms unit and per tensor."""
    return replace(
        inner,
        name=f"limit_speed on {inner.name}, rms c = {speed_limit:g}",
        optimizer=f"limited {inner.optimizer}",
        options={**inner.options, "limit": {"speed_limit": speed_limit}},
    )
