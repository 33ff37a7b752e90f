"""A speed limit for any optimizer, attached through its step hooks."""

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arguments import check_flag, check_one_of
from .arithmetic import Arithmetic
from .attached import (
    REFERENCE,
    Own,
    Step,
    check_saved,
    copy_of_gradient,
    rate_of,
    reference_of,
    refuse_policy,
    refuse_recording,
)
from .batches import Batch, as_real, batches, refuse_sparse_gradients, working_dtype
from .laws import LAWS, warn_unless_monotone
from .limit import MODES, UNITS, Proposal
from .limiter import Limiter, Scope
from .nonfinite import (
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
    PLACEMENTS,
    SIZES,
    check_limit,
    check_schedule,
    is_auto,
    is_measured,
    remember_sizes,
    speed_limit_now,
)
from .sharding import is_distributed, local
from .snapshot import Snapshot
from .state import step_tensor
from .telemetry import Rows, SpeedReport

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
    torch.optim neither copies nor pickles hooks: limit a copy anew; its groups keep the limits that
    they hold. With "gradient", a step that raises leaves the copies in ``.grad`` until the next
    step, or until the handle is removed. What the optimizer itself makes infinite, or NaN, of a
    finite gradient is not mended, but with ``on_nonfinite`` "skip" or "raise" it is undone: all
    tensors, numbers and containers in its state, but no objects of other kinds.

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
        self._optimizer, self._default, self._options = optimizer, speed_limit, options
        check_one_of("placement", options["placement"], PLACEMENTS)
        self._key = LIMIT_KEYS[options["placement"]]
        self._check(speed_limit, options)
        handles = optimizer.__dict__.setdefault(_HANDLES, {})
        if options["placement"] in handles:
            raise ValueError(
                f"placement={options['placement']!r}: expected another, the optimizer has a handle "
                "with this one; remove it first"
            )
        self._state: dict[Tensor, dict[str, Tensor]] = {}
        self._skips, self._seen = Skips(), Rows()
        self._known: list[Own] = []
        self._step = Step()
        self._swapped: dict[Tensor, tuple[Tensor, Tensor, int]] = {}
        self._prepare_groups()
        warn_unless_monotone(options["law"])
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
        self._forget()
        handles = self._optimizer.__dict__.get(_HANDLES, {})
        if handles.get(self._options["placement"]) is not self:
            return
        del handles[self._options["placement"]]
        for group, known in zip(self._optimizer.param_groups, self._known, strict=False):
            for key in known.added:
                group.pop(key, None)

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
        return self._seen.report(names, self._skips.read())

    def state_dict(self) -> dict[str, Any]:
        """Return configuration and counters, in copies."""
        self._prepare_groups()
        params = [param for param, _ in named_parameters(self._optimizer)]
        total, consecutive = self._skips.read()
        return {
            "options": dict(self._options),
            "speed_limit": _copied(self._default),
            "groups": [
                {key: _copied(group.get(own)) for key, own in self._keys.items()}
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

        A limit that a group holds in a tensor is filled with the saved one.

        Raises
        ------
        ValueError
            If they are not those of a handle with this placement on such an optimizer; the handle
            is as it was then.
        """
        own = self._optimizer.param_groups
        params = [param for param, _ in named_parameters(self._optimizer)]
        check_saved(state_dict, self._options, own, len(params))
        options, groups = dict(state_dict["options"]), state_dict["groups"]
        self._check(state_dict["speed_limit"], options, groups)
        state = {}
        for i, saved in state_dict["state"].items():
            mine = self._state.get(params[i], {})
            home = mine["step"].device if "step" in mine else saved["step"].device
            state[params[i]] = {"step": saved["step"].to(home, copy=True)}
            if SIZES in saved:
                sizes = saved[SIZES].to(params[i].device, torch.float64, copy=True)
                state[params[i]][SIZES] = sizes
        self._options, self._default = options, _copied(state_dict["speed_limit"])
        self._state = state
        self._skips = Skips(state_dict["skipped_steps"], state_dict["consecutive_skips"])
        self._prepare_groups()
        for group, saved in zip(own, groups, strict=True):
            for key, held in self._keys.items():
                if isinstance(group.get(held), Tensor):
                    group[held].fill_(saved[key])
                else:
                    group[held] = _copied(saved[key])

    @property
    def _keys(self) -> dict[str, str]:
        """What a group holds for this handle, under which key."""
        follows = {REFERENCE: REFERENCE} if self._options["placement"] == "update" else {}
        return {"speed_limit": self._key, **follows}

    def _check(
        self,
        speed_limit: float | Tensor | str,
        options: dict[str, Any],
        saved: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """Raise ValueError unless the limit, those of the groups and the options are valid."""
        check_one_of("law", options["law"], LAWS)
        check_one_of("mode", options["mode"], MODES)
        check_one_of("unit", options["unit"], UNITS)
        check_flag("telemetry", options["telemetry"])
        check_schedule({**options, "lr": 1.0})
        check_limit(speed_limit)
        groups = self._optimizer.param_groups
        for group, values in zip(groups, saved or [{}] * len(groups), strict=True):
            check_limit(
                values.get("speed_limit", group.get(self._key, speed_limit)), scheduled=True
            )
            reference = values.get(REFERENCE, group.get(REFERENCE))
            given = options[REFERENCE] if reference is None else reference
            check_schedule({**options, "lr": reference_of(group), REFERENCE: given})
            check_policy({**options, "capturable": group.get("capturable")})
            refuse_recording(group)
            if options["mode"] != "per_component" or options["on_nonfinite"] != "propagate":
                refuse_flattened(group)
        if options["on_nonfinite"] != "propagate":
            refuse_policy(self._optimizer, options["on_nonfinite"])

    def _prepare_groups(self) -> None:
        """Give groups what they lack: what they had, if it is known, or the default.

        Groups that are new, or whose options loaded ones have replaced, are checked first.
        """
        groups = self._optimizer.param_groups
        self._check(self._default, self._options)
        del self._known[len(groups) :]
        for i, group in enumerate(groups):
            if i == len(self._known):
                values: dict[str, Any] = {"speed_limit": self._default}
                if REFERENCE in self._keys:
                    given = self._options[REFERENCE]
                    values[REFERENCE] = reference_of(group) if given is None else given
                added = [held for held in self._keys.values() if group.get(held) is None]
                self._known.append(Own(added, values))
            for key, held in self._keys.items():
                if group.get(held) is None:
                    group[held] = self._known[i].values[key]
            if self._options["speed_follows_lr"] and group[REFERENCE] == 0:
                check_schedule({**self._options, "lr": 0.0, REFERENCE: None})

    def _before_step(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        """Check what can be checked before anything is changed; limit gradients or copy θ₀."""
        self._swap_back()
        self._forget()
        if self._is_stale:
            self._prepare_groups()
        for group, known in zip(optimizer.param_groups, self._known, strict=True):
            known.values.update({key: group[held] for key, held in self._keys.items()})
        closure = any(callable(value) for value in (*args[1:], *kwargs.values()))
        self._refuse(closure, kwargs)
        self._step.closure = closure
        if self._options["on_nonfinite"] != "propagate":
            if not closure and not self._is_scaled and not self._on_device:
                self._step.found = gradients_found(named_parameters(optimizer))
            if self._step.found and self._options["on_nonfinite"] == "raise":
                self._seen.clear()
                self.guard.refuse_or_skip(self._step.found)
            for options, some in self._groups():  # so that there is a state to go back to
                self._buffers(options, [p for p in some if closure or p.grad is not None])
            self._step.before = Snapshot(optimizer, self._state)
        params = [param for group in optimizer.param_groups for param in group["params"]]
        if self._step.found:  # nothing is to see these gradients
            self._step.hide_gradients(params)
        elif self._options["placement"] == "gradient":
            self._limit_gradients()
        else:
            self._step.copies = {
                param: param.detach().clone()
                for param in params
                if param.grad is not None or (closure and param.requires_grad)
            }

    @torch.no_grad()
    def _after_step(self, optimizer: Optimizer, _args: Any, _kwargs: Any) -> None:
        """Limit what the step has done, or undo it."""
        try:
            if self._step.closure:
                refuse_sparse_gradients(optimizer)
            if self._step.copies:
                self._limit_updates()
            self._swap_back()
            self._judge(optimizer)
        except BaseException:
            for param, copy in self._step.copies.items():
                local(param).copy_(local(copy))
            if self._step.before is not None:
                self._step.before.restore()
            raise
        finally:
            self._swap_back()
            self._forget()

    def _judge(self, optimizer: Optimizer) -> None:
        """Count the step, and undo it if it is not finite and is to be skipped."""
        before = self._step.before
        if before is None:
            return
        params = named_parameters(optimizer)
        if self._on_device and before.can_restore_on_the_device():
            bad = anything_found(optimizer, params)
            before.restore_where(bad)
            self._skips.count(bad)
            self._seen.discard_where(bad)
            return
        found = self._step.found
        if found is None and not self._is_scaled:
            found = gradients_found(params)
        found = found or results_found(optimizer, params)
        if found is None:
            self._skips.count(skipped=False)
            return
        before.restore()
        self._step.before, self._step.copies = None, {}
        self._seen.clear()
        self.guard.refuse_or_skip(found)

    def _forget(self) -> None:
        """Let go of what belongs to a step."""
        self._step.show_gradients()
        self._step = Step()

    @property
    def _is_scaled(self) -> bool:
        """Whether the step itself unscales gradients, and leaves out what has overflowed."""
        return getattr(self._optimizer, "found_inf", None) is not None

    @property
    def _on_device(self) -> bool:
        return any(group.get("capturable") for group in self._optimizer.param_groups)

    @property
    def _is_stale(self) -> bool:
        """Whether there are groups that have not been prepared."""
        groups = self._optimizer.param_groups
        return len(groups) != len(self._known) or any(
            group.get(held) is None for group in groups for held in self._keys.values()
        )

    def _refuse(self, closure: bool, kwargs: Mapping[str, Any]) -> None:
        optimizer = self._optimizer
        if self._options["mode"] == "global":
            refuse_a_part_of_the_model()
        refuse_sparse_gradients(optimizer)
        if self._options["placement"] == "gradient":
            if closure:
                raise RuntimeError(
                    "placement='gradient': expected a step without a closure, whose gradients "
                    "would replace the limited ones; use placement='update'"
                )
            if getattr(optimizer, "grad_scale", None) is not None or kwargs.get("grad_scaler"):
                raise RuntimeError(
                    "placement='gradient': expected gradients that are unscaled before the step; "
                    "call scaler.unscale_(optimizer), or use placement='update'"
                )

    def _groups(self) -> Iterator[tuple[dict[str, Any], list[Tensor]]]:
        """Yield the options of each group, as a batch wants them, and its parameters."""
        for group in self._optimizer.param_groups:
            options = {
                **self._options,
                "lr": rate_of(group),
                "speed_limit": group[self._key],
                REFERENCE: group.get(REFERENCE),
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
        steps, buffers = self._buffers(options, params)
        return batches(options, params, tensors, steps, buffers)

    def _buffers(
        self, options: dict[str, Any], params: list[Tensor]
    ) -> tuple[list[Tensor], dict[str, list[Tensor]]]:
        """Return the counters of parameters, from when they were first limited, and their sizes."""
        keys = [SIZES] if is_auto(options["speed_limit"]) else []
        for param in params:
            state = self._state.setdefault(param, {})
            if "step" not in state:
                state["step"] = step_tensor(param, options)
            for key in keys:
                if key not in state:
                    sizes = torch.zeros(MEASURED_STEPS, dtype=torch.float64, device=param.device)
                    state[key] = sizes
        buffers = {key: [self._state[param][key] for param in params] for key in keys}
        return [self._state[param]["step"] for param in params], buffers

    def _limiter(self) -> Limiter:
        scopes = [
            Scope(params, options["mode"], options["unit"], _limits(options))
            for options, params in self._groups()
        ]
        return Limiter(scopes, observed=self._options["telemetry"] or self._is_measuring)

    @property
    def _is_measuring(self) -> bool:
        """Whether sizes are to be measured; where processes have to agree, always."""
        return any(
            is_distributed(param) or not is_measured(self._state.get(param, {}).get(SIZES))
            for options, params in self._groups()
            if is_auto(options["speed_limit"])
            for param in params
            if is_distributed(param) or param.grad is not None
        )

    def _finish(self, limiter: Limiter, measuring: list[Batch]) -> None:
        """Limit what waits, and keep what has been measured."""
        rows = limiter.finish()
        sizes = {id(row.owner): row.size for row in rows}
        for batch in measuring if rows else ():
            remember_sizes(batch, [sizes[id(owner)] for owner in batch.owners])
        if self._options["telemetry"]:
            self._seen.replace(rows)

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
                copies[param] = copy_of_gradient(param)
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
            self._swapped[param] = (param.grad, copy, copy._version)  # type: ignore[assignment]
            param.grad = copy

    def _swap_back(self) -> None:
        """Give the parameters the gradients that the user knows.

        A copy that was left behind and has been written to since is the user's by now.
        """
        for param, (grad, copy, version) in self._swapped.items():
            if param.grad is copy and copy._version == version:
                param.grad = grad
        self._swapped = {}

    def _limit_updates(self) -> None:
        """Turn θ₁ into θ₀ − φ·(θ₀ − θ₁), in the parameters' own memory where they are wide."""
        limiter, measuring = self._limiter(), list[Batch]()
        waiting = list[tuple[Batch, Proposal]]()
        given = any(param.grad is not None for param in self._step.copies)
        for options, params in self._groups():
            stepped = [p for p in params if p in self._step.copies]
            if self._step.closure and given:  # others were copied for want of knowing
                stepped = [p for p in stepped if p.grad is not None]
            unlimited = not _limits(options)
            if unlimited and not limiter.observed and options["mode"] != "global":
                Arithmetic().add_number(self._buffers(options, stepped)[0], 1)
                continue
            for batch in self._batches(options, stepped, [self._step.copies[p] for p in stepped]):
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


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
