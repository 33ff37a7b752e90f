"""What surrounds these optimizers, beside the checks of `torch_impl.testing`."""

from typing import Any

import pytest
import torch

from tests.cases import SUBJECTS
from tests.steps import normal
from torch_impl import Gravity, RelativisticAdam

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("training")]


@pytest.mark.parametrize("name", ["RelativisticAdam", "RelativisticAdamW"])
def test_a_global_norm_is_refused_inside_a_backward_pass(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    optimizer = SUBJECTS[name].optimizer([leaf], relativistic_mode="global")
    leaf.register_post_accumulate_grad_hook(lambda _: optimizer.step())  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match=r"'global'.*inside a backward pass"):
        leaf.square().sum().backward()  # type: ignore[no-untyped-call]


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
