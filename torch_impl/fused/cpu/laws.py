"""Speed limits as the kernels of the CPU know them.

Notation: r the ratio of a norm to the limit c, φ(r) the gain, x an entry.
"""

import math

import numpy as np

from .blocks import HUGE, f32
from .loops import compiled, exact, fma

NEWTONIAN, SMOOTH_SQRT, TANH, HARD_CLIP, PUBLISHED, PIECEWISE = range(6)
NORM, RMS, RELATIVE = range(3)

FLOOR = 1e-3
"""The least scale that a relative limit is taken of."""


@compiled
def gain(law, ratio):
    """Return φ(r), in binary64; NaN for NaN."""
    if law == NEWTONIAN:
        return 1.0
    if ratio < 1.0:
        if law == SMOOTH_SQRT:
            return 1.0 / math.sqrt(1.0 + ratio * ratio)
        if law == TANH:
            return math.tanh(ratio) / ratio if ratio > 0.0 else 1.0
        if law == PUBLISHED:
            return math.sqrt((1.0 - ratio) * (1.0 + ratio))
        if law == PIECEWISE:
            return 1.0 / ((1.0 - ratio) * (1.0 + ratio))
        return 1.0
    inverse = 1.0 / ratio
    if law == SMOOTH_SQRT:
        return inverse / math.sqrt(1.0 + inverse * inverse)
    if law == HARD_CLIP:
        return inverse
    return inverse * math.tanh(ratio)


@exact
def _ordered(x, c):
    """Return q = min(|x|, c)/max(|x|, c) and the smaller of the two, as `Law.limit_entries`."""
    size = abs(x)
    slow = c if size > c else size
    fast = size if size > c else c
    return slow / fast, slow


@exact
def limited(law, x, c):
    """Return an entry limited by itself, by a law of which LLVM makes no vectors."""
    quotient, slow = _ordered(x, c)
    is_slow = abs(x) < c
    if law == HARD_CLIP:
        result = slow
    elif is_slow and law == TANH:
        result = slow * (f32(math.tanh(quotient)) / quotient) if quotient > 0 else slow
    elif is_slow and law == PUBLISHED:
        result = slow * np.sqrt((f32(1.0) - quotient) * (f32(1.0) + quotient))
    elif is_slow and law == PIECEWISE:
        result = slow / ((f32(1.0) - quotient) * (f32(1.0) + quotient))
    else:
        result = slow * f32(math.tanh(f32(1.0) / max(quotient, f32(1.0 / 32.0))))
    return np.copysign(result, x)


@exact
def limited_smoothly(size, c):
    """Return the size of an entry limited by itself, by smooth_sqrt."""
    quotient, slow = _ordered(size, c)
    return slow / np.sqrt(fma(quotient, quotient, f32(1.0)))


@exact
def share(x, y, c):
    """Return c·x/√(x² + y²): an entry of size c·x/y limited by itself, by smooth_sqrt.

    It has a division less than `limited_smoothly` and like it never exceeds c: the root of a
    number that is at least x² rounded is at least x, if that does not underflow. What is wanted for
    this is x, y ≥ 0 that are at most 2⁶³·1.5, and y at least 2⁻⁶².
    """
    return c * (x / np.sqrt(fma(x, x, y * y)))


@compiled
def toward_zero(c):
    """Return the largest number of binary32 that is at most c ≥ 0."""
    narrow = min(f32(c), HUGE)
    return narrow if narrow <= c else np.nextafter(narrow, f32(0.0))
