"""What surrounds an optimizer: schedulers, hooks, averages, closures, checkpoints' probes."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import lr_scheduler as schedulers
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.optim.swa_utils import SWALR, AveragedModel

from tests.cases import SUBJECTS, Case, Options
from tests.steps import PATHS, built, every_class, everyone, normal
from torch_impl import Gravity, RelativisticAdam

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("training")]

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: schedulers.StepLR(o, 2),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step)),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 5),
    "LinearLR from 0": lambda o: schedulers.LambdaLR(o, lambda step: step / 5),
    "CosineAnnealingWarmRestarts": lambda o: schedulers.CosineAnnealingWarmRestarts(o, 2),
    "ReduceLROnPlateau": lambda o: schedulers.ReduceLROnPlateau(o, patience=0),
    "OneCycleLR": lambda o: schedulers.OneCycleLR(
        o, 0.1, total_steps=6, cycle_momentum="betas" in o.defaults
    ),
    "CyclicLR": lambda o: schedulers.CyclicLR(
        o, 0.01, 0.1, step_size_up=2, cycle_momentum="betas" in o.defaults
    ),
    "SequentialLR": lambda o: schedulers.SequentialLR(
        o, [schedulers.ConstantLR(o, 0.1), schedulers.ExponentialLR(o, 0.9)], [2]
    ),
    "SWALR": lambda o: SWALR(o, swa_lr=0.05),
}


@pytest.mark.parametrize("tensor", [False, True], ids=["number", "tensor"])
@pytest.mark.parametrize("scheduler", SCHEDULERS)
@every_class()
def test_schedulers_drive_the_learning_rate(name: str, scheduler: str, tensor: bool) -> None:
    """The run is that of setting the scheduler's learning rates and betas by hand."""

    def run(by_hand: list[Options] | None) -> tuple[torch.Tensor, list[Options]]:
        leaf = normal(4, 1).requires_grad_()
        lr = torch.tensor(0.1, dtype=torch.float64) if tensor and by_hand is None else 0.1
        optimizer = built(SUBJECTS[name], [leaf], lr=lr)
        (group,) = optimizer.param_groups
        driver = SCHEDULERS[scheduler](optimizer) if by_hand is None else None
        seen: list[Options] = []
        for step in range(5):
            if by_hand is not None:
                group.update(by_hand[step])
            kept = {"lr": float(group["lr"])}
            seen.append(kept | {key: group[key] for key in ("betas",) if key in group})
            leaf.grad = normal(4, step)
            optimizer.step()
            if driver is not None:
                driver.step(*([1.0] if scheduler == "ReduceLROnPlateau" else []))
        return leaf.detach(), seen

    driven, seen = run(None)
    by_hand, _ = run(seen)
    assert len({options["lr"] for options in seen}) > 1
    torch.testing.assert_close(driven, by_hand, rtol=1e-13, atol=1e-13)


@every_class()
def test_step_hooks_of_every_kind(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = built(SUBJECTS[name], [leaf])
    calls: list[str] = []
    handles = [
        optimizer.register_step_pre_hook(lambda *_: calls.append("before")),
        optimizer.register_step_post_hook(lambda *_: calls.append("after")),
        register_optimizer_step_pre_hook(lambda *_: calls.append("before all")),
        register_optimizer_step_post_hook(lambda *_: calls.append("after all")),
    ]
    optimizer.step()
    for handle in handles:
        handle.remove()
    optimizer.step()
    assert calls == ["before all", "before", "after", "after all"]


@every_class()
def test_named_parameters_keep_their_names(name: str) -> None:
    model = torch.nn.Linear(3, 2)
    optimizer = built(SUBJECTS[name], model.named_parameters())
    model(torch.ones(3)).sum().backward()
    optimizer.step()
    saved = optimizer.state_dict()
    assert saved["param_groups"][0]["param_names"] == ["weight", "bias"]
    restored = built(SUBJECTS[name], torch.nn.Linear(3, 2).named_parameters())
    restored.load_state_dict(saved)
    assert restored.param_groups[0]["param_names"] == ["weight", "bias"]


@every_class()
def test_weights_are_averaged(name: str) -> None:
    model = torch.nn.Linear(3, 1)
    average: Any = AveragedModel(model)
    optimizer = built(SUBJECTS[name], model.parameters(), lr=0.1)
    seen = []
    for step in range(3):
        optimizer.zero_grad()
        model(normal(3, step, torch.float32)).square().sum().backward()
        optimizer.step()
        average.update_parameters(model)
        seen.append(model.weight.detach().clone())
    torch.testing.assert_close(average.module.weight.detach(), torch.stack(seen).mean(0))


@everyone()
@PATHS
def test_a_step_at_rate_zero_without_gradients_changes_nothing(
    case: Case, options: Options, foreach: bool
) -> None:
    """torch.distributed.checkpoint takes one to learn what state there is."""
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = torch.zeros(3, dtype=torch.float64)
    options = {**options, "lr": 0.1, "weight_decay": 0.1, "foreach": foreach}
    optimizer = case.optimizer([leaf], **options)
    optimizer.param_groups[0]["lr"] = 0.0
    optimizer.step()
    assert torch.equal(leaf.detach(), normal(3, 1))
    assert all(value.isfinite().all() for value in optimizer.state[leaf].values())


@pytest.mark.parametrize("cls", [Gravity])
def test_the_first_velocity_keeps_the_rate_its_group_was_added_with(cls: Any) -> None:
    """Not a warm-up's, which starts from 0, nor that of a probing step at rate 0."""

    def first_velocity(lr: float, then: float) -> torch.Tensor:
        leaf = torch.zeros(10_000, requires_grad=True)
        optimizer = cls([leaf], lr=lr, alpha=0.01, generator=torch.Generator().manual_seed(0))
        optimizer.param_groups[0]["lr"] = then
        leaf.grad = torch.zeros_like(leaf)
        optimizer.step()
        return optimizer.state[leaf]["v"]  # type: ignore[no-any-return]

    warmed_up, probed, plain = (first_velocity(0.1, then) for then in (1e-9, 0.0, 0.1))
    assert torch.equal(warmed_up, plain)
    assert torch.equal(probed, plain)
    # β̂·V₀ with β̂ = 1.9/3 and V₀ ~ N(0, 0.1²): of 10⁴ draws the deviation is within 4/√(2·10⁴).
    assert plain.std().item() == pytest.approx(0.1 * 1.9 / 3, rel=4 / 2**0.5 / 100)
    assert not first_velocity(0.0, 0.1).any()


@pytest.mark.parametrize("cls", [Gravity])
def test_a_velocity_is_drawn_where_the_parameter_then_is(cls: Any) -> None:
    """An optimizer built on the meta device draws nothing before the model is materialised."""
    model = torch.nn.Linear(3, 2, device="meta")
    optimizer = cls(model.parameters(), lr=0.1)
    assert not optimizer.state
    assert optimizer.param_groups[0]["velocity_std"] == pytest.approx(0.1)


@every_class()
def test_parameters_may_be_frozen_and_thawed(name: str) -> None:
    model = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 1))
    optimizer = built(SUBJECTS[name], model.parameters(), lr=0.1)
    first = next(model.parameters())
    for frozen, count in ((False, 1), (True, 1), (False, 2)):
        optimizer.zero_grad()
        first.requires_grad_(not frozen)
        before = first.detach().clone()
        model(torch.ones(2)).square().sum().backward()
        optimizer.step()
        assert torch.equal(first.detach(), before) == frozen
        assert optimizer.state[first]["step"].item() == count


@everyone()
def test_one_optimizer_per_parameter_in_backward_hooks(case: Case, options: Options) -> None:
    """The step is that of one optimizer, but in "global" mode, where it is refused."""
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    inside = {p: built(case, [p], lr=0.1, **options) for p in model.parameters()}
    for param in inside:
        param.register_post_accumulate_grad_hook(lambda p: inside[p].step())  # type: ignore[no-untyped-call]
    loss = model(torch.ones(3)).square().sum()
    if options.get("relativistic_mode") == "global":
        with pytest.raises(RuntimeError, match=r"'global'.*inside a backward pass"):
            loss.backward()
        return
    loss.backward()
    stepped = [p.detach().clone() for p in model.parameters()]
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.Tanh(), torch.nn.Linear(4, 1))
    together = built(case, model.parameters(), lr=0.1, **options)
    model(torch.ones(3)).square().sum().backward()
    together.step()
    for a, b in zip(stepped, model.parameters(), strict=True):
        assert torch.equal(a, b.detach())


@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
def test_a_schedule_of_the_limit_reaches_zero_and_comes_back(mode: str) -> None:
    leaf = torch.zeros(3, requires_grad=True)
    optimizer = RelativisticAdam([leaf], lr=1.0, relativistic_mode=mode)
    for c in (0.1, 0.0, 0.1):
        optimizer.param_groups[0]["speed_limit"] = c
        before = leaf.detach().clone()
        leaf.grad = torch.tensor([1.0, 1e30 if c == 0 else 1.0, 1.0])
        optimizer.step()
        moved = (leaf.detach() - before).abs().max().item()
        assert (moved == 0) if c == 0 else 0 < moved < c
        optimizer.state.clear()  # of a second moment that overflowed
    optimizer.param_groups[0]["speed_limit"] = 0.0
    leaf.grad = torch.tensor([torch.nan, 1.0, torch.inf])
    before = leaf.detach().clone()
    optimizer.step()
    assert torch.equal(leaf.detach(), before)
