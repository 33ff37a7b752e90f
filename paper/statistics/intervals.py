"""Intervals around what a few seeds show, by the bootstrap."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .arguments import Array, as_finite, as_scores, check_count, check_share

ENUMERATED = 50_000
"""Up to how many resamples of a bootstrap are enumerated; beyond, they are drawn."""


@dataclass(frozen=True)
class Interval:
    """An estimate between the bounds of its interval."""

    estimate: float
    low: float
    high: float


def capped(scores: npt.ArrayLike, trivial: float) -> Array:
    """Return scores of any shape, none worse than ``trivial``, which NaN becomes, too.

    ``trivial`` is the score of a network that has learned nothing: whoever sees a run explode has
    that one without training.

    Raises
    ------
    ValueError
        If ``trivial`` is not finite.
    """
    if not math.isfinite(trivial):
        raise ValueError(f"trivial={trivial!r}: expected a finite score")
    return np.fmin(np.asarray(scores, dtype=np.float64), trivial)


def median_interval(
    scores: npt.ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the median over seeds and its percentile bootstrap interval.

    Parameters
    ----------
    scores
        One a seed; ∞ is allowed.
    level
        Nominal coverage, in (0, 1).
    resamples, seed
        How many resamples are drawn, and from where, if there are more than 6 seeds; otherwise all
        are enumerated.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Of five seeds the interval at 95 % is their range: a resample's median is the smallest with
    probability 0.058. Of a continuous distribution that holds the median with probability
    1 − 2·2⁻⁵ = 0.9375, whatever the distribution, and no interval between two of five scores is
    surer.
    """
    values = as_scores("scores", scores, 1)
    return bootstrap_interval(
        values, lambda sample: np.median(sample, axis=-1), level, resamples, seed
    )


def paired_difference_interval(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    *,
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return the difference median(first) − median(second) and its bootstrap interval.

    Parameters
    ----------
    first, second
        Finite scores of two methods, in the same order of seeds, which are resampled in pairs.
    level, resamples, seed
        As in `median_interval`.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    With five seeds its coverage is not known for any distribution; read it as the range of what
    leaving seeds out and doubling others would have shown.
    """
    pairs = np.stack(_pairs(first, second))

    def difference(sample: Array) -> Array:
        medians = np.median(sample, axis=-1)
        return np.asarray(medians[0] - medians[1])

    return bootstrap_interval(pairs, difference, level, resamples, seed)


def mean_interval(
    counts: npt.ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> Interval:
    """Return the mean of one finite number a seed and its percentile bootstrap interval.

    Parameters
    ----------
    counts
        One a seed, such as the learning rates at which it trained.
    level, resamples, seed
        As in `median_interval`.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    It is too narrow for few seeds: it has the spread of a sample about its own mean, √((n−1)/n)
    of what it should be, and the normal's tails for Student's. Of five from a normal distribution
    an interval at 95 % holds the mean with a probability of about 0.84.
    """
    values = as_finite("counts", counts)
    return bootstrap_interval(
        values, lambda sample: np.mean(sample, axis=-1), level, resamples, seed
    )


def bootstrap_interval(
    values: Array,
    statistic: Callable[[Array], Array],
    level: float = 0.95,
    resamples: int = 10_000,
    seed: int = 0,
) -> Interval:
    """Return a statistic of values and its percentile bootstrap interval.

    Parameters
    ----------
    values
        Whatever a seed has, of shape (…, seeds).
    statistic
        Of arrays of that shape, and with an axis of resamples before the last one.
    level, resamples, seed
        As in `median_interval`.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The bounds are values that the statistic takes: interpolation, as in scipy.stats.bootstrap,
    would make NaN of two that are infinite.
    """
    check_share("level", level)
    check_count("resamples", resamples)
    n = values.shape[-1]
    if n**n <= ENUMERATED:
        chosen = np.indices((n,) * n).reshape(n, -1).T
    else:
        chosen = np.random.default_rng(seed).integers(n, size=(resamples, n))
    found = np.sort(statistic(values[..., chosen]))
    cut = math.ceil((1 - level) / 2 * len(found)) - 1
    return Interval(float(statistic(values)), float(found[cut]), float(found[-1 - cut]))


def _pairs(first: npt.ArrayLike, second: npt.ArrayLike) -> tuple[Array, Array]:
    found = as_finite("first", first), as_finite("second", second)
    if len(found[0]) != len(found[1]):
        raise ValueError(
            f"first has {len(found[0])} scores and second {len(found[1])}: expected pairs"
        )
    return found
