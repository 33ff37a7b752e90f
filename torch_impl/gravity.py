"""Gravity, the kinematic optimizer (Bahrami and Zadeh, arXiv 2101.09192).

Notation: θ the parameter, g its gradient, G = max|g| over the tensor, m the max-step gradient,
ζ the gradient term, V the velocity, t the clock, β̂ the running coefficient.
"""

import math
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.optim.optimizer import ParamsT, StateDict

from . import pieces
from .arguments import (
    as_number,
    check_at_least_zero,
    check_flag,
    check_fraction,
    check_number,
    check_paths,
    warn_caller,
)
from .base import FirstOrderOptimizer, check_representable
from .batches import Batch, as_real, buffer_dtype
from .invariants import Invariants
from .nonfinite import check_policy
from .pages import zeros_like_each
from .promises import promises_of_gravity
from .refusals import refuse_flattened
from .sharding import Sharding, divided_like, is_distributed, parameters_by_sharding, reduce_each


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
        Learning rate η ≥ 0; like β and the decay a number or a one-element tensor.
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
        Source of V₀; None is torch's default. V₀ is drawn at a parameter's first gradient, that of
        a parameter divided among processes whole in each of them: seed them alike.
    max_step_grad
        "inverse_max" for m = 1/max|g| as published, or κ > 0 for m = κ·max|g|, which makes ζ
        equivariant to the gradient's scale.
    on_nonfinite
        What to do about a step with a gradient that is not finite, or that would leave a parameter
        or state so: "propagate" it, as torch.optim does, "skip" it, as if it had not been asked
        for, or "raise" an error that names the tensor. The latter two keep a copy of parameters and
        state during a step and, unless ``capturable``, wait for the device.
    max_consecutive_skips
        How many steps in a row may be skipped before that is an error.
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
        its scale, and gradients keep it. From the same velocity an update is within 8 units in the
        last place of that of the other paths.
    stochastic_rounding
        With ``fused=True`` on CUDA: whether parameters in bfloat16 are rounded to one of the two
        numbers around a result by chance, the nearer the more often, so that updates smaller than
        half a unit in the last place are not lost. The chances are those of the group's
        ``rounding_seed``, an integer, which is drawn from torch's generator when the group is added
        and saved: seed processes that hold the same parameters alike.
    narrow_state
        With ``fused=True`` on CUDA: whether the state of parameters in bfloat16 or float16 is kept
        in their dtype, as torch.optim does, instead of in 32 bits.

    Raises
    ------
    ValueError
        If an argument is not as described; it names the argument, its value and what was expected.
    RuntimeError
        If two of ``foreach``, ``differentiable`` and ``fused`` contradict each other, or there is
        no kernel for the parameters or options of a fused group.

    Notes
    -----
    The maximum is taken over each tensor, and t counts each tensor's own updates (the published
    code counts those of the group). |ζ| ≤ min(|g|, 0.56988) with the published m, under which
    an entry much above 1 nearly freezes and the order of the entries reverses. V and ζ of
    parameters narrower than 32 bits are kept in 32 bits, without ``narrow_state``. An infinite
    gradient entry makes its own parameter entry NaN, a NaN the whole tensor's.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> weight.grad = torch.tensor([2.0, 1.0])
    >>> Gravity([weight], lr=1.0, alpha=0.0, beta=0.5).step()
    >>> [round(w, 4) for w in weight.tolist()]
    [-0.0588, -0.1]
    """

    _needed_buffers: ClassVar[Sequence[str]] = ("v",)

    def __init__(
        self,
        params: ParamsT,
        lr: float | Tensor = 0.1,
        alpha: float = 0.01,
        beta: float | Tensor = 0.9,
        *,
        weight_decay: float | Tensor = 0,
        initial_step: int = 1,
        generator: torch.Generator | None = None,
        max_step_grad: str | float = "inverse_max",
        on_nonfinite: str = "propagate",
        max_consecutive_skips: float = 100,
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
            "alpha": alpha,
            "beta": beta,
            "weight_decay": weight_decay,
            "initial_step": initial_step,
            "max_step_grad": max_step_grad,
            "on_nonfinite": on_nonfinite,
            "max_consecutive_skips": max_consecutive_skips,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "stochastic_rounding": stochastic_rounding,
            "narrow_state": narrow_state,
        }
        self._check_options(defaults)
        if generator is not None and not isinstance(generator, torch.Generator):
            raise ValueError(f"generator={generator!r}: expected a torch.Generator or None")
        self._generator = generator
        super().__init__(params, defaults)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled, the generator included."""
        return {**super().__getstate__(), "_generator": self._generator}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore what was copied, pickled or loaded; what it has not is as for a new group."""
        super().__setstate__({"_generator": self.__dict__.get("_generator"), **state})
        for group in self.param_groups:
            group.setdefault("velocity_std", _velocity_std(group))

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
        self._check_options(options)
        deviation = _velocity_std(options)
        self._add_checked({**param_group, "velocity_std": deviation})
        if deviation > 1:
            warn_caller(
                f"the initial velocity's standard deviation alpha/lr = {deviation:.3g} exceeds 1, "
                "more than any later velocity can reach; lower alpha or set velocity_std"
            )

    def invariants(self) -> Invariants:
        """Return what is promised of the next step, under the options as they are now."""
        return promises_of_gravity(self)

    def _advance(self) -> None:
        if self._is_fused():
            self._fused().take_gravity_steps(self._work(), self._scaling())
            return
        if pieces.fit(self.param_groups) and pieces.states_fit(works := self._work()):
            pieces.take_gravity_steps(works, self._room)
            return
        divided = parameters_by_sharding(self._parameters())
        waiting: list[Batch] = []
        for group in self.param_groups:
            for batch in self._batches(group):
                batch.penalise()
                if divided:
                    waiting.append(batch)
                else:
                    _step(batch, _peaks(batch))
        if divided:
            owners = [owner for batch in waiting for owner in batch.owners]
            peaks = [peak for batch in waiting for peak in _peaks(batch)]
            whole = iter(reduce_each(peaks, owners, divided, Sharding.max, 0.0))
            for batch in waiting:
                _step(batch, [next(whole).to(batch.grads[0].dtype) for _ in batch.owners])

    def _new_buffers(self, params: list[Tensor], group: dict[str, Any], _key: str) -> list[Tensor]:
        """Return V₀."""
        zeros = zeros_like_each(params, [buffer_dtype(param, group) for param in params])
        if not group["velocity_std"] > 0:
            return zeros
        return [
            self._drawn(velocity, param, group["velocity_std"])
            for velocity, param in zip(zeros, params, strict=True)
        ]

    def _drawn(self, velocity: Tensor, param: Tensor, std: float) -> Tensor:
        """Return a random V₀; every process draws the whole of what is divided among them."""
        if is_distributed(param):
            velocity = torch.empty(param.shape, dtype=velocity.dtype, device=param.device)
        as_real(velocity).normal_(0, std, generator=self._generator)
        return divided_like(velocity, param)

    def _check_options(self, options: dict[str, Any], *, scheduled: bool = False) -> None:  # noqa: ARG002
        check_at_least_zero("lr", options["lr"])
        check_number("alpha", options["alpha"], lambda x: 0 <= x < math.inf, "a finite number >= 0")
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
        check_policy(options)
        check_flag("maximize", options["maximize"])
        check_paths(options)
        check_at_least_zero("velocity_std", _velocity_std(options))

    def _check_parameters(self, group: dict[str, Any]) -> None:
        refuse_flattened(group)
        check_representable(group, ("lr", "weight_decay", "velocity_std"))

    def _converted(self, state_dict: StateDict) -> StateDict:
        """Return a state dict of the published code, whose groups count t, with steps."""
        state, groups = dict(state_dict["state"]), []
        for group in state_dict["param_groups"]:
            converted = dict(group)
            t = converted.pop("t", None)
            for key in group["params"] if t is not None else ():
                if key in state:
                    state[key] = {"step": t, **state[key]}
            groups.append(converted)
        return {**state_dict, "state": state, "param_groups": groups}


def _velocity_std(options: dict[str, Any]) -> float:
    """Return V₀'s standard deviation: α/η unless the group says it, 0 for η = 0."""
    if "velocity_std" in options:
        return options["velocity_std"]  # type: ignore[no-any-return]
    lr = as_number(options["lr"])
    return options["alpha"] / lr if lr > 0 else 0.0


def _peaks(batch: Batch) -> list[Tensor]:
    """Return G = max|g| of each tensor's part."""
    return batch.arithmetic.norms(batch.grads, math.inf)


def _step(batch: Batch, peaks: list[Tensor]) -> None:
    """Advance V and θ; G, given by ``peaks``, is kept finite.

    So a zero entry beside an infinite one gives ζ = 0 and not 0·∞.
    """
    arithmetic, group, grads = batch.arithmetic, batch.group, batch.grads
    finfo = torch.finfo(grads[0].dtype)
    together = torch.stack(peaks)
    if group["max_step_grad"] == "inverse_max":
        together = together.clamp(max=finfo.max)
        quotients = arithmetic.mul(grads, list(together.unbind()), fresh=True)
    else:
        together = (together * group["max_step_grad"]).clamp(finfo.tiny, finfo.max)
        quotients = arithmetic.div(grads, list(together.unbind()), fresh=True)
    denominators = arithmetic.add_number(arithmetic.mul(quotients, quotients), 1)
    beta = batch.number("beta")
    clocks = [step - 1 + group["initial_step"] for step in batch.steps]
    beta_hats = [(beta * t + 1) / (t + 2) for t in clocks]
    velocities = arithmetic.mul(batch.read("v"), beta_hats)
    weights = [1 - beta_hat for beta_hat in beta_hats]
    velocities = arithmetic.add_quotient(velocities, grads, denominators, weights)
    batch.write("v", velocities)
    batch.write("param", arithmetic.add(batch.params, velocities, -batch.number("lr")))
