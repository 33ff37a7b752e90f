"""What other tests of schedules would let change, on limits that can be added up."""

import math
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cases import Options
from tests.details.few import META, PATHS, gradient, leaf
from torch_impl import RelativisticAdam
from torch_impl.relativistic import _scope
from torch_impl.schedules import (
    MEASURED_STEPS,
    PUBLISHED_LIMIT,
    SIZES,
    check_given_limit,
    check_limit,
    check_schedule,
    following,
    remember_sizes,
    speed_limit_now,
)


def batch(steps: Sequence[float | Tensor] = (), sizes: Sequence[Tensor] = (), **group: Any) -> Any:
    """Return what schedules read of a batch, and where they write."""
    plain = {
        "speed_limit": 2.0,
        "speed_follows_lr": False,
        "adaptive_speed": False,
        "speed_warmup_steps": 4.0,
    }
    written: dict[str, list[Tensor]] = {}
    own = plain | group
    return SimpleNamespace(
        group=own,
        steps=list(steps),
        number=own.__getitem__,
        read={SIZES: list(sizes)}.__getitem__,
        write=written.__setitem__,
        written=written,
    )


def test_a_warm_up_is_a_number_where_all_count_alike_on_the_host() -> None:
    assert speed_limit_now(batch([1.0, 1.0], adaptive_speed=True)) == 0.5
    assert isinstance(speed_limit_now(batch([1.0, 1.0], adaptive_speed=True)), float)
    apart = speed_limit_now(batch([1.0, 2.0], adaptive_speed=True))
    assert isinstance(apart, Tensor)
    assert (apart.dtype, apart.tolist()) == (torch.float64, [0.5, 1.0])
    there = speed_limit_now(batch([torch.tensor(1.0)] * 2, adaptive_speed=True))
    assert isinstance(there, Tensor)
    assert there.tolist() == [0.5, 0.5]


def test_every_parameter_has_the_median_of_its_own_sizes() -> None:
    sizes = [torch.full((MEASURED_STEPS,), value) for value in (1.0, 3.0, 5.0)]
    sizes[2][-1] = 0.0  # is still to come
    limits = speed_limit_now(batch(sizes=sizes, speed_limit="auto"))
    assert isinstance(limits, Tensor)
    assert limits.tolist() == [4.0, 12.0, math.inf]


def test_sizes_are_remembered_where_they_are_kept() -> None:
    seen = batch(sizes=[torch.zeros(MEASURED_STEPS, device=META)])
    remember_sizes(seen, [torch.tensor(1.0)])
    assert [size.device for size in seen.written[SIZES]] == [META]


def test_a_limit_of_zero_is_one_that_a_schedule_has_led_to() -> None:
    check_limit(0.0, scheduled=True)
    expected = r"0 \(inf means no limit\), or 'auto'$"
    with pytest.raises(ValueError, match=f"^speed_limit=0.0: expected a number > {expected}"):
        check_limit(0.0)
    with pytest.raises(ValueError, match=f"^speed_limit=-1.0: expected a number >= {expected}"):
        check_limit(-1.0, scheduled=True)


def test_what_follows_a_rate_of_zero_is_zero_unless_it_is_infinite() -> None:
    assert following(2.0, 0.5, 0.25) == 4.0
    assert following(math.inf, 0.0, 0.25) == math.inf
    limits = torch.tensor([math.inf, 2.0], dtype=torch.float64)
    assert following(limits, 0.0, 0.25).tolist() == [math.inf, 0.0]  # type: ignore[union-attr]
    assert following(limits, 0.5, 0.25).tolist() == [math.inf, 4.0]  # type: ignore[union-attr]


def test_a_schedule_is_checked_where_it_is_given() -> None:
    valid: Options = {
        "speed_limit": "auto",
        "placement": "update",
        "adaptive_speed": True,
        "speed_warmup_steps": -5,
        "speed_follows_lr": True,
        "speed_reference_lr": 1e-300,
        "lr": 0.0,
    }
    check_schedule(valid)
    check_schedule({**valid, "speed_reference_lr": 0.0, "speed_follows_lr": False})
    check_schedule({**valid, "speed_reference_lr": None, "lr": 0.5})
    check_given_limit({"placement": "gradient", "speed_limit": 0.1})
    check_given_limit({"placement": "update", "speed_limit": PUBLISHED_LIMIT})
    for name in ("adaptive_speed", "speed_follows_lr"):
        with pytest.raises(ValueError, match=f"^{name}=1: expected True or False$"):
            check_schedule({**valid, name: 1})
    with pytest.raises(ValueError, match=r"^placement=3: expected one of 'update', 'gradient'$"):
        check_schedule({**valid, "placement": 3})
    with pytest.raises(ValueError, match=r"^speed_reference_lr=0: expected a finite number > 0$"):
        check_schedule({**valid, "speed_reference_lr": 0})


@pytest.mark.parametrize("path", ["single", "foreach", "capturable"])
@pytest.mark.parametrize("follows", [False, True])
def test_a_measured_limit_is_four_times_the_median(path: str, follows: bool) -> None:
    """Of twenty sizes 1, 2, …, 20, with one in between that is not one; c holds from the 22nd."""
    param = leaf(0.0)
    optimizer = RelativisticAdam(
        [param],
        lr=0.5,
        speed_limit="auto",
        placement="update" if follows else "gradient",
        betas=(0.0, 0.0),
        eps=0.0,
        speed_follows_lr=follows,
        speed_reference_lr=0.25,
        law="hard_clip",
        telemetry=True,
        **PATHS[path],
    )
    for step in range(21):
        size = 0.0 if step == 3 else float(step + (step < 3))
        optimizer.param_groups[0]["lr"] = 0.5 * size if follows else 0.5
        param.grad = gradient(1.0 if follows else size)
        optimizer.step()
    sizes = optimizer.state[param]["proposed_sizes"]
    scale = 0.25 if follows else 1.0  # u = lr at a rate of lr, hence 0.25 at the reference rate
    assert sizes.tolist() == [1.0 * 0.25] * 20 if follows else [*range(1, 4), *range(4, 21)]
    optimizer.param_groups[0]["lr"] = 0.5
    param.grad = gradient(1e6)
    optimizer.step()
    (row,) = optimizer.speed_report().tensors.values()
    c = 4 * 0.25 * 0.5 / 0.25 if follows else 4 * 10.5 * scale
    assert row.proposed_norm / row.ratio == pytest.approx(c)
    assert optimizer.state[param]["proposed_sizes"].tolist() == sizes.tolist()


def test_two_parameters_are_measured_apart() -> None:
    params = [leaf(0.0), leaf(0.0), leaf(0.0)]
    optimizer = RelativisticAdam(
        params[:2], lr=0.5, speed_limit="auto", placement="gradient", foreach=True
    )
    optimizer.add_param_group({"params": params[2:], "speed_limit": 3.0})
    for step in range(20):
        for param, size in zip(params, (1.0, 2.0, 4.0), strict=True):
            param.grad = gradient(size) if step or size != 2 else None
        optimizer.step()
    found = [optimizer.state[param].get("proposed_sizes") for param in params]
    assert found[0].tolist() == [1.0] * 20
    assert found[1].tolist() == [2.0] * 19 + [0.0]
    assert found[2] is None
    group = optimizer.param_groups[0]
    assert optimizer._is_measuring(group)
    for param in params:
        param.grad = None
    assert not optimizer._is_measuring(group)
    params[0].grad = gradient(1.0)
    assert not optimizer._is_measuring(group)
    assert optimizer._is_measuring({**group, "capturable": True})
    assert not optimizer._is_measuring(optimizer.param_groups[1])
    assert optimizer._buffer_keys(group) == ("exp_avg", "exp_avg_sq", "proposed_sizes")
    assert found[0].dtype == torch.float64


def test_sizes_of_divided_tensors_are_always_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    """For their processes have to agree."""
    optimizer = RelativisticAdam([leaf(0.0)], speed_limit="auto")
    assert not optimizer._is_measuring(optimizer.param_groups[0])
    monkeypatch.setattr("torch_impl.relativistic.is_distributed", lambda _: True)
    assert optimizer._is_measuring(optimizer.param_groups[0])


def test_a_group_says_how_it_is_limited_without_asking_the_device() -> None:
    c = torch.tensor(math.inf)
    for limit, law, limits in (
        (1.0, "tanh", True),
        (math.inf, "tanh", False),
        (c, "tanh", True),
        ("auto", "tanh", True),
        (1.0, "newtonian", False),
        (math.inf, "newtonian", False),
    ):
        optimizer = RelativisticAdam([leaf(0.0)], speed_limit=limit, law=law, speed_unit="rms")
        (group,) = optimizer.param_groups
        assert _scope(group) == (group["params"], "per_param", "rms", limits)


def test_sizes_are_kept_on_the_parameters_device() -> None:
    optimizer = RelativisticAdam([leaf(0.0)], speed_limit="auto")
    param = torch.zeros(2, device=META)
    (sizes,) = optimizer._new_buffers([param], optimizer.param_groups[0], SIZES)
    assert sizes.device == META


def test_warm_ups_of_several_counters_are_told_apart() -> None:
    for path in ("foreach", "capturable", "single"):
        params = [leaf(0.0), leaf(0.0)]
        optimizer = RelativisticAdam(
            params,
            lr=1e6,
            speed_limit=torch.tensor(1.0, dtype=torch.float64) if path == "capturable" else 1.0,
            law="hard_clip",
            adaptive_speed=True,
            speed_warmup_steps=4,
            **PATHS[path],
        )
        for step in range(6):
            params[0].grad = gradient(1.0)
            params[1].grad = gradient(1.0) if step >= 3 else None
            optimizer.step()
        assert params[0].item() == pytest.approx(-(0.25 + 0.5 + 0.75 + 3))
        assert params[1].item() == pytest.approx(-(0.25 + 0.5 + 0.75))
