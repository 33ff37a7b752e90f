"""A step that is not finite is let through, skipped as a whole, or refused by name."""

import copy
import math
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.cases import CASES, Case
from tests.steps import PATHS, built, normal
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, limit_speed

NOT_FINITE = [math.nan, math.inf, -math.inf]
TOO_LARGE = [1e20, -1e38]
"""Finite entries whose squares binary32 does not hold."""

OURS = [
    pytest.param(case, case.variants[variant], id=f"{name}-{variant}")
    for name, case in CASES.items()
    for variant in case.costly
]
ADAMS = [parameter for parameter in OURS if "Gravity" not in str(parameter.id)]
BAD = pytest.mark.parametrize("bad", NOT_FINITE + TOO_LARGE)


def leaves() -> list[torch.Tensor]:
    shapes = [(3, 2), (4,), ()]
    return [normal(s, i, torch.float32).requires_grad_() for i, s in enumerate(shapes)]


def give_gradients(params: list[torch.Tensor], step: int, bad: float | None = None) -> None:
    for i, param in enumerate(params):
        param.grad = normal(param.shape, 10 * step + i + 1, torch.float32)
    if bad is not None:
        assert params[1].grad is not None
        params[1].grad[2] = bad


def whole_state(optimizer: torch.optim.Optimizer) -> Any:
    return copy.deepcopy(
        (optimizer.state_dict(), [p.detach() for g in optimizer.param_groups for p in g["params"]])
    )


def same(one: Any, other: Any) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


@PATHS
@BAD
@pytest.mark.parametrize(("case", "options"), OURS)
def test_a_skipped_step_leaves_no_trace(
    case: Case, options: dict[str, Any], bad: float, foreach: bool
) -> None:
    """Training goes on as if it had not been asked for; the first step can be the bad one."""
    params, spared = leaves(), leaves()
    options = {**options, "lr": 0.01, "foreach": foreach}
    optimizer = built(case, params, on_nonfinite="skip", **options)
    twin = built(case, spared, **options)
    skipped = 0
    for step in range(5):
        if step in {0, 3}:
            before = whole_state(optimizer)
            give_gradients(params, step, bad)
            optimizer.step()
            if case.optimizer is Gravity and math.isfinite(bad):
                assert all(torch.isfinite(p).all() for p in params)  # its ζ is bounded
                return
            skipped += 1
            assert same(whole_state(optimizer), before)
            assert optimizer.speed_report().consecutive_skips == 1
        give_gradients(params, step)
        give_gradients(spared, step)
        optimizer.step()
        twin.step()
    assert optimizer.speed_report().skipped_steps == skipped
    assert optimizer.speed_report().consecutive_skips == 0
    for p, q in zip(params, spared, strict=True):
        assert torch.equal(p, q)


@BAD
@pytest.mark.parametrize(("case", "options"), OURS)
def test_an_error_names_the_tensor_and_nothing_has_changed(
    case: Case, options: dict[str, Any], bad: float
) -> None:
    params = leaves()
    named = list(zip(["first", "second", "third"], params, strict=True))
    optimizer = built(case, named, on_nonfinite="raise", **options)
    give_gradients(params, 0)
    optimizer.step()
    before = whole_state(optimizer)
    give_gradients(params, 1, bad)
    if case.optimizer is Gravity and math.isfinite(bad):
        optimizer.step()
        return
    with pytest.raises(RuntimeError, match="the gradient of second is not finite; nothing has"):
        optimizer.step()
    assert same(whole_state(optimizer), before)


@PATHS
@pytest.mark.parametrize("bad", NOT_FINITE)
@pytest.mark.parametrize(("case", "options"), OURS)
def test_what_is_not_finite_propagates_by_default(
    case: Case, options: dict[str, Any], bad: float, foreach: bool
) -> None:
    """As in torch.optim: it is seen, and not hidden behind a limit."""
    params = leaves()
    optimizer = built(case, params, foreach=foreach, **options)
    for step in range(3):
        give_gradients(params, step, bad if step == 1 else None)
        optimizer.step()
    assert not torch.isfinite(params[1][2])


@PATHS
@pytest.mark.parametrize("policy", ["propagate", "skip"])
@pytest.mark.parametrize("bad", TOO_LARGE)
@pytest.mark.parametrize("limit", [0.1, math.inf])
@pytest.mark.parametrize(("case", "options"), ADAMS)
def test_a_huge_finite_entry_neither_overflows_nor_kills_its_coordinate(
    case: Case, options: dict[str, Any], limit: float, bad: float, policy: str, foreach: bool
) -> None:
    """In torch.optim.Adam v becomes infinite, and the entry never moves again.

    Here v is at most 2¹²⁶, and is forgotten: with β₂ = ½ within 150 steps to where the entry moves
    as fast as the others do.
    """
    params = leaves()
    options = {**options, "lr": 0.01, "betas": (0.5, 0.5), "speed_limit": limit}
    optimizer = built(case, params, on_nonfinite=policy, foreach=foreach, **options)
    for step in range(150):
        give_gradients(params, 0, bad if step == 5 else None)
        optimizer.step()
        tensors = [*params, *(v for state in optimizer.state.values() for v in state.values())]
        if step < 10:
            assert all(torch.isfinite(tensor).all() for tensor in tensors)
    before = params[1].detach().clone()
    optimizer.step()
    moved = (params[1].detach() - before).abs()
    assert moved[2] > 0.9 * moved[0]


def test_adam_is_the_control() -> None:
    """It has a dead coordinate without a NaN to show for it."""
    params = leaves()
    optimizer = torch.optim.Adam(params, lr=0.01, betas=(0.5, 0.5))
    for step in range(150):
        give_gradients(params, 0, 1e38 if step == 5 else None)
        optimizer.step()
    before = params[1].detach().clone()
    optimizer.step()
    assert torch.isfinite(params[1]).all()
    assert params[1][2] == before[2]
    assert params[1][0] != before[0]


def test_a_state_that_would_not_be_finite_is_no_step_either() -> None:
    """Gradients are finite; ε = 0 makes 0/0 of the update of an entry that has had none."""
    for optimizer_class in (RelativisticAdam, RelativisticAdamW):
        params = leaves()
        optimizer = optimizer_class(params, eps=0.0, on_nonfinite="skip")
        before = whole_state(optimizer)
        for param in params:
            param.grad = torch.zeros_like(param)
        optimizer.step()
        assert same(whole_state(optimizer), before)
        assert optimizer.speed_report().skipped_steps == 1
        optimizer = optimizer_class(params, eps=0.0, on_nonfinite="raise")
        with pytest.raises(RuntimeError, match="after the step parameter 0 of group 0 is not fin"):
            optimizer.step()
        assert not optimizer.state


EXTREME = [
    {"weight_decay": 1e30},
    {"lr": 1e30},
    {"lr": torch.tensor(0.1)},
    {"eps": 0.0},
    {"law": "piecewise"},
    {"speed_limit": math.inf, "lr": 1e25},
]


@pytest.mark.filterwarnings("ignore:law=")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
@pytest.mark.parametrize("options", EXTREME)
@pytest.mark.parametrize("optimizer_class", [RelativisticAdam, RelativisticAdamW])
def test_under_extreme_options_nothing_is_ever_not_finite(
    optimizer_class: Any, options: dict[str, Any], dtype: torch.dtype
) -> None:
    """Where it cannot be proven beforehand, every step is checked, and undone if it was not."""
    params = [normal((5,), 1, torch.float32).to(dtype).requires_grad_()]
    optimizer = optimizer_class(params, on_nonfinite="skip", **options)
    for step in range(12):
        largest = 2.0**62 if dtype is not torch.float16 else 6e4
        params[0].grad = torch.tensor([1.0, -largest, 0.0, largest, 1e-7]).to(dtype) * (step % 3)
        optimizer.step()
        state = optimizer.state.get(params[0], {})
        assert all(torch.isfinite(t).all() for t in (params[0], *state.values()))


def test_a_state_that_was_loaded_is_checked_before_it_is_trusted() -> None:
    """By induction only what a checked step has left is known to be finite."""
    params = leaves()
    optimizer = RelativisticAdam(params, on_nonfinite="skip")
    for step in range(2):
        give_gradients(params, step)
        optimizer.step()
    saved = optimizer.state_dict()
    saved["state"][1]["exp_avg"] = torch.full((4,), math.nan)
    optimizer.load_state_dict(saved)
    before = [p.detach().clone() for p in params]
    give_gradients(params, 3)
    optimizer.step()
    assert optimizer.speed_report().skipped_steps == 1
    assert all(torch.equal(p, b) for p, b in zip(params, before, strict=True))


def test_too_many_skips_in_a_row_are_an_error() -> None:
    params = leaves()
    optimizer = RelativisticAdam(params, on_nonfinite="skip", max_consecutive_skips=2)
    for step, bad in enumerate([math.nan, math.nan, None, math.nan, math.nan]):
        give_gradients(params, step, bad)
        optimizer.step()
    give_gradients(params, 9, math.nan)
    with pytest.raises(RuntimeError, match=r"3 consecutive steps were skipped, the last because"):
        optimizer.step()


@pytest.mark.parametrize(("case", "options"), OURS)
def test_closures_and_hooks_see_a_skipped_step(case: Case, options: dict[str, Any]) -> None:
    params = leaves()
    optimizer = built(case, params, on_nonfinite="skip", **options)
    seen = []
    optimizer.register_step_post_hook(lambda *_: seen.append("after"))

    def closure() -> float:
        give_gradients(params, 0, math.nan)
        return 3.0

    assert optimizer.step(closure) == 3.0
    assert seen == ["after"]
    assert optimizer.speed_report().skipped_steps == 1


@pytest.mark.parametrize("bad", NOT_FINITE + TOO_LARGE)
@PATHS
@pytest.mark.parametrize(("case", "options"), OURS)
def test_a_capturable_step_decides_on_the_device(
    case: Case,
    options: dict[str, Any],
    foreach: bool,
    bad: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With nothing read back, and the count checked when the report is read."""
    params, spared = leaves(), leaves()
    options = {**options, "lr": 0.01, "foreach": foreach, "capturable": True}
    optimizer = built(case, params, on_nonfinite="skip", max_consecutive_skips=1, **options)
    twin = built(case, spared, **options)
    harmless = case.optimizer is Gravity and math.isfinite(bad)

    def forbidden(*_: Any) -> Any:
        raise AssertionError("a tensor was read")

    with monkeypatch.context() as context:
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu"):
            context.setattr(torch.Tensor, name, forbidden)
        for step in range(4):
            give_gradients(params, step)
            optimizer.step()
            give_gradients(spared, step)
            twin.step()
        give_gradients(params, 9, bad)
        params[2].grad = None
        optimizer.step()
        optimizer.step()
    if harmless:
        return
    for p, q in zip(params, spared, strict=True):
        assert torch.equal(p, q)
        assert optimizer.state[p]["step"] == 4
    with pytest.raises(RuntimeError, match="2 consecutive steps were skipped"):
        optimizer.speed_report()
    give_gradients(params, 5)
    optimizer.step()
    report = optimizer.speed_report()
    assert (report.skipped_steps, report.consecutive_skips) == (2, 0)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_step_skips_too() -> None:
    params, spared = leaves(), leaves()
    optimizer = RelativisticAdamW(params, 0.01, on_nonfinite="skip")
    twin = RelativisticAdamW(spared, 0.01)
    step_compiled = torch.compile(optimizer.step, backend="eager")
    for step in range(4):
        bad = math.nan if step == 2 else None
        give_gradients(params, step, bad)
        step_compiled()
        if bad is None:
            give_gradients(spared, step)
            twin.step()
    for p, q in zip(params, spared, strict=True):
        torch.testing.assert_close(p, q)
    assert optimizer.speed_report().skipped_steps == 1


def test_counters_are_copied_and_pickled() -> None:
    params = leaves()
    optimizer = RelativisticAdam(params, on_nonfinite="skip")
    give_gradients(params, 0, math.nan)
    optimizer.step()
    for other in (copy.deepcopy(optimizer), pickle.loads(pickle.dumps(optimizer))):  # noqa: S301
        assert other.speed_report().skipped_steps == 1


@pytest.mark.parametrize("name", CASES)
def test_a_group_cannot_have_a_policy_of_its_own(name: str) -> None:
    case = CASES[name]
    for own in ({"on_nonfinite": "skip"}, {"max_consecutive_skips": 7}):
        with pytest.raises(ValueError, match="in a group: expected the optimizer's"):
            case.optimizer([{"params": leaves(), **own}])


def test_a_grad_scaler_skips_before_the_policy_does() -> None:
    params = leaves()
    optimizer = RelativisticAdam(params, on_nonfinite="raise")
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=8.0)
    for factor in (1.0, math.inf, 1.0):
        optimizer.zero_grad()
        scaler.scale(torch.stack([p.square().sum() for p in params]).sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert all(state["step"] == 2 for state in optimizer.state.values())


FOREIGN: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9),
    "AdamW": torch.optim.AdamW,
    "Adagrad": torch.optim.Adagrad,
    "Adafactor": torch.optim.Adafactor,
    "Gravity": lambda p: Gravity(p, alpha=0.0),
}


@pytest.mark.filterwarnings("ignore::FutureWarning")
@BAD
@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize("name", FOREIGN)
def test_limit_speed_skips_for_any_optimizer(name: str, placement: str, bad: float) -> None:
    """State that a bad first step has created is gone again, and Adafactor's tensor is spared."""
    params, spared = leaves(), leaves()
    optimizer, twin = FOREIGN[name](params), FOREIGN[name](spared)
    options: dict[str, Any] = {"placement": placement}
    handle = limit_speed(optimizer, 10.0, on_nonfinite="skip", **options)
    limit_speed(twin, 10.0, **options)
    for step in range(4):
        if step in {0, 2}:
            before = whole_state(optimizer)
            give_gradients(params, step, bad)
            optimizer.step()
            if handle.speed_report().consecutive_skips:
                assert same(whole_state(optimizer), before)
            else:  # the step was finite: nothing was lost to it
                assert math.isfinite(bad)
                tensors = [*params, *(v for s in optimizer.state.values() for v in s.values())]
                assert all(torch.isfinite(t).all() for t in tensors if torch.is_tensor(t))
                return
        give_gradients(params, step)
        give_gradients(spared, step)
        optimizer.step()
        twin.step()
    assert handle.speed_report().skipped_steps == 2
    for p, q in zip(params, spared, strict=True):
        assert torch.equal(p, q)


class Capturable(torch.optim.Optimizer):
    """Heavy ball, with its state there from the start and a flag that is for accelerators."""

    def __init__(self, params: Any) -> None:
        super().__init__(params, {"lr": 0.1, "capturable": True})
        for param in self.param_groups[0]["params"]:
            self.state[param]["momentum"] = torch.zeros_like(param)

    @torch.no_grad()
    def step(self, _: Any = None) -> None:  # type: ignore[override]
        for param, state in self.state.items():
            state["momentum"].mul_(0.9).add_(param.grad)
            param.add_(state["momentum"], alpha=-0.1)


@pytest.mark.parametrize("placement", ["update", "gradient"])
def test_limit_speed_decides_on_the_device_for_a_capturable_optimizer(
    placement: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    params, spared = leaves(), leaves()
    optimizer, twin = Capturable(params), Capturable(spared)
    options: dict[str, Any] = {"placement": placement}
    handle = limit_speed(optimizer, 0.1, on_nonfinite="skip", max_consecutive_skips=1, **options)
    limit_speed(twin, 0.1, **options)

    def forbidden(*_: Any) -> Any:
        raise AssertionError("a tensor was read")

    with monkeypatch.context() as context:
        for name in ("item", "tolist", "__bool__", "__float__", "__int__", "cpu"):
            context.setattr(torch.Tensor, name, forbidden)
        for step, bad in enumerate([None, math.nan, None, math.inf, math.inf]):
            give_gradients(params, step, bad)
            optimizer.step()
            if bad is None:
                give_gradients(spared, step)
                twin.step()
    for p, q in zip(params, spared, strict=True):
        assert torch.equal(p, q)
    with pytest.raises(RuntimeError, match="2 consecutive steps were skipped"):
        handle.speed_report()
    with pytest.raises(ValueError, match="on_nonfinite='raise' with capturable=True"):
        limit_speed(Capturable(leaves()), 0.1, on_nonfinite="raise")


@pytest.mark.parametrize("placement", ["update", "gradient"])
def test_limit_speed_refuses_before_anything_is_changed(placement: str) -> None:
    params = leaves()
    optimizer = torch.optim.AdamW(params)
    options: dict[str, Any] = {"placement": placement}
    limit_speed(optimizer, 1.0, on_nonfinite="raise", **options)
    give_gradients(params, 0)
    optimizer.step()
    before = whole_state(optimizer)
    give_gradients(params, 1, math.nan)
    own = [p.grad for p in params]
    with pytest.raises(RuntimeError, match="the gradient of parameter 1 of group 0 is not finite"):
        optimizer.step()
    assert same(whole_state(optimizer), before)
    assert all(p.grad is grad for p, grad in zip(params, own, strict=True))


def test_limit_speed_undoes_what_a_closure_has_led_to() -> None:
    params = leaves()
    optimizer = torch.optim.AdamW(params)
    handle = limit_speed(optimizer, 1.0, on_nonfinite="skip")
    before = whole_state(optimizer)

    def closure() -> float:
        give_gradients(params, 0, math.nan)
        return 1.0

    optimizer.step(closure)
    assert same(whole_state(optimizer), before)
    assert handle.speed_report().skipped_steps == 1
