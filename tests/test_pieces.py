"""Steps in pieces on the CPU are those of single tensors, wherever the pieces end."""

import copy
import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch

from tests.live_bytes import LiveBytes
from tests.steps import built, normal
from tests.variants import MODES, VARIANTS
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, pieces
from torch_impl.pieces import cut, squares

SHAPES = ((3, 4), (5,), (), (0,), (40, 50), (64,), (129,))


def noted(name: str, taken: list[str]) -> Callable[..., None]:
    """A function of `pieces` that notes when it is called."""
    of = getattr(pieces, name)

    def call(*args: Any, **more: Any) -> None:
        taken.append(name)
        of(*args, **more)

    return call


@pytest.fixture(autouse=True, params=[16, 64], ids=["few small", "many small"])
def small(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> list[str]:
    """Pieces of 64 entries, spans of 16; what has been stepped in them."""
    taken: list[str] = []
    values = {"PIECE": 64, "TOGETHER": 72, "LEAST": 0, "SMALL": request.param, "USED_AGAIN": 0}
    for name, value in values.items():
        monkeypatch.setattr(cut, name, value)
    monkeypatch.setattr(squares, "SPAN", 16)
    for name in ("take_adam_steps", "take_gravity_steps"):
        monkeypatch.setattr(pieces, name, noted(name, taken))
    return taken


def parameters(shapes: Any = SHAPES) -> list[torch.Tensor]:
    return [normal(s, i, torch.float32).requires_grad_() for i, s in enumerate(shapes)]


def make(mode: str, params: list[torch.Tensor], **options: Any) -> Any:
    """Gravity, or RelativisticAdam in a mode."""
    if mode == "gravity":
        return Gravity(params, alpha=0.0, **options)
    return RelativisticAdam(params, relativistic_mode=mode, **options)


def close(*results: list[torch.Tensor], units: int = 32) -> None:
    """Within some units of roundoff of binary32, of an entry or of 1."""
    tolerance = units * 2.0**-24
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)


@pytest.mark.parametrize(("case", "options"), VARIANTS)
@pytest.mark.filterwarnings("ignore:law=")
def test_steps_are_those_of_single_tensors(
    case: Any, options: dict[str, Any], small: list[str]
) -> None:
    """Also of transposed, channels-last and complex ones, and of gradients laid out otherwise."""
    results = []
    shapes = SHAPES[:4] if options.get("law") == "piecewise" else SHAPES  # it has a pole at c
    for foreach in (None, False):
        params = [
            *parameters(shapes),
            normal((6, 40), 7, torch.float32).t().detach().requires_grad_(),
            normal((2, 3, 4, 5), 8, torch.float32)
            .to(memory_format=torch.channels_last)
            .requires_grad_(),
            normal((70,), 9, torch.complex64).requires_grad_(),
        ]
        optimizer = built(case, params, **options, foreach=foreach)
        for step in range(3):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 100 * step + i, param.dtype)
            params[-1].grad = params[-1].grad.conj()  # type: ignore[union-attr]
            optimizer.step()
        state = (v for p in params for v in optimizer.state[p].values())
        results.append([tensor.detach() for tensor in (*params, *state)])
    assert len(small) == 3  # and none without
    close(*results, units=256)


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e38])
@pytest.mark.parametrize("where", [0, 63, 64, 1999])
def test_what_is_not_finite_goes_where_it_went(mode: str, bad: float, where: int) -> None:
    """And a finite 1e38 leaves the moments finite."""
    results = []
    for foreach in (None, False):
        params = parameters()
        optimizer = make(mode, params, foreach=foreach)
        for step in range(2):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            if step == 1:
                params[4].grad.view(-1)[where] = bad  # type: ignore[union-attr]
            optimizer.step()
        state = [v for p in params for v in optimizer.state[p].values()]
        results.append([tensor.detach() for tensor in (*params, *state)])
    close(*results)
    if bad == 1e38:
        assert all(tensor.isfinite().all() for tensor in results[0])


@pytest.mark.parametrize("max_step_grad", ["inverse_max", 2.0])
@pytest.mark.parametrize("shape", [(5,), (300,)])
@pytest.mark.parametrize("bad", [0.0, math.inf])
def test_gravity_takes_no_step_along_entries_of_0(
    bad: float, shape: tuple[int, ...], max_step_grad: Any
) -> None:
    """Nor is one NaN, where all are 0 or another is infinite."""
    results = []
    for foreach in (None, False):
        params = parameters([shape, (3,)])
        optimizer = Gravity(params, alpha=0.0, max_step_grad=max_step_grad, foreach=foreach)
        for param in params:
            param.grad = torch.zeros_like(param)
            param.grad.view(-1)[1] = bad
        before = params[0].detach().clone()
        optimizer.step()
        results.append([param.detach() for param in params])
        assert torch.equal(params[0].detach()[2:], before[2:])
    close(*results)


@pytest.mark.parametrize("mode", MODES)
def test_several_gradients_with_infinite_squares_are_kept_apart(mode: str) -> None:
    results = []
    for foreach in (None, False):
        params = parameters([(20,), (30,), (10, 40)])
        optimizer = make(mode, params, foreach=foreach)
        for step in range(2):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
                param.grad[0] *= 1e38
            optimizer.step()
        state = [v for p in params for v in optimizer.state[p].values()]
        results.append([tensor.detach() for tensor in (*params, *state)])
    close(*results)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", ["norm", "rms", "relative"])
@pytest.mark.parametrize("limit", [0.0, math.inf])
def test_limits_at_their_ends(mode: str, unit: str, limit: float) -> None:
    """A limit of 0 stops even what is not finite, but for the decay; ∞ is AdamW."""
    results = []
    for foreach in (None, False):
        params = parameters()
        options: Any = {"relativistic_mode": mode, "speed_unit": unit, "foreach": foreach}
        optimizer = RelativisticAdamW(params, weight_decay=0.1, **options)
        optimizer.param_groups[0]["speed_limit"] = limit
        for step in range(2):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            if step == 1 and limit == 0:
                params[4].grad.fill_(math.inf)  # type: ignore[union-attr]
            optimizer.step()
        results.append([param.detach() for param in params])
    close(*results)


@pytest.mark.parametrize("mode", ["per_param", "global"])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_limit_of_0_spreads_no_parameter_that_is_not_finite(mode: str, bad: float) -> None:
    """Relative to such parameters it would be NaN, and another group may have another limit."""
    results = []
    for foreach in (None, False):
        params = parameters([(20,), (30,), (10, 40)])
        params[0].data[0] = bad
        groups: Any = [{"params": params[:2]}, {"params": params[2:], "speed_unit": "norm"}]
        options: Any = {"relativistic_mode": mode, "speed_unit": "relative", "foreach": foreach}
        optimizer = RelativisticAdamW(groups, **options)
        for group in optimizer.param_groups:
            group["speed_limit"] = 0.0
        for i, param in enumerate(params):
            param.grad = normal(param.shape, i, torch.float32)
        optimizer.step()
        results.append([param.detach() for param in params])
    close(*results)
    assert all(param.isfinite().all() for param in results[0][1:])


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_autograd_is_told_that_parameters_have_changed(mode: str) -> None:
    """So that no backward pass takes them for what they were."""
    params = parameters([(20,), (300,)])
    optimizer = make(mode, params)
    values: list[Any] = [(param * param).sum() for param in params]
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    for value in values:
        with pytest.raises(RuntimeError, match="modified by an inplace operation"):
            value.backward()


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_step_of_nothing_is_counted(mode: str, small: list[str]) -> None:
    """Only what has no entries has a gradient."""
    params = parameters([(100,), (0,)])
    optimizer = make(mode, params)
    params[1].grad = torch.zeros(0)
    before = params[0].detach().clone()
    optimizer.step()
    assert len(small) == 1
    assert torch.equal(params[0].detach(), before)
    assert [float(state["step"]) for state in optimizer.state.values()] == [1]


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_steps_may_be_taken_while_autograd_records(mode: str) -> None:
    """As where a group alone is not differentiable."""
    params = parameters([(20,), (300,)])
    optimizer = make(mode, params, weight_decay=0.1)
    optimizer.defaults["differentiable"] = True
    for param in params:
        param.grad = torch.ones_like(param)
    before = [param.detach().clone() for param in params]
    optimizer.step()
    for one, other in zip(before, params, strict=True):
        assert not torch.equal(one, other.detach())
        assert other.is_leaf


@pytest.mark.parametrize("mode", MODES)
def test_room_for_several_grows_with_what_there_is(mode: str) -> None:
    """16 tensors of 30 entries are stepped 60 at a time, with a later group of 40 together 70."""
    results, together = [], []
    for foreach in (None, False):
        params = parameters([(30,)] * 16)
        optimizer = make(mode, params, foreach=foreach)
        for step in range(2):
            if step:
                params += parameters([(2, 20)] * 2)
                optimizer.add_param_group({"params": params[16:]})
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            optimizer.step()
            together.append(optimizer._room.together)
        results.append([param.detach() for param in params])
    close(*results)
    assert together == [60, 70, 0, 0]


@pytest.mark.parametrize(
    ("sizes", "blocks"),
    [
        ([10] * 5, [[10, 10], [10, 10], [10]]),
        ([3, 30, 3, 4], [[3, 30], [3, 4]]),
        ([12, 12, 40, 25], [[12, 12, 40], [25]]),
        ([25, 1], [[25], [1]]),
    ],
)
def test_small_tensors_wait_together_for_their_norms(
    sizes: list[int], blocks: list[list[int]]
) -> None:
    """With room for 25 entries no more, a larger tensor with what is small before it."""
    row = torch.zeros(0)
    tensors = [cut.Piece(i, row, row, [], row, size) for i, size in enumerate(sizes)]
    made = [[tensor.size for tensor in block] for block in cut.blocks_of(tensors, 25)]
    assert made == blocks


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize(("size", "kept"), [(5, False), (200, False), (2000, True)])
def test_a_room_is_kept_that_is_large_or_little_beside_the_model(
    size: int, kept: bool, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of many small optimizers others would be more than the parameters."""
    monkeypatch.setattr(cut, "USED_AGAIN", 1000)
    params = parameters([(size,)])
    optimizer = make(mode, params)
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert bool(optimizer._room.together) == kept


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("context", [partial(torch.device, "meta"), torch.inference_mode])
def test_what_torch_makes_by_default_is_not_what_a_step_makes(
    context: Callable[[], Any], mode: str
) -> None:
    """Nor is it kept as such for the next one."""
    params = parameters()
    optimizer = make(mode, params)
    optimizer.state.update(stepped_once(mode, params))
    for within in (context(), torch.no_grad()):
        for i, param in enumerate(params):
            param.grad = normal(param.shape, i, torch.float32)
        with within:
            optimizer.step()
    assert all(param.isfinite().all() for param in params)


def stepped_once(mode: str, params: list[torch.Tensor]) -> dict[torch.Tensor, Any]:
    """The state of parameters after a step of another optimizer."""
    other = make(mode, params)
    for param in params:
        param.grad = torch.ones_like(param)
    other.step()
    return {param: dict(other.state[param]) for param in params}


def test_a_state_in_another_dtype_is_stepped_all_the_same(small: list[str]) -> None:
    """As before a model was converted, or as it is from then on."""
    model = torch.nn.Linear(3, 2).double()
    optimizer = RelativisticAdamW(model.parameters())
    for kind in (torch.float64, torch.float32):
        model = model.to(kind)
        for param in model.parameters():
            param.grad = torch.ones_like(param)
        optimizer.step()
    assert not small
    for state in optimizer.state.values():
        assert state["exp_avg"].dtype == torch.float64
        assert state["step"] == 2


class Marked(torch.Tensor):
    """What torch may dispatch elsewhere."""


def test_subclasses_and_lazy_views_are_not_either(small: list[str]) -> None:
    of_real = torch.tensor([1 + 2j]).conj().imag
    for param in (torch.zeros(5).as_subclass(Marked), of_real):
        optimizer = RelativisticAdam([param.detach().requires_grad_()])
        (own,) = optimizer.param_groups[0]["params"]
        own.grad = torch.ones_like(own)
        before = own.detach().clone()
        optimizer.step()
        assert not torch.equal(own.detach(), before)
    assert not small


@pytest.mark.parametrize(("lr", "limit"), [(1e20, 0.1), (1e30, 1e-16), (1e15, 1e-27)])
def test_a_rate_or_gain_beyond_binary32_limits_all_the_same(lr: float, limit: float) -> None:
    results = []
    for foreach in (None, False):
        params = parameters([(4,), (5,), (300,)])
        optimizer = RelativisticAdam(params, lr=lr, speed_limit=limit, foreach=foreach)
        for param in params:
            param.data.zero_()
            param.grad = torch.full_like(param, 1e25)
        optimizer.step()
        results.append([param.detach() for param in params])
    for one, other in zip(*results, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=0)
        assert one.double().norm().item() == pytest.approx(limit, rel=1e-5)


def test_a_largest_second_moment_takes_what_is_not_a_number() -> None:
    (param,) = parameters([(3,)])
    optimizer = RelativisticAdam([param], amsgrad=True)
    param.grad = torch.tensor([1.0, math.nan, 1.0])
    optimizer.step()
    assert optimizer.state[param]["max_exp_avg_sq"].isnan().tolist() == [False, True, False]


def test_norms_that_binary32_cannot_square_are_measured() -> None:
    """û = m/ε of 10⁻²³; limited to 10⁻²⁵ it is along the gradient."""
    param = torch.zeros(40, 50, requires_grad=True)
    options: Any = {"law": "hard_clip", "speed_limit": 1e-25}
    optimizer = RelativisticAdam([param], 1.0, (0.5, 0.6), 1e3, **options)
    gradient = normal((40, 50), 0, torch.float32)
    param.grad = 1e-20 * gradient
    optimizer.step()
    expected = -1e-25 * gradient.double() / gradient.double().norm()
    torch.testing.assert_close(param.detach().double(), expected, rtol=1e-3, atol=1e-28)


def test_groups_have_their_own_options_and_one_norm() -> None:
    results = []
    for foreach in (None, False):
        params = parameters([(30, 40), (50,), (7,), (90,)])
        groups = [
            {"params": params[:2], "lr": 0.1, "speed_unit": "rms", "law": "tanh"},
            {"params": params[2:3], "speed_limit": 0.01, "speed_unit": "relative"},
            {"params": params[3:], "relativistic_mode": "per_param", "speed_limit": math.inf},
        ]
        optimizer = RelativisticAdamW(
            groups, relativistic_mode="global", foreach=foreach, adaptive_speed=True
        )
        for step in range(3):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            params[0].grad = params[0].grad if step else None
            optimizer.step()
        results.append([param.detach() for param in params])
    close(*results)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("unit", ["norm", "relative"])
def test_tensors_that_are_stepped_together_keep_their_own_limits(mode: str, unit: str) -> None:
    """The first has no gradient in the first steps, and a lower limit ever after."""
    results = []
    for foreach in (None, False):
        params = parameters([(20,), (30,), (10, 40), (3,)])
        options: Any = {"relativistic_mode": mode, "speed_unit": unit, "foreach": foreach}
        optimizer = RelativisticAdamW(params, adaptive_speed=True, speed_warmup_steps=9, **options)
        for step in range(4):
            for i, param in enumerate(params[step < 2 :]):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            optimizer.step()
        results.append([param.detach() for param in params])
    close(*results)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("decay", [1e-9, 0.01, 0.5, 100.0])
@pytest.mark.parametrize("limit", [1e-9, 1e-3, 10.0])
def test_a_decay_is_the_same_under_every_limit(mode: str, decay: float, limit: float) -> None:
    """And so large a parameter is not lost where the decay is taken at another rate."""
    results = []
    for foreach in (None, False):
        params = parameters([(20,), (30,), (10, 40)])
        params[1].data[0] = 1e38
        options: Any = {"relativistic_mode": mode, "foreach": foreach, "weight_decay": decay}
        optimizer = RelativisticAdamW(params, 0.01, speed_limit=limit, **options)
        for step in range(2):
            for i, param in enumerate(params):
                param.grad = normal(param.shape, 10 * step + i, torch.float32)
            optimizer.step()
        results.append([param.detach() for param in params])
    close(*results)
    assert results[0][1].isfinite().all()


@pytest.mark.parametrize(
    ("mode", "waiting"),
    [("per_component", 0), ("per_param", 30_000), ("global", 40_000), ("gravity", 0)],
)
def test_memory_is_that_of_proposals_that_wait_for_their_norm(mode: str, waiting: int) -> None:
    """Those of the largest tensor or, with one norm, of all; it is taken once, and not copied."""
    params = parameters([(10_000,), (30_000,)])
    optimizer = make(mode, params)
    peaks = []
    for step in range(2):
        for param in params:
            param.grad = torch.ones(param.shape)
        with LiveBytes() as live:
            optimizer.step()
        if step == 0:
            state = sum(v.nbytes for of in optimizer.state.values() for v in of.values())
        peaks.append(live.peak)
    pieces_of_all = 16 * 4 * cut.PIECE
    assert 4 * waiting <= peaks[0] - state <= 4 * waiting + pieces_of_all
    assert peaks[1] <= pieces_of_all
    copied = copy.deepcopy(optimizer)
    assert not copied._room.waiting(0).untyped_storage().nbytes()


@pytest.mark.parametrize(
    "options",
    [
        {"foreach": False},
        {"capturable": True},
        {"differentiable": True},
        {"telemetry": True},
        {"speed_limit": "auto"},
        {"placement": "gradient", "speed_limit": 1.0},
    ],
)
def test_what_is_special_is_not_stepped_in_pieces(options: dict[str, Any]) -> None:
    assert pieces.fit(RelativisticAdam(parameters()).param_groups)
    assert not pieces.fit(RelativisticAdam(parameters(), **options).param_groups)


def test_narrow_and_wide_tensors_and_some_views_are_not_either(small: list[str]) -> None:
    for params in (
        [torch.zeros(1000, dtype=torch.bfloat16, requires_grad=True)],
        [torch.zeros(1000, dtype=torch.float64, requires_grad=True)],
        [torch.zeros(100, 20)[:, ::2].requires_grad_()],
    ):
        optimizer = RelativisticAdam(params)
        for param in params:
            param.grad = torch.ones_like(param)
        optimizer.step()
    assert not small


@pytest.mark.parametrize("lr", [1.0, 1e18])
@pytest.mark.parametrize("limit", [1e-30, 1e-12, 1e-9, 1e-3, 0.3, 1e9, 1e12, 1e30])
def test_no_entry_goes_beyond_its_limit_or_its_proposal(limit: float, lr: float) -> None:
    """Exactly, from 0, whatever is proposed; what is far below the limit is left as it is."""
    exponents = torch.arange(-44, 20, dtype=torch.float32)  # of m = 0.1·g; √v = 0.5·g, ε = 1e-20
    moves = []
    for law in ("smooth_sqrt", "newtonian"):
        param = torch.zeros(len(exponents) * 3, requires_grad=True)
        options: Any = {"relativistic_mode": "per_component", "speed_limit": limit, "law": law}
        optimizer = RelativisticAdam([param], lr, (0.9, 0.75), 1e-20, **options)
        param.grad = torch.cat([10**exponents, -(10**exponents), 3 * 10**exponents])
        optimizer.step()
        moves.append(param.detach())
    limited, proposed = moves
    c = torch.tensor(limit, dtype=torch.float64)
    assert (limited.double().abs() <= c).all()
    assert (limited.abs() <= proposed.abs()).all()
    expected = proposed.double() / (1 + (proposed.double() / c) ** 2).sqrt()
    torch.testing.assert_close(limited.double(), expected, rtol=2.0**-21, atol=2.0**-149)


@pytest.mark.parametrize("mode", ["per_param", "global"])
def test_a_gain_is_that_of_the_law_far_from_the_limit_too(mode: str) -> None:
    for law in ("smooth_sqrt", "tanh", "hard_clip"):
        for limit in (1e-20, 1e20):
            param = torch.zeros(100, requires_grad=True)
            options: Any = {"relativistic_mode": mode, "speed_limit": limit, "law": law}
            optimizer = RelativisticAdam([param], 1.0, **options)
            param.grad = torch.ones(100)
            optimizer.step()
            expected = torch.full((100,), -min(1.0, limit / 10), dtype=torch.float64)
            torch.testing.assert_close(param.detach().double(), expected, rtol=1e-6, atol=0)


def test_nor_does_any_mantissa_far_beyond_the_limit() -> None:
    """Roundings alone would carry some by an ulp."""
    param = torch.zeros(2**16, requires_grad=True)
    options: Any = {"relativistic_mode": "per_component", "speed_limit": 0.3}
    optimizer = RelativisticAdam([param], 1e4, (0.9, 0.75), 1.0, **options)
    param.grad = torch.linspace(0.1, 1, 2**16)  # u from 900 on
    optimizer.step()
    c = torch.tensor(0.3, dtype=torch.float64)
    assert (param.detach().double().abs() <= c).all()


def test_an_option_may_be_a_whole_number_of_any_size() -> None:
    param = torch.zeros(1000, requires_grad=True)
    param.grad = torch.ones(1000)
    RelativisticAdam([param], 1.0, eps=10**20).step()
    expected = torch.full((1000,), -1e-20)
    torch.testing.assert_close(param.detach(), expected, rtol=1e-6, atol=0)
