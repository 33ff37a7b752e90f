"""RelativisticAdam and RelativisticAdamW: an Adam direction, limited by a speed law.

Notation: θ the parameter, g its gradient, m and v the moments, t the step, counted from 1, u the
proposed update, s the applied one, c the speed limit.
"""

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT

from .adam import adam_foreach, adam_single
from .arguments import (
    check_at_least_zero,
    check_betas,
    check_flag,
    check_foreach,
    check_number,
    check_one_of,
    warn_caller,
)
from .base import FirstOrderOptimizer, check_representable
from .batches import Batch, batches, state_dtype, working_dtype
from .laws import LAWS
from .limit import (
    MODES,
    UNITS,
    Proposal,
    limit_entries_,
    limit_tensors_,
    limit_together_,
    round_toward_zero,
)


class RelativisticAdam(FirstOrderOptimizer):
    r"""Adam whose update passes through a speed law.

    With the bounded laws, "smooth_sqrt" among them, no finite update is applied with a norm above
    the speed limit.

    .. math::
        g \leftarrow g + \lambda\theta, \quad
        u = \eta\,\frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}, \quad
        \theta \leftarrow \theta - \varphi(\|u\|/c)\,u

    Parameters
    ----------
    params
        Parameters θ, or parameter groups; every option below can differ from group to group.
    lr
        Learning rate η ≥ 0.
    betas
        Decay rates β₁, β₂ of the moments m and v, in [0, 1).
    eps
        ε ≥ 0, in gradient units.
    speed_limit
        c > 0, the largest permitted norm of an update; ∞ is plain Adam.
    weight_decay
        λ ≥ 0, an L2 penalty in the gradient.
    amsgrad
        Divide by the largest v so far (arXiv 1904.09237).
    relativistic_mode
        What the norm ranges over: "global" (every parameter of every group that says so),
        "per_param" (each tensor) or "per_component" (each entry; the real and imaginary parts of a
        complex one count as two).
    adaptive_speed
        Warm c up: c_t = c·min(1, t/`speed_warmup_steps`), t the parameter's own step.
    speed_warmup_steps
        Length of the warm-up in steps; at most 0 means none.
    law
        φ, a key of `LAWS`: "smooth_sqrt" (1/√(1 + r²)), "tanh", "hard_clip", "newtonian" (no
        limit), or, for comparison, "published" (the code of relativistic-adam 1.0.0) and
        "piecewise" (its README, which exceeds c), which warn.
    speed_unit
        What c is measured in, with n entries and parameters θ in the block: "norm" (c, in parameter
        units), "rms" (c·√n) or "relative" (c·max(‖θ‖, 10⁻³·√n)).
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
    The direction is torch.optim.Adam's, which ``speed_limit=math.inf`` reproduces up to rounding.
    relativistic-adam 1.0.0 divides ε by √(1 − β₂ᵗ), takes its "global" norm per tensor, and its law
    jumps at r = 1; see `reference.published_step`. State and norms of parameters narrower than 32
    bits are kept in 32 bits. Where an entry of the proposed update is NaN its whole block becomes
    NaN; where one is infinite it becomes ±c per component, and in a larger block NaN beside zeros.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3e9, -4e9])
    >>> RelativisticAdam([weight], lr=1e6, speed_limit=0.1).step()
    >>> [round(w, 4) for w in weight.tolist()]
    [-0.0707, 0.0707]
    """

    _decoupled_weight_decay: ClassVar[bool] = False

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        speed_limit: float = 0.1,
        weight_decay: float = 0,
        amsgrad: bool = False,
        relativistic_mode: str = "per_param",
        adaptive_speed: bool = False,
        speed_warmup_steps: float = 1000,
        *,
        law: str = "smooth_sqrt",
        speed_unit: str = "norm",
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "speed_limit": speed_limit,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "relativistic_mode": relativistic_mode,
            "adaptive_speed": adaptive_speed,
            "speed_warmup_steps": speed_warmup_steps,
            "law": law,
            "speed_unit": speed_unit,
            "maximize": maximize,
            "foreach": foreach,
        }
        _check_options(defaults)
        super().__init__(params, defaults)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, as torch.optim does, once its options are found valid.

        Raises
        ------
        ValueError
            If an option is not as the class describes, or is 0 or ∞ in the dtype a parameter is
            updated in where it should not be.
        """
        options = {**self.defaults, **param_group}
        _check_options(options)
        unlike_before = all(group["law"] != options["law"] for group in self.param_groups)
        self._add_checked(param_group, _check_dtypes)
        if unlike_before and not LAWS[options["law"]].monotone:
            warn_caller(
                f"law={options['law']!r} fails the claim 'monotone': near the speed limit a larger "
                "proposed update is applied as a smaller step; law='smooth_sqrt' is monotone"
            )

    def _advance(self) -> None:
        together: list[tuple[Batch, dict[str, Any], Proposal]] = []
        for group in self.param_groups:
            for batch in batches(self, group, _new_state):
                proposal = self._propose(batch, group)
                if group["relativistic_mode"] == "global":
                    together.append((batch, group, proposal))
                    continue
                if group["relativistic_mode"] == "per_param":
                    limit_tensors_(proposal)
                else:
                    limit_entries_(proposal)
                self._apply(batch, group, proposal.updates)
        if together:
            limit_together_([proposal for _, _, proposal in together])
        for batch, group, proposal in together:
            self._apply(batch, group, proposal.updates)

    def _propose(self, batch: Batch, group: dict[str, Any]) -> Proposal:
        if not self._decoupled_weight_decay:
            batch.penalise(group["weight_decay"])
        updates = (adam_foreach if batch.foreach else adam_single)(batch, group)
        law, unit = LAWS[group["law"]], group["speed_unit"]
        limits = [_speed_limit_at(step, group) if law.limits else math.inf for step in batch.steps]
        return Proposal(updates, batch.params, limits, law, unit, batch.foreach)

    def _apply(self, batch: Batch, group: dict[str, Any], updates: list[Tensor]) -> None:
        """Write θ − s, or with decoupled decay θ − (s + lr·λ·θ), rounding θ once."""
        decay = group["lr"] * group["weight_decay"] if self._decoupled_weight_decay else 0
        if batch.foreach:
            if decay != 0:
                torch._foreach_add_(updates, batch.params, alpha=decay)
            torch._foreach_sub_(batch.params, updates)
            return
        for param, update in zip(batch.params, updates, strict=True):
            if decay != 0:
                update.add_(param, alpha=decay)
            param.sub_(update)


class RelativisticAdamW(RelativisticAdam):
    r"""AdamW whose update passes through a speed law.

    .. math::
        u = \eta\,\frac{m/(1-\beta_1^t)}{\sqrt{v/(1-\beta_2^t)} + \epsilon}, \quad
        \theta \leftarrow (1 - \eta\lambda)\,\theta - \varphi(\|u\|/c)\,u

    The decay is outside the limit: for the bounded laws ‖Δθ‖ ≤ c + η·λ·‖θ‖ in the block's norm.
    Parameters, errors and notes are those of `RelativisticAdam`, with λ = 0.01 by default;
    relativistic-adam 1.0.0 decays after the step instead.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.ones(1))
    >>> weight.grad = torch.zeros(1)
    >>> RelativisticAdamW([weight], lr=0.5, weight_decay=0.5).step()
    >>> weight.tolist()
    [0.75]
    """

    _decoupled_weight_decay: ClassVar[bool] = True

    def __init__(
        self,
        params: ParamsT,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        speed_limit: float = 0.1,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        relativistic_mode: str = "per_param",
        adaptive_speed: bool = False,
        speed_warmup_steps: float = 1000,
        *,
        law: str = "smooth_sqrt",
        speed_unit: str = "norm",
        maximize: bool = False,
        foreach: bool | None = None,
    ) -> None:
        super().__init__(
            params,
            lr,
            betas,
            eps,
            speed_limit,
            weight_decay,
            amsgrad,
            relativistic_mode,
            adaptive_speed,
            speed_warmup_steps,
            law=law,
            speed_unit=speed_unit,
            maximize=maximize,
            foreach=foreach,
        )


def _check_options(options: dict[str, Any]) -> None:
    check_at_least_zero("lr", options["lr"])
    check_betas(options["betas"])
    check_at_least_zero("eps", options["eps"])
    check_number(
        "speed_limit", options["speed_limit"], lambda c: c > 0, "a number > 0 (inf means no limit)"
    )
    check_at_least_zero("weight_decay", options["weight_decay"])
    check_flag("amsgrad", options["amsgrad"])
    check_one_of("relativistic_mode", options["relativistic_mode"], MODES)
    check_flag("adaptive_speed", options["adaptive_speed"])
    check_number(
        "speed_warmup_steps", options["speed_warmup_steps"], math.isfinite, "a finite number"
    )
    check_one_of("law", options["law"], LAWS)
    check_one_of("speed_unit", options["speed_unit"], UNITS)
    check_flag("maximize", options["maximize"])
    check_foreach(options["foreach"])


def _check_dtypes(group: dict[str, Any]) -> None:
    check_representable(group, ("lr", "eps", "weight_decay"))
    c = group["speed_limit"]
    for param in group["params"]:
        if round_toward_zero(c, working_dtype(param)) == 0:
            raise ValueError(
                f"speed_limit={c!r}: expected a number that is not 0 in {working_dtype(param)}, in "
                f"which the update of a parameter of dtype {param.dtype} is computed"
            )


def _new_state(param: Tensor, group: dict[str, Any]) -> dict[str, Any]:
    buffers = ["exp_avg", "exp_avg_sq"] + ["max_exp_avg_sq"] * group["amsgrad"]
    return {
        key: torch.zeros_like(param, dtype=state_dtype(param), memory_format=torch.preserve_format)
        for key in buffers
    }


def _speed_limit_at(step: int, group: dict[str, Any]) -> float:
    """Return c_t = c·min(1, t/`speed_warmup_steps`), or c without warm-up."""
    c, warmup = float(group["speed_limit"]), group["speed_warmup_steps"]
    return c * min(1.0, step / warmup) if group["adaptive_speed"] and warmup > 0 else c
