"""Others' relativistic optimizers do what their equations say."""

import copy
import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import torch

from paper.baselines import RAD, RGD
from paper.optimizers import OPTIMIZERS

Array = npt.NDArray[np.float64]

CURVATURES = np.array([1.0, 10.0, 0.1])
START = np.array([1.0, -2.0, 3.0])
STEPS = 30


def slope(theta: Array) -> Array:
    """The gradient of a quadratic with a ripple, so that no two steps are alike."""
    return np.asarray(CURVATURES * theta + 0.3 * np.sin(5 * theta))


def path(make: Callable[..., torch.optim.Optimizer], steps: int = STEPS, **options: Any) -> Array:
    """The parameters after each step, in float64, as two tensors."""
    params = [torch.nn.Parameter(torch.tensor(part)) for part in (START[:2], START[2:])]
    optimizer = make(params, **options)
    points = [START]
    for _ in range(steps):
        grad = torch.tensor(slope(points[-1]))
        params[0].grad, params[1].grad = grad[:2], grad[2:]
        optimizer.step()
        points.append(torch.cat([param.detach() for param in params]).numpy())
    return np.array(points)


def rad_path(
    lr: float, beta1: float, beta2: float, delta: float, zeta: Callable[[int], float], decay: float
) -> Array:
    theta, m, y = START, np.zeros(3), np.zeros(3)
    points = [theta]
    for k in range(1, STEPS + 1):
        g = slope(theta)
        m, y = beta1 * m + (1 - beta1) * g, beta2 * y + (1 - beta2) * g**2
        rate = lr * math.sqrt(1 - beta2**k) / (1 - beta1**k)
        theta = theta * (1 - lr * decay) - rate * m / np.sqrt(delta**2 * y + zeta(k))
        points.append(theta)
    return np.array(points)


def rgd_paths(lr: float, mu: float, delta: float, alpha: float) -> tuple[Array, Array]:
    """The half points, from the first on, and the whole ones."""
    theta, v = START, np.zeros(3)
    halves, wholes = [], [theta]
    for _ in range(STEPS + 1):
        half = theta + math.sqrt(mu) * v / math.sqrt(1 + mu * delta * (v @ v))
        v_half = math.sqrt(mu) * v - lr * slope(half)
        drift = v_half / math.sqrt(1 + delta * (v_half @ v_half))
        theta = alpha * half + (1 - alpha) * theta + drift
        v = math.sqrt(mu) * v_half
        halves.append(half)
        wholes.append(theta)
    return np.array(halves), np.array(wholes)


def close(found: Array, expected: Array) -> None:
    # Sums in another order; thirty steps of a contraction do not grow 1e-16 to this
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-12)


@pytest.mark.parametrize("delta", [0.0, 0.5, 1.0, 20.0])
def test_rad_follows_its_equations(delta: float) -> None:
    found = path(RAD, lr=0.05, betas=(0.8, 0.95), delta=delta, zeta=0.3, weight_decay=0.02)
    close(found, rad_path(0.05, 0.8, 0.95, delta, lambda _: 0.3, 0.02))


def test_rad_anneals_its_symplectic_factor() -> None:
    def zeta(k: int) -> float:
        return max(1e-16, (1 - 0.95**k) * math.exp(min(0.0, 12 * math.pi * (k / 20 - 1))))

    assert zeta(1) == 1e-16
    assert zeta(20) == 1 - 0.95**20
    found = path(RAD, lr=0.05, betas=(0.8, 0.95), max_iter=20)
    close(found, rad_path(0.05, 0.8, 0.95, 1.0, zeta, 0.0))
    close(path(RAD, lr=0.05), rad_path(0.05, 0.9, 0.999, 1.0, lambda k: 1 - 0.999**k, 0.0))


def test_rad_is_adam_for_speed_coefficient_one_and_a_small_symplectic_factor() -> None:
    # √(y + ζ) and √y + 0 differ by less than ζ/(2y), and y is above 1e-6 here
    adam = path(torch.optim.Adam, lr=0.05, eps=0.0)
    np.testing.assert_allclose(path(RAD, lr=0.05, zeta=1e-22), adam, rtol=1e-11, atol=1e-12)


def test_rad_without_a_speed_limit_is_momentum_with_its_bias_corrected() -> None:
    theta, m, points = START, np.zeros(3), [START]
    for k in range(1, STEPS + 1):
        m = 0.9 * m + 0.1 * slope(theta)
        theta = theta - 0.05 * m / (1 - 0.9**k)
        points.append(theta)
    close(path(RAD, lr=0.05, delta=0.0), np.array(points))


@pytest.mark.parametrize("delta", [1.0, 10.0])
def test_no_entry_of_a_step_of_rad_exceeds_adams_bound_over_the_speed_coefficient(
    delta: float,
) -> None:
    beta1, beta2, lr = 0.9, 0.999, 0.1
    bound = lr / delta * math.sqrt(beta2 * (1 - beta1) ** 2 / ((1 - beta2) * (beta2 - beta1**2)))
    weight = torch.nn.Parameter(torch.zeros(4))
    optimizer = RAD([weight], lr=lr, delta=delta)
    draws = torch.Generator().manual_seed(0)
    longest = 0.0
    for k in range(200):
        before = weight.detach().clone()
        weight.grad = torch.randn(4, generator=draws) * (1e6 if k % 50 == 49 else 1.0)
        optimizer.step()
        longest = max(longest, float((weight.detach() - before).abs().max()))
    assert 0.1 * bound < longest <= bound


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("delta", [0.0, 0.1, 30.0])
def test_rgd_follows_its_equations(alpha: float, delta: float) -> None:
    halves, _ = rgd_paths(0.02, 0.8, delta, alpha)
    close(path(RGD, lr=0.02, mu=0.8, delta=delta, alpha=alpha), halves)


def test_rgd_keeps_the_whole_points_in_its_state() -> None:
    weight = torch.nn.Parameter(torch.tensor(START))
    optimizer = RGD([weight], lr=0.02, alpha=0.5)
    _, wholes = rgd_paths(0.02, 0.9, 0.1, 0.5)
    for k in range(STEPS):
        weight.grad = torch.tensor(slope(weight.detach().numpy()))
        optimizer.step()
        close(optimizer.state[weight]["position"].numpy(), wholes[k + 1])


def test_rgd_without_a_speed_limit_is_nesterovs_method_for_alpha_zero() -> None:
    nesterov = path(torch.optim.SGD, lr=0.02, momentum=0.9, nesterov=True)
    close(path(RGD, lr=0.02, mu=0.9, delta=0.0, alpha=0.0), nesterov)


def test_rgd_without_a_speed_limit_is_the_heavy_ball_for_alpha_one() -> None:
    heavy_ball = path(torch.optim.SGD, lr=1.9 * 0.02, momentum=0.9)
    close(path(RGD, lr=0.02, mu=0.9, delta=0.0, alpha=1.0), heavy_ball)


@pytest.mark.parametrize("alpha", [0.0, 0.5, 1.0])
@pytest.mark.parametrize("lr", [1e-2, 1e10, 1e30])
def test_a_step_of_rgd_stays_below_its_speed_limit(lr: float, alpha: float) -> None:
    weight = torch.nn.Parameter(torch.zeros(5))
    optimizer = RGD([weight], lr=lr, delta=4.0, alpha=alpha)
    draws = torch.Generator().manual_seed(0)
    for _ in range(50):
        before = weight.detach().clone()
        weight.grad = torch.randn(5, generator=draws)
        optimizer.step()
        # 1e-5 for the rounding of the position, which grows to 50 steps of 1/2
        assert float((weight.detach() - before).norm()) <= (3 - alpha) / 2 + 1e-5
    assert torch.isfinite(weight).all()


@pytest.mark.parametrize("make", [RAD, RGD])
def test_a_saved_optimizer_goes_on_as_one_that_was_not(
    make: Callable[..., torch.optim.Optimizer],
) -> None:
    weight = torch.nn.Parameter(torch.tensor(START))
    optimizer = make([weight], lr=0.02)
    for k in range(STEPS):
        weight.grad = torch.tensor(slope(weight.detach().numpy()))
        optimizer.step()
        if k == STEPS // 2:
            saved = copy.deepcopy(optimizer.state_dict())
            twin = torch.nn.Parameter(weight.detach().clone())
    resumed = make([twin], lr=0.5)
    resumed.load_state_dict(saved)
    for _ in range(STEPS // 2 + 1, STEPS):
        twin.grad = torch.tensor(slope(twin.detach().numpy()))
        resumed.step()
    assert torch.equal(twin, weight)


@pytest.mark.parametrize("make", [RAD, RGD])
def test_a_closure_is_evaluated_and_what_has_no_gradient_stays(
    make: Callable[..., torch.optim.Optimizer],
) -> None:
    used, unused = (torch.nn.Parameter(torch.ones(2)) for _ in range(2))
    optimizer = make([{"params": [used]}, {"params": [unused]}])

    def closure() -> float:
        loss = used.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return float(loss.detach())

    assert optimizer.step(closure) == 2.0
    assert (used < 1).all()
    assert torch.equal(unused, torch.ones(2))


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (RAD, {"lr": -1.0}, r"lr=-1.0: expected a finite number >= 0"),
        (RAD, {"betas": (0.9, 1.0)}, r"betas\[1\]=1.0: expected a number in \[0, 1\)"),
        (RAD, {"delta": math.inf}, r"delta=inf: expected a finite number >= 0"),
        (RAD, {"zeta": 0.0}, r"zeta=0.0: expected a finite number > 0 or None"),
        (RAD, {"max_iter": 0}, r"max_iter=0: expected a number of steps >= 1 or None"),
        (RAD, {"weight_decay": -0.1}, r"weight_decay=-0.1: expected a finite number >= 0"),
        (RGD, {"lr": math.nan}, r"lr=nan: expected a finite number >= 0"),
        (RGD, {"mu": 1.0}, r"mu=1.0: expected a number in \[0, 1\)"),
        (RGD, {"delta": -1.0}, r"delta=-1.0: expected a finite number >= 0"),
        (RGD, {"alpha": 1.5}, r"alpha=1.5: expected a number in \[0, 1\]"),
    ],
)
def test_an_error_names_the_argument(
    make: Callable[..., torch.optim.Optimizer], options: Mapping[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        make([torch.nn.Parameter(torch.zeros(1))], **options)


def test_runs_name_them() -> None:
    assert OPTIMIZERS["RAD"] is RAD
    assert OPTIMIZERS["RGD"] is RGD
