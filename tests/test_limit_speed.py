"""`limit_speed` keeps any optimizer below its limit, and leaves everything else as it was."""

import copy
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import torch

import reference
from tests.live_bytes import LiveBytes
from tests.steps import PATHS, FailingSGD, normal
from torch_impl import LAWS, Gravity, RelativisticAdamW, limit_speed

SHAPES = [(4, 3), (5, 2), (1, 7)]
MODES = ["global", "per_param", "per_component"]
UNITS = ["norm", "rms", "relative"]

OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda params: torch.optim.SGD(params, lr=10.0, momentum=0.9, nesterov=True),
    "AdamW": lambda params: torch.optim.AdamW(params, lr=1.0),
    "RMSprop": lambda params: torch.optim.RMSprop(params, lr=1.0),
    "Adagrad": lambda params: torch.optim.Adagrad(params, lr=1.0),
    "Adafactor": lambda params: torch.optim.Adafactor(params, lr=1.0),
    "Muon": lambda params: torch.optim.Muon(params, lr=1.0),
    "Gravity": lambda params: Gravity(params, lr=10.0, alpha=0.0),
    "Lion of pytorch-optimizer": lambda params: pytorch_optimizer.Lion(params, lr=1.0),
}


def leaves(seed: int = 0, dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [normal(shape, seed + i, dtype).requires_grad_() for i, shape in enumerate(SHAPES)]


def give_gradients(params: list[torch.Tensor], step: int) -> None:
    for i, param in enumerate(params):
        param.grad = normal(param.shape, 100 * step + i, param.dtype) * 10.0 ** (step % 3)


def array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    return np.asarray(tensor.detach().to(torch.float64, copy=True).numpy())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_does_is_limited_as_the_reference_says(
    name: str, mode: str, unit: str
) -> None:
    """Against a twin whose parameters are put back to where the limited ones are."""
    params, free = leaves(), leaves()
    optimizer, twin = OPTIMIZERS[name](params), OPTIMIZERS[name](free)
    limit_speed(optimizer, 0.01, mode=mode, unit=unit)
    for step in range(5):
        before = [array(p) for p in params]
        for p, q in zip(params, free, strict=True):
            q.data.copy_(p.data)
        give_gradients(params, step)
        give_gradients(free, step)
        optimizer.step()
        twin.step()
        proposed = [b - array(q) for b, q in zip(before, free, strict=True)]
        applied = reference.limit(proposed, 0.01, params=before, mode=mode, unit=unit)
        for p, b, s in zip(params, before, applied, strict=True):
            np.testing.assert_allclose(array(p), b - s, rtol=0, atol=1e-14)


@PATHS
@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("law", LAWS)
@pytest.mark.filterwarnings("ignore:law=")
def test_on_adamw_it_is_relativistic_adamw(
    law: str, mode: str, placement: str, foreach: bool
) -> None:
    """To rounding, which `piecewise` amplifies a millionfold next to its pole."""
    params, own = leaves(), leaves()
    optimizer = torch.optim.AdamW(params, lr=0.1, weight_decay=0, foreach=foreach)
    options: dict[str, Any] = {"law": law, "placement": placement}
    limit_speed(optimizer, 0.05, mode=mode, unit="rms", **options)
    twin = RelativisticAdamW(
        own,
        0.1,
        speed_limit=0.05,
        weight_decay=0,
        relativistic_mode=mode,
        speed_unit="rms",
        foreach=foreach,
        **options,
    )
    for step in range(20):
        give_gradients(params, step)
        give_gradients(own, step)
        optimizer.step()
        twin.step()
    for p, q in zip(params, own, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-8 if law == "piecewise" else 1e-13)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
@pytest.mark.parametrize("mode", MODES)
def test_narrow_parameters_stay_below_the_limit(mode: str, dtype: torch.dtype) -> None:
    """Up to the rounding of θ itself, half a unit of its last place an entry."""
    params = leaves(dtype=dtype)
    optimizer = torch.optim.SGD(params, lr=1.0)
    limit_speed(optimizer, 0.25, mode=mode, unit="norm")
    for step in range(3):
        before = [p.detach().to(torch.float64) for p in params]
        give_gradients(params, step)
        optimizer.step()
        moved = [(p.detach().to(torch.float64) - b) for p, b in zip(params, before, strict=True)]
        sizes = {
            "global": [torch.cat([m.flatten() for m in moved]).norm()],
            "per_param": [m.norm() for m in moved],
            "per_component": [m.abs().max() for m in moved],
        }[mode]
        entries = 1 if mode == "per_component" else sum(p.numel() for p in params)
        largest = max(float(p.detach().abs().max()) for p in params)
        rounding = math.sqrt(entries) * largest * torch.finfo(dtype).eps
        assert max(map(float, sizes)) <= 0.25 + rounding
        assert max(map(float, sizes)) > 0.2


def test_complex_and_transposed_parameters_and_empty_ones() -> None:
    complex_ = torch.zeros(3, dtype=torch.complex128, requires_grad=True)
    transposed = torch.zeros(2, 5, dtype=torch.float64).t().requires_grad_()
    empty = torch.zeros(0, 2, requires_grad=True)
    scalar = torch.zeros((), requires_grad=True)
    params = [complex_, transposed, empty, scalar]
    optimizer = torch.optim.SGD(params, lr=1.0)
    limit_speed(optimizer, 1.0, law="hard_clip", unit="norm")
    complex_.grad = torch.tensor([3j, 4, 0], dtype=torch.complex128)
    transposed.grad = torch.ones_like(transposed)
    empty.grad, scalar.grad = torch.zeros_like(empty), torch.tensor(-9.0)
    optimizer.step()
    torch.testing.assert_close(complex_.detach(), -complex_.grad / 5)
    torch.testing.assert_close(transposed.detach(), -transposed.grad / math.sqrt(10))
    assert scalar.item() == 1


@pytest.mark.parametrize("placement", ["update", "gradient"])
def test_without_a_limit_nothing_changes_by_a_bit(placement: str) -> None:
    params, free = leaves(), leaves()
    optimizer, twin = torch.optim.AdamW(params, lr=0.1), torch.optim.AdamW(free, lr=0.1)
    limit_speed(optimizer, math.inf, placement=placement, telemetry=True)
    for step in range(3):
        give_gradients(params, step)
        give_gradients(free, step)
        optimizer.step()
        twin.step()
    for p, q in zip(params, free, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=0)


def test_gradients_are_the_users_own_again_after_the_step() -> None:
    params = leaves()
    optimizer = torch.optim.SGD(params, lr=1.0)
    limit_speed(optimizer, 1e-3, placement="gradient")
    give_gradients(params, 1)
    own = [(p.grad, p.grad.clone()) for p in params if p.grad is not None]
    before = [p.detach().clone() for p in params]
    optimizer.step()
    for p, b, (grad, values) in zip(params, before, own, strict=True):
        assert p.grad is grad
        assert torch.equal(grad, values)
        limited = (b - p.detach()).norm() / math.sqrt(p.numel())
        assert 0.9e-3 < limited <= 1e-3


def test_a_step_that_raises_gives_the_gradients_back_at_the_next() -> None:
    params = leaves()
    optimizer = FailingSGD(params, lr=1.0)
    handle = limit_speed(optimizer, 1e-3, placement="gradient")
    give_gradients(params, 0)
    own = [p.grad for p in params]
    with pytest.raises(KeyError, match="planned"):
        optimizer.step()
    optimizer.fails = False
    optimizer.step()
    assert all(p.grad is grad for p, grad in zip(params, own, strict=True))
    optimizer.fails = True
    with pytest.raises(KeyError, match="planned"):
        optimizer.step()
    handle.remove()
    assert all(p.grad is grad for p, grad in zip(params, own, strict=True))


def test_a_closure_is_limited_by_its_update_and_refused_for_gradients() -> None:
    (param,) = params = [torch.ones(2, requires_grad=True)]

    def closure() -> float:
        optimizer.zero_grad()
        loss: Any = (param * 100).sum()
        loss.backward()
        return float(loss.detach())

    optimizer = torch.optim.SGD(params, lr=1.0)
    handle = limit_speed(optimizer, 0.1, law="hard_clip")
    assert optimizer.step(closure) == 200
    torch.testing.assert_close(param.detach(), torch.full((2,), 0.9))
    handle.remove()
    limit_speed(optimizer, 0.1, placement="gradient")
    with pytest.raises(RuntimeError, match="placement='gradient': expected a step without a clos"):
        optimizer.step(closure=closure)
    torch.testing.assert_close(param.detach(), torch.full((2,), 0.9))


def test_unscaling_inside_the_step_is_refused_for_gradients() -> None:
    params = leaves()
    optimizer = torch.optim.AdamW(params, fused=True)
    limit_speed(optimizer, 0.1, placement="gradient")
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=8.0)
    scaler.scale(torch.stack([p.square().sum() for p in params]).sum()).backward()
    scaler.unscale_(optimizer)
    scaler.step(optimizer)
    scaler.update()
    with pytest.raises(RuntimeError, match="expected gradients that are unscaled before the step"):
        scaler.step(optimizer)


def test_a_grad_scaler_skips_and_unscales_as_ever() -> None:
    params, free = leaves(dtype=torch.float32), leaves(dtype=torch.float32)
    for leaf in (params, free):
        optimizer: torch.optim.Optimizer = torch.optim.AdamW(leaf, lr=0.1, weight_decay=0)
        if leaf is free:
            optimizer = RelativisticAdamW(
                leaf, 0.1, speed_limit=0.01, speed_unit="rms", weight_decay=0
            )
        else:
            limit_speed(optimizer, 0.01)
        scaler: Any = torch.amp.GradScaler("cpu", init_scale=8.0)
        for step in range(4):
            optimizer.zero_grad()
            loss = torch.stack([(p * normal(p.shape, step, p.dtype)).sum() for p in leaf]).sum()
            scaler.scale(loss * (math.inf if step == 1 else 1)).backward()
            scaler.step(optimizer)
            scaler.update()
    for p, q in zip(params, free, strict=True):
        torch.testing.assert_close(p, q, rtol=0, atol=1e-6)


def test_groups_have_limits_of_their_own_and_schedules_move_them() -> None:
    one, two = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    groups: list[dict[str, Any]] = [{"params": [one]}, {"params": [two], "speed_limit": 0.5}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    handle = limit_speed(optimizer, 0.25, law="hard_clip")
    late = torch.zeros(1, requires_grad=True)
    optimizer.add_param_group({"params": [late]})

    def moves() -> list[float]:
        before = [p.item() for p in (one, two, late)]
        for p in (one, two, late):
            p.grad = torch.tensor([-100.0])
        optimizer.step()
        return [p.item() - b for p, b in zip((one, two, late), before, strict=True)]

    assert moves() == [0.25, 0.5, 0.25]
    optimizer.param_groups[0]["speed_limit"] = 0.125
    optimizer.param_groups[2]["speed_limit"] = torch.tensor(0.0)
    assert moves() == [0.125, 0.5, 0.0]
    handle.remove()
    assert "speed_limit" not in optimizer.param_groups[0]
    assert optimizer.param_groups[1]["speed_limit"] == 0.5
    assert moves() == [100.0, 100.0, 100.0]
    limit_speed(optimizer, 0.25, law="hard_clip")
    assert moves() == [0.25, 0.5, 0.25]


def test_a_limit_follows_the_learning_rate() -> None:
    param = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([param], lr=0.5)
    limit_speed(optimizer, 0.25, law="hard_clip", speed_follows_lr=True)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.5)
    travelled = []
    for _ in range(4):
        before = param.item()
        param.grad = torch.tensor([-100.0])
        optimizer.step()
        scheduler.step()
        travelled.append(param.item() - before)
    assert travelled == [0.25, 0.125, 0.0625, 0.03125]


@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("limit", ["auto", 0.01])
def test_a_saved_handle_continues(limit: Any, placement: str) -> None:
    """Warm-up and measured sizes go on from where they were, as if nothing had happened."""
    options: dict[str, Any] = {"placement": placement, "adaptive_speed": True, "telemetry": True}

    def limited(params: list[torch.Tensor]) -> tuple[Any, Any]:
        optimizer = torch.optim.AdamW(params, lr=0.1)
        return optimizer, limit_speed(optimizer, limit, speed_warmup_steps=50, **options)

    def train(params: list[torch.Tensor], optimizer: Any, steps: range) -> None:
        for step in steps:
            give_gradients(params, step)
            optimizer.step()

    whole, half = leaves(), leaves()
    optimizer, _ = limited(whole)
    train(whole, optimizer, range(40))
    optimizer, handle = limited(half)
    train(half, optimizer, range(13))
    saved = copy.deepcopy((optimizer.state_dict(), handle.state_dict()))
    fresh = [p.detach().clone().requires_grad_() for p in half]
    optimizer = torch.optim.AdamW(fresh, lr=0.1)
    handle = limit_speed(optimizer, 3.0, placement=placement)
    optimizer.load_state_dict(saved[0])
    handle.load_state_dict(saved[1])
    train(fresh, optimizer, range(13, 40))
    for p, q in zip(whole, fresh, strict=True):
        assert torch.equal(p, q)
    assert handle.speed_report().tensors


def test_counters_and_limits_are_saved() -> None:
    params = leaves()
    optimizer = torch.optim.SGD(params, lr=1.0)
    handle = limit_speed(optimizer, 0.1, on_nonfinite="skip")
    give_gradients(params, 0)
    assert params[0].grad is not None
    params[0].grad[0, 0] = math.nan
    optimizer.step()
    optimizer.param_groups[0]["speed_limit"] = torch.tensor(0.2)
    saved = handle.state_dict()
    other = torch.optim.SGD(leaves(), lr=1.0)
    loaded = limit_speed(other, 0.1)
    loaded.load_state_dict(saved)
    report = loaded.speed_report()
    assert (report.skipped_steps, report.consecutive_skips) == (1, 1)
    assert other.param_groups[0]["speed_limit"] == torch.tensor(0.2)
    assert other.param_groups[0]["speed_limit"] is not saved["groups"][0]["speed_limit"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"more": 1}, "state_dict has keys"),
        ({"options": {}}, "options has keys"),
        ({"groups": []}, "groups has 0 entries: expected 1"),
        ({"groups": [{"speed_limit": -1, "speed_reference_lr": 1.0}]}, "speed_limit=-1: expected"),
        ({"state": {9: {}}}, "state 9 is"),
        ({"state": {0: {"proposed_sizes": torch.zeros(3)}}}, "state 0 is"),
        (
            {"state": {0: {"step": torch.tensor(1.0), "proposed_sizes": torch.zeros(3)}}},
            "expected 20",
        ),
    ],
)
def test_a_state_that_is_not_a_handles_is_refused(change: dict[str, Any], message: str) -> None:
    optimizer = torch.optim.SGD(leaves(), lr=1.0)
    handle = limit_speed(optimizer, 0.1)
    before = handle.state_dict()
    with pytest.raises(ValueError, match=message):
        handle.load_state_dict({**before, **change})
    assert handle.state_dict() == before


def test_the_state_of_another_placement_is_refused() -> None:
    optimizer = torch.optim.SGD(leaves(), lr=1.0)
    update = limit_speed(optimizer, 0.1)
    gradient = limit_speed(optimizer, 0.1, placement="gradient")
    with pytest.raises(ValueError, match="placement='update': expected 'gradient'"):
        gradient.load_state_dict(update.state_dict())


def test_gradients_and_updates_can_be_limited_together() -> None:
    param = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([param], lr=1.0)
    limit_speed(optimizer, 0.25, law="hard_clip")
    limit_speed(optimizer, 0.125, law="hard_clip", placement="gradient")
    param.grad = torch.tensor([-100.0])
    optimizer.step()
    assert param.item() == 0.125
    with pytest.raises(ValueError, match="has a speed limit with placement='update' already"):
        limit_speed(optimizer, 0.25)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"speed_limit": 0.0}, "speed_limit=0.0: expected a number > 0"),
        ({"speed_limit": "all"}, "speed_limit='all': expected a number > 0"),
        ({"law": "gamma"}, "law='gamma': expected one of"),
        ({"mode": "tensor"}, "mode='tensor': expected one of"),
        ({"unit": "meter"}, "unit='meter': expected one of"),
        ({"placement": "both"}, "placement='both': expected one of"),
        ({"on_nonfinite": "stop"}, "on_nonfinite='stop': expected one of"),
        ({"max_consecutive_skips": 0}, "max_consecutive_skips=0: expected a number >= 1"),
        ({"telemetry": 1}, "telemetry=1: expected True or False"),
        ({"placement": "gradient", "speed_follows_lr": True}, "speed_follows_lr=True with pl"),
        ({"speed_warmup_steps": math.nan}, "speed_warmup_steps=nan: expected"),
    ],
)
def test_bad_arguments_leave_the_optimizer_alone(options: dict[str, Any], message: str) -> None:
    optimizer = torch.optim.SGD(leaves(), lr=1.0)
    before = copy.deepcopy(optimizer.param_groups[0].keys() - {"params"})
    limit = options.pop("speed_limit", 0.1)
    with pytest.raises(ValueError, match=message):
        limit_speed(optimizer, limit, **options)
    assert optimizer.param_groups[0].keys() - {"params"} == before
    limit_speed(optimizer, 0.1)


def test_what_is_no_optimizer_or_has_a_limit_already_is_refused() -> None:
    with pytest.raises(ValueError, match=r"^optimizer is a str: expected a torch\.optim\.Opt"):
        limit_speed("AdamW", 0.1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="which has a speed limit of its own"):
        limit_speed(RelativisticAdamW(leaves()), 0.1)


def test_sparse_gradients_are_refused_before_anything_changes() -> None:
    param = torch.ones(3, requires_grad=True)
    optimizer = torch.optim.SGD([param], lr=1.0)
    limit_speed(optimizer, 0.1)
    param.grad = torch.ones(3).to_sparse()
    with pytest.raises(RuntimeError, match="SGD does not support sparse gradients"):
        optimizer.step()
    assert torch.equal(param.detach(), torch.ones(3))


def test_a_limit_that_fails_leaves_the_parameters_where_they_were(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    params = leaves()
    optimizer = torch.optim.SGD(params, lr=1.0)
    limit_speed(optimizer, 0.1)
    before = [p.detach().clone() for p in params]
    give_gradients(params, 0)

    def fail(*_: Any) -> None:
        raise MemoryError("planned")

    monkeypatch.setattr("torch_impl.limiter.limit_tensors", fail)
    with pytest.raises(MemoryError, match="planned"):
        optimizer.step()
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("mode", MODES)
def test_a_limit_costs_one_copy_of_what_it_limits(mode: str, placement: str) -> None:
    """Of the parameters or gradients, during a step; per component 7.5 of a tensor besides."""
    tensors, entries = 20, 10_000
    params = [torch.zeros(entries, requires_grad=True) for _ in range(tensors)]
    optimizer = torch.optim.SGD(params, lr=0.1)
    limit_speed(optimizer, 1e-3, mode=mode, placement=placement)
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        with LiveBytes() as memory:
            optimizer.step()
    more = 7.5 if mode == "per_component" else 0
    assert memory.peak <= (tensors + more) * entries * 4 + 300 * tensors
    assert memory.peak >= tensors * entries * 4


@pytest.mark.parametrize(("eps", "copies"), [(1e-8, 0), (0.0, 3)])
def test_a_step_that_stays_finite_is_watched_without_a_copy(eps: float, copies: int) -> None:
    """With ε = 0 it might not, and parameters and state are copied."""
    params = [torch.zeros(10_000, requires_grad=True) for _ in range(20)]
    optimizer = RelativisticAdamW(params, eps=eps, on_nonfinite="skip")
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        with LiveBytes() as memory:
            optimizer.step()
    assert copies * 20 * 40_000 <= memory.peak < (copies * 20 + 4) * 40_000
