"""What the optimizers share: taking a step with or without a closure, and keeping their state."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, overload

import torch
from torch.optim.optimizer import Optimizer, StateDict

from .batches import refuse_sparse_gradients, state_dtype, working_dtype


class FirstOrderOptimizer(Optimizer, ABC):
    """A torch.optim.Optimizer whose subclasses say in `_advance` what a step does.

    State buffers have the shape of their parameter and at least 32 bits; ``step`` counts a
    parameter's own updates.
    """

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    @torch.no_grad()
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
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        refuse_sparse_gradients(self)
        self._advance()
        return loss

    @abstractmethod
    def _advance(self) -> None:
        """Update every parameter that has a gradient."""

    def _add_checked(
        self, param_group: dict[str, Any], check: Callable[[dict[str, Any]], None]
    ) -> None:
        """Add a group as torch.optim does; take it back if ``check`` raises ValueError on it."""
        super().add_param_group(param_group)
        try:
            check(self.param_groups[-1])
        except ValueError:
            self.param_groups.pop()
            raise

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Restore a copied, pickled or loaded optimizer; options it has not take their defaults."""
        super().__setstate__(state)
        for group in self.param_groups:
            for name, value in self.defaults.items():
                group.setdefault(name, value)

    def load_state_dict(self, state_dict: StateDict) -> None:
        """Load a state as torch.optim does, but keep its buffers at 32 bits or more.

        Nothing is shared with ``state_dict``. An integer ``step``, as relativistic-adam 1.0.0 saves
        it, becomes a tensor; options that were not saved keep this optimizer's defaults.

        Raises
        ------
        ValueError
            If a buffer has not its parameter's shape, or torch.optim finds the groups different;
            the optimizer is as it was then.
        """
        pairs = [
            (group, saved, param)
            for group, saved_group in enumerate(state_dict["param_groups"])
            for saved, param in zip(
                saved_group["params"],
                # torch.optim reports a different number of groups or parameters.
                self.param_groups[group]["params"] if group < len(self.param_groups) else (),
                strict=False,
            )
        ]
        for group, saved, param in pairs:
            for key, value in _buffers(state_dict, saved).items():
                if value.shape != param.shape:
                    raise ValueError(
                        f"state {key!r} of parameter {saved} in group {group} has shape "
                        f"{tuple(value.shape)}: expected the parameter's, {tuple(param.shape)}"
                    )
        super().load_state_dict(state_dict)
        for _, saved, param in pairs:
            for key, value in _buffers(state_dict, saved).items():
                wide = value.detach().to(param.device, state_dtype(param), copy=True)
                self.state[param][key] = wide
            if param in self.state:
                step = float(self.state[param]["step"])
                self.state[param]["step"] = torch.tensor(step, dtype=torch.float32)


def check_representable(group: dict[str, Any], names: tuple[str, ...]) -> None:
    """Raise ValueError if an option overflows where a parameter of its group is updated."""
    for param in group["params"]:
        largest = torch.finfo(working_dtype(param)).max
        for name in names:
            if group[name] > largest:
                raise ValueError(
                    f"{name}={group[name]!r}: expected at most {largest:.3g}, the largest number "
                    f"of {working_dtype(param)}, in which the parameter is updated"
                )


def _buffers(state_dict: StateDict, saved: int) -> dict[str, Any]:
    """Return the buffers of a saved parameter: every tensor of its state but the step."""
    state = state_dict["state"].get(saved, {})
    return {
        key: value
        for key, value in state.items()
        if isinstance(value, torch.Tensor) and key != "step"
    }
