"""What surrounds an optimizer: schedulers, hooks, averages, steps inside backward."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim import lr_scheduler as schedulers
from torch.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
)
from torch.optim.swa_utils import SWALR, AveragedModel

from ..expect import (
    advance,
    expect,
    expect_same,
    leaves_of,
    needs_no_chance,
    needs_rate,
    needs_rate_in_tensor,
    refusable,
)
from ..registry import check
from ..subject import Options, Subject, normal

SCHEDULERS: dict[str, Callable[[Any], Any]] = {
    "StepLR": lambda o: schedulers.StepLR(o, 2),
    "LambdaLR": lambda o: schedulers.LambdaLR(o, lambda step: 1 / (1 + step)),
    "CosineAnnealingLR": lambda o: schedulers.CosineAnnealingLR(o, 5),
    "LambdaLR from 0": lambda o: schedulers.LambdaLR(o, lambda step: step / 5),
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


def _scheduled(
    subject: Subject, scheduler: str, lr: float | Tensor, by_hand: list[Options] | None = None
) -> tuple[Tensor, list[Options]]:
    """Return where a run ends, and what the scheduler, or who plays it, has set on the way."""
    (leaf,) = leaves_of((3, 2))
    torch.manual_seed(0)
    optimizer = subject.build([leaf], lr=lr)
    (group,) = optimizer.param_groups
    driver = SCHEDULERS[scheduler](optimizer) if by_hand is None else None
    seen: list[Options] = []
    for step in range(5):
        if by_hand is not None:
            group.update(by_hand[step])
        seen.append({"lr": float(group["lr"])})
        seen[-1] |= {key: group[key] for key in ("betas",) if key in group}
        leaf.grad = normal((3, 2), step)
        optimizer.step()
        if driver is not None:
            driver.step(*([1.0] if scheduler == "ReduceLROnPlateau" else []))
    return leaf.detach(), seen


def _expect_to_follow(subject: Subject, lr: Callable[[], float | Tensor]) -> None:
    """The run is that of setting the scheduler's learning rates and betas by hand."""
    needs_rate(subject)
    for scheduler in SCHEDULERS:
        driven, seen = _scheduled(subject, scheduler, lr())
        by_hand, _ = _scheduled(subject, scheduler, 0.1, seen)
        rates = {options["lr"] for options in seen}
        expect(len(rates) > 1, f"{scheduler} has not changed the learning rate from {rates}")
        # Numbers and tensors may be rounded in another order.
        expect_same(driven, by_hand, f"{scheduler} is not followed", 1e-13)


@check("training")
def schedulers_drive_the_learning_rate(subject: Subject) -> None:
    """Kinds of torch.optim.lr_scheduler: by factor, table, cycle, momentum, loss and restart."""
    _expect_to_follow(subject, lambda: 0.1)


@check("training")
def schedulers_drive_a_learning_rate_in_a_tensor(subject: Subject) -> None:
    """As for compiled steps and graphs."""
    needs_rate_in_tensor(subject)
    _expect_to_follow(subject, lambda: torch.tensor(0.1, dtype=torch.float64))


@check("training")
def step_hooks_are_called(subject: Subject) -> None:
    """Those of the optimizer and those of all optimizers, around the step, until removed."""
    leaves = leaves_of((3, 2))
    optimizer = subject.build(leaves)
    calls: list[str] = []
    handles = [
        optimizer.register_step_pre_hook(lambda *_: calls.append("before")),
        optimizer.register_step_post_hook(lambda *_: calls.append("after")),
        register_optimizer_step_pre_hook(lambda *_: calls.append("before all")),
        register_optimizer_step_post_hook(lambda *_: calls.append("after all")),
    ]
    try:
        advance(optimizer, leaves, 0)
    finally:
        for handle in handles:
            handle.remove()
    before = len(calls)
    advance(optimizer, leaves, 1)
    expected = ["before all", "before", "after", "after all"]
    # A step that calls its base class's is hooked by torch twice, one inside the other.
    seen = calls[:2] + calls[-2:]
    expect(seen == expected, f"the hooks called are {calls}: expected {expected}")
    expect(len(calls) == before, "hooks are called after they were removed")


@check("training")
def weights_are_averaged(subject: Subject) -> None:
    """AveragedModel sees the weights after each step."""
    model = torch.nn.Linear(3, 2, bias=False)
    average: Any = AveragedModel(model)
    optimizer = subject.build(model.parameters())
    seen = []
    for step in range(3):
        optimizer.zero_grad()
        model(normal(3, step, torch.float32)).square().sum().backward()
        optimizer.step()
        average.update_parameters(model)
        seen.append(model.weight.detach().clone())
    mean = torch.stack(seen).mean(0)
    expect_same(average.module.weight.detach(), mean, "the average is another", 1e-6)  # binary32


@check("training")
def a_step_at_rate_zero_without_gradients_changes_nothing(subject: Subject) -> None:
    """torch.distributed.checkpoint takes one to learn what state there is."""
    needs_rate(subject)
    for path in subject.paths():
        (leaf,) = leaves_of((3, 2))
        before = leaf.detach().clone()
        optimizer = subject.build([leaf], lr=0.1, **subject.having(weight_decay=0.1), **path)
        optimizer.param_groups[0]["lr"] = 0.0
        leaf.grad = torch.zeros_like(leaf)
        optimizer.step()
        expect_same(leaf.detach(), before, "a parameter has moved")
        for key, value in optimizer.state[leaf].items():
            finite = not isinstance(value, Tensor) or bool(value.isfinite().all())
            expect(finite, f"state {key!r} is {value}: expected finite numbers")


def _model() -> torch.nn.Module:
    layers = [torch.nn.Linear(3, 4, bias=False), torch.nn.Tanh(), torch.nn.Linear(4, 1, bias=False)]
    for i, layer in enumerate((layers[0], layers[2])):
        layer.weight = torch.nn.Parameter(normal(layer.weight.shape, i, torch.float32))
    return torch.nn.Sequential(*layers)


@check("training")
def one_optimizer_per_parameter_can_step_inside_backward(subject: Subject) -> None:
    """The step is that of one optimizer, unless it is refused."""
    needs_no_chance(subject)
    torch.manual_seed(0)
    model = _model()
    inside = {p: subject.build([p]) for p in model.parameters()}
    for param in inside:
        param.register_post_accumulate_grad_hook(lambda p: inside[p].step())  # type: ignore[no-untyped-call]
    loss = model(torch.ones(3)).square().sum()
    with refusable("backward"):
        loss.backward()
    torch.manual_seed(0)
    whole = _model()
    optimizer = subject.build(whole.parameters())
    whole(torch.ones(3)).square().sum().backward()
    optimizer.step()
    for one, other in zip(model.parameters(), whole.parameters(), strict=True):
        expect_same(one.detach(), other.detach(), "a step inside backward is another one")
