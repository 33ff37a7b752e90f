"""What a run does with its gradients and its learning rate."""

import math
from dataclasses import replace
from typing import Any
from unittest import mock

import pytest
import torch

from paper import training
from paper.experiments.methods import ADAMW, GRAVITY
from paper.optimizers import OPTIMIZERS
from paper.tasks import TASKS
from paper.training import Run, train

RUN = replace(ADAMW.run("noisy_quadratic", 1e-2, 0, 40, "constant"), span=1)


def stepped(run: Run) -> tuple[list[float], list[float]]:
    """Return the norm of the gradient and the learning rate that each step of a run is given."""
    norms, rates = [], []

    class Seen(torch.optim.SGD):
        def step(self, *given: Any, **named: Any) -> Any:
            (group,) = self.param_groups
            norms.append(float(group["params"][0].grad.norm()))
            rates.append(group["lr"])
            return super().step(*given, **named)

    with mock.patch.dict(OPTIMIZERS, {"SGD": Seen}):
        train(replace(run, optimizer="SGD", options={"lr": run.options["lr"]}))
    return norms, rates


def test_a_spike_is_one_gradient_half_way() -> None:
    plain, hit = stepped(RUN)[0], stepped(replace(RUN, spike=100.0))[0]
    assert hit[:20] == plain[:20]
    assert hit[20] == pytest.approx(100 * plain[20])
    assert hit[21] < 100 * plain[21]
    losses = [train(replace(RUN, spike=factor)).train_loss for factor in (1.0, 100.0)]
    assert [a == b for a, b in zip(*losses, strict=True)].index(False) == 21


def test_a_spike_is_clipped() -> None:
    norms, _ = stepped(replace(RUN, spike=1e6, clip_norm=0.25))
    assert max(norms) == pytest.approx(0.25, rel=1e-4)


def test_a_cosine_ends_at_nearly_zero() -> None:
    _, rates = stepped(replace(RUN, schedule="cosine"))
    assert rates == pytest.approx([1e-2 * (1 + math.cos(math.pi * k / 40)) / 2 for k in range(40)])
    assert stepped(RUN)[1] == [1e-2] * 40


def test_losses_are_means_of_whole_spans() -> None:
    fine, coarse = (train(replace(RUN, span=span)).train_loss for span in (1, 15))
    assert len(fine) == 40
    assert coarse == pytest.approx([sum(fine[:15]) / 15, sum(fine[15:30]) / 15])


def test_gravity_draws_other_numbers_than_its_task() -> None:
    """Both are seeded by the run; the task's first numbers are where the double well starts."""
    run = GRAVITY.run("noisy_double_well", 0.1, 3, 1, "constant")
    task = TASKS[run.task].make(run.seed)
    (parameter,) = task.model.parameters()
    start = parameter.detach().clone()
    optimizer = training._optimizer(run, task)
    parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    moved = parameter.detach() - start
    assert float(moved.norm()) > 0
    assert abs(float(torch.corrcoef(torch.stack([moved, start]))[0, 1])) < 0.5
