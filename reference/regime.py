"""How fast an Adam update can be, before training starts.

Notation: u the proposed update of an entry, lr the learning rate, n the number of entries of a
block, c the speed limit, r = ‖u‖/c the speed ratio.
"""

import math
from dataclasses import dataclass

from .arguments import at_least_zero, number, one_of, pair_of_betas, speed_limit_of
from .limit import MODES, UNITS

LINEAR_BELOW = 0.1
"""Below this ratio every bounded law passes an update on to within half a percent: r²/2."""

SATURATED_ABOVE = 10.0
"""Above this ratio every bounded law applies its limit to within half a percent: 1/(2r²)."""


@dataclass(frozen=True)
class Regime:
    """What a speed limit will do to Adam's updates.

    Attributes
    ----------
    name
        "linear" (no update can be noticeably slowed), "saturated" (a typical one is at the limit)
        or "transition".
    typical_ratio
        r when every entry moves by lr, as Adam's entries do under gradients of one sign.
    largest_ratio
        The largest r that any gradients can produce, ∞ if there is no such bound.
    """

    name: str
    typical_ratio: float
    largest_ratio: float


def largest_adam_entry(betas: tuple[float, float] = (0.9, 0.999)) -> float:
    """Return sup |u|/lr of an Adam entry over all gradients and steps, without AMSGrad.

    m = Σaᵢgᵢ and v = Σbᵢgᵢ² give m² ≤ (Σaᵢ²/bᵢ)·v by Cauchy and Schwarz; after many steps the sum
    is K = β₂(1−β₁)²/((1−β₂)(β₂−β₁²)), and with the bias corrections √K is the supremum over the
    steps. For β₁² ≥ β₂ the sum diverges and there is no bound.

    Parameters
    ----------
    betas
        Decay rates β₁, β₂ of the moments, in [0, 1).

    Returns
    -------
    √K, dimensionless, or ∞.

    Raises
    ------
    ValueError
        If a rate is not in [0, 1).

    Examples
    --------
    >>> round(largest_adam_entry(), 2)
    7.27
    """
    beta1, beta2 = pair_of_betas(betas)
    if beta1 == 0:
        return 1 / math.sqrt(1 - beta2)
    if beta1**2 >= beta2:
        return math.inf
    return math.sqrt(beta2 * (1 - beta1) ** 2 / ((1 - beta2) * (beta2 - beta1**2)))


def regime(
    lr: float,
    speed_limit: float,
    betas: tuple[float, float] = (0.9, 0.999),
    numel: int = 1,
    mode: str = "per_param",
    unit: str = "norm",
    param_rms: float = 1.0,
) -> Regime:
    """Tell what a speed limit will do to Adam's updates, before training.

    Parameters
    ----------
    lr
        Learning rate ≥ 0.
    speed_limit
        c > 0, in ``unit``.
    betas
        Decay rates of the moments, in [0, 1).
    numel
        Entries n of the block: of the tensor, or of the model in "global" mode. "per_component"
        blocks are entries, whatever ``numel``.
    mode, unit
        As in `reference.limit`.
    param_rms
        Root mean square of the block's parameters, for ``unit="relative"``.

    Returns
    -------
    The regime and its ratios.

    Raises
    ------
    ValueError
        If an argument is not as described.

    Examples
    --------
    The published default does nothing to entries, and begins to act on tensors of 10⁴ entries:

    >>> regime(lr=1e-3, speed_limit=0.1, mode="per_component", numel=10_000).name
    'linear'
    >>> round(regime(lr=1e-3, speed_limit=0.1, numel=10_000).typical_ratio, 6)
    1.0
    """
    one_of("mode", mode, MODES)
    one_of("unit", unit, UNITS)
    lr, rms = at_least_zero("lr", lr), at_least_zero("param_rms", param_rms)
    count = number("numel", numel, lambda n: n >= 1 and n.is_integer(), "a whole number >= 1")
    c = speed_limit_of("speed_limit", speed_limit)
    if c == 0:
        raise ValueError(f"speed_limit={speed_limit!r}: expected a number > 0 (inf means no limit)")
    n = 1 if mode == "per_component" else int(count)
    typical = lr * math.sqrt(n) / UNITS[unit](c, n, rms * math.sqrt(n))
    largest = 0.0 if typical == 0 else typical * largest_adam_entry(betas)
    if largest < LINEAR_BELOW:
        name = "linear"
    else:
        name = "saturated" if typical > SATURATED_ABOVE else "transition"
    return Regime(name, typical, largest)
