"""Every formula of the speed-limited optimizers, spelled out in NumPy.

Pure functions in float64: state in, state out, nothing mutated. Slow and plain on purpose; the
production optimizers are compared with these, step by step.
"""

from .adam import AdamState, adam_direction, published_direction, readme_direction
from .claims import LAW_PROPERTIES, Claim, Property
from .gravity import (
    CLOCKS,
    GRAVITY_CLAIMS,
    GravityState,
    beta_hat,
    gravity_step,
    initial_velocity,
    zeta,
)
from .laws import LAWS, Law
from .limit import limit, speed_ratios
from .published import README_READINGS, Reading, published_step, readme_limit, readme_step
from .regime import Regime, largest_adam_entry, regime
from .relativistic import relativistic_adam_step, relativistic_adamw_step

__all__ = [
    "CLOCKS",
    "GRAVITY_CLAIMS",
    "LAWS",
    "LAW_PROPERTIES",
    "README_READINGS",
    "AdamState",
    "Claim",
    "GravityState",
    "Law",
    "Property",
    "Reading",
    "Regime",
    "adam_direction",
    "beta_hat",
    "gravity_step",
    "initial_velocity",
    "largest_adam_entry",
    "limit",
    "published_direction",
    "published_step",
    "readme_direction",
    "readme_limit",
    "readme_step",
    "regime",
    "relativistic_adam_step",
    "relativistic_adamw_step",
    "speed_ratios",
    "zeta",
]
