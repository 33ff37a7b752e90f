"""Whole steps as kernels: ``fused=True``."""

from collections.abc import Sequence
from typing import Protocol

from torch import Tensor

from . import homes
from .homes import refuse_without_kernels
from .looking import follow, looked_at
from .work import Known, Scaling, Work

__all__ = [
    "Kernels",
    "Known",
    "Scaling",
    "Work",
    "follow",
    "kernels_for",
    "looked_at",
    "refuse_without_kernels",
]


class Kernels(Protocol):
    """The kernels of a kind of device, and what they keep from step to step.

    Attributes
    ----------
    home
        The kind of device.
    unscales
        Whether they divide by a GradScaler's scale what they read of gradients, and leave these as
        they are.
    """

    home: str
    unscales: bool

    def take_adam_steps(self, works: Sequence[Work], scaling: Scaling, *, decoupled: bool) -> None:
        """Take the step of every group of RelativisticAdam, or with ``decoupled`` decay AdamW."""

    def take_gravity_steps(self, works: Sequence[Work], scaling: Scaling) -> None:
        """Take the step of every group of Gravity."""


def kernels_for(param: Tensor) -> Kernels:
    """Return new kernels for the device of a parameter."""
    if homes.home_of(param) == "cpu":
        from .cpu import steps as on_cpu  # noqa: PLC0415 -- an extra

        return on_cpu.Kernels()
    from .cuda import steps as on_cuda  # noqa: PLC0415 -- an extra

    return on_cuda.Kernels()
