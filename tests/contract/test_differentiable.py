"""``differentiable=True``: autograd goes through the step."""

from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cases import CASES, SUBJECTS, Options
from tests.steps import normal
from torch_impl import LAWS, Gravity

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("differentiable")]

SMOOTH = [key for key in LAWS if key in {"newtonian", "smooth_sqrt", "tanh"}]
MODES = ("global", "per_param", "per_component")
UNITS = ("norm", "rms", "relative")


def drawn(n: int, seed: int, positive: bool = False) -> Tensor:
    values = normal(n, seed)
    return (values.abs() + 0.1 if positive else values).requires_grad_()


def stepped(
    cls: Any, options: Options, param: Tensor, grad: Tensor, state: dict[str, Tensor]
) -> tuple[Tensor, ...]:
    """Take one step from a state; return the parameter and the state after it."""
    leaf = param.clone()
    leaf.grad = grad
    optimizer = cls([leaf], differentiable=True, **options)
    optimizer.state[leaf] = {"step": torch.tensor(3.0)} | {k: v.clone() for k, v in state.items()}
    optimizer.step()
    return (leaf, *(value for key, value in optimizer.state[leaf].items() if key != "step"))


ADAMS = [
    pytest.param(
        name,
        {"law": law, "relativistic_mode": mode, "speed_unit": unit, **more},
        id=f"{name}-{law}-{mode}-{unit}-{'amsgrad' if more else 'plain'}",
    )
    for name in ("RelativisticAdam", "RelativisticAdamW")
    for law in SMOOTH
    for mode in MODES
    for unit in UNITS
    for more in ({}, {"amsgrad": True})
]


@pytest.mark.parametrize(("name", "options"), [*ADAMS, pytest.param("AdamW", {}, id="AdamW")])
def test_adams_step_passes_gradcheck(name: str, options: Options) -> None:
    """With respect to parameter, gradient and moments, and to every option that is a tensor."""
    moments = [drawn(5, 3), drawn(5, 4, positive=True)]
    keys = ["exp_avg", "exp_avg_sq"]
    if "amsgrad" in options:
        moments.append(drawn(5, 5, positive=True))
        keys.append("max_exp_avg_sq")
    values = {"lr": 0.5, "beta1": 0.8, "beta2": 0.9}
    if name in CASES:  # AdamW does not take these as tensors that need a gradient
        values |= {"speed_limit": 0.7, "weight_decay": 0.1}
    hyper = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in values.values()]

    def step(param: Tensor, grad: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        state = dict(zip(keys, rest, strict=False))
        numbers: dict[str, Any] = dict(zip(values, rest[len(keys) :], strict=True))
        betas = (numbers.pop("beta1"), numbers.pop("beta2"))
        return stepped(
            SUBJECTS[name].optimizer, {**options, **numbers, "betas": betas}, param, grad, state
        )

    assert torch.autograd.gradcheck(step, (drawn(5, 1), drawn(5, 2), *moments, *hyper))


@pytest.mark.parametrize("max_step_grad", ["inverse_max", 0.5])
@pytest.mark.parametrize("cls", [Gravity])
def test_gravitys_step_passes_gradcheck(cls: Any, max_step_grad: Any) -> None:
    def step(param: Tensor, grad: Tensor, velocity: Tensor, *hyper: Tensor) -> tuple[Tensor, ...]:
        numbers = dict(zip(("lr", "beta", "weight_decay"), hyper, strict=True))
        options = {"alpha": 0.0, "max_step_grad": max_step_grad, **numbers}
        return stepped(cls, options, param, grad, {"v": velocity})

    hyper = [torch.tensor(v, dtype=torch.float64, requires_grad=True) for v in (0.5, 0.8, 0.1)]
    assert torch.autograd.gradcheck(step, (drawn(5, 1), drawn(5, 2), drawn(5, 3), *hyper))


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("law", [*SMOOTH, "hard_clip"])
@pytest.mark.parametrize("name", ["RelativisticAdam", "RelativisticAdamW"])
def test_the_derivative_at_an_update_of_zero_is_one(name: str, law: str, mode: str) -> None:
    """∂θ/∂m = −lr/√v there: the limit does not count to first order."""
    moment = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    options = {"lr": 1.0, "betas": (0.5, 0.5), "eps": 0.0, "law": law, "relativistic_mode": mode}
    zero = torch.zeros(3, dtype=torch.float64)
    state = {"exp_avg": moment, "exp_avg_sq": torch.full((3,), 2.0).double()}
    leaf, *_ = stepped(CASES[name].optimizer, options, zero, zero.clone(), state)
    leaf.sum().backward()  # type: ignore[no-untyped-call]
    assert moment.grad is not None
    # m ← m/2, m̂ = m/(1 − 2⁻⁴), v̂ = 1/(1 − 2⁻⁴)
    expected = -0.5 / (1 - 2.0**-4) * (1 - 2.0**-4) ** 0.5
    torch.testing.assert_close(moment.grad, torch.full((3,), expected).double())


@pytest.mark.parametrize("unit", UNITS)
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("law", ["smooth_sqrt", "tanh"])
@pytest.mark.parametrize("name", ["RelativisticAdam"])
def test_derivatives_stay_finite_at_the_ends(name: str, law: str, mode: str, unit: str) -> None:
    """A limit of 0, an update far beyond the limit, a tensor without entries."""
    for c, lr in ((0.0, 1.0), (1e-6, 1e30)):
        limit = torch.tensor(c, requires_grad=True)
        rate = torch.tensor(lr, requires_grad=True)
        leaves = [
            torch.ones(3, requires_grad=True).clone(),
            torch.zeros(0, requires_grad=True).clone(),
        ]
        options = {"law": law, "relativistic_mode": mode, "speed_unit": unit}
        optimizer = CASES[name].optimizer(leaves, lr=rate, differentiable=True, **options)
        optimizer.param_groups[0]["speed_limit"] = limit
        for leaf in leaves:
            leaf.grad = torch.ones_like(leaf)
        optimizer.step()
        torch.cat(leaves).sum().backward()  # type: ignore[no-untyped-call]
        assert limit.grad is not None
        assert limit.grad.isfinite()
        assert rate.grad is not None
        assert rate.grad.isfinite()
