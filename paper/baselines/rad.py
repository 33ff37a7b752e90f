"""Relativistic adaptive gradient descent (RAD; Lyu et al., arXiv 2412.02291)."""

import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT

from torch_impl.arguments import check_at_least_zero, check_betas, check_number

SMALLEST_FACTOR = 1e-16
"""Where an annealed symplectic factor starts at the lowest, as in the authors' code."""


class RAD(Optimizer):
    r"""RAD: every entry a relativistic particle, whose speed is taken from Adam's second moment.

    With the gradient g of step k = 1, 2, …

    .. math::
        m \leftarrow \beta_1 m + (1 - \beta_1) g, \quad
        y \leftarrow \beta_2 y + (1 - \beta_2) g^2, \quad
        \theta \leftarrow (1 - \eta\lambda) \theta
            - \eta \frac{\sqrt{1 - \beta_2^k}}{1 - \beta_1^k} \frac{m}{\sqrt{\delta^2 y + \zeta_k}}

    Parameters
    ----------
    params
        Parameters θ, or parameter groups.
    lr
        Learning rate η ≥ 0.
    betas
        β₁ and β₂ in [0, 1).
    delta
        Speed coefficient δ ≥ 0, the inverse of a speed of light: 0 for no limit, where RAD is a
        bias-corrected momentum method.
    zeta
        Symplectic factor ζ > 0; None anneals it.
    max_iter
        N, the steps of training, over which an annealed factor grows. None for an annealed factor
        that is 1 after the correction of its bias.
    weight_decay
        λ ≥ 0, decoupled.

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.

    Notes
    -----
    The equations are those of the authors' code (pytorch-rad 0.1.4, github.com/TobiasLv/RAD), with
    its names and defaults. It anneals

    .. math::
        \zeta_k = (1 - \beta_2^k)\, \varepsilon_k, \qquad
        \varepsilon_k = \min(1, e^{12 \pi (k/N - 1)}),

    not below 10⁻¹⁶, so that a step is η·m̂/√(δ²ŷ + εₖ) in the corrected moments: Adam's step at
    first, the particle's at last. With δ = 1 and a small ζ that stays, RAD is Adam. Later releases
    anneal with e^{40(k/N − 1)}, uncorrected, and have ζ = 10⁻¹⁶ as default.

    The particle can be derived. For H = f(θ) + Σᵢ c·√(pᵢ² + M²c²) with friction r, the conformal
    symplectic Euler step of length h, written for p = −m·h/(1 − β₁) with β₁ = e^{−rh}, is
    θ ← θ − η·m/√(δ²m² + 1), η = h²/(M(1 − β₁)), δ = h/(Mc(1 − β₁)): no entry goes farther than
    η/δ = ch. RAD puts y for m² and ζ for 1. So |m|/√y bounds its step: with β₁² < β₂ an entry moves
    by at most √Kₖ·η/δ, where √Kₖ = sup |m̂|/√ŷ is Adam's own bound, 7.27 at the default betas.

    Their options for steps of the second order, AMSGrad and bounded learning rates are left out.
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        delta: float = 1.0,
        zeta: float | None = None,
        max_iter: int | None = None,
        weight_decay: float = 0.0,
    ) -> None:
        check_at_least_zero("lr", lr)
        check_betas(betas)
        check_at_least_zero("delta", delta)
        if zeta is not None:
            check_number("zeta", zeta, lambda x: 0 < x < math.inf, "a finite number > 0 or None")
        if max_iter is not None:
            check_number("max_iter", max_iter, lambda n: n >= 1, "a number of steps >= 1 or None")
        check_at_least_zero("weight_decay", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "delta": delta,
            "zeta": zeta,
            "max_iter": max_iter,
            "weight_decay": weight_decay,
        }
        super().__init__(params, defaults)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        """Take one step, and return what the closure did, or None without one."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    _step(param, param.grad, self.state[param], group)
        return loss


def symplectic_factor(step: int, beta2: float, max_iter: int | None) -> float:
    """Return the annealed ζ of a step, counted from 1."""
    grown = 1.0 if max_iter is None else math.exp(min(0.0, 12 * math.pi * (step / max_iter - 1)))
    return max(SMALLEST_FACTOR, grown * (1 - beta2**step))


def _step(param: Tensor, grad: Tensor, state: dict[str, Any], group: dict[str, Any]) -> None:
    if not state:
        state.update(step=0, exp_avg=torch.zeros_like(param), exp_avg_sq=torch.zeros_like(param))
    state["step"] += 1
    step, (beta1, beta2), lr = state["step"], group["betas"], group["lr"]
    zeta = group["zeta"]
    if zeta is None:
        zeta = symplectic_factor(step, beta2, group["max_iter"])

    m = state["exp_avg"].mul_(beta1).add_(grad, alpha=1 - beta1)
    y = state["exp_avg_sq"].mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
    correction = math.sqrt(1 - beta2**step) / (1 - beta1**step)
    param.mul_(1 - lr * group["weight_decay"])
    param.addcdiv_(m, (y * group["delta"] ** 2 + zeta).sqrt(), value=-lr * correction)
