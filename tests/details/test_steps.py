"""What other tests of steps would let change: three of them, on few numbers."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch

from tests.cases import CASES, Options, float64, initial_states
from tests.details.few import PATHS, gradient, leaf
from tests.steps import normal
from torch_impl import RelativisticAdam, RelativisticAdamW, pieces

SOME: Options = {"lr": 0.5, "betas": (0.5, 0.75), "eps": 0.25, "weight_decay": 0.125}
STEPS: Sequence[tuple[str, Options]] = [
    *(
        (name, {**SOME, "speed_limit": 0.25, **more})
        for name in ("RelativisticAdam", "RelativisticAdamW")
        for more in (
            {},
            {"relativistic_mode": "global", "speed_unit": "rms"},
            {"relativistic_mode": "per_component", "speed_unit": "relative"},
            {"amsgrad": True, "maximize": True, "law": "tanh"},
            {"adaptive_speed": True, "speed_warmup_steps": 3, "law": "hard_clip"},
            {"adaptive_speed": True, "speed_warmup_steps": 0},
            {"adaptive_speed": True, "speed_warmup_steps": 2, "relativistic_mode": "global"},
            {"placement": "gradient", "law": "hard_clip"},
            {"placement": "gradient", "relativistic_mode": "global", "speed_limit": 0.5},
            {"law": "newtonian"},
            {"speed_limit": math.inf, "relativistic_mode": "global"},
        )
    ),
    ("Gravity", {"lr": 0.5, "beta": 0.75}),
    ("Gravity", {"lr": 0.5, "beta": 0.75, "initial_step": 0, "weight_decay": 0.125}),
    ("Gravity", {"lr": 0.5, "beta": 0.75, "max_step_grad": 0.5, "maximize": True}),
]


@pytest.mark.parametrize(
    ("name", "options", "path"),
    [
        (name, options, path)
        for i, (name, options) in enumerate(STEPS)
        for path in (PATHS if name != "RelativisticAdamW" else [list(PATHS)[i % len(PATHS)]])
    ],
    ids=str,
)
def test_steps_are_those_of_the_reference(name: str, options: Options, path: str) -> None:
    """Three of two groups; one parameter begins a step later, another is left out of one."""
    case = CASES[name]
    values = [normal((2, 3), 1), normal(4, 2), normal(1, 3)]
    params = [value.clone().requires_grad_(path != "recorded") for value in values]
    second = {"lr": 0.25}
    groups: list[Options] = [{"params": params[:2]}, {"params": params[2:], **second}]
    if name == "Gravity":
        groups, options = [{"params": params}], {"alpha": 0.0, **options}
    optimizer = case.optimizer(groups, **options, **PATHS[path])
    states = initial_states(optimizer, params)
    thetas = [float64(value) for value in values]
    told = case.reference_options(options)
    if name != "Gravity":
        told["lr"] = [options["lr"]] * 2 + [second["lr"]]
    for step in range(3):
        grads: list[Any] = [
            2 * normal(value.shape, 10 * step + i) for i, value in enumerate(values)
        ]
        grads[0 if step == 0 else 1] = None if step < 2 else grads[1]
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        optimizer.step()
        given = [None if grad is None else float64(grad) for grad in grads]
        thetas, states = case.step(thetas, given, states, **told)
        for param, theta in zip(params, thetas, strict=True):
            np.testing.assert_allclose(float64(param), theta, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("name", CASES)
def test_steps_in_pieces_are_those_of_single_tensors(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = []
    steps = "take_gravity_steps" if name == "Gravity" else "take_adam_steps"
    original = getattr(pieces, steps)

    def noted(*args: Any, **options: Any) -> None:
        taken.append(args[1])
        original(*args, **options)

    monkeypatch.setattr(pieces, steps, noted)
    ends = []
    for foreach in (None, False):
        torch.manual_seed(0)
        param = normal(8, 1, torch.float32).requires_grad_()
        options = {} if name == "Gravity" else {"weight_decay": 0.5, "speed_limit": 0.01}
        optimizer = CASES[name].optimizer([param], lr=0.5, foreach=foreach, **options)
        for step in range(3):
            param.grad = normal(8, step, torch.float32)
            optimizer.step()
        ends.append(param.detach())
    assert [type(room) for room in taken] == [pieces.Room] * 3
    assert taken[0] is taken[2]
    torch.testing.assert_close(*ends, rtol=1e-5, atol=1e-6)


def test_a_law_without_a_limit_has_no_speed() -> None:
    param = leaf(1.0)
    param.grad = gradient(1.0)
    optimizer = RelativisticAdam([param], law="newtonian", speed_limit=1e-6, telemetry=True)
    optimizer.step()
    (row,) = optimizer.speed_report().tensors.values()
    assert (row.ratio, row.gain) == (0.0, 1.0)


def test_a_decay_by_the_whole_parameter_is_one() -> None:
    param = leaf(3.0)
    param.grad = gradient(0.0)
    RelativisticAdamW([param], lr=2.0, weight_decay=0.5).step()
    assert param.item() == 0.0
