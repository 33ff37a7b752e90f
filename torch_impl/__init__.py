"""Optimizers that stay below a speed limit, for PyTorch."""

__version__ = "0.1.0"
