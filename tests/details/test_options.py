"""What other tests of options would let change."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch

from tests.cases import CASES, Options
from tests.details.few import ADAMS, NAMES, leaf
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.base import check_representable

ALL: Options = {
    "lr": 0.25,
    "betas": (0.5, 0.75),
    "eps": 1e-3,
    "speed_limit": 0.5,
    "weight_decay": 0.125,
    "amsgrad": True,
    "relativistic_mode": "global",
    "adaptive_speed": True,
    "speed_warmup_steps": 10,
    "law": "tanh",
    "speed_unit": "rms",
    "placement": "gradient",
    "speed_follows_lr": False,
    "speed_reference_lr": 0.75,
    "on_nonfinite": "skip",
    "max_consecutive_skips": 7,
    "telemetry": True,
    "maximize": True,
    "foreach": True,
    "capturable": True,
    "differentiable": False,
    "fused": False,
    "stochastic_rounding": False,
    "narrow_state": False,
}
OF_GRAVITY = {
    **{key: ALL[key] for key in ("lr", "weight_decay", "on_nonfinite", "max_consecutive_skips")},
    **{key: ALL[key] for key in ("maximize", "foreach", "capturable", "differentiable", "fused")},
    **{key: ALL[key] for key in ("stochastic_rounding", "narrow_state")},
    "alpha": 0.125,
    "beta": 0.5,
    "initial_step": 0,
    "max_step_grad": 2.0,
}


@pytest.mark.parametrize("more", [{}, {"fused": True, "foreach": None, "capturable": False}])
@NAMES
def test_every_option_arrives(name: str, more: Options) -> None:
    options = {**(OF_GRAVITY if name == "Gravity" else ALL), **more}
    if more:
        alone = {"speed_follows_lr": True, "placement": "update", "telemetry": False}
        options |= alone if name != "Gravity" else {}
    optimizer = CASES[name].optimizer([leaf(1.0, dtype=torch.float32)], **options)
    assert optimizer.defaults == options
    group = dict(optimizer.param_groups[0])
    del group["params"]
    if name == "Gravity":
        assert group.pop("velocity_std") == 0.5
    assert group == options


DEFAULTS: Options = {
    "lr": 1e-3,
    "betas": (0.9, 0.999),
    "eps": 1e-8,
    "speed_limit": 0.1,
    "weight_decay": 0,
    "relativistic_mode": "per_param",
    "speed_warmup_steps": 1000,
    "law": "smooth_sqrt",
    "speed_unit": "norm",
    "placement": "update",
    "on_nonfinite": "propagate",
    "max_consecutive_skips": 100,
    **dict.fromkeys(("speed_reference_lr", "foreach", "fused")),
}
OWN: Mapping[str, Options] = {
    "RelativisticAdam": DEFAULTS,
    "RelativisticAdamW": {**DEFAULTS, "weight_decay": 1e-2},
    "Gravity": {
        "lr": 0.1,
        "alpha": 0.01,
        "beta": 0.9,
        "initial_step": 1,
        "max_step_grad": "inverse_max",
        "weight_decay": 0,
        "on_nonfinite": "propagate",
        "max_consecutive_skips": 100,
        "foreach": None,
        "fused": None,
    },
}


@NAMES
def test_what_is_not_given_is_as_published_and_what_is_new_is_off(name: str) -> None:
    given = CASES[name].optimizer([leaf(1.0)]).defaults
    assert {key: given[key] for key in OWN[name]} == OWN[name]
    assert all(value is False for key, value in given.items() if key not in OWN[name])


@pytest.mark.parametrize("cls", ADAMS)
def test_an_adam_says_what_it_promises(cls: Any) -> None:
    decay = 0.5 * 0.25 if cls is RelativisticAdamW else 0.0
    assert cls([leaf(1.0)], lr=0.5, weight_decay=0.25).invariants().decay == decay
    assert Gravity([leaf(1.0)], alpha=0.0).invariants().odd


def test_flags_that_choose_a_path_are_flags() -> None:
    wrong: Options = {"stochastic_rounding": 1, "narrow_state": None, "telemetry": "yes"}
    for name, value in wrong.items():
        options: Options = {name: value}
        with pytest.raises(ValueError, match=f"^{name}={value!r}: expected True or False$"):
            RelativisticAdam([leaf(1.0)], **options)
    for name in ("stochastic_rounding", "narrow_state"):
        options = {name: True}
        classes: list[Any] = [Gravity, RelativisticAdam, RelativisticAdamW]
        for cls in classes:
            with pytest.raises(RuntimeError, match=f"^`{name}` needs `fused=True`$"):
                cls([leaf(1.0)], **options)


def test_what_is_just_large_enough_is_taken() -> None:
    largest = torch.finfo(torch.float32).max
    group = {"params": [leaf(1.0, dtype=torch.float32)], "lr": largest}
    check_representable(group, ("lr",))
    RelativisticAdam([leaf(1.0)], eps=0, speed_limit=1e-50, weight_decay=1e39)
    Gravity([leaf(1.0)], alpha=0, max_step_grad=1e300, initial_step=0)
    message = "^generator=0: expected a torch.Generator or None$"
    with pytest.raises(ValueError, match=message):
        Gravity([leaf(1.0)], generator=0)  # type: ignore[arg-type]


def test_a_velocity_deviation_of_one_is_no_cause_to_warn() -> None:
    assert Gravity([leaf(1.0)], lr=0.5, alpha=0.5).param_groups[0]["velocity_std"] == 1.0
    message = (
        r"^the initial velocity's standard deviation alpha/lr = 1\.5 exceeds 1, more than any "
        "later velocity can reach; lower alpha or set velocity_std$"
    )
    with pytest.warns(UserWarning, match=message):
        Gravity([leaf(1.0)], lr=0.5, alpha=0.75)


def test_a_seed_of_roundings_is_drawn_once_and_has_to_be_one() -> None:
    from torch_impl.base import _draw_rounding_seed  # noqa: PLC0415  # as what it is about

    group: Options = {"stochastic_rounding": False}
    _draw_rounding_seed(group)
    assert group == {"stochastic_rounding": False}
    seeds = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        group = {"stochastic_rounding": True}
        _draw_rounding_seed(group)
        seeds.append(group["rounding_seed"])
        _draw_rounding_seed(group)
        assert group["rounding_seed"] == seeds[-1]
    torch.manual_seed(1)
    assert seeds[0] == seeds[1] == int(torch.randint(2**31, ()))
    assert seeds[1] != seeds[2]
    for good in (0, 2**31 - 1):
        _draw_rounding_seed({"stochastic_rounding": True, "rounding_seed": good})
    for bad in (-1, 2**31, 0.5, None):
        message = f"^rounding_seed={bad!r}: expected an integer from 0 to 2³¹ − 1$"
        with pytest.raises(ValueError, match=message):
            _draw_rounding_seed({"stochastic_rounding": True, "rounding_seed": bad})


def test_a_law_that_is_not_monotone_is_warned_of_when_it_first_comes() -> None:
    with pytest.warns(UserWarning, match="^law='published' fails the claim 'monotone'"):
        optimizer = RelativisticAdam([leaf(1.0)], law="published")
    optimizer.add_param_group({"params": [leaf(1.0)]})
    with pytest.warns(UserWarning, match="^law='piecewise' fails the claim 'monotone'"):
        optimizer.add_param_group({"params": [leaf(1.0)], "law": "piecewise"})
    optimizer.add_param_group({"params": [leaf(1.0)], "law": "piecewise"})
