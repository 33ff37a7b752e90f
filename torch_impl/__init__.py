"""Optimizers that stay below a speed limit, for PyTorch.

`RelativisticAdam` and `RelativisticAdamW` are Adam and AdamW whose update passes through a speed
law (`LAWS`): under the bounded ones no finite update is applied beyond ``speed_limit``.
`Gravity` is a kinematic optimizer with a bounded gradient term. Every formula, with its source and
its claims, is in the `reference` package.
"""

from .attach import limit_speed
from .checkpoint import CheckpointError, load_checkpoint, save_checkpoint
from .gravity import Gravity
from .groups import param_groups
from .handle import SpeedLimitHandle
from .laws import LAWS
from .relativistic import RelativisticAdam, RelativisticAdamW
from .telemetry import SpeedReport, TensorSpeed

__version__ = "0.1.0"

__all__ = [
    "LAWS",
    "CheckpointError",
    "Gravity",
    "RelativisticAdam",
    "RelativisticAdamW",
    "SpeedLimitHandle",
    "SpeedReport",
    "TensorSpeed",
    "limit_speed",
    "load_checkpoint",
    "param_groups",
    "save_checkpoint",
]
