"""Relativistic gradient descent (RGD; França et al., arXiv 1903.04100)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from torch_impl.arguments import check_at_least_zero, check_fraction, check_number


class RGD(Optimizer):
    r"""RGD: a relativistic particle with friction, stepped by a dissipative leapfrog.

    .. math::
        \theta_{k+1/2} &= \theta_k + \frac{\sqrt\mu\, v_k}{\sqrt{1 + \mu\delta |v_k|^2}} \\
        v_{k+1/2} &= \sqrt\mu\, v_k - \epsilon \nabla f(\theta_{k+1/2}) \\
        \theta_{k+1} &= \alpha \theta_{k+1/2} + (1 - \alpha) \theta_k
            + \frac{v_{k+1/2}}{\sqrt{1 + \delta |v_{k+1/2}|^2}} \\
        v_{k+1} &= \sqrt\mu\, v_{k+1/2}

    Parameters
    ----------
    params
        Parameters, or parameter groups; each holds θ_{k+1/2} between steps.
    lr
        ε ≥ 0, the authors' step size.
    mu
        Momentum μ in [0, 1).
    delta
        δ ≥ 0, the inverse square of a speed limit; 0 for none.
    alpha
        α in [0, 1]: 1 for a conformal symplectic method, smaller for one with more dissipation.

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.

    Notes
    -----
    The equations, names and defaults are those of the authors' code (github.com/guisf/rgd,
    opt_solvers.py). They can be derived: for H = f(θ) + c·√(|p|² + m²c²) with friction γ, half a
    drift, a kick with the decay e^{−γh} divided around it, and half a drift are these with α = 1
    and v = hp/(2m), ε = h²/(2m), μ = e^{−γh}, δ = 4/(ch)². So each drift is shorter than 1/√δ, and
    a step with α = 1 than 2/√δ = ch; with a smaller α the parameters move by less than (3 − α)/√δ.

    δ = 0 is Nesterov's method for α = 0, and the heavy ball with the learning rate (1 + μ)ε for
    α = 1, both as torch.optim.SGD writes them.

    A step of torch has the gradient where the parameters are, so that they stay at θ_{k+1/2},
    which is where they are evaluated, too; θ_k is in the state, as ``position``. |v| is the norm
    over all parameters with a gradient in a group: with one group that of the whole velocity, as
    in the paper.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        mu: float = 0.9,
        delta: float = 0.1,
        alpha: float = 1.0,
    ) -> None:
        check_at_least_zero("lr", lr)
        check_fraction("mu", mu)
        check_at_least_zero("delta", delta)
        check_number("alpha", alpha, lambda x: 0 <= x <= 1, "a number in [0, 1]")
        super().__init__(params, {"lr": lr, "mu": mu, "delta": delta, "alpha": alpha})

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step, and return what the closure did, or None without one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            params = [param for param in group["params"] if param.grad is not None]
            for param in params:
                if not self.state[param]:
                    self.state[param].update(
                        velocity=torch.zeros_like(param), position=param.clone()
                    )
            if params:
                _step(params, [self.state[param] for param in params], group)
        return loss


def _step(params: list[Tensor], states: list[dict[str, Tensor]], group: dict[str, Any]) -> None:
    root, alpha = math.sqrt(group["mu"]), group["alpha"]
    velocities = [state["velocity"] for state in states]

    for param, velocity in zip(params, velocities, strict=True):
        velocity.mul_(root).sub_(group["lr"] * param.grad)
    gain = _gain(velocities, group["delta"])
    for param, state in zip(params, states, strict=True):
        state["position"].mul_(1 - alpha).add_(param, alpha=alpha).add_(gain * state["velocity"])

    # The first drift of the next step, to where it will want the gradient
    for velocity in velocities:
        velocity.mul_(root)
    gain = root * _gain(velocities, group["mu"] * group["delta"])
    for param, state in zip(params, states, strict=True):
        torch.add(state["position"], gain * state["velocity"], out=param)


def _gain(velocities: list[Tensor], delta: float) -> Tensor:
    """Return 1/√(1 + δ|v|²), without the square of a large norm."""
    norm = torch.nn.utils.get_total_norm(velocities)
    return 1 / torch.hypot(torch.ones_like(norm), math.sqrt(delta) * norm)
