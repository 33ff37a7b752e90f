"""Checks of what an optimizer declares of its steps, on examples that Hypothesis shrinks."""

from . import bounds, likeness, symmetries

__all__ = ["bounds", "likeness", "symmetries"]
