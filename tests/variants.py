"""Optimizers and options that every path but that of single tensors has to take the same way."""

import pytest

from tests.cases import CASES

MODES = ("global", "per_param", "per_component")

OPTIONS = [
    *(("RelativisticAdamW", {"speed_unit": "rms", "relativistic_mode": m}) for m in MODES),
    *(("RelativisticAdamW", {"speed_unit": "relative", "relativistic_mode": m}) for m in MODES),
    *(
        (name, {"amsgrad": True, "weight_decay": 0.3, "relativistic_mode": m})
        for name in ("RelativisticAdam", "RelativisticAdamW")
        for m in ("per_param", "per_component")
    ),
    ("RelativisticAdam", {"maximize": True, "adaptive_speed": True, "speed_warmup_steps": 2}),
    ("RelativisticAdam", {"betas": (0.0, 0.5), "eps": 1e-3, "speed_follows_lr": True}),
    ("Gravity", {"weight_decay": 0.3, "maximize": True}),
    ("Gravity", {"weight_decay": 0.3, "max_step_grad": 2.0}),
]
"""What the variants of the cases do not have."""

VARIANTS = [
    pytest.param(case, options, id=f"{name}-{variant}")
    for name, case in CASES.items()
    for variant, options in case.variants.items()
    if options.get("placement", "update") == "update"
] + [pytest.param(CASES[name], options, id=f"{name}-{options}") for name, options in OPTIONS]
