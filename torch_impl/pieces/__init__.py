"""Steps without kernels on the CPU: what its caches hold goes through the whole step.

That is a piece of a large tensor, or many small ones as one.
"""

from .adam import take_adam_steps
from .cut import Room, fit, states_fit
from .gravity import take_gravity_steps

__all__ = ["Room", "fit", "states_fit", "take_adam_steps", "take_gravity_steps"]
