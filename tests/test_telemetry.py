"""A speed report says what was proposed and applied, and asks the device for it only when read."""

import math
from typing import Any

import numpy as np
import pytest
import torch

import reference
from tests.steps import PATHS, normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, limit_speed

NAMES = ["first", "second", "third"]
SHAPES = [(4, 3), (5,), ()]


def leaves(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    return [normal(s, i + 1, dtype).requires_grad_() for i, s in enumerate(SHAPES)]


def array(tensor: torch.Tensor | None) -> np.ndarray:
    assert tensor is not None
    return np.asarray(tensor.detach().to(torch.float64, copy=True).numpy())


@PATHS
@pytest.mark.parametrize("attached", [False, True], ids=["own", "limit_speed"])
@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
def test_a_report_is_what_the_reference_computes(
    mode: str, unit: str, placement: str, attached: bool, foreach: bool
) -> None:
    params = leaves()
    named = list(zip(NAMES, params, strict=True))
    c = 0.3
    reporter: Any
    optimizer: torch.optim.Optimizer
    if attached:
        optimizer = torch.optim.AdamW(named, 0.1, weight_decay=0, foreach=foreach)
        reporter = limit_speed(
            optimizer, c, mode=mode, unit=unit, placement=placement, telemetry=True
        )
    else:
        optimizer = reporter = RelativisticAdamW(
            named,
            0.1,
            weight_decay=0,
            speed_limit=c,
            relativistic_mode=mode,
            speed_unit=unit,
            placement=placement,
            telemetry=True,
            foreach=foreach,
        )
    for i, param in enumerate(params):
        param.grad = normal(param.shape, 10 + i)
    thetas = [array(p) for p in params]
    grads = [array(p.grad) for p in params]
    proposed = [reference.adam_direction(g, lr=0.1)[0] for g in grads]
    if placement == "gradient":
        proposed = grads
    optimizer.step()
    report = reporter.speed_report()
    applied = reference.limit(proposed, c, params=thetas, mode=mode, unit=unit)
    ratios = reference.speed_ratios(proposed, c, params=thetas, mode=mode, unit=unit)
    assert list(report.tensors) == NAMES
    rows = zip(report.tensors.values(), proposed, applied, ratios, thetas, strict=True)
    for row, u, s, r, theta in rows:
        n = u.size
        expected = {
            "proposed_norm": np.linalg.norm(u),
            "proposed_rms": np.linalg.norm(u) / math.sqrt(n),
            "applied_norm": np.linalg.norm(s),
            "applied_rms": np.linalg.norm(s) / math.sqrt(n),
            "ratio": np.max(r),
            "gain": np.linalg.norm(s) / np.linalg.norm(u),
            "saturated": np.mean(r >= 1),
            "applied_to_param": np.linalg.norm(s) / np.linalg.norm(theta),
        }
        for name, value in expected.items():
            assert getattr(row, name) == pytest.approx(float(value), rel=1e-9), name


def test_tensors_without_a_gradient_and_steps_without_telemetry_are_not_reported() -> None:
    params = leaves()
    optimizer = RelativisticAdam(params, telemetry=True)
    assert optimizer.speed_report().tensors == {}
    params[1].grad = torch.ones_like(params[1])
    optimizer.step()
    assert list(optimizer.speed_report().tensors) == ["parameter 1 of group 0"]
    optimizer = RelativisticAdam(params)
    optimizer.step()
    report = optimizer.speed_report()
    assert (report.tensors, report.skipped_steps, report.consecutive_skips) == ({}, 0, 0)
    assert Gravity(params).speed_report().tensors == {}


@pytest.mark.parametrize("law", ["newtonian", "smooth_sqrt"])
def test_without_a_limit_the_ratio_is_zero(law: str) -> None:
    (param,) = [torch.ones(2, requires_grad=True)]
    for mode in ("global", "per_param", "per_component"):
        optimizer = RelativisticAdam(
            [param], 0.5, speed_limit=math.inf, law=law, relativistic_mode=mode, telemetry=True
        )
        param.grad = torch.ones(2)
        optimizer.step()
        (row,) = optimizer.speed_report().tensors.values()
        assert (row.ratio, row.gain, row.saturated) == (0, 1, 0)
        assert row.proposed_rms == pytest.approx(0.5)


def test_empty_zero_and_complex_tensors_have_a_report() -> None:
    params = [
        torch.zeros(0, 2, requires_grad=True),
        torch.zeros(2, requires_grad=True),
        torch.ones(2, dtype=torch.complex64, requires_grad=True),
    ]
    for mode in ("global", "per_param", "per_component"):
        optimizer = RelativisticAdam(params, 0.5, relativistic_mode=mode, telemetry=True)
        for param in params[:2]:
            param.grad = torch.zeros_like(param)
        params[2].grad = torch.tensor([1 + 1j, 1 - 1j], dtype=torch.complex64)
        optimizer.step()
        empty, zero, pair = optimizer.speed_report().tensors.values()
        for row in (empty, zero):
            assert (row.proposed_norm, row.applied_norm, row.gain) == (0, 0, 1)
        assert pair.proposed_norm == pytest.approx(1.0, rel=1e-6)
        assert pair.proposed_rms == pytest.approx(0.5, rel=1e-6)


@PATHS
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
def test_nothing_is_read_from_the_device_until_the_report_is(
    mode: str, foreach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = leaves()
    optimizer = RelativisticAdam(
        params, relativistic_mode=mode, telemetry=True, foreach=foreach, capturable=True
    )
    for param in params:
        param.grad = torch.ones_like(param)
    reads: list[str] = []

    def counted(name: str) -> Any:
        original = getattr(torch.Tensor, name)

        def read(*args: Any) -> Any:
            reads.append(name)
            return original(*args)

        return read

    for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu"):
        monkeypatch.setattr(torch.Tensor, name, counted(name))
    optimizer.step()
    assert reads == []
    optimizer.speed_report()
    assert reads == ["tolist"]


def test_a_skipped_step_reports_no_tensors() -> None:
    params = leaves()
    optimizer = RelativisticAdam(params, telemetry=True, on_nonfinite="skip")
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert optimizer.speed_report().tensors
    params[0].grad = params[0].detach() * math.nan
    optimizer.step()
    assert not optimizer.speed_report().tensors


def test_telemetry_changes_no_result() -> None:
    ends = []
    for telemetry in (False, True):
        params = leaves()
        optimizer = RelativisticAdamW(params, 0.1, telemetry=telemetry)
        for step in range(3):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i)
            optimizer.step()
        ends.append(params)
    assert all(torch.equal(p, q) for p, q in zip(*ends, strict=True))


def test_a_flat_report_has_one_number_a_key() -> None:
    params = leaves()
    optimizer = RelativisticAdam(zip(NAMES, params, strict=True), telemetry=True)
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    report = optimizer.speed_report()
    flat = report.flat("train/speed")
    assert flat["train/speed/ratio/second"] == report.tensors["second"].ratio
    assert flat["train/speed/skipped_steps"] == 0
    assert len(flat) == 8 * 3 + 2
    assert all(isinstance(value, float) for value in flat.values())
