"""Gravity, the kinematic optimizer (Bahrami and Zadeh, arXiv 2101.09192).

Notation: θ the parameter, g its gradient, G = max|g| over the tensor, m the max-step gradient,
ζ the gradient term, V the velocity, t the clock, β̂ the running coefficient.
"""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .arguments import (
    check_at_least_zero,
    check_flag,
    check_foreach,
    check_fraction,
    check_number,
    warn_caller,
)
from .base import FirstOrderOptimizer, check_representable
from .batches import Batch, as_real, batches, state_dtype


class Gravity(FirstOrderOptimizer):
    r"""Gravity: a running average of a bounded gradient term.

    .. math::
        \zeta = \frac{g}{1 + (g/m)^2}, \quad
        \hat\beta = \frac{\beta t + 1}{t + 2}, \quad
        V \leftarrow \hat\beta V + (1 - \hat\beta)\zeta, \quad
        \theta \leftarrow \theta - \eta V

    Parameters
    ----------
    params
        Parameters θ, or parameter groups; every option below but the generator can differ from
        group to group.
    lr
        Learning rate η ≥ 0.
    alpha
        α ≥ 0: V₀ ~ N(0, (α/η)²), with the η at which the group is added (kept as ``velocity_std``
        in the group; 0 for η = 0). It displaces a weight by about 2.8·α·N(0, 1) in all.
    beta
        β in [0, 1), the limit of β̂.
    weight_decay
        λ ≥ 0, an L2 penalty in the gradient.
    initial_step
        t at the first update: 1 as in the published PyTorch code, 0 as in Keras's.
    generator
        Source of V₀; None is torch's default. V₀ is drawn at a parameter's first gradient.
    max_step_grad
        "inverse_max" for m = 1/max|g| as published, or κ > 0 for m = κ·max|g|, which makes ζ
        equivariant to the gradient's scale.
    maximize
        Ascend instead of descend.
    foreach
        Whether to use multi-tensor operations; None lets torch choose (yes on CUDA).

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.

    Notes
    -----
    The maximum is taken over each tensor, and t counts each tensor's own updates (the published
    code counts those of the group). |ζ| ≤ min(|g|, 0.56988) with the published m, under which
    an entry much above 1 nearly freezes and the order of the entries reverses. V and ζ of
    parameters narrower than 32 bits are kept in 32 bits. An infinite gradient entry makes its own
    parameter entry NaN, a NaN the whole tensor's.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([2.0, 1.0])
    >>> Gravity([weight], lr=1.0, alpha=0.0, beta=0.5).step()
    >>> [round(w, 4) for w in weight.tolist()]
    [-0.0588, -0.1]
    """

    def __init__(
        self,
        params: ParamsT,
        lr: float = 0.1,
        alpha: float = 0.01,
        beta: float = 0.9,
        *,
        weight_decay: float = 0,
        initial_step: int = 1,
        generator: torch.Generator | None = None,
        max_step_grad: str | float = "inverse_max",
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "alpha": alpha,
            "beta": beta,
            "weight_decay": weight_decay,
            "initial_step": initial_step,
            "max_step_grad": max_step_grad,
            "maximize": maximize,
            "foreach": foreach,
        }
        _check_options(defaults)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator={generator!r}: expected a torch.Generator or None")
        self._generator = generator
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled, the generator included."""
        return {**super().__getstate__(), "_generator": self._generator}

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, as torch.optim does, and fix its V₀'s standard deviation.

        Raises
        ------
        ValueError
            If an option is not as the class describes.

        Warns
        -----
        UserWarning
            If the standard deviation α/η exceeds 1, more than any later velocity can reach.
        """
        options = {**self.defaults, **param_group}
        _check_options(options)
        lr = options["lr"]
        deviation = param_group.get("velocity_std", options["alpha"] / lr if lr > 0 else 0.0)
        check_at_least_zero("velocity_std", deviation)
        self._add_checked({**param_group, "velocity_std": deviation}, _check_dtypes)
        if deviation > 1:
            warn_caller(
                f"the initial velocity's standard deviation alpha/lr = {deviation:.3g} exceeds 1, "
                "more than any later velocity can reach; lower alpha or set velocity_std"
            )

    def _advance(self) -> None:
        for group in self.param_groups:
            for batch in batches(self, group, self._new_state):
                batch.penalise(group["weight_decay"])
                (_step_foreach if batch.foreach else _step_single)(batch, group)

    def _new_state(self, param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
        velocity = torch.empty_like(
            param, dtype=state_dtype(param), memory_format=torch.preserve_format
        )
        as_real(velocity).normal_(0, group["velocity_std"], generator=self._generator)
        return {"v": velocity}


def _check_options(options: dict[str, Any]) -> None:
    check_at_least_zero("lr", options["lr"])
    check_at_least_zero("alpha", options["alpha"])
    check_fraction("beta", options["beta"])
    check_at_least_zero("weight_decay", options["weight_decay"])
    check_number("initial_step", options["initial_step"], lambda t: t in {0, 1}, "0 or 1")
    if options["max_step_grad"] != "inverse_max":
        check_number(
            "max_step_grad",
            options["max_step_grad"],
            lambda kappa: 0 < kappa < math.inf,
            "'inverse_max' or a finite number > 0",
        )
    check_flag("maximize", options["maximize"])
    check_foreach(options["foreach"])


def _check_dtypes(group: dict[str, Any]) -> None:
    check_representable(group, ("lr", "weight_decay", "velocity_std"))


def _beta_hats(batch: Batch, group: dict[str, Any]) -> list[float]:
    """Return β̂ = (βt + 1)/(t + 2) of each tensor."""
    clocks = [step - 1 + group["initial_step"] for step in batch.steps]
    return [(group["beta"] * t + 1) / (t + 2) for t in clocks]


def _step_single(batch: Batch, group: dict[str, Any]) -> None:
    """Advance V and θ of one tensor.

    G is kept finite, so that a zero entry beside an infinite one gives ζ = 0 and not 0·∞.
    """
    (param,), (grad,), (velocity,) = batch.params, batch.grads, batch.buffers("v")
    (beta_hat,) = _beta_hats(batch, group)
    finfo = torch.finfo(grad.dtype)
    peak = torch.linalg.vector_norm(grad, math.inf)
    if group["max_step_grad"] == "inverse_max":
        quotient = grad * peak.clamp_(max=finfo.max)
    else:
        quotient = grad / peak.mul_(group["max_step_grad"]).clamp_(finfo.tiny, finfo.max)
    denominator = quotient.square_().add_(1)
    velocity.mul_(beta_hat).addcdiv_(grad, denominator, value=1 - beta_hat)
    param.add_(velocity, alpha=-group["lr"])


def _step_foreach(batch: Batch, group: dict[str, Any]) -> None:
    """`_step_single` for many tensors at once, operation by operation."""
    velocities = batch.buffers("v")
    beta_hats = _beta_hats(batch, group)
    finfo = torch.finfo(batch.grads[0].dtype)
    peaks = list(torch._foreach_norm(batch.grads, math.inf))
    if group["max_step_grad"] == "inverse_max":
        torch._foreach_clamp_max_(peaks, finfo.max)
        denominators = list(torch._foreach_mul(batch.grads, peaks))
    else:
        torch._foreach_mul_(peaks, group["max_step_grad"])
        torch._foreach_clamp_min_(peaks, finfo.tiny)
        torch._foreach_clamp_max_(peaks, finfo.max)
        denominators = list(torch._foreach_div(batch.grads, peaks))
    torch._foreach_mul_(denominators, denominators)
    torch._foreach_add_(denominators, 1)
    torch._foreach_mul_(velocities, beta_hats)
    weights = [1 - beta_hat for beta_hat in beta_hats]
    torch._foreach_addcdiv_(velocities, batch.grads, denominators, weights)
    torch._foreach_add_(batch.params, velocities, alpha=-group["lr"])
