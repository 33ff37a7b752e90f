"""The contract of production optimizers, as checks of any torch.optim.Optimizer."""

from . import (
    capturable,
    compiled,
    differentiable,
    gradients,
    host,
    options,
    precision,
    refused_state,
    state,
    tensors,
    training,
)

__all__ = [
    "capturable",
    "compiled",
    "differentiable",
    "gradients",
    "host",
    "options",
    "precision",
    "refused_state",
    "state",
    "tensors",
    "training",
]
