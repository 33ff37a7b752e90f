"""Whether a difference is more than chance, and which would have been found."""

import math

import numpy as np
import numpy.typing as npt
from scipy import optimize, stats

from .arguments import Array, as_finite, check_count, check_share

FINEST = 60
"""Beyond so many pairs p-values are finer than float64 tells."""


def sign_flip_test(differences: npt.ArrayLike, *, draws: int = 100_000, seed: int = 0) -> float:
    """Return the two-sided p-value of the mean of paired differences, by flipping their signs.

    Parameters
    ----------
    differences
        One finite number for each pair (task, seed), two at least. The mean weighs them as
        they are: bring tasks to one scale first.
    draws, seed
        With more than ``draws`` patterns of signs so many are drawn, which gives p ≥ 2/(draws + 1);
        otherwise all 2ⁿ are enumerated, which gives p ≥ 2/2ⁿ.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    Exact if each difference is symmetric about 0 and independent of the others, as it is where two
    methods do not differ on any task. Five pairs cannot show anything at 5 %: p ≥ 1/16.
    """
    values = as_finite("differences", differences, least=2)
    check_count("draws", draws)
    test = stats.permutation_test(
        (values,),
        lambda sample, axis: np.mean(sample, axis=axis),
        permutation_type="samples",
        vectorized=True,
        n_resamples=draws,
        batch=4096,
        rng=np.random.default_rng(seed),
    )
    return float(test.pvalue)


def holm(p_values: npt.ArrayLike) -> Array:
    """Return p-values adjusted for their number by Holm's method, in the order given.

    Those ≤ α can be rejected together, with a probability ≤ α of any false rejection.

    Raises
    ------
    ValueError
        If there is none, or one is not in [0, 1].

    Notes
    -----
    Holm, Scandinavian Journal of Statistics 6 (1979): the i-th smallest of m, times m − i + 1, made
    monotone, at most 1.
    """
    values = as_finite("p_values", p_values)
    if not ((values >= 0) & (values <= 1)).all():
        raise ValueError(f"p_values={p_values!r}: expected numbers in [0, 1]")
    order = np.argsort(values, kind="stable")
    factors = np.arange(len(values), 0, -1)
    adjusted = np.empty_like(values)
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * factors), 1)
    return adjusted


def detectable_difference(pairs: int, *, level: float = 0.05, power: float = 0.8) -> float:
    """Return the smallest mean difference that `sign_flip_test` would find.

    Parameters
    ----------
    pairs
        How many pairs.
    level
        α at which p is compared.
    power
        Probability of p ≤ α with the sign of the true difference, in (α, 1).

    Returns
    -------
    In standard deviations of the pairs' differences, taken as normal; ∞ if no differences of so few
    pairs have p ≤ α.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Notes
    -----
    The power is that of Student's test, from the noncentral t, at the largest level ≤ α that the
    p-values of the sign flips, multiples of 2/2ⁿ, attain. With fewer than eight pairs the sign
    flips find a little less often than that.
    """
    check_count("pairs", pairs)
    check_share("level", level)
    check_share("power", power)
    if power <= level:
        raise ValueError(f"power={power!r}: expected more than the level, {level!r}")
    steps = 2 ** min(pairs - 1, FINEST)
    attained = math.floor(level * steps) / steps
    if attained == 0 or pairs == 1:
        return math.inf
    critical = stats.t.isf(attained / 2, pairs - 1)

    def excess(difference: float) -> float:
        shift = difference * math.sqrt(pairs)
        return float(stats.nct.sf(critical, pairs - 1, shift)) - power

    enough = 1.0 / math.sqrt(pairs)
    while excess(enough) < 0:
        enough *= 2
    return float(optimize.brentq(excess, 0, enough))
