"""Optimizers with one bug each, to see that it is found."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD


class Sound(SGD):
    """SGD with momentum, from which the others differ in one line each."""

    def __init__(
        self, params: Any, lr: float = 0.1, maximize: bool = False, foreach: bool | None = None
    ) -> None:
        super().__init__(params, lr, momentum=0.9, maximize=maximize, foreach=foreach)


class Counting(Sound):
    """Counts its steps in a plain number, which is no bug."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for param in group["params"]:
                self.state[param]["number"] = self.state[param].get("number", 0) + 1
        return super().step(closure)


class StaleGradients(Sound):
    """Steps with the gradient tensors that it has seen first."""

    def step(self, closure: Any = None) -> Any:
        params = [p for group in self.param_groups for p in group["params"] if p.grad is not None]
        grads = [param.grad for param in params]
        for param in params:
            param.grad = self.state[param].setdefault("seen", param.grad)
        loss = super().step(closure)
        for param, grad in zip(params, grads, strict=True):
            param.grad = grad
        return loss


class InPlaceMaximize(Sound):
    """Negates the gradient where it lies."""

    def step(self, closure: Any = None) -> Any:
        ascending = [group for group in self.param_groups if group["maximize"]]
        for group in ascending:
            group["maximize"] = False
            for param in group["params"]:
                param.grad.neg_()
        loss = super().step(closure)
        for group in ascending:
            group["maximize"] = True
        return loss


class ClosureWithoutGradients(Sound):
    """Runs the closure as the step itself: without recording."""

    def step(self, closure: Any = None) -> Any:
        with torch.no_grad():
            loss = None if closure is None else closure()
        super().step()
        return loss


class StateNotRestored(Sound):
    """Loads options alone."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict({**state_dict, "state": {}})


class ForeachUnlikeSingle(Sound):
    """Forgets the momentum on the foreach path."""

    def step(self, closure: Any = None) -> Any:
        if self.defaults["foreach"]:
            self.state.clear()
        return super().step(closure)


class WrongShapesAccepted(Sound):
    """Cuts and pads a state to the shape of the parameter."""

    def step(self, closure: Any = None) -> Any:
        for param, state in self.state.items():
            buffer = state.get("momentum_buffer")
            if isinstance(buffer, Tensor) and buffer.shape != param.shape:
                state["momentum_buffer"] = torch.zeros_like(param)
        return super().step(closure)


class RateUnchecked(Sound):
    """Takes any learning rate."""

    def __init__(self, params: Any, lr: float = 0.1, **options: Any) -> None:
        super().__init__(params, 0.1, **options)
        for group in self.param_groups:
            group["lr"] = lr


class DecayUnchecked(Sound):
    """Takes any weight decay."""

    def __init__(self, params: Any, weight_decay: float = 0.0, **options: Any) -> None:
        super().__init__(params, **options)
        for group in self.param_groups:
            group["weight_decay"] = weight_decay


class RateRemembered(Sound):
    """Keeps the learning rate that it was made with."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            group["lr"] = group.setdefault("first_lr", group["lr"])
        return super().step(closure)


class LayoutMatters(Sound):
    """Reads what lies in memory in its own order."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for param in group["params"]:
                param.grad.view(-1)
        return super().step(closure)
