"""What the other tests of the optimizers would let change, on few steps of few numbers."""

import copy
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import reference
from tests.cases import CASES, Options, float64, initial_states
from tests.steps import normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, pieces
from torch_impl.base import check_representable
from torch_impl.fused import Scaling
from torch_impl.schedules import PUBLISHED_LIMIT, check_given_limit, check_schedule, following
from torch_impl.sharding import Sharding

ADAMS = (RelativisticAdam, RelativisticAdamW)
NAMES = pytest.mark.parametrize("name", CASES)

PATHS: Mapping[str, Options] = {
    "single": {"foreach": False},
    "foreach": {"foreach": True},
    "recorded": {"differentiable": True},
    "capturable": {"capturable": True, "foreach": True},
}


def leaf(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype).requires_grad_()


def gradient(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


# Steps are the reference's.

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
    monkeypatch.setattr(pieces, "FEW", 0)
    monkeypatch.setattr(pieces, "LEAST", 0)
    taken = []
    steps = "take_gravity_steps" if name == "Gravity" else "take_adam_steps"
    original = getattr(pieces, steps)
    monkeypatch.setattr(pieces, steps, lambda *a, **k: (taken.append(a[1]), original(*a, **k)))
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


class Told:
    """Stands for kernels: remembers what it is told."""

    def __init__(self, unscales: bool = True) -> None:
        self.unscales, self.calls = unscales, list[Any]()

    def take_adam_steps(self, works: Any, scaling: Scaling, *, decoupled: bool) -> None:
        self.calls.append((works, scaling, decoupled))

    def take_gravity_steps(self, works: Any, scaling: Scaling) -> None:
        self.calls.append((works, scaling, None))


@NAMES
def test_kernels_are_told_what_a_step_needs(name: str) -> None:
    params = [normal((2, 3), i, torch.float32).requires_grad_() for i in range(3)]
    first: Options = {"params": params[:1]}
    groups = [first, {"params": params[1:2]}, {"params": params[2:], "lr": 0.25}]
    optimizer = CASES[name].optimizer(groups, lr=0.5, fused=True)
    told = Told()
    optimizer._kernels = told
    assert optimizer._is_fused()
    assert optimizer._fused() is told
    assert optimizer._step_supports_amp_scaling is True
    params[0].grad = torch.ones(3, 2).t()
    params[2].grad = torch.ones(2, 3)
    optimizer.grad_scale, optimizer.found_inf = torch.tensor(2.0), torch.tensor(0.0)
    optimizer.step()
    ((works, scaling, decoupled),) = told.calls
    assert decoupled == {"RelativisticAdam": False, "RelativisticAdamW": True}.get(name)
    assert scaling == Scaling(optimizer.grad_scale, optimizer.found_inf)
    assert [work.number for work in works] == [0, 2]
    assert [work.group for work in works] == [optimizer.param_groups[i] for i in (0, 2)]
    for work, param in zip(works, (params[0], params[2]), strict=True):
        state = optimizer.state[param]
        assert work.params == [param]
        assert work.grads[0].stride() == (3, 1)
        assert work.steps == [state["step"]]
        buffers = [state[key] for key in state if key != "step"]
        assert [one for (one,) in work.buffers] == buffers
    del optimizer.grad_scale, optimizer.found_inf
    assert optimizer._scaling() == Scaling(None, None)
    optimizer._kernels = Told(unscales=False)
    assert optimizer._step_supports_amp_scaling is False
    judged = CASES[name].optimizer(
        [leaf(1.0, dtype=torch.float32)], fused=True, on_nonfinite="skip"
    )
    judged._kernels = told
    assert judged._step_supports_amp_scaling is False
    assert CASES[name].optimizer([leaf(1.0)])._step_supports_amp_scaling is False


def test_kernels_are_those_of_the_first_parameters_device(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def told_of(param: Tensor) -> Told:
        asked.append(param)
        return Told()

    monkeypatch.setattr("torch_impl.base.kernels_for", told_of)
    params = [leaf(1.0, dtype=torch.float32), leaf(2.0, dtype=torch.float32)]
    optimizer = RelativisticAdam(params, fused=True)
    kernels = optimizer._fused()
    assert optimizer._fused() is kernels
    assert [id(param) for param in asked] == [id(params[0])]


def test_buffers_are_laid_out_as_their_parameters_are() -> None:
    params = [normal((2, 3), i, torch.float32).requires_grad_() for i in range(2)]
    optimizer = RelativisticAdam(params, fused=True)
    optimizer._kernels = Told()
    for param in params:
        param.grad = torch.ones(2, 3)
    optimizer.step()
    kept = optimizer.state[params[0]]["exp_avg"]
    odd = normal((3, 2), 5).t()
    optimizer.state[params[1]]["exp_avg"] = odd
    works = optimizer._work()
    (one, other), _ = works[0].buffers
    assert one is kept
    assert other is optimizer.state[params[1]]["exp_avg"]
    assert (other.stride(), other.dtype) == ((3, 1), torch.float64)
    assert torch.equal(other, odd)


# Options.

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
    for name, value in (("stochastic_rounding", 1), ("narrow_state", None), ("telemetry", "yes")):
        with pytest.raises(ValueError, match=f"^{name}={value!r}: expected True or False$"):
            RelativisticAdam([leaf(1.0)], **{name: value})
    for name in ("stochastic_rounding", "narrow_state"):
        with pytest.raises(RuntimeError, match=f"^`{name}` needs `fused=True`$"):
            Gravity([leaf(1.0)], **{name: True})


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


# Schedules.


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


# Steps that are judged.

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
        before = param.detach().clone()
        optimizer.step()
        assert counted(optimizer) == (3, 1)
        assert torch.equal(param.detach(), before)
        assert third.item() == 1.0
        assert not optimizer.speed_report().tensors
        assert capturable or third not in optimizer.state


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


# Steps in general.


@NAMES
def test_a_closure_is_evaluated_once_with_gradients_enabled(name: str) -> None:
    param = leaf(1.0)
    optimizer = CASES[name].optimizer([param])
    enabled = []

    def closure() -> float:
        enabled.append(torch.is_grad_enabled())
        param.grad = gradient(1.0)
        return 2.5

    assert optimizer.step(closure) == 2.5
    assert enabled == [True]
    assert param.item() != 1.0
    assert optimizer.step() is None


def test_an_error_in_a_step_comes_before_it_changes_anything() -> None:
    params = [leaf(1.0), leaf(1.0)]
    optimizer = RelativisticAdam(params)
    params[0].grad = gradient(1.0)
    params[1].grad = gradient(1.0).to_sparse()
    with pytest.raises(RuntimeError, match=r"^RelativisticAdam does not support sparse gradients"):
        optimizer.step()
    assert not optimizer.state
    assert params[0].item() == 1.0


def test_a_capture_is_checked_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = RelativisticAdam([leaf(1.0)])
    asked = []
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        monkeypatch.setattr(optimizer, name, lambda name=name: asked.append(name), raising=False)
    optimizer.step()
    monkeypatch.setattr(optimizer, "_accelerator_graph_capture_health_check", None)
    optimizer.step()
    assert [name.split("_")[1] for name in asked] == ["accelerator", "cuda"]


def test_one_norm_of_the_model_is_refused_inside_a_backward_pass() -> None:
    params = [leaf(1.0), leaf(2.0)]
    modes = {"params": params[:1]}, {"params": params[1:], "relativistic_mode": "global"}
    optimizer = RelativisticAdam(modes)

    def step(_: Tensor) -> None:
        optimizer.step()

    params[0].register_post_accumulate_grad_hook(step)
    with pytest.raises(RuntimeError, match=r"^relativistic_mode='global' takes the norm"):
        (params[0] * 3).sum().backward()
    optimizer.param_groups[1]["relativistic_mode"] = "per_param"
    (params[0] * 3).sum().backward()


def test_global_mode_is_refused_to_a_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    refuse = asked.append
    for room in ("relativistic", "base"):
        monkeypatch.setattr(f"torch_impl.{room}.refuse_partitioned", lambda *words: refuse(words))
    RelativisticAdam([leaf(1.0)])
    assert asked == []
    RelativisticAdam([leaf(1.0)], relativistic_mode="global", on_nonfinite="raise")
    assert asked == [
        ("on_nonfinite='raise'", "'propagate'"),
        ("relativistic_mode='global'", "'per_param' or 'per_component'"),
    ]


def test_flattened_parameters_are_refused_where_tensors_matter() -> None:
    param = leaf(1.0)
    param._fsdp_flattened = True  # type: ignore[attr-defined]
    RelativisticAdam([param], relativistic_mode="per_component")
    for cls, options in (
        (RelativisticAdam, {}),
        (RelativisticAdam, {"relativistic_mode": "per_component", "on_nonfinite": "skip"}),
        (Gravity, {}),
    ):
        with pytest.raises(ValueError, match=r"^a parameter is a piece that FullyShardedData"):
            cls([param], **options)


def test_gravity_draws_in_the_dtype_of_the_state() -> None:
    param = torch.zeros(2, 3, dtype=torch.bfloat16).t().requires_grad_()
    param.grad = torch.zeros_like(param)
    for std in (0.0, 0.5):
        optimizer = Gravity([{"params": [param], "velocity_std": std}], generator=None)
        torch.manual_seed(3)
        optimizer.step()
        velocity = optimizer.state[param]["v"]
        assert (velocity.dtype, velocity.stride()) == (torch.float32, param.stride())
        torch.manual_seed(3)
        drawn = torch.empty_like(velocity).normal_(0, 1) * std * 1.9 / 3
        torch.testing.assert_close(velocity, drawn, rtol=1e-6, atol=0)


def test_without_a_deviation_no_number_is_drawn() -> None:
    param = leaf(1.0)
    param.grad = gradient(1.0)
    before = torch.get_rng_state()
    Gravity([param], alpha=0.0).step()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("foreach", [False, True])
def test_a_scale_of_gravity_is_neither_zero_nor_infinite(foreach: bool) -> None:
    """m = κ·G: of a gradient of 0, and of one for which κ·G is beyond the largest number."""
    largest = torch.finfo(torch.float64).max
    for g, kappa, zeta in ((0.0, 0.5, 0.0), (1e308, 3.0, 1e308 / (1 + (1e308 / largest) ** 2))):
        param = leaf(0.0)
        param.grad = gradient(g)
        options: Options = {"lr": 1.0, "alpha": 0.0, "beta": 0.5, "initial_step": 0}
        Gravity([param], max_step_grad=kappa, foreach=foreach, **options).step()
        assert param.item() == pytest.approx(-zeta / 2, rel=1e-14)


class Larger(Sharding):
    """As if another process held a part of the tensor with an entry of 4."""

    def _reduced(self, values: Tensor, _: str) -> Tensor:
        numbers, are_nan = values
        return torch.stack([numbers.clamp(min=4.0), are_nan])


@pytest.mark.parametrize("foreach", [False, True])
def test_gravity_takes_the_largest_entry_of_all_processes(
    foreach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a tensor in two processes, of one here alone, and of one without a gradient here."""
    params = [leaf(0.0), leaf(0.0), torch.zeros(1, requires_grad=True), leaf(0.0)]
    divided = {Larger(None, (0,)): [params[3], params[0], params[2]]}
    monkeypatch.setattr("torch_impl.gravity.parameters_by_sharding", lambda _: divided)
    optimizer = Gravity(params, lr=1.0, alpha=0.0, beta=0.5, initial_step=0, foreach=foreach)
    for param in params[:3]:
        param.grad = torch.full_like(param, 0.5)
    optimizer.step()
    beside, alone = (0.5 / (1 + (0.5 * peak) ** 2) / 2 for peak in (4.0, 0.5))
    assert [param.item() for param in params] == pytest.approx([-beside, -alone, -beside, 0.0])
    assert optimizer.state[params[2]]["v"].dtype == torch.float32


def test_nothing_here_is_the_least_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noted(Sharding):
        def _reduced(self, values: Tensor, operation: str) -> Tensor:
            asked.append((operation, values.tolist()))
            return values

    param = leaf(0.0)
    divided = {Noted(None, (0,)): [param]}
    monkeypatch.setattr("torch_impl.gravity.parameters_by_sharding", lambda _: divided)
    Gravity([param]).step()
    assert asked == [("MAX", [[0.0], [0.0]])]


def test_a_velocity_of_a_divided_tensor_is_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is then divided as its parameter is; without a deviation nothing is drawn."""
    param = torch.zeros(3, 2, dtype=torch.bfloat16).t().requires_grad_()
    asked = []

    def divided(velocity: Tensor, like: Tensor) -> Tensor:
        asked.append(id(like))
        return velocity

    monkeypatch.setattr("torch_impl.gravity.is_distributed", lambda tensor: tensor is param)
    monkeypatch.setattr("torch_impl.gravity.divided_like", divided)
    optimizer = Gravity([leaf(1.0)], generator=torch.Generator().manual_seed(2))
    drawn = optimizer._new_buffer(param, {"velocity_std": 0.5}, "v")
    assert (drawn.dtype, drawn.shape, drawn.is_contiguous()) == (torch.float32, (2, 3), True)
    expected = torch.empty(2, 3).normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, expected)
    assert asked == [id(param)]
    still = optimizer._new_buffer(param, {"velocity_std": 0.0}, "v")
    assert not still.is_contiguous()
    assert asked == [id(param)]
    there = param.detach().to("meta")
    monkeypatch.setattr("torch_impl.gravity.is_distributed", lambda _: True)
    optimizer._generator = None
    assert optimizer._new_buffer(there, {"velocity_std": 0.5}, "v").device.type == "meta"


def test_new_buffers_have_the_layout_of_the_parameter_and_the_dtype_of_the_state() -> None:
    param = torch.zeros(2, 3, dtype=torch.bfloat16).t().requires_grad_()
    param.grad = torch.ones_like(param)
    optimizer = RelativisticAdam([param], amsgrad=True)
    optimizer.step()
    state = optimizer.state[param]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        assert (state[key].dtype, state[key].stride()) == (torch.float32, param.stride())
    assert (state["step"].dtype, state["step"].item()) == (torch.float32, 1.0)
    narrow = {**optimizer.param_groups[0], "narrow_state": True}
    assert optimizer._new_buffer(param, narrow, "exp_avg").dtype == torch.bfloat16
    assert Gravity([param])._new_buffer(param, {**narrow, "velocity_std": 0.0}, "v").dtype == (
        torch.bfloat16
    )


# States.


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
    fresh = type(optimizer).__new__(type(optimizer))
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
    older = type(optimizer).__new__(type(optimizer))
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
    optimizer = RelativisticAdam([{"params": [leaf(1.0)]}, {"params": [leaf(2.0)], "lr": 0.5}])
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
