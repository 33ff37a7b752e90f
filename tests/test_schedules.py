"""c follows the learning rate through any scheduler, or is measured from the first steps."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch.optim import lr_scheduler

import reference
from tests.steps import PATHS, normal
from torch_impl import RelativisticAdam, RelativisticAdamW

MODES = ["global", "per_param", "per_component"]
UNITS = ["norm", "rms", "relative"]

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "ConstantLR": lambda o: lr_scheduler.ConstantLR(o, 0.5, 3),
    "LinearLR": lambda o: lr_scheduler.LinearLR(o, 0.25, total_iters=4),
    "ExponentialLR": lambda o: lr_scheduler.ExponentialLR(o, 0.7),
    "StepLR": lambda o: lr_scheduler.StepLR(o, 2),
    "CosineAnnealingLR": lambda o: lr_scheduler.CosineAnnealingLR(o, 6),
    "LambdaLR": lambda o: lr_scheduler.LambdaLR(o, lambda t: 1 / (1 + t)),
    "CyclicLR": lambda o: lr_scheduler.CyclicLR(o, 0.01, 0.3, 3, cycle_momentum=False),
    "OneCycleLR": lambda o: lr_scheduler.OneCycleLR(o, 0.3, total_steps=10, cycle_momentum=False),
}


def leaves(sizes: tuple[int, ...] = (3, 4)) -> list[torch.Tensor]:
    return [normal(n, n).requires_grad_() for n in sizes]


def give_gradients(params: list[torch.Tensor], step: int) -> None:
    for i, param in enumerate(params):
        param.grad = normal(param.shape, 50 * step + i)


def array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    return np.asarray(tensor.detach().numpy()).copy()


@PATHS
@pytest.mark.parametrize("name", SCHEDULERS)
def test_c_follows_the_learning_rate_of_every_scheduler(name: str, foreach: bool) -> None:
    """The reference is told c·lr_t/lr_ref in each step; lr_ref is 0.1, where c is to hold."""
    params = leaves()
    optimizer = RelativisticAdamW(
        params,
        lr=0.1,
        speed_limit=0.05,
        speed_follows_lr=True,
        speed_reference_lr=0.1,
        foreach=foreach,
    )
    scheduler = SCHEDULERS[name](optimizer)
    thetas, states = [array(p) for p in params], None
    seen = set()
    for step in range(8):
        give_gradients(params, step)
        lr = optimizer.param_groups[0]["lr"]
        seen.add(lr)
        thetas, states = reference.relativistic_adamw_step(
            thetas,
            [array(p.grad) for p in params],
            states,
            lr=lr,
            speed_limit=0.05 * lr / 0.1,
        )
        optimizer.step()
        scheduler.step()
    assert len(seen) > 1
    for p, theta in zip(params, thetas, strict=True):
        np.testing.assert_allclose(array(p), theta, rtol=1e-12, atol=1e-14)


def test_the_reference_rate_is_that_of_the_group_when_it_is_added() -> None:
    one, two, three = leaves((1, 1, 1))
    groups: list[dict[str, Any]] = [{"params": [one]}, {"params": [two], "lr": 0.5}]
    optimizer = RelativisticAdam(groups, lr=0.1)
    assert [g["speed_reference_lr"] for g in optimizer.param_groups] == [0.1, 0.5]
    optimizer.param_groups[0]["lr"] = 9.0
    optimizer.add_param_group({"params": [three], "lr": torch.tensor(0.25)})
    assert [g["speed_reference_lr"] for g in optimizer.param_groups] == [0.1, 0.5, 0.25]
    loaded = RelativisticAdam([{"params": [p]} for p in leaves((1, 1, 1))], lr=7.0)
    loaded.load_state_dict(optimizer.state_dict())
    assert [g["speed_reference_lr"] for g in loaded.param_groups] == [0.1, 0.5, 0.25]


def test_a_state_from_before_there_was_a_reference_rate_leaves_the_groups_own() -> None:
    saved = RelativisticAdam(leaves(), lr=0.3).state_dict()
    for name in ("speed_reference_lr", "speed_follows_lr", "placement", "on_nonfinite"):
        del saved["param_groups"][0][name]
    loaded = RelativisticAdam(leaves(), lr=7.0)
    loaded.load_state_dict(saved)
    assert loaded.param_groups[0]["lr"] == 0.3
    assert loaded.param_groups[0]["speed_reference_lr"] == 7.0


def test_infinity_stays_and_a_rate_of_zero_stops() -> None:
    limits: list[float | torch.Tensor] = [math.inf, torch.tensor(math.inf)]
    for limit in limits:
        params, free = leaves(), leaves()
        optimizer = RelativisticAdam(params, 0.1, speed_limit=limit, speed_follows_lr=True)
        twin = torch.optim.Adam(free, 0.1)
        for step, lr in enumerate((0.1, 0.0, 0.2)):
            for o in (optimizer, twin):
                o.param_groups[0]["lr"] = lr
            give_gradients(params, step)
            give_gradients(free, step)
            optimizer.step()
            twin.step()
        for p, q in zip(params, free, strict=True):
            torch.testing.assert_close(p, q, rtol=1e-12, atol=1e-14)
    (param,) = leaves((3,))
    optimizer = RelativisticAdam([param], 0.1, speed_follows_lr=True)
    optimizer.param_groups[0]["lr"] = 0.0
    before = param.detach().clone()
    give_gradients([param], 0)
    optimizer.step()
    assert torch.equal(param.detach(), before)


@PATHS
@pytest.mark.parametrize("capturable", [False, True], ids=["host", "capturable"])
@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("mode", MODES)
def test_a_measured_limit_is_four_times_the_median_of_twenty_sizes(
    mode: str, unit: str, placement: str, capturable: bool, foreach: bool
) -> None:
    """Sizes are the reference's speed ratios at c = 1, of an entry their tensor's typical one."""
    params = leaves()
    optimizer = RelativisticAdamW(
        params,
        lr=0.1,
        speed_limit="auto",
        weight_decay=0,
        relativistic_mode=mode,
        speed_unit=unit,
        placement=placement,
        foreach=foreach,
        capturable=capturable,
    )
    thetas, states = [array(p) for p in params], None
    sizes: list[list[float]] = []
    for step in range(30):
        give_gradients(params, step)
        grads = [array(p.grad) for p in params]
        directions = [
            reference.adam_direction(g, None if states is None else states[i], lr=0.1)[0]
            for i, g in enumerate(grads)
        ]
        limited = grads if placement == "gradient" else directions
        if mode == "per_component":  # of a typical entry: the root mean squares of u and θ
            typical = [[math.sqrt(np.mean(u**2))] for u in limited]
            about = [[math.sqrt(np.mean(theta**2))] for theta in thetas]
            ratios = reference.speed_ratios(typical, 1.0, params=about, mode=mode, unit=unit)
            sizes.append([r.item() for r in ratios])
        else:
            ratios = reference.speed_ratios(limited, 1.0, params=thetas, mode=mode, unit=unit)
            sizes.append([float(r) for r in ratios])
        measured = 4 * np.median(sizes[:20], axis=0)
        c = [math.inf] * len(params) if step < 20 else list(map(float, measured))
        thetas, states = reference.relativistic_adamw_step(
            thetas,
            grads,
            states,
            lr=0.1,
            speed_limit=c,
            weight_decay=0,
            mode=mode,
            unit=unit,
            placement=placement,
        )
        optimizer.step()
        for p, theta in zip(params, thetas, strict=True):
            np.testing.assert_allclose(array(p), theta, rtol=1e-10, atol=1e-12)


def test_a_measured_limit_ignores_steps_without_an_update_and_outliers() -> None:
    (param,) = leaves((3,))
    optimizer = RelativisticAdam([param], placement="gradient", speed_limit="auto", telemetry=True)
    for step in range(26):
        size = 0.0 if step < 6 else 1e6 if step < 15 else 2.0  # 9 of the 20 that count are huge
        param.grad = torch.full((3,), size / math.sqrt(3), dtype=torch.float64)
        optimizer.step()
    param.grad = torch.full((3,), 8 / math.sqrt(3), dtype=torch.float64)
    optimizer.step()
    (row,) = optimizer.speed_report().tensors.values()
    assert row.ratio == pytest.approx(1.0)
    (still,) = leaves((2,))
    optimizer = RelativisticAdam([still], speed_limit="auto", telemetry=True)
    for step in range(60):
        still.grad = torch.ones(2, dtype=torch.float64) * (step >= 30)
        optimizer.step()
        (row,) = optimizer.speed_report().tensors.values()
        assert (row.ratio > 0) == (step >= 50)  # a layer that thaws late is measured then


def test_under_a_warm_up_a_measured_limit_is_that_at_the_reference_rate() -> None:
    params = leaves()
    optimizer = RelativisticAdam(
        params, 0.1, speed_limit="auto", speed_follows_lr=True, telemetry=True
    )
    constant = leaves()
    twin = RelativisticAdam(constant, 0.1, speed_limit="auto", telemetry=True)
    for step in range(22):
        optimizer.param_groups[0]["lr"] = 0.1 * min(1, (step + 1) / 21)
        give_gradients(params, step)
        give_gradients(constant, step)
        optimizer.step()
        twin.step()
    ratios = [[row.ratio for row in o.speed_report().tensors.values()] for o in (optimizer, twin)]
    np.testing.assert_allclose(ratios[0], ratios[1], rtol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_measured_sizes_are_a_part_of_the_state(dtype: torch.dtype) -> None:
    """In the middle of the measurement and after it, and in full precision."""
    for until in (7, 24):
        whole = [p.detach().to(dtype).requires_grad_() for p in leaves()]
        optimizer = RelativisticAdamW(whole, 0.1, speed_limit="auto")

        def train(params: list[torch.Tensor], chosen: Any, steps: range) -> None:
            for step in steps:
                for i, param in enumerate(params):
                    param.grad = normal(param.shape, 50 * step + i).to(dtype)
                chosen.step()

        train(whole, optimizer, range(until))
        half = [p.detach().clone().requires_grad_() for p in whole]
        resumed = RelativisticAdamW(half, 9.0)
        resumed.load_state_dict(copy.deepcopy(optimizer.state_dict()))
        sizes = resumed.state[half[0]]["proposed_sizes"]
        assert sizes.dtype == torch.float64
        assert torch.equal(sizes, optimizer.state[whole[0]]["proposed_sizes"])
        train(whole, optimizer, range(until, 40))
        train(half, resumed, range(until, 40))
        assert all(torch.equal(p, q) for p, q in zip(whole, half, strict=True))


def test_measured_sizes_of_another_length_are_refused() -> None:
    optimizer = RelativisticAdamW(leaves(), 0.1, speed_limit="auto")
    params = [p for group in optimizer.param_groups for p in group["params"]]
    give_gradients(params, 0)
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][1]["proposed_sizes"] = torch.zeros(3)
    with pytest.raises(ValueError, match=r"state 'proposed_sizes' of parameter 1 .*expected 20"):
        optimizer.load_state_dict(saved)
