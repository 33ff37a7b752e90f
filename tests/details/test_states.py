"""What other tests of saved states would let change."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

import reference
from tests.cases import CASES, float64
from tests.details.few import (
    NAMES,
    gradient,
    leaf,
)
from torch_impl import Gravity, RelativisticAdam, pieces


@NAMES
def test_a_refused_state_leaves_no_hook_behind(name: str) -> None:
    param = leaf(1.0)
    optimizer = CASES[name].optimizer([param])
    hooks = [
        len(optimizer._optimizer_load_state_dict_pre_hooks),
        len(optimizer._optimizer_load_state_dict_post_hooks),
    ]
    for bad, message in (
        (3, r"^state_dict is 3: expected a dict$"),
        ({"state": {}}, r"^state_dict has keys \['state'\]: expected 'state' and 'param_groups'$"),
    ):
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(bad)
    optimizer.load_state_dict(optimizer.state_dict())
    assert hooks == [
        len(optimizer._optimizer_load_state_dict_pre_hooks),
        len(optimizer._optimizer_load_state_dict_post_hooks),
    ]


@NAMES
def test_more_or_fewer_groups_are_torchs_to_refuse(name: str) -> None:
    make = CASES[name].optimizer
    one, two = (make([{"params": [leaf(1.0)]} for _ in range(n)]) for n in (1, 2))
    for optimizer, state in ((one, two.state_dict()), (two, one.state_dict())):
        for group in state["param_groups"]:
            group.pop("speed_reference_lr", None)
        with pytest.raises(ValueError, match="different number of parameter groups"):
            optimizer.load_state_dict(state)


@NAMES
def test_a_loaded_state_keeps_what_depends_on_the_machine(name: str) -> None:
    param = leaf(1.0, dtype=torch.float32)
    saved = CASES[name].optimizer([param], lr=0.75).state_dict()
    (group,) = saved["param_groups"]
    group |= {"fused": True, "narrow_state": True, "stochastic_rounding": True}
    del group["weight_decay"]
    optimizer = CASES[name].optimizer([param], fused=False, weight_decay=0.25)
    optimizer.load_state_dict(saved)
    (loaded,) = optimizer.param_groups
    kept = {"fused": False, "narrow_state": False, "stochastic_rounding": False}
    assert {key: loaded[key] for key in kept} == kept
    assert (loaded["lr"], loaded["weight_decay"]) == (0.75, 0.25)
    assert group["fused"] is True


@NAMES
def test_loaded_options_are_checked_as_those_of_a_group(name: str) -> None:
    optimizer = CASES[name].optimizer([leaf(1.0)], lr=0.5)
    for options, message in (
        ({"maximize": 3}, "^maximize=3: expected True or False$"),
        ({"on_nonfinite": "raise"}, "^on_nonfinite='raise' in a group: expected the optimizer's"),
    ):
        saved = optimizer.state_dict()
        saved["param_groups"][0] |= options
        with pytest.raises(ValueError, match=message):
            optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["maximize"] is False


def test_a_limit_that_a_schedule_has_led_to_zero_is_loaded() -> None:
    saved = RelativisticAdam([leaf(1.0)]).state_dict()
    saved["param_groups"][0]["speed_limit"] = 0.0
    optimizer = RelativisticAdam([leaf(1.0)])
    optimizer.load_state_dict(saved)
    assert optimizer.param_groups[0]["speed_limit"] == 0.0


def test_buffers_are_loaded_in_their_own_precision() -> None:
    """torch.optim would round them to the parameter's dtype."""
    param = leaf(1.0, dtype=torch.bfloat16)
    param.grad = gradient(1 / 3, dtype=torch.bfloat16)
    optimizer = RelativisticAdam([param])
    for _ in range(3):
        optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    seen: list[Any] = []
    other = RelativisticAdam([leaf(1.0, dtype=torch.bfloat16)])
    other.register_load_state_dict_post_hook(
        lambda one: seen.append(next(iter(one.state.values()))["exp_avg"].dtype)
    )
    other.load_state_dict(saved)
    (state,) = other.state.values()
    assert state["exp_avg"].dtype == torch.float32
    assert torch.equal(state["exp_avg"], saved["state"][0]["exp_avg"])
    assert state["exp_avg"] is not saved["state"][0]["exp_avg"]
    assert seen == [torch.float32]  # it is whole when others look


@NAMES
def test_what_a_copy_lacks_takes_the_defaults(name: str) -> None:
    param = leaf(1.0)
    param.grad = gradient(1.0)
    optimizer = CASES[name].optimizer([param])
    optimizer.step()
    held = optimizer.__getstate__()
    for key in ("maximize", "weight_decay"):
        held["defaults"] = {k: v for k, v in held["defaults"].items() if k != key}
        held["param_groups"][0].pop(key)
    held["state"][param]["step"] = 4
    cls: Any = type(optimizer)
    fresh = cls.__new__(cls)
    fresh.__setstate__(held)
    default = {"RelativisticAdamW": 1e-2}.get(name, 0)
    assert fresh.defaults["weight_decay"] == fresh.param_groups[0]["weight_decay"] == default
    assert fresh.defaults["maximize"] is fresh.param_groups[0]["maximize"] is False
    assert "params" not in fresh.defaults
    assert "generator" not in fresh.defaults
    step = fresh.state[param]["step"]
    assert (step.dtype, step.item()) == (torch.float32, 4.0)
    assert fresh._skips is optimizer._skips
    assert fresh._kernels is None
    assert isinstance(fresh._room, pieces.Room)
    held["state"][param]["step"] = 4
    held["param_groups"][0]["capturable"] = True
    fresh.__setstate__(held)
    assert fresh.state[param]["step"].device == param.device
    fresh.step()
    assert fresh.speed_report().tensors == {}
    del held["_skips"]
    older = cls.__new__(cls)
    older.__setstate__(held)
    assert older._skips.read() == (0, 0)


def test_a_copy_knows_where_a_reference_rate_and_a_deviation_come_from() -> None:
    adam = RelativisticAdam([leaf(1.0)], lr=0.5)
    held = copy.deepcopy(adam.__getstate__())
    del held["param_groups"][0]["speed_reference_lr"]
    adam.__setstate__(held)
    assert adam.param_groups[0]["speed_reference_lr"] == 0.5
    generator = torch.Generator()
    gravity = Gravity([leaf(1.0)], lr=0.5, alpha=0.25, generator=generator)
    held = gravity.__getstate__()
    assert held["_generator"] is generator
    del held["_generator"], held["param_groups"][0]["velocity_std"]
    gravity.__setstate__(held)
    assert gravity._generator is generator
    assert gravity.param_groups[0]["velocity_std"] == 0.5
    fresh = Gravity.__new__(Gravity)
    fresh.__setstate__(held)
    assert fresh._generator is None


def test_a_published_state_of_gravity_counts_for_its_parameters() -> None:
    saved: Any = {
        "state": {0: {"v": gradient(1.0)}, 1: {"v": gradient(2.0)}},
        "param_groups": [{"params": [0, 2], "t": 4, "lr": 0.5}, {"params": [1], "lr": 0.25}],
        "more": "kept",
    }
    before = copy.deepcopy(saved)
    found = Gravity([leaf(1.0)])._converted(saved)
    assert saved == before
    assert found["state"] == {0: {"step": 4, "v": gradient(1.0)}, 1: saved["state"][1]}
    assert found["param_groups"] == [{"params": [0, 2], "lr": 0.5}, {"params": [1], "lr": 0.25}]
    assert found["more"] == "kept"


def test_a_group_without_a_reference_rate_keeps_the_optimizers_own() -> None:
    groups: list[dict[str, Any]] = [{"params": [leaf(1.0)]}, {"params": [leaf(2.0)], "lr": 0.5}]
    optimizer = RelativisticAdam(groups)
    saved: Any = {"state": {}, "param_groups": [{"speed_reference_lr": 7.0}, {"lr": 3.0}, {}]}
    found = optimizer._converted(saved)
    rates = [group["speed_reference_lr"] for group in found["param_groups"]]
    assert rates == [7.0, 0.5, None]
    assert (found["state"], len(saved["param_groups"][1])) == ({}, 1)


def test_the_reference_takes_the_first_step_of_a_published_state() -> None:
    """m, v and the count of relativistic-adam are this package's; its law is not."""
    param = leaf(1.0, -2.0)
    optimizer = RelativisticAdam([param], lr=0.5, speed_limit=0.25)
    state = {"step": 3, "exp_avg": gradient(0.5, 1.0), "exp_avg_sq": gradient(0.25, 2.0)}
    optimizer.load_state_dict({"state": {0: state}, "param_groups": [{"params": [0], "lr": 0.5}]})
    param.grad = gradient(1.0, 2.0)
    optimizer.step()
    known = reference.AdamState(3, np.array([0.5, 1.0]), np.array([0.25, 2.0]))
    (theta,), _ = reference.relativistic_adam_step(
        [[1.0, -2.0]], [[1.0, 2.0]], [known], lr=0.5, speed_limit=0.25
    )
    np.testing.assert_allclose(float64(param), theta, rtol=1e-13)
