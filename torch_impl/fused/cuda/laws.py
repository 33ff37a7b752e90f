"""Speed laws as kernels: the gain of a block in binary64, entries by themselves in binary32."""

import triton
import triton.language as tl

from .blocks import LARGEST_NUMBER

_SERIES_BELOW = tl.constexpr(0.01)
_FULL_SPEED = tl.constexpr(2.0**-5)


@triton.jit
def _hyperbolic(ratio):
    """Return tanh(r)/r for r ≥ 0, in binary64; NaN for NaN."""
    square = ratio * ratio
    series = 1.0 - square * (1.0 / 3.0 - square * (2.0 / 15.0 - square * (17.0 / 315.0)))
    fast = tl.where(ratio < _SERIES_BELOW, _SERIES_BELOW, ratio)
    power = tl.exp(-2.0 * fast)
    return tl.where(ratio < _SERIES_BELOW, series, (1.0 - power) / ((1.0 + power) * fast))


@triton.jit
def gain(ratio, law: tl.constexpr):
    """Return φ(r) in binary64; NaN for NaN."""
    slow = ratio < 1.0
    inverse = 1.0 / tl.where(slow, 1.0, ratio)
    inside = tl.where(slow, (1.0 - ratio) * (1.0 + ratio), 1.0)
    if law == "smooth_sqrt":
        quotient = tl.where(slow, ratio, inverse)
        return inverse / tl.sqrt(1.0 + quotient * quotient)
    elif law == "hard_clip":
        return inverse
    elif law == "tanh":
        return _hyperbolic(ratio)
    elif law == "published":
        return tl.where(slow, tl.sqrt(inside), _hyperbolic(ratio))
    elif law == "piecewise":
        return tl.where(slow, 1.0 / inside, _hyperbolic(ratio))
    else:
        tl.static_assert(law == "newtonian", "a law without a kernel")
        return ratio * 0.0 + 1.0


@triton.jit
def toward_zero(c):
    """Return the largest number of binary32 that is at most c ≥ 0; ∞ remains."""
    beyond = (c > LARGEST_NUMBER) & (c < float("inf"))
    nearest = tl.where(beyond, LARGEST_NUMBER, c).to(tl.float32)
    below = (nearest.to(tl.int32, bitcast=True) - 1).to(tl.float32, bitcast=True)
    return tl.where(nearest.to(tl.float64) > c, below, nearest)


@triton.jit
def limited(x, c, law: tl.constexpr):
    """Return entries limited by themselves to c ≥ 0, as `Law.limit_entries` does."""
    size = tl.abs(x)
    slow = tl.where(size > c, c, size)
    fast = tl.where(size > c, size, c)
    quotient = tl.math.div_rn(slow, tl.where(fast == 0.0, 1.0, fast))
    if law == "smooth_sqrt":
        result = tl.math.div_rn(slow, tl.sqrt_rn(1.0 + quotient * quotient))
    elif law == "hard_clip":
        result = slow
    else:
        ratio = quotient.to(tl.float64)
        inside = (1.0 - quotient) * (1.0 + quotient)
        if law == "tanh":
            below = slow * _hyperbolic(ratio).to(tl.float32)
        elif law == "published":
            below = slow * tl.sqrt_rn(inside)
        else:
            tl.static_assert(law == "piecewise", "a law without a kernel")
            below = tl.math.div_rn(slow, tl.where(size < c, inside, 1.0))
        inverse = 1.0 / tl.where(ratio < _FULL_SPEED, _FULL_SPEED, ratio)
        beyond = slow * (_hyperbolic(inverse) * inverse).to(tl.float32)
        result = tl.where(size < c, below, tl.where(x != x, x, beyond))
    sign = x.to(tl.int32, bitcast=True) & -(2**31)
    result = (result.to(tl.int32, bitcast=True) | sign).to(tl.float32, bitcast=True)
    return tl.where(c == float("inf"), x, result)
