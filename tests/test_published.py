"""Against implementations that others wrote: relativistic-adam 1.0.0, pytorch-optimizer, torch."""

import math
from itertools import product
from typing import Any

import numpy as np
import pytest
import pytorch_optimizer
import relativistic_adam
import torch
from torch.optim import Optimizer

import reference
from tests.cases import Options, float64
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

STEPS = 50
SHAPES = [(3, 4), (7,), (1,)]


def parameters(seed: int) -> list[torch.nn.Parameter]:
    generator = torch.Generator().manual_seed(seed)
    return [
        torch.nn.Parameter(torch.randn(shape, generator=generator, dtype=torch.float64))
        for shape in SHAPES
    ]


def set_gradients(params: list[torch.nn.Parameter], seed: int, scale: float) -> None:
    generator = torch.Generator().manual_seed(seed)
    for param in params:
        noise = torch.randn(param.shape, generator=generator, dtype=torch.float64)
        param.grad = noise * scale


def relative_error(values: list[Any], expected: list[Any]) -> float:
    """The largest error of a tensor, relative to its largest entry."""
    return max(
        float(np.max(np.abs(value - model)) / np.max(np.abs(model)))
        for value, model in zip(values, expected, strict=True)
    )


PUBLISHED_OPTIONS: dict[str, list[Any]] = {
    "mode": ["global", "per_param", "per_component"],
    "amsgrad": [False, True],
    "weight_decay": [0, 0.1],
    "adaptive_speed": [False, True],
    "speed_warmup_steps": [0, 20],
    "speed_limit": [1e-3, 0.0123, 10.0],
}


@pytest.mark.parametrize("decoupled", [False, True])
@pytest.mark.parametrize("values", list(product(*PUBLISHED_OPTIONS.values())))
def test_published_step_is_relativistic_adam_1_0_0(decoupled: bool, values: Any) -> None:
    options = dict(zip(PUBLISHED_OPTIONS, values, strict=True))
    options |= {"lr": 0.01, "betas": (0.8, 0.99), "eps": 1e-6}
    params = parameters(seed=1)
    names = {"mode": "relativistic_mode"}
    cls = relativistic_adam.RelativisticAdamW if decoupled else relativistic_adam.RelativisticAdam
    optimizer = cls(params, **{names.get(key, key): value for key, value in options.items()})
    thetas, states = [float64(p) for p in params], None
    for step in range(STEPS):
        set_gradients(params, seed=step, scale=10.0 ** (step % 5 - 2))
        optimizer.step()
        thetas, states = reference.published_step(
            thetas, [float64(p.grad) for p in params], states, decoupled=decoupled, **options
        )
    assert relative_error(thetas, [float64(p) for p in params]) < 1e-12


def test_published_step_shares_the_zero_step_of_an_overflowing_norm() -> None:
    param = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
    param.grad = torch.ones(3, dtype=torch.float64)
    options: Options = {"lr": 1e200, "speed_limit": 0.1}
    relativistic_adam.RelativisticAdam([param], **options).step()
    thetas, _ = reference.published_step([np.ones(3)], [np.ones(3)], **options)
    np.testing.assert_array_equal(thetas[0], float64(param))
    np.testing.assert_array_equal(thetas[0], np.ones(3))


def test_published_step_passes_a_zero_update_on() -> None:
    for mode in ("global", "per_param", "per_component"):
        thetas, states = reference.published_step([[2.0], [3.0]], [[0.0], None], mode=mode)
        np.testing.assert_array_equal(thetas, [[2.0], [3.0]])
        assert states[1] is None


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize("weight_decay", [0.0, 0.1])
def test_gravity_is_pytorch_optimizers_gravity(foreach: bool, weight_decay: float) -> None:
    ours, theirs = parameters(seed=2), parameters(seed=2)
    options: Options = {"lr": 0.05, "alpha": 0.02, "beta": 0.95}
    mine = Gravity(ours, **options, weight_decay=weight_decay, foreach=foreach)
    other = pytorch_optimizer.Gravity(theirs, **options)
    generator = torch.Generator().manual_seed(3)
    for one, two in zip(ours, theirs, strict=True):
        v0 = torch.randn(one.shape, generator=generator, dtype=torch.float64)
        mine.state[one] = {"step": torch.tensor(0.0), "v": v0.clone()}
        other.state[two] = {"v": v0.clone()}
    for step in range(STEPS):
        set_gradients(ours, seed=step, scale=2.0)
        for one, two in zip(ours, theirs, strict=True):
            assert one.grad is not None
            two.grad = one.grad + weight_decay * two.detach()
        mine.step()
        other.step()
    assert relative_error([float64(p) for p in ours], [float64(p) for p in theirs]) < 1e-12


UNLIMITED: list[tuple[type[Optimizer], type[Optimizer], Options]] = [
    (RelativisticAdam, torch.optim.Adam, {}),
    (RelativisticAdamW, torch.optim.AdamW, {}),
    (RelativisticAdam, torch.optim.Adam, {"weight_decay": 0.1, "amsgrad": True}),
    (RelativisticAdamW, torch.optim.AdamW, {"weight_decay": 0.1, "amsgrad": True}),
    (RelativisticAdam, torch.optim.Adam, {"maximize": True, "betas": (0.0, 0.9), "eps": 1e-3}),
]


@pytest.mark.parametrize(
    ("limits", "mode", "foreach"),
    list(
        product(
            [{"speed_limit": math.inf}, {"law": "newtonian"}],
            ["global", "per_param", "per_component"],
            [False, True],
        )
    ),
)
@pytest.mark.parametrize(("mine", "torchs", "options"), UNLIMITED)
def test_no_limit_is_torchs_adam(
    mine: Any, torchs: Any, options: Options, limits: Options, mode: str, foreach: bool
) -> None:
    ours, theirs = parameters(seed=4), parameters(seed=4)
    one = mine(ours, lr=0.1, **options, **limits, relativistic_mode=mode, foreach=foreach)
    other = torchs(theirs, lr=0.1, **options, foreach=foreach)
    for step in range(STEPS):
        set_gradients(ours, seed=step, scale=10.0 ** (step % 5 - 2))
        set_gradients(theirs, seed=step, scale=10.0 ** (step % 5 - 2))
        one.step()
        other.step()
    assert relative_error([float64(p) for p in ours], [float64(p) for p in theirs]) < 1e-12


def test_published_epsilon_is_divided_by_the_bias_correction() -> None:
    options: Options = {"lr": 1.0, "betas": (0.9, 0.999)}
    ours, _ = reference.adam_direction([1.0], eps=1e-3 / math.sqrt(1e-3), **options)
    published, _ = reference.published_direction([1.0], eps=1e-3, **options)
    np.testing.assert_allclose(published, ours, rtol=1e-12)
    ours, _ = reference.adam_direction([1.0, 1e-3], eps=0.0, **options)
    published, _ = reference.published_direction([1.0, 1e-3], eps=0.0, **options)
    np.testing.assert_allclose(published, ours, rtol=1e-14)
