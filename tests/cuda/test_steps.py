"""Steps by the CUDA kernels are those of single tensors, to the ends of options and numbers."""

import copy
import math
from typing import Any

import pytest
import torch

import torch_impl.fused.homes
from tests.cuda.common import (
    DEVICE,
    SHAPES,
    close,
    everything,
    make,
    parameters,
    same,
    stepped,
)
from tests.steps import built, normal
from tests.variants import MODES, VARIANTS
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.fused.layout import alike, lie_alike


@pytest.mark.parametrize(("case", "options"), VARIANTS)
@pytest.mark.filterwarnings("ignore:law=")
def test_steps_are_those_of_single_tensors(case: Any, options: dict[str, Any]) -> None:
    """Also of transposed, channels-last and complex ones, and of gradients laid out otherwise."""
    results = []
    # `piecewise` has a pole at the limit, which one of many entries comes near
    shapes = SHAPES[:4] if options.get("law") == "piecewise" else SHAPES
    for fused in (True, None):
        params = [
            *parameters(shapes),
            normal((6, 4), 7, torch.float32).to(DEVICE).t().requires_grad_(),
            normal((2, 3, 4, 5), 8, torch.float32)
            .to(DEVICE, memory_format=torch.channels_last)
            .requires_grad_(),
            normal((7,), 9, torch.complex64).to(DEVICE).requires_grad_(),
        ]
        how = {"fused": True} if fused else {"foreach": False}
        optimizer = built(case, params, **options, **how)
        for step in range(2):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 100 * step + i, param.dtype).to(DEVICE)
            params[-1].grad = params[-1].grad.conj()  # type: ignore[union-attr]
            optimizer.step()
        results.append([param.detach() for param in params])
    close(*results, units=256)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
def test_limits_at_their_ends(mode: str, unit: str) -> None:
    """A limit of 0 stops even what is not finite, but for the decay; ∞ is Adam."""
    for limit, infinite in ((0.0, True), (0.0, False), (math.inf, False)):
        results = []
        for fused in (None, True):
            params = parameters([(4, 5), (3,)])
            optimizer = RelativisticAdamW(
                params, relativistic_mode=mode, speed_unit=unit, fused=fused, weight_decay=0.1
            )
            optimizer.param_groups[0]["speed_limit"] = limit
            stepped(optimizer, params, 1)
            if infinite:
                params[0].grad.fill_(math.inf)  # type: ignore[union-attr]
                optimizer.step()
            results.append([param.detach() for param in params])
        close(*results)


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e38])
def test_what_is_not_finite_goes_where_it_went(mode: str, bad: float) -> None:
    """And a finite 1e38 leaves the moments finite."""
    results = []
    for fused in (None, True):
        params = parameters([(4, 5), (3,)])
        optimizer = make(mode, params, fused=fused)
        stepped(optimizer, params, 1)
        params[0].grad[1, 2] = bad  # type: ignore[index]
        optimizer.step()
        results.append(everything(optimizer, params))
    close(*results)
    if bad == 1e38:
        assert all(tensor.isfinite().all() for tensor in results[1])


def test_groups_and_dtypes_have_one_norm() -> None:
    """Each with its own c, warm-up and step: what binary32 and bfloat16 share is the norm."""
    results = []
    for fused in (None, True):
        params = [*parameters([(30, 40)]), *parameters([(50,)], torch.bfloat16)]
        params += parameters([(7,), (11,)])
        groups = [
            {"params": params[:2], "lr": 0.1, "speed_unit": "rms", "law": "tanh"},
            {"params": params[2:3], "speed_limit": 0.01, "speed_unit": "relative"},
            {"params": params[3:], "relativistic_mode": "per_param", "speed_limit": math.inf},
        ]
        optimizer = RelativisticAdamW(
            groups, relativistic_mode="global", fused=fused, adaptive_speed=True
        )
        for step in range(3):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32).to(
                    DEVICE, param.dtype
                )
            if step == 0:
                params[0].grad = None
            optimizer.step()
        results.append([param.detach().float() for param in params])
    close([results[0][i] for i in (0, 2, 3)], [results[1][i] for i in (0, 2, 3)])
    torch.testing.assert_close(results[0][1], results[1][1], rtol=2.0**-8, atol=0)


def test_options_on_the_device_are_read_there() -> None:
    """Tensors as learning rate, betas, decay and limit, changed in place between steps."""
    results = []
    for tensors in (False, True):

        def option(x: float, tensors: bool = tensors) -> Any:
            return torch.tensor(x, dtype=torch.float64, device=DEVICE) if tensors else x

        params = parameters([(30, 40), (5,)])
        optimizer = RelativisticAdamW(
            params,
            option(0.1),
            (option(0.8), option(0.95)),
            speed_limit=option(0.5),
            weight_decay=option(0.1),
            capturable=tensors,
            fused=True,
            speed_follows_lr=True,
        )
        group = optimizer.param_groups[0]
        for step in range(3):
            if tensors:
                group["lr"].mul_(0.5)
                group["speed_limit"].mul_(0.9)
            else:
                group["lr"] *= 0.5
                group["speed_limit"] *= 0.9
            stepped(optimizer, params, 1, step)
        results.append(everything(optimizer, params))
    assert same(*results)


def test_gravity_takes_tensors_too() -> None:
    results = []
    for tensors in (False, True):
        values = {"lr": 0.1, "beta": 0.8, "weight_decay": 0.3}
        options: Any = {
            key: torch.tensor(x, dtype=torch.float64, device=DEVICE) if tensors else x
            for key, x in values.items()
        }
        params = parameters([(30, 40), (5,)])
        optimizer = Gravity(params, alpha=0.0, fused=True, capturable=tensors, **options)
        stepped(optimizer, params)
        results.append(everything(optimizer, params))
    assert same(*results)


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_gradient_scaler_leaves_its_scale_to_the_step(mode: str) -> None:
    """Gradients keep it; what it finds not finite changes nothing, not even the count of steps."""
    scaled, plain = parameters([(4, 5), (3,)]), parameters([(4, 5), (3,)])
    one, other = (make(mode, params, weight_decay=0.1) for params in (scaled, plain))
    assert one._step_supports_amp_scaling
    scaler = torch.amp.GradScaler(DEVICE, init_scale=2.0**10, growth_interval=1)
    for step in range(4):
        for i, (a, b) in enumerate(zip(scaled, plain, strict=True)):
            grad = normal(a.shape, 10 * step + i, torch.float32).to(DEVICE)
            b.grad = grad.clone()
            a.grad = scaler.scale(grad)
        given = [a.grad.clone() for a in scaled]  # type: ignore[union-attr]
        if step == 2:
            scaled[0].grad[0, 0] = math.inf  # type: ignore[index]
            before = everything(one, scaled)
        scaler.step(one)
        scaler.update()
        if step == 2:
            assert same(before, everything(one, scaled))
            continue
        other.step()
        assert same(given, [a.grad for a in scaled])  # type: ignore[misc]
    assert same(everything(one, scaled), everything(other, plain))


def test_steps_are_counted_where_the_kernels_are_and_load_from_elsewhere() -> None:
    params, twins = parameters([(4, 5), (3,)]), parameters([(4, 5), (3,)])
    one, other = RelativisticAdamW(params), RelativisticAdamW(twins, fused=True)
    stepped(one, params)
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        for a, b in zip(params, twins, strict=True):
            b.copy_(a)
    assert other.state[twins[0]]["step"].device == twins[0].device
    stepped(one, params, first=3)
    stepped(other, twins, first=3)
    close(everything(one, params), everything(other, twins))


@pytest.mark.parametrize(
    ("param", "options", "message"),
    [
        (torch.zeros(3, dtype=torch.float64, device=DEVICE), {}, "one is in torch.float64 on"),
        (torch.zeros(3, device=DEVICE), {"telemetry": True}, "`fused` and `telemetry` cannot be"),
        (torch.zeros(4, 6, device=DEVICE)[:, ::2], {}, r"shape \(4, 3\) has strides \(6, 2\)"),
    ],
)
def test_what_has_no_kernel_is_refused(
    param: torch.Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        RelativisticAdam([param.requires_grad_()], fused=True, **options)


def test_some_options_need_kernels_that_have_them(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(3,)])
    for name in ("stochastic_rounding", "narrow_state"):
        option: Any = {name: True}
        with pytest.raises(RuntimeError, match=f"`{name}` needs `fused=True`"):
            RelativisticAdam(params, **option)
        with monkeypatch.context() as context:
            context.setattr(torch_impl.fused.homes, "home_of", lambda _param: "cpu")
            with pytest.raises(RuntimeError, match=f"`{name}` cannot be `True` together on"):
                Gravity(params, fused=True, **option)


def test_parameters_on_two_kinds_of_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(3,), (4,)])
    monkeypatch.setattr(
        torch_impl.fused.homes, "home_of", lambda param: "cuda" if len(param) == 3 else "cpu"
    )
    with pytest.raises(RuntimeError, match=r"one is on .*, the first on cuda"):
        RelativisticAdam(params, fused=True)


def test_without_triton_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RuntimeError, match="needs Triton, which is not installed"):
        RelativisticAdam(parameters([(3,)]), fused=True)


def ends(
    options: dict[str, Any], factors: list[tuple[float | None, ...]], cls: Any = RelativisticAdam
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Where the paths end from 0, with updates as large as parameters; None is no gradient."""
    results = []
    for fused in (None, True):
        params = [torch.zeros(n, device=DEVICE, requires_grad=True) for n in (300, 7)]
        optimizer = cls(params, lr=1.0, fused=fused, **options)
        for row in factors:
            for param, factor in zip(params, row, strict=True):
                ramp = torch.linspace(0.5, 1.0, len(param), device=DEVICE)
                param.grad = None if factor is None else factor * ramp
            optimizer.step()
        results.append(everything(optimizer, params))
    return results[0], results[1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("options", "factors"),
    [
        ({"eps": 0.0}, [(1.0, 1.0), (1.0, 1.0)]),
        (
            {"betas": (0.5, 0.5), "amsgrad": True, "speed_limit": 10.0},
            [(10.0, 5.0), (1.0, 1.0), (0.1, 0.2)],
        ),
        (
            {"adaptive_speed": True, "speed_warmup_steps": 4},
            [(None, 1.0), (None, 1.0), (1.0, 1.0)],
        ),
        ({"law": "smooth_sqrt", "speed_limit": 0.5}, [(1.0, 2.0)] * 2),
        ({"law": "tanh", "speed_limit": 0.5}, [(1.0, 2.0)] * 2),
        ({"law": "hard_clip", "speed_limit": 0.5}, [(1.0, 2.0)] * 2),
        ({"speed_unit": "relative", "speed_limit": 0.5}, [(1.0, 2.0)] * 2),
        ({"speed_unit": "relative", "speed_limit": 1e-43}, [(0.0, 1.0)] * 2),
        ({"speed_limit": 0.5, "weight_decay": 0.5, "maximize": True}, [(1.0, 2.0)] * 2),
    ],
)
def test_large_updates_end_where_they_do(
    mode: str, options: dict[str, Any], factors: list[tuple[float | None, ...]]
) -> None:
    close(*ends({"relativistic_mode": mode, **options}, factors))


@pytest.mark.parametrize("mode", MODES)
def test_a_limit_that_binary32_does_not_hold_stops_entries(mode: str) -> None:
    """A schedule comes there; no update of such a size is anything else than 0."""
    for results in ([], []):
        for fused in (None, True):
            (param,) = params = parameters([(300,)])
            optimizer = make(mode, params, lr=0.5, weight_decay=0.0, fused=fused)
            optimizer.param_groups[0]["speed_limit"] = 1e-46
            before = param.detach().clone()
            stepped(optimizer, params, 2)
            results.append(param.detach() - before)
        assert all(not moved.any() for moved in results)


def test_a_limit_follows_the_learning_rate() -> None:
    results = []
    for fused in (None, True):
        (param,) = params = parameters([(300,)])
        optimizer = make("per_param", params, lr=1.0, speed_follows_lr=True, fused=fused)
        for step in range(3):
            optimizer.param_groups[0]["lr"] = 0.5**step
            stepped(optimizer, params, 1, step)
        results.append([param.detach()])
    close(*results)


def test_gravity_at_the_ends_of_numbers() -> None:
    """A zero beside an infinite entry stays; an m below the least normal number is that."""
    results = []
    for fused in (None, True):
        params = [torch.zeros(3, device=DEVICE, requires_grad=True)]
        optimizer = make("gravity", params, fused=fused)
        params[0].grad = torch.tensor([math.inf, 0.0, 1.0], device=DEVICE)
        optimizer.step()
        results.append(everything(optimizer, params))
    close(*results)
    close(*ends({"alpha": 0.0, "max_step_grad": 1e-30}, [(0.0, 1e-20)], Gravity))


def test_parameters_that_are_laid_out_anew_take_their_state_along() -> None:
    results = []
    for fused in (None, True):
        params = parameters([(2, 3, 4, 5), (5,)])
        optimizer = make("per_param", params, lr=0.1, fused=fused)
        stepped(optimizer, params, 1)
        params[0].data = params[0].data.to(memory_format=torch.channels_last)
        stepped(optimizer, params, 1, 1)
        results.append([param.detach() for param in params])
    close(*results)
    assert optimizer.state[params[0]]["exp_avg"].stride() == params[0].stride()


def test_tensors_on_two_devices_do_not_lie_alike() -> None:
    assert lie_alike([torch.zeros(3, device=DEVICE)], [torch.ones(3, device=DEVICE)])
    assert not lie_alike([torch.zeros(3, device=DEVICE)], [torch.zeros(3, device="meta")])


def test_gradients_that_are_views_are_read_as_what_they_are() -> None:
    """A lazily negated one; one whose stride differs where there is one entry is not copied."""
    (param,) = params = parameters([(3, 1)])
    optimizer = make("per_param", params, lr=0.1)
    param.grad = torch._neg_view(torch.ones(3, 1, device=DEVICE))
    before = param.detach().clone()
    optimizer.step()
    assert (param > before).all()
    grad = torch.ones(3, device=DEVICE).as_strided((3, 1), (1, 7))
    assert alike([grad], [param])[0] is grad


@pytest.mark.parametrize("policy", ["skip", "raise"])
def test_with_a_policy_a_gradient_scaler_unscales_itself(policy: str) -> None:
    """The policy judges gradients without the scale."""
    params = parameters([(4, 5)])
    optimizer = make("per_param", params, on_nonfinite=policy)
    assert not optimizer._step_supports_amp_scaling


@pytest.mark.parametrize("change", [torch._neg_view, torch.conj])
def test_parameters_that_are_views_are_refused(change: Any) -> None:
    param = change(torch.zeros(3, dtype=torch.complex64, device=DEVICE))
    with pytest.raises(RuntimeError, match="no views of what they are not"):
        RelativisticAdam([param.requires_grad_()], fused=True)


def test_groups_keep_the_options_of_their_own_when_they_are_loaded() -> None:
    params = parameters([(3,), (4,)], torch.bfloat16)
    groups: list[dict[str, Any]] = [
        {"params": params[:1]},
        {"params": params[1:], "stochastic_rounding": True, "narrow_state": True},
    ]
    optimizer = RelativisticAdam(groups, fused=True)
    stepped(optimizer, params, 1)
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    kept = [(g["stochastic_rounding"], g["narrow_state"]) for g in optimizer.param_groups]
    assert kept == [(False, False), (True, True)]
    assert optimizer.state[params[1]]["exp_avg"].dtype == torch.bfloat16


def test_a_default_device_is_not_that_of_tables() -> None:
    params = parameters([(3,)])
    optimizer = make("per_param", params)
    with torch.device("meta"):
        params[0].grad = torch.ones(3, device=DEVICE)
        optimizer.step()
    assert params[0].isfinite().all()
