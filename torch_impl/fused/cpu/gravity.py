"""Steps of Gravity for binary32 tensors on the CPU.

Notation: G = max|g| of a tensor, κ the relative limit, β̂ the mean's weight of the velocity before.
"""

import math

import numpy as np

from .blocks import FIRST, GRAD, HUGE, PARAM, STEP, TINY, bits, f32, view
from .loops import compiled, each, exact, fma, stretch, turns

READ_RUNS = 4
"""Runs in which gradients are looked through: what is only read may come in more than in `each`."""

SCALE, WEIGHT = range(2)
"""Rows of the numbers of tensors: G or m, β̂."""


@exact
def _size(word):
    """Return the bits of |x|: as whole numbers in its order, those of NaN beyond those of ∞."""
    return np.int32(word & np.int32(0x7FFFFFFF))


@compiled
def _peak(table, t, low, high):
    """Return the bits of max|g| of a block."""
    count, most = high - low, np.int32(0)
    for k in range(turns(READ_RUNS, count)):
        begin, end = stretch(k, READ_RUNS, count)
        g = bits(table[GRAD, t], low + begin, end - begin)
        for i in range(end - begin):
            size = _size(g[i])
            most = size if size > most else most
    return most


@compiled
def peaks(table, work, gravity, largest):
    """Store max|g| of pieces, with its penalty; NaN if there is one."""
    as_bits = largest.view(np.int32)
    for k in range(work.shape[0]):
        t, low, high = work[k, 0], work[k, 1], work[k, 2]
        if gravity.penalty == 0:
            as_bits[k] = _peak(table, t, low, high)
            continue
        g, p = view(table[GRAD, t], low, high - low), view(table[PARAM, t], low, high - low)
        peak, undefined = f32(0.0), False
        for i in range(high - low):
            size = abs(g[i] * gravity.sign + gravity.penalty * p[i])
            undefined |= size != size  # noqa: PLR0124
            peak = size if size > peak else peak
        largest[k] = math.nan if undefined else peak


@compiled
def begin(table, gravity, numbers):
    """Count a step for every tensor and fill in its β̂."""
    for t in range(table.shape[1]):
        counter = view(table[STEP, t], 0, 1)
        counter[0] += f32(1.0)
        clock = np.float64(counter[0]) - 1.0 + gravity.initial_step
        numbers[WEIGHT, t] = (gravity.beta * clock + 1.0) / (clock + 2.0)


@compiled
def scales_of_tensors(work, firsts, gravity, numbers, largest):
    """Store each tensor's G = max|g|, or m = κ·max|g|, kept finite and, as m, above 0."""
    for i in range(firsts.shape[0] - 1):
        peak = f32(0.0)
        for k in range(firsts[i], firsts[i + 1]):
            peak = largest[k] if not largest[k] <= peak else peak
        if gravity.relative:
            peak = peak * gravity.kappa
            peak = TINY if peak < TINY else peak
        numbers[SCALE, work[firsts[i], 0]] = HUGE if peak > HUGE else peak


@exact
def _advance_entry(i, p, g, v, gravity, scale, weight, rest):
    d = g[i] * gravity.sign
    if gravity.penalty != 0:
        d = fma(gravity.penalty, p[i], d)
    quotient = d / scale if gravity.relative else d * scale
    velocity = fma(weight, v[i], rest * d / fma(quotient, quotient, f32(1.0)))
    v[i] = velocity
    p[i] = fma(-gravity.lr, velocity, p[i])


@compiled
def _advance_block(table, t, low, high, gravity, numbers):
    count = high - low
    p, g = view(table[PARAM, t], low, count), view(table[GRAD, t], low, count)
    v = view(table[FIRST, t], low, count)
    scale, weight = f32(numbers[SCALE, t]), f32(numbers[WEIGHT, t])
    rest = f32(1.0 - numbers[WEIGHT, t])
    each(_advance_entry, count, (p, g, v, gravity, scale, weight, rest))


@compiled
def advance(table, work, gravity, numbers):
    """Advance the velocity and the parameter of pieces, the last first."""
    for k in range(work.shape[0] - 1, -1, -1):
        _advance_block(table, work[k, 0], work[k, 1], work[k, 2], gravity, numbers)


@compiled
def whole(table, work, firsts, gravity, numbers, largest):
    """Step tensors one after the other."""
    for i in range(firsts.shape[0] - 1):
        a, b = firsts[i], firsts[i + 1]
        peaks(table, work[a:b], gravity, largest[a:b])
        scales_of_tensors(work[a:b], firsts[i : i + 2] - a, gravity, numbers, largest[a:b])
        advance(table, work[a:b], gravity, numbers)
