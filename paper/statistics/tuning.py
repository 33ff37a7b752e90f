"""What tuning costs: the best of a budget, and how wide the choices are that train."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arguments import Array, as_scores, check_count


def expected_best(scores: npt.ArrayLike, draws: int) -> float:
    """Return the expected smallest score of some configurations out of those tried.

    Parameters
    ----------
    scores
        Of every configuration tried, ∞ allowed.
    draws
        How many are drawn, without replacement: the budget for tuning that is compared.

    Returns
    -------
    The expectation, which is ∞ if all that are drawn may be ∞; `capped` scores make it finite.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Expected validation performance (Dodge et al., arXiv 1909.03004) with the unbiased estimator
    (Tang et al., arXiv 2004.13705), which draws without replacement: the i-th smallest of n is the
    smallest of k drawn with probability C(n−i, k−1)/C(n, k).
    """
    values = np.sort(as_scores("scores", scores, 1))
    n = len(values)
    check_count("draws", draws)
    if draws > n:
        raise ValueError(f"draws={draws!r}: expected at most the {n} scores there are")
    reachable = n - draws + 1
    weights = [math.comb(n - i, draws - 1) / math.comb(n, draws) for i in range(1, reachable + 1)]
    return float(np.dot(weights, values[:reachable]))


def regret(scores: npt.ArrayLike, tuned: float, trivial: float) -> Array:
    """Return how much worse scores are than that of a tuned baseline, by what that has learned.

    Parameters
    ----------
    scores
        Finite, of any shape.
    tuned
        The baseline's score.
    trivial
        The score of what has learned nothing, > 0: its distance from ``tuned`` is the unit, but a
        tenth of it at least, for a baseline that has hardly learned.

    Raises
    ------
    ValueError
        If ``trivial`` is not a finite number > 0.
    """
    if not 0 < trivial < math.inf:
        raise ValueError(f"trivial={trivial!r}: expected a finite score > 0")
    unit = max(trivial - tuned, trivial / 10)
    return np.asarray((np.asarray(scores, dtype=np.float64) - tuned) / unit)


@dataclass(frozen=True)
class Window:
    """The learning rates that train.

    Attributes
    ----------
    lowest, highest
        Ends of the longest run of neighbours on the grid that train; NaN if none does. Of equally
        long runs it is the lowest.
    count
        How many rates of the grid train, within that run or not.
    """

    lowest: float
    highest: float
    count: int

    @property
    def decades(self) -> float:
        """Length of the run: log₁₀(highest/lowest), 0 for a single rate and for none."""
        return math.log10(self.highest / self.lowest) if self.count else 0.0


def window(rates: Sequence[float], scores: npt.ArrayLike, goal: float) -> Window:
    """Return the window of learning rates whose median score reaches a goal.

    Parameters
    ----------
    rates
        The grid, positive and increasing, of shape (rates,).
    scores
        Of shape (rates, seeds), ∞ allowed.
    goal
        The largest score that counts as trained.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    grid = np.asarray(rates, dtype=np.float64)
    values = as_scores("scores", scores, 2)
    positive = grid.ndim == 1 and np.isfinite(grid).all() and (grid > 0).all()
    if not positive or (np.diff(grid) <= 0).any():
        raise ValueError(f"rates={rates!r}: expected positive, increasing numbers")
    if len(grid) != len(values):
        raise ValueError(
            f"scores has {len(values)} rows: expected one for each of {len(grid)} rates"
        )
    trains = np.median(values, axis=1) <= goal
    if not trains.any():
        return Window(math.nan, math.nan, 0)
    edges = np.flatnonzero(np.diff(np.concatenate([[0], trains, [0]])))
    first, last = edges[::2], edges[1::2] - 1
    longest = np.argmax(last - first)
    return Window(float(grid[first[longest]]), float(grid[last[longest]]), int(trains.sum()))


def windows_by_seed(rates: Sequence[float], scores: npt.ArrayLike, goal: float) -> list[Window]:
    """Return the window of each seed by itself; the arguments are those of `window`."""
    values = as_scores("scores", scores, 2)
    return [window(rates, column[:, None], goal) for column in values.T]


def trained_share(scores: npt.ArrayLike, goal: float) -> float:
    """Return the share of cells of a grid whose median score reaches a goal.

    Parameters
    ----------
    scores
        Of shape (learning rates, speed limits, seeds), ∞ allowed.
    goal
        The largest score that counts as trained.

    Raises
    ------
    ValueError
        If an argument is not as described.
    """
    return float(np.mean(np.median(as_scores("scores", scores, 3), axis=2) <= goal))
