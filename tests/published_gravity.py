"""The PyTorch Gravity as its README published it in July 2021, but for names and annotations."""

from collections.abc import Callable
from typing import Any

import torch


class Gravity(torch.optim.Optimizer):
    def __init__(self, params: Any, lr: float = 0.1, alpha: float = 0.01, beta: float = 0.9):
        if not lr >= 0.0:
            raise ValueError(f"Invalid learning rate: {lr}")
        if not alpha >= 0.0:
            raise ValueError(f"Invalid alpha value: {alpha}")
        if not 0.0 <= beta < 1.0:
            raise ValueError(f"Invalid beta value: {beta}")
        super().__init__(params, {"lr": lr, "alpha": alpha, "beta": beta, "t": 0})
        for group in self.param_groups:
            std = group["alpha"] / group["lr"]
            for p in group["params"]:
                self.state[p]["v"] = torch.empty_like(p).normal_(mean=0.0, std=std)

    @torch.no_grad()
    def step(self, closure: Callable[[], float] | None = None) -> float | None:  # type: ignore[override]
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            group["t"] += 1
            t = group["t"]
            beta_hat = (group["beta"] * t + 1) / (t + 2)
            for p in group["params"]:
                if p.grad is not None:
                    if p.grad.is_sparse:
                        raise RuntimeError("Gravity does not support sparse gradients")
                    state = self.state[p]
                    m = 1 / torch.abs(p.grad).max()
                    zeta = p.grad / (1 + (p.grad / m) ** 2)
                    state["v"] = beta_hat * state["v"] + (1 - beta_hat) * zeta
                    p.sub_(group["lr"] * state["v"])
        return loss
