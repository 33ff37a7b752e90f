"""What only Gravity does: its velocity, its clock and its maximum."""

import copy
import math
import pickle
from typing import Any

import pytest
import torch

from tests.steps import PATHS
from torch_impl import Gravity


@PATHS
@pytest.mark.parametrize("max_step_grad", ["inverse_max", 0.5])
@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_an_infinite_gradient_spares_the_other_entries_of_gravity(
    foreach: bool, max_step_grad: Any, bad: float
) -> None:
    leaf = torch.zeros(3).requires_grad_()
    leaf.grad = torch.tensor([bad, 1.0, 0.0])
    Gravity([leaf], alpha=0.0, max_step_grad=max_step_grad, foreach=foreach).step()
    assert leaf.detach().isnan().tolist() == [True, False, False]


def test_gravity_draws_its_velocity_from_the_generator() -> None:
    def end(seed: int) -> torch.Tensor:
        leaf = torch.zeros(1000).requires_grad_()
        leaf.grad = torch.zeros(1000)
        generator = torch.Generator().manual_seed(seed)
        optimizer = Gravity([leaf], lr=0.5, alpha=0.1, beta=0.5, generator=generator)
        optimizer.step()
        return leaf.detach()

    assert torch.equal(end(1), end(1))
    assert not torch.equal(end(1), end(2))
    assert float(end(1).std()) == pytest.approx(0.5 * 0.2 * 0.5, rel=0.1)


def test_gravitys_velocity_deviation_is_fixed_when_the_group_is_added() -> None:
    leaf = torch.zeros(1000).requires_grad_()
    leaf.grad = torch.zeros(1000)
    optimizer = Gravity([leaf], lr=0.1, alpha=0.01)
    assert optimizer.param_groups[0]["velocity_std"] == pytest.approx(0.1)
    optimizer.param_groups[0]["lr"] = 1e-9  # what a scheduler's warm-up does
    optimizer.step()
    assert float(optimizer.state[leaf]["v"].std()) < 0.1
    still = Gravity([leaf], lr=0.0)
    assert still.param_groups[0]["velocity_std"] == 0
    still.add_param_group({"params": [torch.zeros(1)], "velocity_std": 0.5})
    assert still.param_groups[1]["velocity_std"] == 0.5
    with pytest.raises(ValueError, match="velocity_std=-1: expected"):
        still.add_param_group({"params": [torch.zeros(1)], "velocity_std": -1})


def first_velocity(optimizer: Gravity) -> torch.Tensor:
    """Take a step with a zero gradient, which leaves V = β̂·V₀, and return it."""
    (leaf,) = optimizer.param_groups[0]["params"]
    leaf.grad = torch.zeros_like(leaf)
    optimizer.step()
    velocity: torch.Tensor = optimizer.state[leaf]["v"]
    return velocity


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda x: pickle.loads(pickle.dumps(x))])  # noqa: S301
def test_a_copy_draws_what_the_original_would(duplicate: Any) -> None:
    leaf = torch.zeros(5).requires_grad_()
    optimizer = Gravity([leaf], generator=torch.Generator().manual_seed(7))
    other = duplicate(optimizer)
    assert torch.equal(first_velocity(other), first_velocity(optimizer))


def test_a_complex_velocity_has_the_deviation_in_each_part() -> None:
    leaf = torch.zeros(50_000, dtype=torch.complex64).requires_grad_()
    optimizer = Gravity([leaf], lr=1.0, alpha=0.5, beta=0.5)
    parts = torch.view_as_real(first_velocity(optimizer)) / 0.5
    assert parts.std(dim=0).tolist() == pytest.approx([0.5, 0.5], rel=0.02)


def test_the_clock_counts_a_parameters_own_updates() -> None:
    """β̂ = (β + 1)/3 at the first update, whenever it comes."""
    early, late = torch.zeros(1).requires_grad_(), torch.zeros(1).requires_grad_()
    optimizer = Gravity([early, late], lr=1.0, alpha=0.0, beta=0.5)
    early.grad = torch.ones(1)
    for _ in range(3):
        optimizer.step()
    late.grad = torch.ones(1)
    optimizer.step()
    assert float(late.detach()) == pytest.approx(-(1 - 1.5 / 3) * 0.5)
