"""A handle of `limit_speed` beside what users and optimizers do to groups, states and hooks."""

import copy
import math
from collections import deque
from typing import Any

import pytest
import torch

from tests.steps import FailingSGD, normal
from torch_impl import RelativisticAdam, RelativisticAdamW, limit_speed


def one(value: float = 0.0) -> torch.Tensor:
    return torch.full((1,), value, requires_grad=True)


def take(optimizer: torch.optim.Optimizer, *params: torch.Tensor, grad: float = -100.0) -> float:
    """Take a step with one gradient for all; return how far the first parameter went."""
    before = params[0].item()
    for param in params:
        param.grad = torch.full_like(param, grad)
    optimizer.step()
    return params[0].item() - before


class Hoarder(torch.optim.Optimizer):
    """Keeps lists, tuples and numbers in its state, replaces tensors, counts in its group."""

    def __init__(self, params: Any, **options: Any) -> None:
        super().__init__(params, {"lr": 0.1, "count": 0, **options})

    @torch.no_grad()
    def step(self, _: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            group["count"] += 1
            self.state["all"] = self.state.get("all", 0) + 1  # type: ignore[index,call-overload]
            for param in group["params"]:
                if param.grad is None:
                    continue
                state = self.state[param]
                state["steps"] = state.get("steps", 0) + 1
                state["counted"] = torch.tensor(state["steps"])
                state["m"] = state.get("m", 0) * 0.9 + param.grad
                state.setdefault("past", deque()).append(param.grad.clone())
                state.setdefault("pairs", [(torch.zeros_like(param), {"x": torch.zeros(1)})])
                state["pairs"][0][0].add_(param.grad)
                param.sub_(group["lr"] * state["m"])


@pytest.mark.parametrize("capturable", [False, True])
@pytest.mark.parametrize("placement", ["update", "gradient"])
def test_a_skip_undoes_containers_numbers_and_replaced_tensors(
    placement: str, capturable: bool
) -> None:
    """Also where the device was to decide: there it cannot, and is waited for."""
    options: dict[str, Any] = {"placement": placement}
    ends = []
    for bad in (True, False):
        param = one()
        optimizer = Hoarder([param], capturable=capturable)
        handle = limit_speed(optimizer, 1.0, on_nonfinite="skip", **options)
        for step in range(5):
            if bad and step in {0, 2}:
                take(optimizer, param, grad=math.nan)
                assert handle.speed_report().consecutive_skips == 1
            take(optimizer, param, grad=float(step))
        state = optimizer.state[param]
        assert (optimizer.param_groups[0]["count"], optimizer.state["all"]) == (5, 5)  # type: ignore[index]
        assert (state["steps"], len(state["past"])) == (5, 5)
        ends.append((param.item(), state["m"].item(), state["pairs"][0][0].item()))
    assert ends[0] == ends[1]
    assert handle.state_dict()["state"][0]["step"] == 5


@pytest.mark.parametrize("placement", ["update", "gradient"])
def test_a_handles_own_counters_stay_where_they_are_in_a_skipped_step(placement: str) -> None:
    param = one()
    options: dict[str, Any] = {"placement": placement}
    optimizer = torch.optim.AdamW([param])
    handle = limit_speed(optimizer, "auto", on_nonfinite="skip", **options)
    for grad in (1.0, math.nan, 1e38, 2.0, math.inf):
        take(optimizer, param, grad=grad)
    state = handle.state_dict()["state"][0]
    taken = 5 - handle.speed_report().skipped_steps
    assert state["step"] == taken
    assert int((state["proposed_sizes"] > 0).sum()) == taken


def test_an_optimizer_does_not_see_gradients_that_are_known_to_be_bad() -> None:
    class Fussy(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            for group in self.param_groups:
                for param in group["params"]:
                    assert param.grad is None or torch.isfinite(param.grad).all()
            return super().step(closure)

    param = one()
    optimizer = Fussy([param])
    limit_speed(optimizer, 1.0, on_nonfinite="skip")
    take(optimizer, param, grad=math.nan)
    assert param.grad is not None
    assert param.grad.isnan().all()


def test_a_gradient_that_came_in_a_skipped_step_is_kept() -> None:
    """As from a hook that begins to accumulate anew."""
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)

    def begin_anew(*_: Any) -> None:
        param.grad = torch.ones(1)

    optimizer.register_step_post_hook(begin_anew)
    limit_speed(optimizer, 1.0, on_nonfinite="skip")
    take(optimizer, param, grad=math.nan)
    assert param.grad == 1
    assert param.item() == 0


def test_a_user_who_clears_gradients_in_a_hook_is_limited_all_the_same() -> None:
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    optimizer.register_step_post_hook(lambda o, *_: o.zero_grad())
    limit_speed(optimizer, 0.25, law="hard_clip")
    assert take(optimizer, param) == 0.25


def test_a_tensor_that_only_has_a_gradient_is_limited() -> None:
    param = torch.zeros(1)
    optimizer = torch.optim.SGD([one()], lr=1.0)
    optimizer.param_groups[0]["params"].append(param)
    limit_speed(optimizer, 0.25, law="hard_clip")
    assert take(optimizer, param) == 0.25


def test_two_handles_come_and_go_without_touching_each_others_groups() -> None:
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    update = limit_speed(optimizer, 0.5, law="hard_clip", speed_follows_lr=True)
    gradient = limit_speed(optimizer, 8.0, law="hard_clip", placement="gradient")
    optimizer.param_groups[0]["lr"] = 0.5
    assert take(optimizer, param) == 0.25
    gradient.remove()
    assert update.state_dict()["groups"][0]["speed_reference_lr"] == 1.0
    assert take(optimizer, param) == 0.25
    update.remove()
    assert set(optimizer.param_groups[0]) == set(torch.optim.SGD([one()]).param_groups[0])


def test_a_handle_that_is_removed_twice_leaves_its_successor_alone() -> None:
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    first = limit_speed(optimizer, 0.5, law="hard_clip")
    first.remove()
    limit_speed(optimizer, 0.25, law="hard_clip")
    first.remove()
    assert take(optimizer, param) == 0.25
    with pytest.raises(ValueError, match="already: expected none; change 'speed_limit' in"):
        limit_speed(optimizer, 0.25)


def test_what_users_gave_their_groups_is_theirs_after_removal() -> None:
    first, late = one(), one()
    given: dict[str, Any] = {"params": [first], "speed_limit": 0.5, "speed_reference_lr": 2.0}
    optimizer = torch.optim.SGD([given], lr=1.0)
    handle = limit_speed(optimizer, 0.25)
    optimizer.add_param_group({"params": [late], "speed_limit": 0.125})
    take(optimizer, first, late)
    handle.remove()
    assert optimizer.param_groups[0]["speed_limit"] == 0.5
    assert optimizer.param_groups[0]["speed_reference_lr"] == 2.0
    assert optimizer.param_groups[1]["speed_limit"] == 0.125
    assert "speed_reference_lr" not in optimizer.param_groups[1]


def test_groups_that_a_checkpoint_has_replaced_get_back_what_they_held() -> None:
    """The checkpoint is of a run without a limit, late in its schedule."""
    before = torch.optim.SGD([one()], lr=0.01).state_dict()
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    handle = limit_speed(optimizer, 0.5, law="hard_clip", speed_follows_lr=True)
    optimizer.param_groups[0]["speed_limit"] = 0.25
    take(optimizer, param)
    optimizer.load_state_dict(copy.deepcopy(before))
    assert handle.state_dict()["groups"] == [{"speed_limit": 0.25, "speed_reference_lr": 1.0}]
    assert take(optimizer, param, grad=-1e4) == pytest.approx(0.25 * 0.01)


def test_a_group_that_is_added_under_a_warm_up_has_the_rate_it_is_warmed_up_to() -> None:
    first, late = one(), one()
    optimizer = torch.optim.SGD([first], lr=1.0)
    handle = limit_speed(optimizer, 0.5, law="hard_clip", speed_follows_lr=True)
    optimizer.add_param_group({"params": [late], "lr": 2.0})
    torch.optim.lr_scheduler.LambdaLR(optimizer, lambda t: t / 10)
    assert take(optimizer, first, late) == 0
    assert [g["speed_reference_lr"] for g in handle.state_dict()["groups"]] == [1.0, 2.0]
    optimizer.add_param_group({"params": [one()], "lr": 0.0})
    with pytest.raises(ValueError, match="lr=0 with speed_follows_lr=True"):
        take(optimizer, first, late)


@pytest.mark.parametrize("wrong", [-1.0, math.nan, "atuo", True, "none"])
def test_wrong_limits_of_groups_are_refused(wrong: Any) -> None:
    groups = [{"params": [one()], "speed_limit": wrong}]
    optimizer = torch.optim.SGD(groups, lr=1.0)
    with pytest.raises(ValueError, match=r"speed_limit=.*: expected a number >"):
        limit_speed(optimizer, 0.5)
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    limit_speed(optimizer, 0.5)
    optimizer.add_param_group({"params": [one()], "speed_limit": wrong})
    with pytest.raises(ValueError, match=r"speed_limit=.*: expected a number >"):
        take(optimizer, param)
    assert param.item() == 0


def test_an_optimizer_without_a_learning_rate_is_limited() -> None:
    class Plain(torch.optim.Optimizer):
        def __init__(self, params: Any, **defaults: Any) -> None:
            super().__init__(params, defaults)

        @torch.no_grad()
        def step(self, _: Any = None) -> None:  # type: ignore[override]
            for param in self.param_groups[0]["params"]:
                param.sub_(param.grad)

    for options in ({}, {"lr": None}, {"lr": torch.tensor(1.0)}):
        param = one()
        optimizer = Plain([param], **options)
        limit_speed(optimizer, 0.25, law="hard_clip")
        assert take(optimizer, param) == 0.25


def test_a_schedule_may_have_stopped_what_is_loaded() -> None:
    param = one()
    optimizer = torch.optim.SGD([param], lr=1.0)
    handle = limit_speed(optimizer, 0.5, speed_follows_lr=True)
    optimizer.param_groups[0].update(speed_limit=0.0, lr=0.0)
    take(optimizer, param)
    saved = handle.state_dict()
    held = torch.tensor(3.0)
    other = torch.optim.SGD([{"params": [one()], "speed_limit": held}], lr=1.0)
    limit_speed(other, 0.5).load_state_dict(saved)
    assert other.param_groups[0]["speed_limit"] is held  # which its owner may go on changing
    assert held == 0
    own = RelativisticAdam([one()], speed_limit=0.5)
    own.param_groups[0]["speed_limit"] = 0.0
    loaded = RelativisticAdam([one()], speed_limit=0.5)
    loaded.load_state_dict(own.state_dict())
    assert loaded.param_groups[0]["speed_limit"] == 0


def test_steps_are_counted_whether_or_not_they_are_limited() -> None:
    for telemetry in (False, True):
        param = one()
        optimizer = torch.optim.SGD([param], lr=1.0)
        limit_speed(
            optimizer,
            math.inf,
            law="hard_clip",
            adaptive_speed=True,
            speed_warmup_steps=8,
            telemetry=telemetry,
        )
        for _ in range(3):
            take(optimizer, param)
        optimizer.param_groups[0]["speed_limit"] = 1.0
        assert take(optimizer, param) == 0.5


def test_a_gradient_that_was_accumulated_after_a_failed_step_is_the_users() -> None:
    param = one()
    optimizer = FailingSGD([param], lr=1.0)
    limit_speed(optimizer, 100.0, law="hard_clip", placement="gradient")
    with pytest.raises(KeyError, match="planned"):
        take(optimizer, param, grad=3.0)
    optimizer.zero_grad(set_to_none=False)
    loss: Any = (param * 7).sum()
    loss.backward()
    optimizer.fails = False
    optimizer.step()
    assert param.item() == -7


@pytest.mark.parametrize("policy", ["skip", "raise"])
def test_what_a_scaler_leaves_out_inside_the_step_is_not_judged(policy: str) -> None:
    params = [normal((3,), 0, torch.float32).requires_grad_()]
    optimizer = torch.optim.AdamW(params, fused=True)
    handle = limit_speed(optimizer, 1.0, on_nonfinite=policy)
    scaler: Any = torch.amp.GradScaler("cpu", init_scale=8.0)
    for factor in (1.0, math.inf, 1.0):
        optimizer.zero_grad()
        scaler.scale(params[0].square().sum() * factor).backward()
        scaler.step(optimizer)
        scaler.update()
    assert handle.speed_report().skipped_steps == 0
    assert optimizer.state[params[0]]["step"] == 2


def test_a_recorded_step_is_refused() -> None:
    with pytest.raises(ValueError, match="differentiable=True: expected False"):
        limit_speed(torch.optim.SGD([one()], lr=1.0, differentiable=True), 0.5)


def test_a_law_that_is_not_monotone_warns() -> None:
    with pytest.warns(UserWarning, match="law='published' fails the claim 'monotone'"):
        limit_speed(torch.optim.SGD([one()]), 0.5, law="published")


def test_names_that_repeat_are_told_apart_and_groups_may_go() -> None:
    layers = [torch.nn.Linear(1, 1, bias=False) for _ in range(2)]
    groups = [{"params": list(layer.named_parameters())} for layer in layers]
    optimizer = RelativisticAdamW(groups, telemetry=True)
    for layer in layers:
        layer.weight.grad = torch.ones(1, 1)
    optimizer.step()
    report = optimizer.speed_report()
    assert list(report.tensors) == ["weight", "weight, parameter 0 of group 1"]
    optimizer.param_groups.pop()
    assert list(optimizer.speed_report().tensors) == ["weight"]


def test_an_optimizer_without_tensors_takes_its_step() -> None:
    optimizer = RelativisticAdam([{"params": []}], capturable=True, on_nonfinite="skip")
    optimizer.step()
    assert optimizer.speed_report().skipped_steps == 0


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_compiled_step_reports_too() -> None:
    param = torch.ones(3, requires_grad=True)
    optimizer = RelativisticAdamW([("w", param)], 0.1, telemetry=True, weight_decay=0)
    compiled = torch.compile(optimizer.step, backend="eager")
    for step in range(3):
        param.grad = torch.full((3,), 1.0 + step)
        before = param.detach().clone()
        compiled()
        moved = float((before - param.detach()).norm())
        assert optimizer.speed_report().tensors["w"].applied_norm == pytest.approx(moved, rel=1e-5)


def test_what_cannot_be_judged_after_a_closure_is_undone() -> None:
    """Its gradients turn out to be sparse."""
    param = torch.ones(3, requires_grad=True)
    optimizer: Any = torch.optim.SparseAdam([param], lr=1.0)
    limit_speed(optimizer, 0.5, on_nonfinite="skip")

    def closure() -> float:
        param.grad = torch.ones(3).to_sparse()
        return 1.0

    with pytest.raises(RuntimeError, match="does not support sparse gradients"):
        optimizer.step(closure)
    assert torch.equal(param.detach(), torch.ones(3))
    assert not optimizer.state


def test_zero_redundancy_is_refused_a_policy() -> None:
    """Its state is in an optimizer inside; stood in for, since it needs processes."""
    import sys  # noqa: PLC0415
    from types import SimpleNamespace  # noqa: PLC0415

    name = "torch.distributed.optim.zero_redundancy_optimizer"
    with pytest.MonkeyPatch.context() as context:
        stand_in = SimpleNamespace(ZeroRedundancyOptimizer=torch.optim.SGD)
        context.setitem(sys.modules, name, stand_in)
        with pytest.raises(ValueError, match="expected 'propagate' for ZeroRedundancyOptimizer"):
            limit_speed(torch.optim.SGD([one()]), 0.5, on_nonfinite="skip")
        limit_speed(torch.optim.SGD([one()]), 0.5)
