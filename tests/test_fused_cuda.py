"""``fused=True`` on CUDA: in Triton's interpreter, or on the device where there is one.

The interpreter runs the kernels on tensors of the CPU, entry by entry as the device does: the same
formulas, masks and addresses, but not the compiler.
"""

import copy
import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

import torch_impl.fused
from tests.cases import CASES
from tests.steps import built, normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW
from torch_impl.fused.cuda import buckets
from torch_impl.fused.cuda.blocks import BLOCK

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ON_DEVICE = pytest.mark.skipif(
    DEVICE == "cpu", reason="NOT CHECKED: there is no CUDA device here, only Triton's interpreter"
)
MODES = ("global", "per_param", "per_component")
BLOCKS = int(BLOCK)
SHAPES = ((3, 4), (5,), (), (0,), (2 * BLOCKS + 7,), (BLOCKS,))

OPTIONS = [
    *(("RelativisticAdamW", {"speed_unit": "rms", "relativistic_mode": m}) for m in MODES),
    *(("RelativisticAdamW", {"speed_unit": "relative", "relativistic_mode": m}) for m in MODES),
    *(
        (name, {"amsgrad": True, "weight_decay": 0.3, "relativistic_mode": m})
        for name in ("RelativisticAdam", "RelativisticAdamW")
        for m in ("per_param", "per_component")
    ),
    ("RelativisticAdam", {"maximize": True, "adaptive_speed": True, "speed_warmup_steps": 2}),
    ("RelativisticAdam", {"betas": (0.0, 0.5), "eps": 1e-3, "speed_follows_lr": True}),
    ("Gravity", {"weight_decay": 0.3, "maximize": True}),
    ("Gravity", {"weight_decay": 0.3, "max_step_grad": 2.0}),
]
"""What the variants of the cases do not have."""

FUSED = [
    pytest.param(case, options, id=f"{name}-{variant}")
    for name, case in CASES.items()
    for variant, options in case.variants.items()
    if options.get("placement", "update") == "update"
] + [pytest.param(CASES[name], options, id=f"{name}-{options}") for name, options in OPTIONS]


@pytest.fixture(autouse=True)
def _interpreted(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(torch_impl.fused, "home_of", lambda _param: "cuda")
    with np.errstate(all="ignore"):  # what the interpreter computes with warns, the device does not
        yield


def parameters(shapes: Any = SHAPES, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    each = (normal(shape, i, torch.float32) for i, shape in enumerate(shapes))
    return [x.to(DEVICE, dtype).requires_grad_() for x in each]


def stepped(optimizer: Any, params: list[torch.Tensor], steps: int = 3, first: int = 0) -> None:
    for step in range(first, first + steps):
        for i, param in enumerate(params):
            grad = normal(param.shape, 100 * step + i, torch.float32)
            param.grad = grad.to(DEVICE, param.dtype)
        optimizer.step()


def make(mode: str, params: list[torch.Tensor], **options: Any) -> Any:
    """Gravity, or RelativisticAdamW in a mode."""
    options = {"fused": True, **options}
    if mode == "gravity":
        return Gravity(params, alpha=0.0, **options)
    return RelativisticAdamW(params, relativistic_mode=mode, **options)


def everything(optimizer: Any, params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Parameters and state buffers, copied."""
    own = [v for p in params for v in optimizer.state[p].values() if isinstance(v, torch.Tensor)]
    return [tensor.detach().clone() for tensor in (*params, *own)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) for a, b in pairs)


def close(*results: list[torch.Tensor], units: int = 16) -> None:
    """Within some units of roundoff of binary32, of an entry or of 1."""
    tolerance = units * 2.0**-24
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(
            a, b, rtol=tolerance, atol=tolerance, equal_nan=True, check_device=False
        )


@pytest.mark.parametrize(("case", "options"), FUSED)
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
        for step in range(3):
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


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_narrow_parameters_are_rounded_once(mode: str, dtype: torch.dtype) -> None:
    """A step is that of the same numbers in binary32, rounded to the nearest, ties to even."""
    results = []
    for working in (dtype, torch.float32):
        params = [x.detach().to(dtype).to(working).requires_grad_() for x in parameters()]
        optimizer = make(mode, params, lr=0.1)
        for i, param in enumerate(params):
            grad = normal(param.shape, i, torch.float32).to(dtype)
            param.grad = grad.to(DEVICE, working)
        optimizer.step()
        assert all(
            value.dtype == torch.float32
            for state in optimizer.state.values()
            for value in state.values()
        )
        results.append([param.detach().to(dtype) for param in params])
    assert same(*results)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 3.4e38, 0.0, -0.0])
def test_numbers_at_the_ends_of_bfloat16_are_rounded_as_torch_does(value: float) -> None:
    params = [torch.full((3,), value, device=DEVICE).bfloat16().requires_grad_()]
    for stochastic in (False, True):
        optimizer = RelativisticAdam(params, fused=True, stochastic_rounding=stochastic)
        params[0].grad = torch.zeros_like(params[0])
        optimizer.step()
        expected = torch.full((3,), value).bfloat16()
        assert same([params[0].detach().cpu()], [expected])


def test_chances_are_in_proportion_and_saved() -> None:
    """0.25 units below a number of bfloat16: three quarters of the entries stay."""
    start, lr = 1.5, 2.0**-9  # bfloat16 has a spacing of 2⁻⁷ from 1 to 2
    count = 2**14

    def optimizer_of(param: torch.Tensor) -> RelativisticAdam:
        options: Any = {"speed_limit": math.inf, "fused": True, "stochastic_rounding": True}
        return RelativisticAdam([param], lr, eps=0.0, **options)

    def step(optimizer: RelativisticAdam, param: torch.Tensor) -> None:
        param.grad = torch.ones_like(param)
        optimizer.step()

    param = torch.full((count,), start, device=DEVICE).bfloat16().requires_grad_()
    torch.manual_seed(3)
    optimizer = optimizer_of(param)
    step(optimizer, param)
    assert set(param.detach().float().tolist()) == {start - 2.0**-7, start}
    moved = (param.detach() < start).double().mean().item()
    assert abs(moved - 0.25) < 5 * math.sqrt(0.25 * 0.75 / count)  # five standard deviations
    saved = copy.deepcopy(optimizer.state_dict())
    twin = param.detach().clone().requires_grad_()
    other = optimizer_of(twin)
    assert other.param_groups[0]["rounding_seed"] != optimizer.param_groups[0]["rounding_seed"]
    other.load_state_dict(saved)
    before = param.detach().clone()
    for each, leaf in ((optimizer, param), (other, twin)):
        step(each, leaf)
    assert torch.equal(param, twin)
    again = (param.detach() != before).double()
    first = (before < start).double()
    assert abs((again * first).mean() - again.mean() * first.mean()) < 5 / math.sqrt(count)


def test_updates_below_half_a_unit_are_not_lost_by_chance() -> None:
    """16 steps of a sixteenth of a unit: rounding to the nearest stays, chance moves by a unit."""
    ends = []
    for stochastic in (False, True):
        param = torch.full((4096,), 1.0, device=DEVICE).bfloat16().requires_grad_()
        options: Any = {"fused": True, "stochastic_rounding": stochastic}
        optimizer = RelativisticAdam(
            [param], 2.0**-11, speed_limit=math.inf, maximize=True, **options
        )
        for _ in range(16):
            param.grad = torch.ones_like(param)
            optimizer.step()
        ends.append(param.detach().double().mean().item() - 1.0)
    assert ends[0] == 0.0
    assert abs(ends[1] * 2**7 - 1.0) < 0.1


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_gradient_scaler_leaves_its_scale_to_the_step(mode: str) -> None:
    """What it finds not finite changes nothing, not even the count of steps."""

    scaled, plain = parameters([(4, 5), (3,)]), parameters([(4, 5), (3,)])
    one, other = (make(mode, params, weight_decay=0.1) for params in (scaled, plain))
    assert one._step_supports_amp_scaling
    scaler = torch.amp.GradScaler(DEVICE, init_scale=2.0**10, growth_interval=1)
    for step in range(4):
        for i, (a, b) in enumerate(zip(scaled, plain, strict=True)):
            grad = normal(a.shape, 10 * step + i, torch.float32).to(DEVICE)
            b.grad = grad.clone()
            a.grad = scaler.scale(grad)
        if step == 2:
            scaled[0].grad[0, 0] = math.inf  # type: ignore[index]
            before = everything(one, scaled)
        scaler.step(one)
        scaler.update()
        if step == 2:
            assert same(before, everything(one, scaled))
            continue
        other.step()
        for a, b in zip(scaled, plain, strict=True):
            assert torch.equal(a.grad, b.grad)  # type: ignore[arg-type]
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
    ("name", "options"),
    [
        *(("RelativisticAdamW", {"relativistic_mode": mode}) for mode in MODES),
        ("RelativisticAdam", {"speed_unit": "relative", "amsgrad": True}),
        ("Gravity", {}),
    ],
)
def test_a_step_has_the_same_bits_in_waves_and_wherever_it_lies(
    name: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In one wave, in many, and with gradients at addresses that are no multiples of 16."""
    results = []
    for most, shift in ((2**30, 0), (BLOCKS, 0), (2**30, 1)):
        monkeypatch.setattr(buckets, "_cached_entries", lambda *_, most=most: most)
        params = parameters()
        optimizer = built(CASES[name], params, **options, fused=True)
        for step in range(2):
            for i, param in enumerate(params):
                room = torch.empty(param.numel() + shift, device=DEVICE)
                param.grad = room[shift:].reshape(param.shape)
                param.grad.copy_(normal(param.shape, 100 * step + i, torch.float32))
            optimizer.step()
        results.append(everything(optimizer, params))
    assert same(results[0], results[1])
    assert same(results[0], results[2])


def test_gradients_that_are_replaced_freed_or_missing() -> None:
    """No address is kept from a gradient that is gone."""
    results = []
    for fused in (None, True):
        params = parameters([(64, 64), (100,)])
        optimizer = RelativisticAdam(params, fused=fused)
        for step in range(6):
            for i, param in enumerate(params):
                param.grad = None
                if step % 3 != i:
                    param.grad = normal(param.shape, 10 * step + i, torch.float32).to(DEVICE)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            normal((64, 64), 5).to(DEVICE)
        results.append([param.detach() for param in params])
    close(*results)


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


def test_a_captured_table_is_written_again_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph copies from is kept, and what it wrote is not taken for what was written."""
    bucket = buckets.Bucket(torch.device("cpu"), [5], 9, 8)
    one, other = [[torch.zeros(5)]] * 6, [[torch.ones(5)]] * 6
    bucket.point_to(one)
    written = bucket.table.clone()
    monkeypatch.setattr(buckets, "_is_capturing", lambda _table: True)
    bucket.point_to(other)
    bucket.point_to(other)
    assert bucket.captured
    assert len(bucket._captured) == 2
    assert bucket._captured[0] is not bucket._captured[1]
    monkeypatch.setattr(buckets, "_is_capturing", lambda _table: False)
    bucket.point_to(one)
    bucket.table.copy_(bucket._captured[0])  # which a replay does
    bucket.point_to(one)
    assert torch.equal(bucket.table, written)
    assert len(bucket._captured) == 2


def test_buckets_that_a_graph_reads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(5,), (6,)])
    optimizer = RelativisticAdam(params, fused=True)
    stepped(optimizer, params[:1], 1)
    kernels: Any = optimizer._kernels
    (first,) = kernels._buckets.values()
    monkeypatch.setattr(buckets.Bucket, "captured", property(lambda _self: True))
    stepped(optimizer, params, 1)
    assert kernels._captured == [first]
    assert list(kernels._buckets.values()) != [first]


def test_waves_cover_every_tensor_once() -> None:
    sizes = [10, 0, 3 * BLOCKS, 20, 5000, 1, 0]
    blocks = np.array([-(-size // BLOCKS) for size in sizes])
    firsts = np.concatenate([[0], np.cumsum(blocks)]).tolist()
    waves = buckets._waves(sizes, firsts, 6000)
    covered = [b for w in waves for b in range(w.first_block, w.first_block + w.blocks)]
    assert covered == list(range(firsts[-1]))
    for wave in waves:
        own = sizes[wave.first_tensor : wave.first_tensor + wave.tensors]
        assert sum(own) <= 6000 or sum(size > 0 for size in own) == 1
    assert len(waves) == 3


@pytest.mark.parametrize(
    ("param", "options", "message"),
    [
        (torch.zeros(3, dtype=torch.float64), {}, "one is in torch.float64 on"),
        (torch.zeros(3), {"telemetry": True}, "`fused` and `telemetry` cannot be `True`"),
        (torch.zeros(4, 6)[:, ::2], {}, r"one of shape \(4, 3\) has strides \(6, 2\)"),
    ],
)
def test_what_has_no_kernel_is_refused(
    param: torch.Tensor, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        RelativisticAdam([param.to(DEVICE).requires_grad_()], fused=True, **options)


def test_rounding_by_chance_needs_kernels_that_can(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(3,)])
    with pytest.raises(RuntimeError, match="`stochastic_rounding` needs `fused=True`"):
        RelativisticAdam(params, stochastic_rounding=True)
    monkeypatch.setattr(torch_impl.fused, "home_of", lambda _param: "cpu")
    with pytest.raises(RuntimeError, match="`stochastic_rounding` cannot be `True` together on"):
        RelativisticAdam(params, fused=True, stochastic_rounding=True)


def test_parameters_on_two_kinds_of_device_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(3,), (4,)])
    monkeypatch.setattr(
        torch_impl.fused, "home_of", lambda param: "cuda" if len(param) == 3 else "cpu"
    )
    with pytest.raises(RuntimeError, match=r"one is on .*, the first on cuda"):
        RelativisticAdam(params, fused=True)


def test_without_triton_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(RuntimeError, match="needs Triton, which is not installed"):
        RelativisticAdam(parameters([(3,)]), fused=True)


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("capturable", [False, True])
def test_a_step_never_synchronises(mode: str, capturable: bool) -> None:
    params = parameters()
    optimizer = make(mode, params, capturable=capturable)
    stepped(optimizer, params, 1)  # which compiles, and makes the state
    gradients = [torch.ones_like(param) for param in params]
    torch.cuda.set_sync_debug_mode("error")
    try:
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient  # at another address: the table is written
        optimizer.step()
    finally:
        torch.cuda.set_sync_debug_mode("default")


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_graph_replays_the_step_among_others(mode: str) -> None:
    """Steps that are not replayed, on other gradients, come in between."""
    ends = []
    for graphed in (False, True):
        params = parameters()
        optimizer = make(mode, params, lr=0.1, capturable=True)
        static = [torch.zeros_like(param) for param in params]
        graph = torch.cuda.CUDAGraph()
        stepped(optimizer, params, 3)
        for step in range(3, 9):
            grads = [normal(p.shape, 10 * step + i, torch.float32) for i, p in enumerate(params)]
            if step == 6:  # eager, and elsewhere
                for param, grad in zip(params, grads, strict=True):
                    param.grad = grad.to(DEVICE)
                optimizer.step()
                continue
            for param, room, grad in zip(params, static, grads, strict=True):
                room.copy_(grad)
                param.grad = room
            if graphed and step == 3:
                torch.cuda.synchronize()
                with torch.cuda.graph(graph):
                    optimizer.step()
            if graphed:
                graph.replay()
            else:
                optimizer.step()
        torch.cuda.synchronize()
        assert optimizer.state[params[0]]["step"].item() == 9
        ends.append([param.detach() for param in params])
    assert same(*ends)


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_step_keeps_no_memory_on_the_device(mode: str) -> None:
    params = parameters([(2**20,), (2**20,)])
    optimizer = make(mode, params)
    stepped(optimizer, params, 2)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    optimizer.step()
    torch.cuda.synchronize()
    assert torch.cuda.max_memory_allocated() - before <= 2**12  # numbers of tensors
