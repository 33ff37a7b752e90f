"""A speed limit for any optimizer, attached through its step hooks."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arguments import check_flag, check_one_of
from .batches import Batch, as_real, batches, refuse_sparse_gradients, working_dtype
from .laws import LAWS
from .limit import MODES, UNITS, Proposal
from .limiter import Limiter, Scope
from .nonfinite import (
    Before,
    Found,
    Guard,
    Skips,
    anything_found,
    check_policy,
    gradients_found,
    named_parameters,
    results_found,
)
from .refusals import refuse_a_part_of_the_model, refuse_flattened
from .relativistic import RelativisticAdam
from .schedules import (
    MEASURED_STEPS,
    SIZES,
    check_schedule,
    is_auto,
    reference_lr,
    remember_sizes,
    speed_limit_now,
)
from .sharding import local
from .state import step_tensor
from .telemetry import Seen, SpeedReport, report

LIMIT_KEYS = {"update": "speed_limit", "gradient": "gradient_speed_limit"}
"""Where a parameter group holds c, by placement."""

_HANDLES = "_speed_limit_handles"


def limit_speed(
    optimizer: Optimizer,
    speed_limit: float | Tensor | str,
    *,
    law: str = "smooth_sqrt",
    mode: str = "per_param",
    unit: str = "rms",
    placement: str = "update",
    adaptive_speed: bool = False,
    speed_warmup_steps: float = 1000,
    speed_follows_lr: bool = False,
    speed_reference_lr: float | None = None,
    on_nonfinite: str = "propagate",
    max_consecutive_skips: float = 100,
    telemetry: bool = False,
) -> "SpeedLimitHandle":
    r"""Keep an optimizer below a speed limit from now on.

    .. math::
        \theta \leftarrow \theta_0 - \varphi(\|u\|/c)\,u, \quad u = \theta_0 - \theta_1

    where θ₀ → θ₁ is what the optimizer's own step does, weight decay included. It stays the same
    object: schedulers, GradScaler and trainers see nothing new.

    Parameters
    ----------
    optimizer
        Any torch.optim.Optimizer that has no speed limit of its own.
    speed_limit
        c > 0, ∞ for none, or "auto" to measure it. Each parameter group holds its own, as
        ``speed_limit`` (``gradient_speed_limit`` for gradients): give another there, or change it
        at any time.
    law, mode, unit
        The law, what its norm ranges over and what c is measured in, as `RelativisticAdam` has
        them (``law``, ``relativistic_mode``, ``speed_unit``).
    placement
        "update" limits what the step does, at the cost of one copy of the parameters; "gradient"
        limits gradients before the step, which then sees copies of them, with c in their units.
    adaptive_speed, speed_warmup_steps, speed_follows_lr, speed_reference_lr
        Schedules of c, as in `RelativisticAdam`; t counts the steps since now.
    on_nonfinite, max_consecutive_skips, telemetry
        As in `RelativisticAdam`.

    Returns
    -------
    A handle, which reports, saves and removes the limit.

    Raises
    ------
    ValueError
        If an argument is not as described, or the optimizer has a speed limit already.
    RuntimeError
        In a step: with placement "gradient" if it is given a closure or unscales gradients itself,
        which would replace what has been limited.

    Notes
    -----
    torch.optim neither copies nor pickles hooks: limit a copy anew. With "gradient", a step that
    raises leaves the copies in ``.grad`` until the next step, or until the handle is removed.

    Examples
    --------
    >>> weight = torch.nn.Parameter(torch.zeros(1))
    >>> optimizer = torch.optim.SGD([weight], lr=1.0)
    >>> handle = limit_speed(optimizer, 0.5, law="hard_clip")
    >>> weight.grad = torch.tensor([-8.0])
    >>> optimizer.step()
    >>> weight.tolist()
    [0.5]
    >>> handle.remove()
    """
    options = {
        "law": law,
        "mode": mode,
        "unit": unit,
        "placement": placement,
        "adaptive_speed": adaptive_speed,
        "speed_warmup_steps": speed_warmup_steps,
        "speed_follows_lr": speed_follows_lr,
        "speed_reference_lr": speed_reference_lr,
        "on_nonfinite": on_nonfinite,
        "max_consecutive_skips": max_consecutive_skips,
        "telemetry": telemetry,
    }
    if not isinstance(optimizer, Optimizer):
        raise ValueError(f"optimizer={optimizer!r}: expected a torch.optim.Optimizer")
    if isinstance(optimizer, RelativisticAdam):
        raise ValueError(
            f"optimizer is a {type(optimizer).__name__}, which has a speed limit of its own: set "
            "its speed_limit"
        )
    return SpeedLimitHandle(optimizer, speed_limit, options)


class SpeedLimitHandle:
    """The speed limit that `limit_speed` has attached to an optimizer."""

    def __init__(
        self, optimizer: Optimizer, speed_limit: float | Tensor | str, options: dict[str, Any]
    ) -> None:
        self._check(optimizer, speed_limit, options)
        self._optimizer, self._default, self._options = optimizer, speed_limit, options
        self._key = LIMIT_KEYS[options["placement"]]
        handles = optimizer.__dict__.setdefault(_HANDLES, {})
        if options["placement"] in handles:
            raise ValueError(
                f"placement={options['placement']!r}: expected another, the optimizer has a handle "
                "with this one; remove it first"
            )
        self._state: dict[Tensor, dict[str, Tensor]] = {}
        self._skips = Skips()
        self._seen: list[Seen] = []
        self._copies: dict[Tensor, Tensor] = {}
        self._swapped: dict[Tensor, tuple[Tensor, Tensor]] = {}
        self._before: Before | None = None
        self._found: Found | None = None
        self._given = [self._key in group for group in optimizer.param_groups]
        self._prepare_groups()
        handles[options["placement"]] = self
        self._hooks = (
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
        )

    @property
    def guard(self) -> Guard:
        """The policy about steps that are not finite, with its counters."""
        options = self._options
        return Guard(options["on_nonfinite"], options["max_consecutive_skips"], self._skips)

    def remove(self) -> None:
        """Take the limit off; the optimizer is as if it had never had one."""
        for hook in self._hooks:
            hook.remove()
        self._swap_back()
        if self._optimizer.__dict__.get(_HANDLES, {}).pop(self._options["placement"], None):
            for i, group in enumerate(self._optimizer.param_groups):
                if not any(self._given[i : i + 1]):
                    group.pop(self._key, None)
                    group.pop("speed_reference_lr", None)

    def speed_report(self) -> SpeedReport:
        """Return what the last step did, waiting for the device; see `SpeedReport`.

        Without ``telemetry=True`` it has no tensors, but counts skipped steps all the same.

        Raises
        ------
        RuntimeError
            If more than ``max_consecutive_skips`` steps in a row have been skipped.
        """
        self.guard.check()
        names = {id(param): name for param, name in named_parameters(self._optimizer)}
        return report(self._seen, names, self._skips.read())

    def state_dict(self) -> dict[str, Any]:
        """Return configuration and counters, in copies."""
        params = [param for param, _ in named_parameters(self._optimizer)]
        total, consecutive = self._skips.read()
        return {
            "options": dict(self._options),
            "speed_limit": _copied(self._default),
            "groups": [
                {
                    "speed_limit": _copied(group[self._key]),
                    "speed_reference_lr": group["speed_reference_lr"],
                }
                for group in self._optimizer.param_groups
            ],
            "state": {
                i: {key: value.clone() for key, value in self._state[param].items()}
                for i, param in enumerate(params)
                if param in self._state
            },
            "skipped_steps": total,
            "consecutive_skips": consecutive,
        }

    def load_state_dict(self, state_dict: Mapping[str, Any]) -> None:
        """Take configuration and counters from a saved handle.

        Raises
        ------
        ValueError
            If they are not those of a handle with this placement on such an optimizer; the handle
            is as it was then.
        """
        expected = {
            *("options", "speed_limit", "groups", "state"),
            *("skipped_steps", "consecutive_skips"),
        }
        if set(state_dict) != expected:
            raise ValueError(
                f"state_dict has keys {sorted(map(str, state_dict))}: expected {sorted(expected)}"
            )
        options, groups = dict(state_dict["options"]), state_dict["groups"]
        if set(options) != set(self._options):
            raise ValueError(
                f"options has keys {sorted(options)}: expected {sorted(self._options)}"
            )
        if options["placement"] != self._options["placement"]:
            raise ValueError(
                f"placement={options['placement']!r}: expected {self._options['placement']!r}, "
                "that of the handle"
            )
        own = self._optimizer.param_groups
        if len(groups) != len(own):
            raise ValueError(f"groups has {len(groups)} entries: expected {len(own)}")
        for saved in groups:
            self._check(self._optimizer, saved["speed_limit"], options)
        params = [param for param, _ in named_parameters(self._optimizer)]
        state = {}
        for i, saved in state_dict["state"].items():
            if i not in range(len(params)) or not {"step"} <= set(saved) <= {"step", SIZES}:
                raise ValueError(f"state {i!r} is {saved!r}: expected steps and sizes by parameter")
            if SIZES in saved and saved[SIZES].shape != (MEASURED_STEPS,):
                raise ValueError(f"state {i!r} has {saved[SIZES]!r}: expected {MEASURED_STEPS}")
            state[params[i]] = {
                key: value.to(self._state.get(params[i], {}).get(key, value).device, copy=True)
                for key, value in saved.items()
            }
        self._options, self._default = options, _copied(state_dict["speed_limit"])
        self._state = state
        self._skips = Skips(state_dict["skipped_steps"], state_dict["consecutive_skips"])
        for group, saved in zip(own, groups, strict=True):
            group[self._key] = _copied(saved["speed_limit"])
            group["speed_reference_lr"] = saved["speed_reference_lr"]

    def _check(
        self, optimizer: Optimizer, speed_limit: float | Tensor | str, options: dict[str, Any]
    ) -> None:
        check_one_of("law", options["law"], LAWS)
        check_one_of("mode", options["mode"], MODES)
        check_one_of("unit", options["unit"], UNITS)
        check_policy(options)
        check_flag("telemetry", options["telemetry"])
        for group in optimizer.param_groups:
            lr = group.get("lr", 0.0)
            check_schedule({**options, "speed_limit": speed_limit, "lr": lr})
            if options["mode"] != "per_component" or options["on_nonfinite"] != "propagate":
                refuse_flattened(group)
            if options["on_nonfinite"] == "raise" and group.get("capturable"):
                check_policy({**options, "capturable": True})

    def _prepare_groups(self) -> None:
        """Give groups that have no limit of their own the default, and a reference lr."""
        for group in self._optimizer.param_groups:
            group.setdefault(self._key, self._default)
            if group.get("speed_reference_lr") is None:
                given = self._options["speed_reference_lr"]
                rate = {"lr": group.get("lr", 0.0), "speed_reference_lr": given}
                group["speed_reference_lr"] = reference_lr(rate)

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Check what can be checked before anything is changed; limit gradients or copy θ₀."""
        self._swap_back()
        self._prepare_groups()
        has_closure = any(callable(value) for value in (*args[1:], *kwargs.values()))
        self._refuse(optimizer, has_closure)
        self._found = None
        if self._options["on_nonfinite"] != "propagate":
            if not has_closure and not self._on_device:
                self._found = gradients_found(named_parameters(optimizer))
            if self._found and self._options["on_nonfinite"] == "raise":
                self._seen = []
                self.guard.refuse_or_skip(self._found)
            self._before = Before(optimizer)
        if self._options["placement"] == "gradient":
            self._limit_gradients()
        else:
            self._copies = {
                param: param.detach().clone()
                for group in optimizer.param_groups
                for param in group["params"]
                if param.requires_grad and (has_closure or param.grad is not None)
            }

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        """Limit what the step has done, or undo it."""
        try:
            if self._found is None and self._options["placement"] == "update":
                self._limit_updates()
        except BaseException:
            for param, copy in self._copies.items():
                local(param).copy_(local(copy))
            raise
        finally:
            self._copies = {}
            self._swap_back()
        self._judge(optimizer)

    def _judge(self, optimizer: Optimizer) -> None:
        """Count the step, and undo it if it is not finite and is to be skipped."""
        before, self._before = self._before, None
        if before is None:
            return
        params = named_parameters(optimizer)
        if self._on_device and before.covers_state():
            bad = anything_found(optimizer, params)
            before.restore_where(bad)
            self._skips.count(bad)
            return
        found = self._found or gradients_found(params) or results_found(optimizer, params)
        if found is None:
            self._skips.count(skipped=False)
            return
        before.restore()
        self._seen = []
        self.guard.refuse_or_skip(found)

    @property
    def _on_device(self) -> bool:
        return any(group.get("capturable") for group in self._optimizer.param_groups)

    def _refuse(self, optimizer: Optimizer, has_closure: bool) -> None:
        if self._options["mode"] == "global":
            refuse_a_part_of_the_model()
        refuse_sparse_gradients(optimizer)
        if self._options["placement"] == "gradient":
            if has_closure:
                raise RuntimeError(
                    "placement='gradient': expected a step without a closure, whose gradients "
                    "would replace the limited ones; use placement='update'"
                )
            if getattr(optimizer, "grad_scale", None) is not None:
                raise RuntimeError(
                    "placement='gradient': expected gradients that are unscaled before the step; "
                    "call scaler.unscale_(optimizer), or use placement='update'"
                )

    def _groups(self) -> Iterator[tuple[dict[str, Any], list[Tensor]]]:
        """Yield the options of each group, as a batch wants them, and its parameters."""
        for group in self._optimizer.param_groups:
            options = {
                **self._options,
                "lr": group.get("lr", 0.0),
                "speed_limit": group[self._key],
                "speed_reference_lr": group["speed_reference_lr"],
                "foreach": group.get("foreach"),
                "capturable": bool(group.get("capturable")),
                "differentiable": False,
                "maximize": False,
            }
            yield options, group["params"]

    def _batches(
        self, options: dict[str, Any], params: list[Tensor], tensors: list[Tensor]
    ) -> Iterator[Batch]:
        """Count a step for parameters and yield their batches, ``tensors`` as their gradients."""
        keys = [SIZES] if is_auto(options["speed_limit"]) else []
        for param in params:
            state = self._state.setdefault(param, {})
            if "step" not in state:
                state["step"] = step_tensor(param, options)
            for key in keys:
                if key not in state:
                    sizes = torch.zeros(MEASURED_STEPS, dtype=torch.float64, device=param.device)
                    state[key] = sizes
        steps = [self._state[param]["step"] for param in params]
        buffers = {key: [self._state[param][key] for param in params] for key in keys}
        return batches(options, params, tensors, steps, buffers)

    def _limiter(self) -> Limiter:
        scopes = [
            Scope(params, options["mode"], options["unit"], _limits(options))
            for options, params in self._groups()
        ]
        measures = any(is_auto(options["speed_limit"]) for options, _ in self._groups())
        return Limiter(scopes, observed=self._options["telemetry"] or measures)

    def _finish(self, limiter: Limiter, measuring: list[Batch]) -> None:
        """Limit what waits, and keep what has been measured."""
        rows = limiter.finish()
        sizes = {id(row.owner): row.size for row in rows}
        for batch in measuring:
            remember_sizes(batch, [sizes[id(owner)] for owner in batch.owners])
        self._seen = rows if self._options["telemetry"] else []

    @torch.no_grad()
    def _limit_gradients(self) -> None:
        """Put limited copies in the place of the gradients."""
        limiter, measuring = self._limiter(), list[Batch]()
        waiting = list[tuple[Batch, Proposal]]()
        copies: dict[Tensor, Tensor] = {}

        def write(batch: Batch, proposal: Proposal) -> None:
            for owner, limited in zip(batch.owners, proposal.updates, strict=True):
                _write(copies[owner], limited)

        for options, params in self._groups():
            present = [param for param in params if param.grad is not None]
            for param in present:
                copies[param] = param.grad.detach().clone()  # type: ignore[union-attr]
            for batch in self._batches(options, present, [copies[param] for param in present]):
                proposal = _proposal(batch, batch.grads, batch.params)
                batch.grads = []
                if is_auto(options["speed_limit"]):
                    measuring.append(batch)
                if limiter.limit(proposal):
                    write(batch, proposal)
                else:
                    waiting.append((batch, proposal))
        self._finish(limiter, measuring)
        for batch, proposal in waiting:
            write(batch, proposal)
        for param, copy in copies.items():
            self._swapped[param] = (param.grad, copy)  # type: ignore[assignment]
            param.grad = copy

    def _swap_back(self) -> None:
        """Give the parameters the gradients that the user knows."""
        for param, (grad, copy) in self._swapped.items():
            if param.grad is copy:
                param.grad = grad
        self._swapped = {}

    def _limit_updates(self) -> None:
        """Turn θ₁ into θ₀ − φ·(θ₀ − θ₁), in the parameters' own memory where they are wide."""
        limiter, measuring = self._limiter(), list[Batch]()
        waiting = list[tuple[Batch, Proposal]]()
        for options, params in self._groups():
            stepped = [p for p in params if p.grad is not None and p in self._copies]
            unlimited = not _limits(options)
            if unlimited and not limiter.observed and options["mode"] != "global":
                continue
            for batch in self._batches(options, stepped, [self._copies[p] for p in stepped]):
                before, batch.grads = batch.grads, []
                dtype = working_dtype(batch.owners[0])
                updates = [param.to(dtype, copy=unlimited) for param in batch.params]
                updates = batch.arithmetic.add(batch.arithmetic.negate(updates), before)
                proposal = _proposal(batch, updates, before)
                if is_auto(options["speed_limit"]):
                    measuring.append(batch)
                if limiter.limit(proposal):
                    _apply(batch, proposal)
                else:
                    waiting.append((batch, proposal))
        self._finish(limiter, measuring)
        for batch, proposal in waiting:
            _apply(batch, proposal)


def _limits(options: Mapping[str, Any]) -> bool:
    c = options["speed_limit"]
    known = not isinstance(c, Tensor) and not is_auto(c)
    return LAWS[options["law"]].limits and not (known and math.isinf(c))


def _proposal(batch: Batch, updates: list[Tensor], params: list[Tensor]) -> Proposal:
    group = batch.group
    law = LAWS[group["law"]]
    limit = speed_limit_now(batch) if law.limits else math.inf
    return Proposal(
        updates, params, batch.owners, limit, law, group["unit"], group["mode"], batch.arithmetic
    )


def _apply(batch: Batch, proposal: Proposal) -> None:
    """Write θ₀ − s; where nothing limits, θ₁ is there already."""
    if proposal.unlimited:
        return
    limited, proposal.updates = proposal.updates, []
    after = batch.arithmetic.add(batch.arithmetic.negate(limited), proposal.params)
    batch.write("param", after)


def _write(tensor: Tensor, values: Tensor) -> None:
    """Write into this process's part of a tensor, unless the values are there already."""
    own = as_real(local(tensor))
    if own is not values and own.data_ptr() != values.data_ptr():
        own.copy_(values)


def _copied(value: float | Tensor | str) -> float | Tensor | str:
    return value.detach().clone() if isinstance(value, Tensor) else value
