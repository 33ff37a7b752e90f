"""What the optimizers share: taking a step with or without a closure, and keeping their state."""

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, overload

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer, ParamsT, StateDict, _use_grad_for_differentiable

from .arguments import as_number
from .batches import Batch, batches, refuse_sparse_gradients, working_dtype
from .forms import as_dict, check_form
from .fused import (
    Kernels,
    Known,
    Scaling,
    Work,
    follow,
    kernels_for,
    looked_at,
    refuse_without_kernels,
)
from .nonfinite import (
    Guard,
    Skips,
    any_finite,
    anything_found,
    gradients_found,
    named_parameters,
    results_found,
)
from .pieces import Room
from .refusals import refuse_flattened, refuse_partitioned
from .sharding import is_distributed
from .snapshot import Snapshot
from .state import check_order, check_state, lives_on_device, restore_precision, step_tensor
from .telemetry import Rows, SpeedReport


class FirstOrderOptimizer(Optimizer, ABC):
    """A torch.optim.Optimizer whose subclasses say in `_advance` what a step does.

    State buffers have the shape and memory format of their parameter and, without
    ``narrow_state``, at least 32 bits; ``step`` counts a parameter's own updates.
    """

    _needed_buffers: ClassVar[Sequence[str]]
    """The state buffers without which a parameter's state is not this optimizer's."""

    def __init__(self, params: ParamsT, defaults: dict[str, Any]) -> None:
        self._skips = Skips()
        self._seen = Rows()
        self._kernels: Kernels | None = None
        self._known: dict[int, Known] = {}
        self._room = Room()
        super().__init__(params, defaults)

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @_use_grad_for_differentiable
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        """Take one step.

        Parameters
        ----------
        closure
            Reevaluates the model and returns the loss.

        Returns
        -------
        What the closure returned, or None without one.

        Raises
        ------
        RuntimeError
            If a gradient is sparse; nothing has been changed then.
        """
        eager = not torch.compiler.is_compiling()
        if eager:  # pragma: no branch: what is compiled is not seen
            self._check_capture()
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        if eager:  # pragma: no branch
            refuse_sparse_gradients(self)
        self._take_step()
        return loss

    def _take_step(self) -> None:
        """Advance, unless the policy has something against it."""
        policy = self.defaults["on_nonfinite"]
        if policy == "propagate":
            self._advance()
            return
        guard = self._guard()
        params = named_parameters(self)
        if torch.compiler.is_compiling() or any(g["capturable"] for g in self.param_groups):
            for group in self.param_groups:  # so that there is a state to go back to
                self._init_group(group, [], [], [], *([] for _ in self._buffer_keys(group)))
            before = Snapshot(self)
            self._advance()
            bad = anything_found(self, params, self._largest_gradient)
            before.restore_where(bad)
            guard.skips.count(bad)
            self._seen.discard_where(bad)
            return
        self._seen.clear()
        found = gradients_found(params, self._largest_gradient)
        if found is None:
            proven = all(map(self._stays_finite, self.param_groups))
            if proven and results_found(self, params) is None:
                self._advance()  # what is finite stays so: there will be nothing to undo
            else:
                before = Snapshot(self)
                self._advance()
                found = results_found(self, params)
                if found is not None:
                    before.restore()
                    self._seen.clear()
        if found is None:
            guard.skips.count(skipped=False)
        else:
            guard.refuse_or_skip(found)

    def _stays_finite(self, _group: dict[str, Any]) -> bool:
        """Whether finite parameters and states, and gradients as large as allowed, stay finite.

        Then no copy is needed to go back to.
        """
        return False

    def _largest_gradient(self, param: Tensor) -> float:
        """Return beyond what a gradient entry makes a state that is not finite."""
        return any_finite(param)

    def _guard(self) -> Guard:
        options = self.defaults
        return Guard(options["on_nonfinite"], options["max_consecutive_skips"], self._skips)

    def __getstate__(self) -> dict[str, Any]:
        """Return what is copied and pickled, the counters of skipped steps included."""
        return {**super().__getstate__(), "_skips": self._skips}

    @abstractmethod
    def _advance(self) -> None:
        """Update every parameter that has a gradient."""

    def _buffer_keys(self, _group: dict[str, Any]) -> Sequence[str]:
        """Return the names of the state buffers of a group's parameters."""
        return self._needed_buffers

    @abstractmethod
    def _new_buffers(self, params: list[Tensor], group: dict[str, Any], key: str) -> list[Tensor]:
        """Return the buffers of parameters before their first step."""

    @abstractmethod
    def _check_options(self, options: dict[str, Any], *, scheduled: bool = False) -> None:
        """Raise ValueError, or RuntimeError, if the options of a group are not valid.

        In a state that is loaded, a schedule may have brought them where a new group cannot start.
        """

    def speed_report(self) -> SpeedReport:
        """Return what the last step did, waiting for the device; see `SpeedReport`.

        Without ``telemetry=True`` it has no tensors, but counts skipped steps all the same.

        Raises
        ------
        RuntimeError
            If more than ``max_consecutive_skips`` steps in a row have been skipped.
        """
        guard = self._guard()
        guard.check()
        names = {id(param): name for param, name in named_parameters(self)}
        return self._seen.report(names, guard.skips.read())

    def _parameters(self) -> Iterator[Tensor]:
        return (param for group in self.param_groups for param in group["params"])

    def _batches(self, group: dict[str, Any]) -> Iterator[Batch]:
        """Count a step for every parameter of a group that has a gradient; yield their batches."""
        buffers: dict[str, list[Tensor]] = {key: [] for key in self._buffer_keys(group)}
        params: list[Tensor] = []
        grads: list[Tensor] = []
        steps: list[Tensor] = []
        self._init_group(group, params, grads, steps, *buffers.values())
        return batches(group, params, grads, steps, buffers)

    def _is_fused(self) -> bool:
        """Whether the step is that of kernels; what is compiled by torch is not."""
        return bool(self.param_groups[0]["fused"]) and not torch.compiler.is_compiling()

    def _fused(self) -> Kernels:
        """Return the kernels of the optimizer's device."""
        if self._kernels is None:
            self._kernels = kernels_for(next(self._parameters()))
        return self._kernels

    def _work(self) -> list[Work]:
        """Return what each group has for kernels; nothing of one without a gradient."""
        home = self._fused().home if self._is_fused() else None
        works, before, self._known = [], self._known, {}
        for number, group in enumerate(self.param_groups):
            params, grads, steps, buffers = self._gathered(group)
            if not params:
                continue
            work, known = Work(number, group, params, grads, buffers, steps), before.get(number)
            if known is not None and known.is_still(work, home):
                work = work._replace(uniform=known.uniform, known=known)
            else:
                work = looked_at(work, self._buffer_keys(group), self.state, home)
            if work.known is not None:
                self._known[number] = work.known
            works.append(work)
        return works

    @property
    def _step_supports_amp_scaling(self) -> bool:
        """Whether a torch.amp.GradScaler leaves its scale to the step: kernels divide by it."""
        judged = self.defaults["on_nonfinite"] != "propagate"  # of gradients without their scale
        return not judged and self._is_fused() and self._fused().unscales

    def _scaling(self) -> Scaling:
        """Return what a GradScaler has told the optimizer for this step."""
        return Scaling(getattr(self, "grad_scale", None), getattr(self, "found_inf", None))

    def _init_group(
        self,
        group: dict[str, Any],
        params: list[Tensor],
        grads: list[Tensor],
        steps: list[Tensor],
        *buffers: list[Tensor],
    ) -> None:
        """Append what has a gradient, with state where it had none.

        torch.compile knows this method by its name and runs it instead of tracing it.
        """
        *own, rows = self._gathered(group)
        for values, found in zip((params, grads, steps, *buffers), (*own, *rows), strict=True):
            values.extend(found)
        if params and lives_on_device(group):
            follow(params, steps, self.state)

    def _gathered(
        self, group: dict[str, Any]
    ) -> tuple[list[Tensor], list[Tensor], list[Tensor], list[list[Tensor]]]:
        """Return parameters that have a gradient, gradients, steps and buffers, made if missing."""
        params, grads = [], []
        for param in group["params"]:
            grad = param.grad
            if grad is not None:
                params.append(param)
                grads.append(grad)
        keys = self._buffer_keys(group)
        states = [*map(self.state.__getitem__, params)]  # a defaultdict's
        try:
            steps, *buffers = _columns(states, ("step", *keys))
        except KeyError:
            self._complete(params, states, group, keys)
            steps, *buffers = _columns(states, ("step", *keys))
        return params, grads, steps, buffers

    def _complete(
        self,
        params: list[Tensor],
        states: list[dict[str, Any]],
        group: dict[str, Any],
        keys: Sequence[str],
    ) -> None:
        """Make what state there is not."""
        for param, state in zip(params, states, strict=True):
            if "step" not in state:
                state["step"] = step_tensor(param, group)
        for key in keys:
            new = [i for i, state in enumerate(states) if key not in state]
            buffers = self._new_buffers([params[i] for i in new], group, key)
            for i, buffer in zip(new, buffers, strict=True):
                states[i][key] = buffer

    @abstractmethod
    def _check_parameters(self, group: dict[str, Any]) -> None:
        """Raise ValueError if the options of a group do not fit its parameters."""

    def _add_checked(self, param_group: dict[str, Any]) -> None:
        """Add a group as torch.optim does; take it back if its options do not fit."""
        super().add_param_group(param_group)
        group = self.param_groups[-1]
        try:
            self._check_group(group)
            _draw_rounding_seed(group)
        except (ValueError, RuntimeError):
            self.param_groups.pop()
            raise

    def _check_group(self, group: dict[str, Any]) -> None:
        if group["differentiable"] and any(map(is_distributed, group["params"])):
            raise ValueError(
                "differentiable=True: expected parameters that are not DTensors, whose reductions "
                "have no derivative"
            )
        for name in ("on_nonfinite", "max_consecutive_skips"):
            if group[name] != self.defaults[name]:
                raise ValueError(
                    f"{name}={group[name]!r} in a group: expected the optimizer's "
                    f"{self.defaults[name]!r}, since a step is skipped as a whole"
                )
        if group["fused"]:
            refuse_without_kernels(group, next(self._parameters()))
        if bool(group["fused"]) != bool(self.param_groups[0]["fused"]):
            raise ValueError(
                f"fused={group['fused']!r} in a group: expected that of the first one, "
                f"{self.param_groups[0]['fused']!r}"
            )
        if group["on_nonfinite"] != "propagate":
            refuse_partitioned(f"on_nonfinite={group['on_nonfinite']!r}", "'propagate'")
            refuse_flattened(group)
        self._check_parameters(group)

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copied, pickled or loaded optimizer; options it has not take their defaults."""
        super().__setstate__(state)
        self.__dict__.setdefault("_skips", Skips())
        self._seen = Rows()
        self._kernels, self._known = None, {}
        self._room = Room()
        for name, parameter in inspect.signature(type(self)).parameters.items():
            if name not in {"params", "generator"}:
                self.defaults.setdefault(name, parameter.default)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)
            _draw_rounding_seed(group)
            for param in group["params"]:
                own = self.state.get(param, {})
                if "step" in own and not isinstance(own["step"], Tensor):
                    own["step"] = step_tensor(param, group, float(own["step"]))

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state as torch.optim does, but keep its buffers in their own dtype.

        Nothing is shared with ``state_dict``. An integer ``step``, as relativistic-adam 1.0.0 saves
        it, becomes a tensor; options that were not saved keep this optimizer's defaults.

        Raises
        ------
        ValueError
            If the state is not this optimizer's: a buffer is missing, has not its parameter's shape
            or holds integers, named parameters have another order, an option is not valid, or
            torch.optim finds the groups different. The optimizer is as it was then.
        """
        loaded: list[StateDict] = []

        def check(_: Optimizer, candidate: StateDict) -> StateDict:
            check_form(candidate)
            kept = ("fused", "stochastic_rounding", "narrow_state")  # what depends on the machine
            own = [{name: group[name] for name in kept} for group in self.param_groups]
            saved = candidate["param_groups"]
            own += [{}] * (len(saved) - len(own))  # torch.optim reports other numbers
            groups = [{**group, **mine} for group, mine in zip(saved, own, strict=False)]
            for group in groups:
                self._check_options({**self.defaults, **group}, scheduled=True)
            for group, present in zip(groups, self.param_groups, strict=False):
                options = {key: value for key, value in group.items() if key != "params"}
                self._check_group({**self.defaults, **present, **options})
            candidate = self._converted({**candidate, "param_groups": groups})
            check_order(self, candidate)
            check_state(self, candidate, self._needed_buffers)
            loaded.append(candidate)
            return candidate

        hooks = (
            self.register_load_state_dict_pre_hook(check),
            self.register_load_state_dict_post_hook(
                lambda _: restore_precision(self, loaded[0]), prepend=True
            ),
        )
        try:
            super().load_state_dict(as_dict("state_dict", state_dict))
        finally:
            for hook in hooks:
                hook.remove()

    @abstractmethod
    def _converted(self, state_dict: StateDict) -> StateDict:
        """Return a state dict in this package's form from one of another implementation."""

    def _check_capture(self) -> None:
        """Raise RuntimeError if a CUDA graph captures a step that is not capturable."""
        check = (
            getattr(self, "_accelerator_graph_capture_health_check", None)
            or self._cuda_graph_capture_health_check
        )
        check()


def _columns(states: list[dict[str, Any]], keys: Sequence[str]) -> list[list[Tensor]]:
    """Return what states have under each key."""
    return [[state[key] for state in states] for key in keys]


def _draw_rounding_seed(group: dict[str, Any]) -> None:
    """Have a group whose parameters are rounded by chance say which chances."""
    if not group["stochastic_rounding"]:
        return
    seed = group.setdefault("rounding_seed", int(torch.randint(2**31, ())))
    if not isinstance(seed, int) or not 0 <= seed < 2**31:
        raise ValueError(f"rounding_seed={seed!r}: expected an integer from 0 to 2³¹ − 1")


def check_representable(group: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise ValueError if an option overflows where a parameter of its group is updated."""
    for param in group["params"]:
        largest = torch.finfo(working_dtype(param)).max
        for name in names:
            if as_number(group[name]) > largest:
                raise ValueError(
                    f"{name}={group[name]!r}: expected at most {largest:.3g}, the largest number "
                    f"of {working_dtype(param)}, in which the parameter is updated"
                )
