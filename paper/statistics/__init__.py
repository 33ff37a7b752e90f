"""What the runs of a few seeds say, and how surely.

A *score* is what a run is judged by, smaller being better; it is ∞ where the run exploded.
Functions that order scores take that as it is. Those that subtract or average them ask for finite
ones, which `capped` makes.
"""

from .intervals import (
    Interval,
    bootstrap_interval,
    capped,
    mean_interval,
    median_interval,
    paired_difference_interval,
)
from .significance import detectable_difference, holm, sign_flip_test
from .tuning import Window, expected_best, regret, trained_share, window, windows_by_seed

__all__ = [
    "Interval",
    "Window",
    "bootstrap_interval",
    "capped",
    "detectable_difference",
    "expected_best",
    "holm",
    "mean_interval",
    "median_interval",
    "paired_difference_interval",
    "regret",
    "sign_flip_test",
    "trained_share",
    "window",
    "windows_by_seed",
]
