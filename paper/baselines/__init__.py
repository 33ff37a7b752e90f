"""Relativistic optimizers of others, written from their papers to be measured beside ours."""

from .rad import RAD
from .rgd import RGD

__all__ = ["RAD", "RGD"]
