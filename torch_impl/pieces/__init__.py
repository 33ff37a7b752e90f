"""Steps of large tensors on the CPU: a piece that its caches hold goes through the whole step."""

from .adam import take_adam_steps
from .cut import Room, fit, states_fit
from .gravity import take_gravity_steps

__all__ = ["Room", "fit", "states_fit", "take_adam_steps", "take_gravity_steps"]
