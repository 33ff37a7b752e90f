"""The handle of a speed limit that is attached to an optimizer through its step hooks."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, StateDict

from .arguments import check_flag, check_one_of
from .attachment import Attachment
from .batches import refuse_sparse_gradients
from .foreign import (
    REFERENCE,
    Own,
    Step,
    check_loaded,
    check_saved,
    reference_of,
    refuse_policy,
    refuse_recording,
)
from .laws import LAWS, warn_unless_monotone
from .limit import MODES, UNITS
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
from .schedules import PLACEMENTS, SIZES, check_limit, check_schedule, is_auto
from .sharding import local
from .snapshot import Snapshot
from .telemetry import Rows, Seen, SpeedReport

LIMIT_KEYS = {"update": "speed_limit", "gradient": "gradient_speed_limit"}
"""Where a parameter group holds c, by placement."""

_HANDLES = "_speed_limit_handles"


class SpeedLimitHandle:
    """The speed limit that `limit_speed` has attached to an optimizer."""

    def __init__(
        self, optimizer: Optimizer, speed_limit: float | Tensor | str, options: dict[str, Any]
    ) -> None:
        check_one_of("placement", options["placement"], PLACEMENTS)
        self._limits = Attachment(optimizer, LIMIT_KEYS[options["placement"]], options)
        self._optimizer, self._default = optimizer, speed_limit
        self._check(speed_limit, options)
        handles = optimizer.__dict__.setdefault(_HANDLES, {})
        if options["placement"] in handles:
            raise ValueError(
                f"the optimizer has a speed limit with placement={options['placement']!r} already: "
                f"expected none; change {self._limits.key!r} in its groups, or call remove() of "
                "its handle first"
            )
        self._skips, self._seen = Skips(), Rows()
        self._known: list[Own] = []
        self._step = Step()
        self._swapped: dict[Tensor, tuple[Tensor, Tensor, int]] = {}
        self._prepare_groups()
        warn_unless_monotone(options["law"])
        handles[options["placement"]] = self
        self._loading = optimizer.register_load_state_dict_pre_hook(self._before_loading)
        self._hooks = (
            optimizer.register_step_pre_hook(self._before_step),
            optimizer.register_step_post_hook(self._after_step),
            self._loading,
        )

    @property
    def guard(self) -> Guard:
        """The policy about steps that are not finite, with its counters."""
        options = self._limits.options
        return Guard(options["on_nonfinite"], options["max_consecutive_skips"], self._skips)

    def remove(self) -> None:
        """Take the limit off; the optimizer is as if it had never had one."""
        for hook in self._hooks:
            hook.remove()
        self._swap_back()
        self._forget()
        handles = self._optimizer.__dict__.get(_HANDLES, {})
        if handles.get(self._limits.options["placement"]) is not self:
            return
        del handles[self._limits.options["placement"]]
        for group, known in zip(self._optimizer.param_groups, self._known, strict=False):
            for key in known.added:
                group.pop(key, None)

    def speed_report(self) -> SpeedReport:
        """Return what the last step did, as `RelativisticAdam.speed_report` does.

        Without ``telemetry=True`` it has no tensors, but counts skipped steps all the same.
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
            "options": dict(self._limits.options),
            "speed_limit": _copied(self._default),
            "groups": [
                {key: _copied(group.get(own)) for key, own in self._keys.items()}
                for group in self._optimizer.param_groups
            ],
            "state": {
                i: {key: value.clone() for key, value in self._limits.state[param].items()}
                for i, param in enumerate(params)
                if param in self._limits.state
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
        check_saved(state_dict, self._limits.options, own, len(params))
        options, groups = dict(state_dict["options"]), state_dict["groups"]
        self._check(state_dict["speed_limit"], options, groups)
        state = {}
        for i, saved in state_dict["state"].items():
            mine = self._limits.state.get(params[i], {})
            home = mine["step"].device if "step" in mine else saved["step"].device
            state[params[i]] = {"step": saved["step"].to(home, copy=True)}
            if SIZES in saved:
                sizes = saved[SIZES].to(params[i].device, torch.float64, copy=True)
                state[params[i]][SIZES] = sizes
        self._limits.options, self._default = options, _copied(state_dict["speed_limit"])
        self._limits.state = state
        self._skips = Skips(state_dict["skipped_steps"], state_dict["consecutive_skips"])
        self._prepare_groups()
        for group, saved in zip(own, groups, strict=True):
            for key, held in self._keys.items():
                if isinstance(group.get(held), Tensor) and not is_auto(saved[key]):
                    group[held].fill_(saved[key])
                else:
                    group[held] = _copied(saved[key])

    @property
    def _keys(self) -> dict[str, str]:
        """What a group holds for this handle, under which key."""
        follows = {REFERENCE: REFERENCE} if self._limits.options["placement"] == "update" else {}
        return {"speed_limit": self._limits.key, **follows}

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
                values.get("speed_limit", group.get(self._limits.key, speed_limit)), scheduled=True
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
        self._check(self._default, self._limits.options)
        del self._known[len(groups) :]
        for i, group in enumerate(groups):
            if i == len(self._known):
                values: dict[str, Any] = {"speed_limit": self._default}
                if REFERENCE in self._keys:
                    given = self._limits.options[REFERENCE]
                    values[REFERENCE] = reference_of(group) if given is None else given
                added = [held for held in self._keys.values() if group.get(held) is None]
                self._known.append(Own(added, values))
            for key, held in self._keys.items():
                if group.get(held) is None:
                    group[held] = self._known[i].values[key]

    def _before_loading(self, optimizer: Optimizer, state_dict: StateDict) -> None:
        """Refuse a state that is not the optimizer's, unless a later hook may make it so."""
        if next(reversed(optimizer._optimizer_load_state_dict_pre_hooks)) == self._loading.id:
            check_loaded(optimizer, state_dict)
            for handle in optimizer.__dict__[_HANDLES].values():
                handle._check_loaded_limits(state_dict["param_groups"])

    def _check_loaded_limits(self, groups: Sequence[Mapping[str, Any]]) -> None:
        """Raise ValueError if groups that are to be loaded hold what is no limit."""
        if len(groups) != len(self._optimizer.param_groups):
            return  # which torch.optim reports
        held: list[dict[str, Any]] = [
            {key: group[own] for key, own in self._keys.items() if group.get(own) is not None}
            for group in groups
        ]
        self._check(self._default, self._limits.options, held)

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
        if self._limits.options["on_nonfinite"] != "propagate":
            if not closure and not self._is_scaled and not self._on_device:
                self._step.found = gradients_found(named_parameters(optimizer))
            if self._step.found and self._limits.options["on_nonfinite"] == "raise":
                self._seen.clear()
                self.guard.refuse_or_skip(self._step.found)
            for options, some in self._limits.groups():  # so that there is a state to go back to
                self._limits.buffers(options, [p for p in some if closure or p.grad is not None])
            self._step.before = Snapshot(optimizer, self._limits.state)
        params = [param for group in optimizer.param_groups for param in group["params"]]
        if self._step.found:  # nothing is to see these gradients
            self._step.hide_gradients(params)
        elif self._limits.options["placement"] == "gradient":
            self._swap(*self._limits.limit_gradients())
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
                rows = self._limits.limit_updates(self._step.copies, closure=self._step.closure)
                self._remember(rows)
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
        if self._limits.options["mode"] == "global":
            refuse_a_part_of_the_model()
        refuse_sparse_gradients(optimizer)
        if self._limits.options["placement"] == "gradient":
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

    def _swap(self, copies: dict[Tensor, Tensor], rows: list[Seen]) -> None:
        """Put limited copies in the place of the gradients."""
        for param, copy in copies.items():
            self._swapped[param] = (param.grad, copy, copy._version)  # type: ignore[assignment]
            param.grad = copy
        self._remember(rows)

    def _remember(self, rows: list[Seen]) -> None:
        if self._limits.options["telemetry"]:
            self._seen.replace(rows)

    def _swap_back(self) -> None:
        """Give the parameters the gradients that the user knows.

        A copy that was left behind and has been written to since is the user's by now.
        """
        for param, (grad, copy, version) in self._swapped.items():
            if param.grad is copy and copy._version == version:
                param.grad = grad
        self._swapped = {}


def _copied(value: Any) -> Any:
    return value.detach().clone() if isinstance(value, Tensor) else value
