"""Options as numbers or tensors, and flags that contradict each other."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tests.cases import CASES, CONTRADICTIONS, SUBJECTS, Case, Options
from tests.steps import PATHS, every_class, everyone, normal, trained
from torch_impl import Gravity

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("options")]

SHAPES = pytest.mark.parametrize("shape", [(), (1,), (1, 1)], ids=str)


def as_tensors(case: Case, shape: Any) -> Options:
    """Every option that may be a tensor, as one, with a float64 value so that nothing is lost."""
    options: Options = {"lr": 0.3}
    if case.optimizer is Gravity:
        options |= {"beta": 0.8, "weight_decay": 0.1}
    else:
        options |= {"betas": (0.8, 0.99)}
        if case.optimizer is not torch.optim.AdamW:
            options |= {"speed_limit": 0.2, "weight_decay": 0.1}
    return {
        key: tuple(torch.full(shape, v, dtype=torch.float64) for v in value)
        if isinstance(value, tuple)
        else torch.full(shape, value, dtype=torch.float64)
        for key, value in options.items()
    }


def as_numbers(options: Options) -> Options:
    return {
        key: tuple(v.item() for v in value) if isinstance(value, tuple) else value.item()
        for key, value in options.items()
    }


@everyone()
@SHAPES
def test_options_may_be_one_element_tensors(case: Case, options: Options, shape: Any) -> None:
    tensors = as_tensors(case, shape)
    if case.per_group:
        options = {**options, "adaptive_speed": True, "speed_warmup_steps": 2}
    params = [normal((3, 4), 1), normal(7, 2)]

    def gradients(step: int) -> list[torch.Tensor]:
        return [normal(p.shape, 10 + step) for p in params]

    expected = trained(case, params, gradients, **as_numbers(tensors), **options)
    paths: list[Options] = [{"foreach": False}]
    if case.optimizer is not torch.optim.AdamW:  # which takes capturable on accelerators alone
        paths.append({"foreach": True, "capturable": True})
    for path in paths:
        actual = trained(case, params, gradients, **tensors, **options, **path)
        for a, b in zip(actual, expected, strict=True):
            # The same numbers in an order that may differ by some roundings a step.
            torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


@PATHS
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("name", ["RelativisticAdam", "RelativisticAdamW"])
def test_a_speed_limit_that_is_changed_in_place_is_followed(
    name: str, mode: str, foreach: bool
) -> None:
    """Down to 0, which stops what it limits, whatever the gradient."""
    leaf = torch.zeros(2, dtype=torch.float64, requires_grad=True)
    limit = torch.tensor(0.5)
    options: Options = {"relativistic_mode": mode, "foreach": foreach, "weight_decay": 0}
    optimizer = SUBJECTS[name].optimizer([leaf], lr=1e9, speed_limit=limit, **options)
    for c in (0.5, 0.125, 0.0):
        limit.fill_(c)
        before = leaf.detach().clone()
        leaf.grad = torch.tensor([1.0, -2.0], dtype=torch.float64)
        if c == 0:
            leaf.grad[0] = torch.nan
        optimizer.step()
        moved = leaf.detach() - before
        size = moved.abs().max() if mode == "per_component" else moved.norm()
        assert size.item() == pytest.approx(c, rel=1e-9, abs=0)


@every_class()
def test_a_tensor_of_two_is_refused_before_the_parameters_are_looked_at(name: str) -> None:
    def parameters() -> Iterator[torch.Tensor]:
        pytest.fail("the parameters were looked at")
        yield torch.zeros(1)

    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        SUBJECTS[name].optimizer(parameters(), lr=torch.ones(2))


@every_class()
def test_a_tensor_learning_rate_is_refused_with_foreach_unless_capturable(name: str) -> None:
    message = "lr as a Tensor is not supported for capturable=False and foreach=True"
    with pytest.raises(ValueError, match=message):
        SUBJECTS[name].optimizer([torch.zeros(1)], lr=torch.tensor(0.1), foreach=True)


@pytest.mark.parametrize(("flags", "message"), CONTRADICTIONS, ids=str)
@pytest.mark.parametrize("name", CASES)
def test_flags_that_contradict_each_other_are_refused(
    name: str, flags: Options, message: str
) -> None:
    with pytest.raises(RuntimeError, match=message):
        CASES[name].optimizer([torch.zeros(1)], **flags)


@every_class()
def test_the_default_path_is_torchs(name: str) -> None:
    """Single tensors on the CPU; what it is on CUDA is tested with fake tensors."""
    leaf = normal(3, 1).requires_grad_()
    leaf.grad = normal(3, 2)
    optimizer = SUBJECTS[name].optimizer([leaf, normal(2, 3).requires_grad_()])
    with torch.profiler.profile() as profile:
        optimizer.step()
    assert not any("_foreach_" in event.key for event in profile.key_averages())
