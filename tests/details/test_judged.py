"""Which steps are known to stay finite, and what is left of those that did not."""

import copy
import math
from typing import Any

import pytest
import torch

from tests.cases import Options
from tests.details.few import (
    gradient,
    leaf,
)
from torch_impl import Gravity, RelativisticAdam

FINITE: Options = {"lr": 1e-3, "eps": 1e-8, "weight_decay": 0.0}


@pytest.mark.parametrize(
    ("options", "proven"),
    [
        ({}, True),
        ({"weight_decay": 0.5}, True),
        ({"weight_decay": 0.75}, False),
        ({"weight_decay": 0.5, "lr": 2.0}, True),
        ({"weight_decay": 0.5, "lr": 2.5}, False),
        ({"eps": 0.0}, False),
        ({"lr": torch.tensor(1e-3)}, False),
        ({"weight_decay": torch.tensor(0.0)}, False),
        ({"betas": (torch.tensor(0.9), torch.tensor(0.999))}, False),
        ({"law": "tanh"}, True),
        ({"law": "hard_clip"}, True),
        ({"betas": (0.0, 0.5), "lr": 2.0**17, "eps": 1.0}, True),
        ({"betas": (0.0, 0.5), "lr": 2.0**38, "eps": 1.0}, True),
        ({"betas": (0.0, 0.5), "lr": 2.0**39, "eps": 1.0}, False),
        ({"betas": (0.5, 0.5), "lr": 2.0**38, "eps": 1.0}, False),
        ({"betas": (0.5, 0.5), "lr": 2.0**38, "eps": 2.0}, True),
        ({"betas": (0.0, 0.5), "lr": (2 - 2.0**-23) * 2.0**38, "eps": 1.0}, True),
    ],
    ids=str,
)
def test_a_step_is_proven_finite_where_it_is(options: Options, proven: bool) -> None:
    """L = 2⁶³, and half a unit in the last place of the largest number is 2¹⁰³; one 4th is 2¹⁰²."""
    param = leaf(1.0, dtype=torch.float32)
    optimizer = RelativisticAdam([param], **{**FINITE, **options})
    assert optimizer._stays_finite(optimizer.param_groups[0]) is proven


def test_narrow_parameters_are_proven_by_their_own_numbers() -> None:
    for dtype, proven in ((torch.float16, False), (torch.bfloat16, True), (torch.complex64, True)):
        param = torch.ones(1, dtype=dtype, requires_grad=True)
        optimizer = RelativisticAdam([leaf(1.0), param])
        assert optimizer._stays_finite(optimizer.param_groups[0]) is proven
        assert optimizer._largest_gradient(param) == 2.0**63
    assert optimizer._largest_gradient(leaf(1.0)) == 2.0**511
    still = Gravity([leaf(1.0)])
    assert still._stays_finite(still.param_groups[0]) is False
    assert still._largest_gradient(leaf(1.0)) > 1e308
    with pytest.warns(UserWarning, match="monotone"):
        jumping = RelativisticAdam([leaf(1.0)], law="published")
    assert jumping._stays_finite(jumping.param_groups[0]) is False


def counted(optimizer: Any) -> tuple[int, int]:
    report = optimizer.speed_report()
    return report.skipped_steps, report.consecutive_skips


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("eps", [1e-8, 0.0])
def test_skipped_steps_are_counted_and_leave_nothing(eps: float, capturable: bool) -> None:
    """With ε = 0 a step is not known to stay finite, and 0/0 is not."""
    param = leaf(1.0, 2.0)
    optimizer = RelativisticAdam(
        [param], eps=eps, on_nonfinite="skip", telemetry=True, capturable=capturable
    )
    other = leaf(3.0)
    optimizer.add_param_group({"params": [other]})
    other.grad = gradient(1.0)
    expected = [(0, 0), (1, 1), (2, 2), (2, 0)]
    after = [True, False, False, True]
    grads = [gradient(1.0, 2.0), gradient(math.nan, 1.0), gradient(1.0, math.inf), gradient(2.0, 1)]
    for grad, counts, moves in zip(grads, expected, after, strict=True):
        param.grad = grad
        before = copy.deepcopy((param.detach(), other.detach(), optimizer.state_dict()["state"]))
        optimizer.step()
        assert counted(optimizer) == counts
        assert bool(optimizer.speed_report().tensors) is moves
        assert (not torch.equal(before[0], param.detach())) is moves
        if not moves:
            assert torch.equal(before[1], other.detach())
            assert optimizer.state[other]["step"] == before[2][1]["step"]
    if eps == 0:
        param.grad = gradient(1.0, 1.0)
        optimizer.add_param_group({"params": [third := leaf(1.0)]})
        third.grad = gradient(0.0)
        held = param.detach().clone()
        optimizer.step()
        assert counted(optimizer) == (3, 1)
        assert torch.equal(param.detach(), held)
        assert third.item() == 1.0
        assert not optimizer.speed_report().tensors
        assert (third in optimizer.state) is capturable


def test_without_a_policy_every_step_is_taken_and_none_is_judged() -> None:
    param = leaf(1.0)
    optimizer = RelativisticAdam([param])
    param.grad = gradient(math.nan)
    optimizer.step()
    assert math.isnan(param.item())
    assert counted(optimizer) == (0, 0)


@pytest.mark.parametrize("capturable", [False, True])
def test_a_square_that_the_state_does_not_hold_is_not_taken(capturable: bool) -> None:
    """1.25·2⁶³ has one that is finite in 32 bits, but is more than is promised to be."""
    param = leaf(1.0, dtype=torch.float32)
    optimizer = RelativisticAdam([param], on_nonfinite="skip", capturable=capturable)
    for factor, counts in ((1.0, (0, 0)), (1.25, (1, 1))):
        param.grad = gradient(factor * 2.0**63, dtype=torch.float32)
        optimizer.step()
        assert counted(optimizer) == counts


def test_a_step_that_is_proven_finite_takes_no_copy(monkeypatch: pytest.MonkeyPatch) -> None:
    copies: list[Any] = []
    monkeypatch.setattr("torch_impl.base.Snapshot", copies.append)
    param = leaf(1.0)
    optimizer = RelativisticAdam([param], on_nonfinite="skip")
    param.grad = gradient(1.0)
    optimizer.step()
    assert copies == []


def test_a_state_that_is_not_finite_before_a_proven_step_is_found() -> None:
    param = leaf(1.0)
    optimizer = RelativisticAdam([("w", param)], on_nonfinite="raise")
    param.grad = gradient(1.0)
    optimizer.step()
    optimizer.state[param]["exp_avg"].fill_(math.nan)
    message = "^after the step w is not finite; nothing has been changed"
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    assert optimizer.state[param]["step"] == 1


def test_too_many_skips_in_a_row_are_an_error() -> None:
    param = leaf(1.0)
    optimizer = RelativisticAdam([param], on_nonfinite="skip", max_consecutive_skips=1)
    param.grad = gradient(math.nan)
    optimizer.step()
    message = (
        "^2 consecutive steps were skipped, the last because the gradient of parameter 0 of group "
        "0 is not finite: expected at most max_consecutive_skips=1$"
    )
    with pytest.raises(RuntimeError, match=message):
        optimizer.step()
    with pytest.raises(
        RuntimeError, match=r"^2 consecutive steps were skipped, the last because a"
    ):
        optimizer.speed_report()
    copied = copy.deepcopy(optimizer)
    assert copied._skips.read() == (2, 2)
    assert copied._skips is not optimizer._skips
