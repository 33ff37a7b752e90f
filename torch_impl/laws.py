"""The speed laws as tensor formulas.

Notation: c the speed limit, r = ‖u‖/c the speed ratio of a block, φ(r) the gain (the applied update
is φ(r)·u) and ρ(r) = r·φ(r) the speed. A law is two formulas in a quotient q ≤ 1, so that nothing
overflows on the way: below the limit q = r, at and above it q = 1/r.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .arguments import warn_caller

Formula = Callable[[Tensor, Tensor], Tensor]


@dataclass(frozen=True)
class Law:
    """A speed law.

    Attributes
    ----------
    key
        Name under which the law is registered in `LAWS`.
    below
        ``below(x, q)`` is φ(q)·x for a ratio q < 1.
    above
        ``above(c, q)`` is c·ρ(1/q) for 0 ≤ q ≤ 1.
    monotone
        Whether a larger proposed update is never applied as a smaller one.
    limits
        Whether the law looks at the speed limit at all.
    bounded
        Whether ρ ≤ 1.
    continuous
        Whether ρ is, and grows by no larger share than r.
    deviation
        a with |φ(r) − 1| ≤ a·r² for every r; ∞ if there is none.
    """

    key: str
    below: Formula
    above: Formula
    monotone: bool = True
    limits: bool = True
    bounded: bool = True
    continuous: bool = True
    deviation: float = 0.5

    def limit_entries(self, update: Tensor, limit: Tensor) -> Tensor:
        """Return the update with every entry limited by itself.

        Each operation is rounded once in the dtype of ``update``. For `smooth_sqrt` the result is
        finite, ≤ c and ≤ |x| for every finite entry x and c > 0; in every bounded law ±∞ becomes
        ±c·ρ(∞), and NaN stays NaN.

        Parameters
        ----------
        update
            Proposed update, any shape, real (parameter units).
        limit
            c ≥ 0 in the dtype of ``update`` and broadcastable to it; ∞ is no limit.
        """
        slow = update.abs()
        two_formulas = self.above is not self.below
        is_slow = slow < limit if two_formulas else None
        fast = torch.maximum(slow, limit)
        slow.clamp_(max=limit)
        quotient = torch.div(slow, fast, out=fast)
        quotient.nan_to_num_(nan=0.0)  # 0/0 and ∞/∞; a NaN entry is in slow too
        limited = self.below(slow, quotient)
        if is_slow is not None:
            limited = torch.where(is_slow, limited, self.above(slow, quotient))
        return limited.copysign_(update)

    def limit_entries_recorded(self, update: Tensor, limit: Tensor) -> Tensor:
        """`limit_entries` for autograd, whose derivative at 0 is 1 where the law's is.

        There the derivative of copysign, and through an unused branch that of 0/0, would be wrong.
        """
        size = update.abs()
        is_slow = size < limit
        ratio = torch.where(is_slow, size / torch.where(is_slow, limit, 1), 0)
        nothing = size == 0  # at c = 0 it is not slow, and 0/0 is not wanted
        inverse = torch.where(is_slow, 1, limit / torch.where(is_slow | nothing, 1, size))
        fast = self.above(limit * update.detach().sign(), inverse)
        return torch.where(is_slow, self.below(update, ratio), fast)

    def gains(self, ratios: Sequence[float]) -> list[float]:
        """Return φ(r) of ratios that are at hand as numbers."""
        gains = [math.nan] * len(ratios)
        for is_slow in (True, False):
            places = [i for i, ratio in enumerate(ratios) if (ratio < 1) == is_slow]
            if places:
                ratio = torch.tensor([ratios[i] for i in places], dtype=torch.float64, device="cpu")
                one = torch.ones_like(ratio)
                gain = self.below(one, ratio) if is_slow else self.above(one, 1 / ratio) / ratio
                for i, each in zip(places, gain.tolist(), strict=True):
                    gains[i] = each
        return gains

    def factors(self, scaled_ratio: Tensor, block_power: Tensor, own_power: Tensor) -> Tensor:
        """Return what scaled updates are to be multiplied with.

        An update u = w·2ᵏ is given by w in a block of norm a·2ᵇ; the result is K = φ(r)·2ᵏ, which
        makes K·w the applied update, whether or not r = (a/c)·2ᵇ overflows.

        Parameters
        ----------
        scaled_ratio
            a/c, float64, one value per tensor.
        block_power, own_power
            2ᵇ and 2ᵏ, float64, broadcastable to ``scaled_ratio``.
        """
        ratio = scaled_ratio * block_power
        one = torch.ones_like(ratio)
        is_slow = ratio < 1
        slow = self.below(one, ratio.clamp(max=1)) * own_power
        # The branch that is not taken keeps a finite derivative.
        speed = self.above(one, ratio.clamp(min=1).reciprocal())
        fast = speed / torch.where(is_slow, 1, scaled_ratio) * (own_power / block_power)
        return torch.where(is_slow, slow, fast)


def _unchanged(x: Tensor, _quotient: Tensor) -> Tensor:
    return x


def _unlimited(c: Tensor, quotient: Tensor) -> Tensor:
    return c / quotient


def _over_lorentz_sum(x: Tensor, quotient: Tensor) -> Tensor:
    """x/√(1 + q²), below the limit and above it: with q = 1/r it is c·ρ(r) = c/√(1 + 1/r²)."""
    return x / _root((quotient * quotient).add_(1))


def _tanh_below(x: Tensor, ratio: Tensor) -> Tensor:
    positive = torch.where(ratio > 0, ratio, 1)
    return x * torch.where(ratio > 0, ratio.tanh() / positive, 1)


def _tanh_above(c: Tensor, quotient: Tensor) -> Tensor:
    """c·tanh(1/q); tanh is 1 from 20 on, where 1/q and its derivative need not overflow."""
    return c * quotient.clamp(min=1 / 32).reciprocal().tanh()


def _root(x: Tensor) -> Tensor:
    """√x, correctly rounded; ``x`` may be overwritten.

    torch's vectorised square root of binary32 on the CPU is off by up to 0.75 ulp; that of binary64
    is near enough for its rounding to binary32 to be right.
    """
    if x.dtype == torch.float32 and x.device.type == "cpu":
        return x.to(torch.float64).sqrt_().to(torch.float32)
    return x.sqrt_()


def _one_minus_square(ratio: Tensor) -> Tensor:
    """1 − r², without cancellation near r = 1."""
    return (1 - ratio) * (1 + ratio)


def _published_below(x: Tensor, ratio: Tensor) -> Tensor:
    return x * _root(_one_minus_square(ratio))


def _piecewise_below(x: Tensor, ratio: Tensor) -> Tensor:
    return x / _one_minus_square(ratio)


LAWS: Mapping[str, Law] = {
    law.key: law
    for law in (
        Law("newtonian", _unchanged, _unlimited, limits=False, bounded=False, deviation=0.0),
        Law("smooth_sqrt", _over_lorentz_sum, _over_lorentz_sum),
        Law("tanh", _tanh_below, _tanh_above, deviation=1 / 3),
        Law("hard_clip", _unchanged, _unchanged, deviation=4 / 27),  # at r = 3/2
        Law(
            "published",
            _published_below,
            _tanh_above,
            monotone=False,
            continuous=False,
            deviation=1.0,
        ),
        Law(
            "piecewise",
            _piecewise_below,
            _tanh_above,
            monotone=False,
            bounded=False,
            continuous=False,
            deviation=math.inf,
        ),
    )
}
"""The laws an optimizer can use: key → formulas."""


def warn_unless_monotone(law: str) -> None:
    """Warn who has chosen a law under which a larger proposal can be applied as a smaller step."""
    if not LAWS[law].monotone:
        warn_caller(
            f"law={law!r} fails the claim 'monotone': near the speed limit a larger proposed "
            "update is applied as a smaller step; law='smooth_sqrt' is monotone"
        )
