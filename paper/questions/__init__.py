"""The ten questions, each with the statistic and the threshold that answer it."""

from collections.abc import Callable, Mapping

from paper.experiments.evidence import Evidence

from .answer import Answer
from .limits import modes, shapes, spikes, transfer
from .others import gravity, precision
from .windows import best_of_a_budget, fixed_setting, moved_tuning, window_widths

QUESTIONS: Mapping[str, Callable[[Evidence], Answer]] = {
    "windows": window_widths,
    "tuned": best_of_a_budget,
    "moved": moved_tuning,
    "preset": fixed_setting,
    "spikes": spikes,
    "widths": transfer,
    "shape": shapes,
    "gravity": gravity,
    "modes": modes,
    "precision": precision,
}
"""Question → what answers it, in the order of the paper."""

__all__ = ["QUESTIONS", "Answer", "Evidence"]
