"""The contract of production optimizers, as checks of any torch.optim.Optimizer."""

from . import state

__all__ = ["state"]
