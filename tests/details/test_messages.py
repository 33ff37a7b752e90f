"""A group that does not fit is refused word for word."""

import math
import re
from collections.abc import Sequence
from typing import Any

import pytest
import torch

from tests.cases import Options
from tests.details.few import leaf
from torch_impl import Gravity, RelativisticAdam

MESSAGES: Sequence[tuple[Any, Options, Options, str]] = [
    (
        RelativisticAdam,
        {},
        {"on_nonfinite": "skip"},
        "on_nonfinite='skip' in a group: expected the optimizer's 'propagate', since a step is "
        "skipped as a whole",
    ),
    (
        Gravity,
        {},
        {"max_consecutive_skips": 3},
        "max_consecutive_skips=3 in a group: expected the optimizer's 100, since a step is skipped "
        "as a whole",
    ),
    (
        RelativisticAdam,
        {},
        {"fused": True},
        "fused=True in a group: expected that of the first one, None",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_limit": 1e-50},
        "speed_limit=1e-50: expected a number that is not 0 in torch.float32, in which the update "
        "of a parameter of dtype torch.float32 is computed",
    ),
    (
        RelativisticAdam,
        {},
        {"eps": 1e39},
        "eps=1e+39: expected at most 3.4e+38, the largest number of torch.float32, in which the "
        "parameter is updated",
    ),
    (
        RelativisticAdam,
        {},
        {"lr": 2e38, "betas": (0.5, 0.999)},
        "lr/(1 - beta1)=4e+38: expected at most 3.4e+38, the largest number of torch.float32, in "
        "which the parameter is updated",
    ),
    (
        RelativisticAdam,
        {},
        {"weight_decay": 1e39},
        "weight_decay=1e+39: expected at most 3.4e+38, the largest number of torch.float32, in "
        "which the parameter is updated",
    ),
    (
        RelativisticAdam,
        {},
        {"lr": 1e39},
        "lr=1e+39: expected at most 3.4e+38, the largest number of torch.float32, in which the "
        "parameter is updated",
    ),
    (
        Gravity,
        {},
        {"velocity_std": 1e39},
        "velocity_std=1e+39: expected at most 3.4e+38, the largest number of torch.float32, in "
        "which the parameter is updated",
    ),
    (Gravity, {}, {"velocity_std": -1.0}, "velocity_std=-1.0: expected a finite number >= 0"),
    (
        RelativisticAdam,
        {},
        {"placement": "gradient"},
        "speed_limit is not given: expected a number > 0 in gradient units for "
        "placement='gradient', ten times a typical gradient for instance, or 'auto'",
    ),
    (
        RelativisticAdam,
        {"differentiable": True},
        {"speed_limit": "auto"},
        "speed_limit='auto' with differentiable=True: expected a number > 0, since what is "
        "measured has no derivative",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_follows_lr": True, "lr": 0},
        "lr=0 with speed_follows_lr=True: expected a learning rate > 0, or speed_reference_lr, the "
        "one at which speed_limit holds",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_follows_lr": True, "placement": "gradient", "speed_limit": 1.0},
        "speed_follows_lr=True with placement='gradient': expected False, since a limit in "
        "gradient units has nothing to do with the learning rate",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_limit": 0.0},
        "speed_limit=0.0: expected a number > 0 (inf means no limit), or 'auto'",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_reference_lr": -1.0},
        "speed_reference_lr=-1.0: expected a number >= 0",
    ),
    (
        RelativisticAdam,
        {},
        {"speed_warmup_steps": math.inf},
        "speed_warmup_steps=inf: expected a finite number",
    ),
    (
        Gravity,
        {},
        {"max_step_grad": 0.0},
        "max_step_grad=0.0: expected 'inverse_max' or a finite number > 0",
    ),
    (Gravity, {}, {"initial_step": 2}, "initial_step=2: expected 0 or 1"),
    (Gravity, {}, {"alpha": math.inf}, "alpha=inf: expected a finite number >= 0"),
    (RelativisticAdam, {}, {"eps": math.inf}, "eps=inf: expected a finite number >= 0"),
]


@pytest.mark.parametrize(("cls", "options", "group", "message"), MESSAGES, ids=str)
def test_a_group_that_does_not_fit_is_refused_word_for_word(
    cls: Any, options: Options, group: Options, message: str
) -> None:
    optimizer = cls([leaf(1.0, dtype=torch.float32)], **options)
    params = [leaf(1.0, dtype=torch.float32)]
    with pytest.raises((ValueError, RuntimeError), match=f"^{re.escape(message)}$"):
        optimizer.add_param_group({"params": params, **group})
    assert len(optimizer.param_groups) == 1
