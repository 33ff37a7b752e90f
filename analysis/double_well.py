"""The optimizer's step in a double well: which well it ends in, and who leaves it.

Notation: f = (x² − 1)²/4 the loss, with wells at ±1 (f″ = 2) and a ridge at 0; η the learning
rate, c the speed limit. A step is at most c long: who is farther than that from the ridge cannot
cross it in one, and a noise of any size needs 1/c steps to carry anyone over.
"""

import numpy as np
from numpy.typing import ArrayLike, NDArray

import reference

Array = NDArray[np.float64]

ESCAPED = 2
"""What `basins` says of a start that leaves both wells for good."""

FAR = 1e6
"""Beyond this x³ carries an unlimited step away for good; limited ones do not come near it."""


def orbits(law: str, rate: ArrayLike, limit: float, starts: ArrayLike, steps: int) -> Array:
    """Return the orbits of x ← x − limited(η·f′(x)), shape (steps + 1, …); ∞ once beyond `FAR`.

    Parameters
    ----------
    law
        Key of a law that is defined for every ratio; "newtonian" for no limit.
    rate, starts
        η and x₀, broadcast together.
    limit
        c.
    steps
        How many steps to take.
    """
    rates, x = np.broadcast_arrays(np.asarray(rate, float), np.asarray(starts, float))
    orbit = [x]
    for _ in range(steps):
        orbit.append(_step(law, rates, limit, orbit[-1], 0.0))
    return np.array(orbit)


def basins(
    law: str, rate: ArrayLike, limit: float, starts: ArrayLike, steps: int
) -> NDArray[np.int_]:
    """Return where starts end: −1 or 1 the well at rest, 0 restless in or between, or `ESCAPED`.

    At rest is who moves less than 1e-6 in the last step. Arguments are those of `orbits`.
    """
    before, last = orbits(law, rate, limit, starts, steps)[-2:]
    with np.errstate(invalid="ignore"):
        resting = np.abs(last - before) < 1e-6  # noqa: PLR2004
    codes = np.where(resting, np.sign(last), 0).astype(int)
    return np.where(np.isinf(last), ESCAPED, codes)


def escaped_share(
    law: str, rate: float, limit: float, noise: float, steps: int, chains: int, seed: int
) -> float:
    """Return the share of chains that have left the well at 1 within some steps.

    Parameters
    ----------
    law, rate, limit, steps
        As for `orbits`.
    noise
        Standard deviation of the gradient's noise, normal.
    chains, seed
        How many, and of what random numbers.
    """
    rng = np.random.default_rng(seed)
    x = np.ones(chains)
    gone = np.zeros(chains, dtype=bool)
    for _ in range(steps):
        x = _step(law, np.asarray(rate), limit, x, noise * rng.standard_normal(chains))
        gone |= x <= 0
    return float(np.mean(gone))


def _step(law: str, rate: Array, limit: float, x: Array, noise: ArrayLike) -> Array:
    inside = np.where(np.abs(x) < FAR, x, 0.0)
    update = rate * (inside * (inside * inside - 1) + noise)
    applied = limit * reference.LAWS[law].speed(np.abs(update) / limit) * np.sign(update)
    return np.where(np.abs(x) < FAR, inside - applied, np.inf)
