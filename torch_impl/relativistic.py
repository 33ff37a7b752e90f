"""RelativisticAdam and RelativisticAdamW: an Adam direction, limited by a speed law.

Notation: θ the parameter, g its gradient, m and v the moments, t the step, counted from 1, u the
proposed update, s the applied one, c the speed limit.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT, StateDict

from . import pieces
from .adam import propose_adam
from .arguments import (
    as_number,
    check_at_least_zero,
    check_betas,
    check_flag,
    check_number,
    check_one_of,
    check_paths,
)
from .base import FirstOrderOptimizer, check_representable
from .batches import Batch, buffer_dtype, largest_with_square, working_dtype
from .invariants import Invariants
from .laws import LAWS, warn_unless_monotone
from .limit import MODES, UNITS, Proposal, round_toward_zero
from .limiter import Limiter, Scope
from .nonfinite import check_policy
from .pages import zeros_like_each
from .promises import promises_of_adam
from .refusals import refuse_a_part_of_the_model, refuse_flattened, refuse_partitioned
from .schedules import (
    MEASURED_STEPS,
    PLACEMENTS,
    PUBLISHED_LIMIT,
    SIZES,
    check_given_limit,
    check_limit,
    check_schedule,
    is_auto,
    is_measured,
    reference_lr,
    remember_sizes,
    speed_limit_now,
)
from .sharding import is_distributed


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
        Learning rate η ≥ 0; like the betas, the limit and the decay a number or a one-element
        tensor.
    betas
        Decay rates β₁, β₂ of the moments m and v, in [0, 1); both numbers or both tensors.
    eps
        ε ≥ 0, in gradient units.
    speed_limit
        c > 0, the largest permitted norm of an update; ∞ is plain Adam. As a tensor it can be
        changed in place, without recompilation; in a group it may become 0, which stops the update.
        "auto" measures it: 4 times the median size of a parameter's block over its first 20 steps
        that are not 0, which are not limited; a part of the state from then on. While a scheduler
        warms the learning rate up, combine it with ``speed_follows_lr``.
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
    placement
        What the law limits: the "update", or the "gradient" before it enters the moments, so that
        one large gradient does not fill v for thousands of steps. Then c is in gradient units,
        belongs to the gradient without weight decay, and has no default.
    speed_follows_lr
        Let c follow the learning rate: c_t = c·η_t/η_ref, so that a scheduler moves both.
    speed_reference_lr
        η_ref > 0; None takes the η with which a group is added. With schedulers that overwrite it,
        as OneCycleLR does, give the η at which c is to hold.
    on_nonfinite
        What to do about a step with a gradient that is not finite, or that would leave a parameter
        or state so: "propagate" it, as torch.optim does, "skip" it, as if it had not been asked
        for, or "raise" an error that names the tensor; a gradient entry whose square the state does
        not hold (beyond 2⁶³ in 32 bits) counts as not finite then. The latter two keep a copy of
        parameters and state during a step and, unless ``capturable``, wait for the device.
    max_consecutive_skips
        How many steps in a row may be skipped before that is an error.
    telemetry
        Whether to measure every step for `speed_report`, on the device.
    maximize
        Ascend instead of descend.
    foreach
        Whether to use multi-tensor operations; None lets torch choose (yes on CUDA). Unless it is
        False, the CPU steps float32 parameters several or a piece at a time, rounded otherwise.
    capturable
        Whether a step can be captured in a CUDA graph: it reads nothing back to the host.
    differentiable
        Whether autograd records the step.
    fused
        Whether a whole step is done by kernels that keep no memory per parameter, on the CPU on
        torch's threads. There they are for float32 and complex64, by Numba
        (``subluminal[cpu]``), on CUDA for float32, bfloat16, float16 and complex64, by Triton. A
        gradient in another layout is copied. Of one optimizer either all groups are fused or none.
        What torch.compile compiles is not. On CUDA a GradScaler leaves it to the step to divide by
        its scale, and gradients keep it. From the same moments an update is within 8 units in the
        last place of that of the other paths (but under laws that are not monotone, near c).
    stochastic_rounding
        With ``fused=True`` on CUDA: whether parameters in bfloat16 are rounded to one of the two
        numbers around a result by chance, the nearer the more often, so that updates smaller than
        half a unit in the last place are not lost. The chances are those of the group's
        ``rounding_seed``, an integer, which is drawn from torch's generator when the group is added
        and saved: seed processes that hold the same parameters alike.
    narrow_state
        With ``fused=True`` on CUDA: whether the state of parameters in bfloat16 or float16 is kept
        in their dtype, as torch.optim does, instead of in 32 bits. A running average in few bits
        does not see what is less than half a unit of its last place, which of v with β₂ = 0.999 is
        nearly every gradient.

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.
    RuntimeError
        If two of ``foreach``, ``differentiable`` and ``fused`` contradict each other, or there is
        no kernel for the parameters or options of a fused group; in `step`, if the mode is "global"
        inside a backward pass, where not every gradient is there yet.

    Notes
    -----
    The direction is torch.optim.Adam's, which ``speed_limit=math.inf`` reproduces up to rounding.
    relativistic-adam 1.0.0 divides ε by √(1 − β₂ᵗ), takes its "global" norm per tensor, and its law
    jumps at r = 1; see `reference.published_step`. State and norms of parameters narrower than 32
    bits are kept in 32 bits, without ``narrow_state``.

    A finite gradient entry whose square the state does not hold counts as the largest power of two
    that has one, 2⁶³ in 32 bits; in torch.optim.Adam such an entry would never move again. What is
    not finite propagates: the entry's moments are NaN from then on, and so is its whole block.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([3e9, -4e9])
    >>> RelativisticAdam([weight], lr=1e6, speed_limit=0.1).step()
    >>> [round(w, 4) for w in weight.tolist()]
    [-0.0707, 0.0707]
    """

    _decoupled_weight_decay: ClassVar[bool] = False
    _needed_buffers: ClassVar[Sequence[str]] = ("exp_avg", "exp_avg_sq")

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        speed_limit: float | Tensor | str = PUBLISHED_LIMIT,
        weight_decay: float | Tensor = 0,
        amsgrad: bool = False,
        relativistic_mode: str = "per_param",
        adaptive_speed: bool = False,
        speed_warmup_steps: float = 1000,
        *,
        law: str = "smooth_sqrt",
        speed_unit: str = "norm",
        placement: str = "update",
        speed_follows_lr: bool = False,
        speed_reference_lr: float | None = None,
        on_nonfinite: str = "propagate",
        max_consecutive_skips: float = 100,
        telemetry: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        stochastic_rounding: bool = False,
        narrow_state: bool = False,
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
            "placement": placement,
            "speed_follows_lr": speed_follows_lr,
            "speed_reference_lr": speed_reference_lr,
            "on_nonfinite": on_nonfinite,
            "max_consecutive_skips": max_consecutive_skips,
            "telemetry": telemetry,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "stochastic_rounding": stochastic_rounding,
            "narrow_state": narrow_state,
        }
        self._check_options(defaults)
        super().__init__(params, defaults)

    def invariants(self) -> Invariants:
        """Return what is promised of the next step, under the options as they are now."""
        return promises_of_adam(self, decoupled=self._decoupled_weight_decay)

    def _converted(self, state_dict: StateDict) -> StateDict:
        """Return a state dict whose groups have a reference rate: their own, if none was saved."""
        own = [group["speed_reference_lr"] for group in self.param_groups]
        saved = state_dict["param_groups"]
        rates = own + [None] * (len(saved) - len(own))  # torch.optim reports other numbers
        groups = [
            {"speed_reference_lr": rate, **group} for rate, group in zip(rates, saved, strict=False)
        ]
        return {**state_dict, "param_groups": groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was copied, pickled or loaded; what it has not is as for a new group."""
        super().__setstate__(state)
        for group in self.param_groups:
            group["speed_reference_lr"] = reference_lr(group)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a parameter group, as torch.optim does, once its options are found valid.

        Raises
        ------
        ValueError
            If an option is not as the class describes, or is 0 or ∞ in the dtype a parameter is
            updated in where it should not be.
        """
        options = {**self.defaults, **param_group}
        self._check_options(options)
        check_given_limit(options)
        unlike_before = all(group["law"] != options["law"] for group in self.param_groups)
        self._add_checked({**param_group, "speed_reference_lr": reference_lr(options)})
        if unlike_before:
            warn_unless_monotone(options["law"])

    def _advance(self) -> None:
        if any(group["relativistic_mode"] == "global" for group in self.param_groups):
            refuse_a_part_of_the_model()
        decoupled = self._decoupled_weight_decay
        if self._is_fused():
            self._fused().take_adam_steps(self._work(), self._scaling(), decoupled=decoupled)
            return
        if pieces.fit(self.param_groups) and pieces.states_fit(works := self._work()):
            pieces.take_adam_steps(works, self._room, decoupled=decoupled)
            return
        measures = any(map(self._is_measuring, self.param_groups))
        limiters = {
            placement: Limiter(
                [_scope(group) for group in self.param_groups if group["placement"] == placement],
                observed=self.defaults["telemetry"] or measures,
            )
            for placement in PLACEMENTS
        }
        waiting: list[tuple[Batch, Proposal]] = []
        measuring: list[Batch] = []
        for group in self.param_groups:
            for batch in self._batches(group):
                proposal = self._propose(batch)
                if measures and is_auto(group["speed_limit"]):
                    measuring.append(batch)
                if limiters[group["placement"]].limit(proposal):
                    self._take(batch, proposal)
                else:
                    waiting.append((batch, proposal))
        rows = [row for limiter in limiters.values() for row in limiter.finish()]
        for batch, proposal in waiting:
            self._take(batch, proposal)
        if self.defaults["telemetry"]:
            self._seen.replace(rows)
        if measuring:
            sizes = {id(row.owner): row.size for row in rows}
            for batch in measuring:
                remember_sizes(batch, [sizes[id(owner)] for owner in batch.owners])

    def _is_measuring(self, group: dict[str, Any]) -> bool:
        """Whether sizes of a group are to be measured; where only the device knows, always."""
        if not is_auto(group["speed_limit"]):
            return False
        if group["capturable"] or torch.compiler.is_compiling():
            return True
        if any(map(is_distributed, group["params"])):  # whose processes have to agree
            return True
        return not all(
            is_measured(self.state.get(param, {}).get(SIZES))
            for param in group["params"]
            if param.grad is not None
        )

    def _propose(self, batch: Batch) -> Proposal:
        """Return what is to be limited: the update that Adam proposes, or the gradient."""
        group = batch.group
        law = LAWS[group["law"]]
        limit = speed_limit_now(batch) if law.limits else math.inf
        of_gradient = group["placement"] == "gradient"
        return Proposal(
            batch.own_grads() if of_gradient else self._direction(batch),
            batch.params,
            batch.owners,
            limit,
            law,
            group["speed_unit"],
            group["relativistic_mode"],
            batch.arithmetic,
        )

    def _direction(self, batch: Batch) -> list[Tensor]:
        if not self._decoupled_weight_decay:
            batch.penalise()
        return propose_adam(batch)

    def _take(self, batch: Batch, proposal: Proposal) -> None:
        """Take the step whose update, or gradient, has been limited."""
        limited, proposal.updates = proposal.updates, []
        if batch.group["placement"] == "gradient":
            batch.grads = limited
            limited = self._direction(batch)
        self._apply(batch, limited)

    def _apply(self, batch: Batch, updates: list[Tensor]) -> None:
        """Write θ − s, or with decoupled decay θ − (s + lr·λ·θ), rounding θ once."""
        arithmetic = batch.arithmetic
        if self._decoupled_weight_decay:
            decay = batch.number("lr") * batch.number("weight_decay")
            if isinstance(decay, Tensor) or decay != 0:
                updates = arithmetic.add(updates, batch.params, decay)
        batch.write("param", arithmetic.add(batch.params, updates, -1))

    def _stays_finite(self, group: dict[str, Any]) -> bool:
        """|m| ≤ L and v ≤ L², L the largest gradient: so |u| ≤ lr·L/((1 − β₁)·ε).

        Where that is less than half a unit in the last place of the largest number, no finite
        parameter becomes infinite by it; with λ ≤ ½ nor does the decay.
        """
        names = ("lr", "eps", "weight_decay")
        numbers = [*(group[name] for name in names), group["betas"][0]]
        if any(isinstance(number, Tensor) for number in numbers):
            return False
        lr, eps, decay, beta1 = numbers
        if decay > 0.5 or lr * decay > 1 or eps == 0 or not LAWS[group["law"]].monotone:  # noqa: PLR2004
            return False
        for dtype in {param.dtype.to_real() for param in group["params"]}:
            finfo = torch.finfo(dtype)
            largest = largest_with_square(torch.promote_types(dtype, torch.float32))
            if lr * largest / ((1 - beta1) * eps) > finfo.max * finfo.eps / 8:
                return False
        return True

    def _largest_gradient(self, param: Tensor) -> float:
        return largest_with_square(working_dtype(param))

    def _buffer_keys(self, group: dict[str, Any]) -> Sequence[str]:
        largest = ("max_exp_avg_sq",) if group["amsgrad"] else ()
        sizes = (SIZES,) if is_auto(group["speed_limit"]) else ()
        return (*self._needed_buffers, *largest, *sizes)

    def _new_buffers(self, params: list[Tensor], group: dict[str, Any], key: str) -> list[Tensor]:
        if key == SIZES:
            return [
                torch.zeros(MEASURED_STEPS, dtype=torch.float64, device=param.device)
                for param in params
            ]
        return zeros_like_each(params, [buffer_dtype(param, group) for param in params])

    def _check_options(self, options: dict[str, Any], *, scheduled: bool = False) -> None:
        check_at_least_zero("lr", options["lr"])
        check_betas(options["betas"])
        check_number("eps", options["eps"], lambda x: 0 <= x < math.inf, "a finite number >= 0")
        check_limit(options["speed_limit"], scheduled=scheduled)
        check_schedule(options)
        check_at_least_zero("weight_decay", options["weight_decay"])
        check_flag("amsgrad", options["amsgrad"])
        check_one_of("relativistic_mode", options["relativistic_mode"], MODES)
        check_one_of("law", options["law"], LAWS)
        check_one_of("speed_unit", options["speed_unit"], UNITS)
        check_policy(options)
        check_flag("telemetry", options["telemetry"])
        check_flag("maximize", options["maximize"])
        check_paths(options)

    def _check_parameters(self, group: dict[str, Any]) -> None:
        if group["relativistic_mode"] == "global":
            refuse_partitioned("relativistic_mode='global'", "'per_param' or 'per_component'")
        if group["relativistic_mode"] != "per_component":
            refuse_flattened(group)
        check_representable(group, ("eps", "weight_decay"))
        first_rate = as_number(group["lr"]) / (1 - as_number(group["betas"][0]))
        check_representable({**group, "lr/(1 - beta1)": first_rate}, ("lr", "lr/(1 - beta1)"))
        c = math.inf if is_auto(group["speed_limit"]) else as_number(group["speed_limit"])
        for param in group["params"]:
            if c > 0 and round_toward_zero(c, working_dtype(param)) == 0:
                raise ValueError(
                    f"speed_limit={c!r}: expected a number that is not 0 in {working_dtype(param)},"
                    f" in which the update of a parameter of dtype {param.dtype} is computed"
                )


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
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        speed_limit: float | Tensor | str = PUBLISHED_LIMIT,
        weight_decay: float | Tensor = 1e-2,
        amsgrad: bool = False,
        relativistic_mode: str = "per_param",
        adaptive_speed: bool = False,
        speed_warmup_steps: float = 1000,
        *,
        law: str = "smooth_sqrt",
        speed_unit: str = "norm",
        placement: str = "update",
        speed_follows_lr: bool = False,
        speed_reference_lr: float | None = None,
        on_nonfinite: str = "propagate",
        max_consecutive_skips: float = 100,
        telemetry: bool = False,
        maximize: bool = False,
        foreach: bool | None = None,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        stochastic_rounding: bool = False,
        narrow_state: bool = False,
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
            placement=placement,
            speed_follows_lr=speed_follows_lr,
            speed_reference_lr=speed_reference_lr,
            on_nonfinite=on_nonfinite,
            max_consecutive_skips=max_consecutive_skips,
            telemetry=telemetry,
            maximize=maximize,
            foreach=foreach,
            capturable=capturable,
            differentiable=differentiable,
            fused=fused,
            stochastic_rounding=stochastic_rounding,
            narrow_state=narrow_state,
        )


def _scope(group: dict[str, Any]) -> Scope:
    """Return how a group is limited; a tensor's value is not asked for."""
    c = group["speed_limit"]
    known = not isinstance(c, Tensor) and not is_auto(c)
    limits = LAWS[group["law"]].limits and not (known and math.isinf(c))
    return Scope(group["params"], group["relativistic_mode"], group["speed_unit"], limits)
