"""Steps of RelativisticAdam and RelativisticAdamW for binary32 tensors on the CPU.

Notation: c the speed limit, û = m/(√v̂ + ε), of which the proposed update is the η/(1 − β₁ᵗ)-fold.
The squares of a norm are added in spans of 2,048 in binary32, and these in binary64.
"""

import math

import numpy as np

from .blocks import BLOCK, FIRST, GRAD, LARGEST, PARAM, SECOND, STEP, f32, view
from .laws import (
    FLOOR,
    NEWTONIAN,
    NORM,
    RELATIVE,
    SMOOTH_SQRT,
    gain,
    limited,
    limited_smoothly,
    share,
    toward_zero,
)
from .loops import compiled, each, exact, fma

SPAN = 2048
"""Entries that are summed in binary32."""

ROOT, RATE, LIMIT = range(3)
"""Rows of the numbers of tensors: 1/√(1 − β₂ᵗ), η/(1 − β₁ᵗ), c."""

_LARGEST_WITH_SQUARE = f32(2.0**63)


@exact
def _saturated(d):
    """Return d between the numbers whose squares are finite; NaN for what is not finite."""
    nothing = d * f32(0.0)
    d = _LARGEST_WITH_SQUARE if d > _LARGEST_WITH_SQUARE else d
    d = -_LARGEST_WITH_SQUARE if d < -_LARGEST_WITH_SQUARE else d
    return d + nothing


@exact
def _averages(d, m, v, adam):
    """Return the next moments of an entry whose gradient d is signed and has its penalty."""
    d = _saturated(d)
    return fma(adam.rest1, d, adam.beta1 * m), fma(adam.rest2, d * d, adam.beta2 * v)


@exact
def _direction(m, v, adam, root):
    """Return û of an entry, or as many times û as m is of its first moment."""
    return m / fma(np.sqrt(v), root, adam.eps)


@exact
def _moved(p, step, adam):
    """Return an entry after a step and its decay."""
    return fma(-adam.decay, p, p) - step


@exact
def _moments(g, p, m, v, adam):
    """Return the next moments of an entry: its gradient signed, with penalty, and saturated."""
    d = g * adam.sign
    if adam.penalty != 0:
        d = fma(adam.penalty, p, d)
    return _averages(d, m, v, adam)


@compiled
def _advance(table, t, low, high, adam, root, kept):
    """Advance the moments of a block and return its Σû²; keep every û, if there is room."""
    total = 0.0
    for start in range(low, high, SPAN):
        count = min(SPAN, high - start)
        p, g = view(table[PARAM, t], start, count), view(table[GRAD, t], start, count)
        m, v = view(table[FIRST, t], start, count), view(table[SECOND, t], start, count)
        x = view(table[LARGEST, t], start, count)
        if kept is not None:
            k = kept[start : start + count]
        part = f32(0.0)
        for i in range(count):
            first, second = _moments(g[i], p[i], m[i], v[i], adam)
            m[i] = first
            v[i] = second
            if adam.amsgrad:
                second = x[i] if x[i] > second else second
                x[i] = second
            u = _direction(first, second, adam, root)
            if kept is not None:
                k[i] = u
            part += u * u
        total += part
    return total


@exact
def _apply_entry(i, p, m, v, adam, root, factor):
    p[i] = _moved(p[i], _direction(factor * m[i], v[i], adam, root), adam)


@compiled
def _apply(table, t, low, high, adam, root, factor):
    """Write p − (factor·û + decay·p) in a block whose moments are advanced."""
    count = high - low
    p, m = view(table[PARAM, t], low, count), view(table[FIRST, t], low, count)
    v = view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    each(_apply_entry, count, (p, m, v, adam, root, factor))


@exact
def _apply_kept_entry(i, p, kept, adam, factor):
    p[i] = _moved(p[i], factor * kept[i], adam)


@compiled
def _apply_kept(table, t, high, adam, factor, kept):
    """Do the same for a tensor of so many entries whose û are kept."""
    each(_apply_kept_entry, high, (view(table[PARAM, t], 0, high), kept, adam, factor))


@compiled
def _stop(table, t, low, high, adam):
    """Write p − decay·p: where the limit is 0 nothing else is applied, whatever is proposed."""
    p = view(table[PARAM, t], low, high - low)
    for i in range(high - low):
        p[i] = _moved(p[i], f32(0.0), adam)


@exact
def _advance_and_limit_entry(i, p, g, m, v, adam, scale, slope, offset, c):
    first, second = _averages(g[i] * adam.sign, m[i], v[i], adam)
    m[i] = first
    v[i] = second
    size = abs(first) * scale
    size = _LARGEST_WITH_SQUARE if size > _LARGEST_WITH_SQUARE else size
    step = share(size, fma(np.sqrt(second), slope, offset), c)
    p[i] = _moved(p[i], np.copysign(step, first), adam)


@compiled
def _advance_and_limit(table, t, low, high, adam, scale, slope, offset, c):
    """Advance a block and limit its entries by smooth_sqrt, in the case that is most common.

    That is without AMSGrad, penalty and relative unit, conditions that would keep LLVM from making
    vectors of so long a loop. ``scale``, ``slope`` and ``offset`` are those of `_scaled`.
    """
    count = high - low
    p, g = view(table[PARAM, t], low, count), view(table[GRAD, t], low, count)
    m, v = view(table[FIRST, t], low, count), view(table[SECOND, t], low, count)
    each(_advance_and_limit_entry, count, (p, g, m, v, adam, scale, slope, offset, c))


@compiled
def _limit(table, t, low, high, adam, root, rate, c):
    """Limit the entries of a block whose moments are advanced."""
    count = high - low
    p, m = view(table[PARAM, t], low, count), view(table[FIRST, t], low, count)
    v = view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    if adam.law != SMOOTH_SQRT:
        for i in range(count):
            u = _direction(rate * m[i], v[i], adam, root)
            limit = c * max(abs(p[i]), f32(FLOOR)) if adam.unit == RELATIVE else c
            p[i] = _moved(p[i], limited(adam.law, u, limit), adam)
    elif adam.unit == RELATIVE:
        for i in range(count):
            # With the sign of u instead of m, LLVM would divide twice, for u and for -u.
            size = _direction(rate * abs(m[i]), v[i], adam, root)
            scale = abs(p[i])
            limit = c * (scale if scale > f32(FLOOR) else f32(FLOOR))
            step = limited_smoothly(size, limit)
            p[i] = _moved(p[i], np.copysign(step, m[i]), adam)
    else:
        for i in range(count):
            size = _direction(rate * abs(m[i]), v[i], adam, root)
            p[i] = _moved(p[i], np.copysign(limited_smoothly(size, c), m[i]), adam)


@compiled
def _wide_square(address, low, high):
    """Return Σx² in binary64."""
    total = 0.0
    x = view(address, low, high - low)
    for i in range(high - low):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@compiled
def _exact_square(table, t, low, high, adam, root):
    """Return Σû² in binary64, for what binary32 cannot sum."""
    count, total = high - low, 0.0
    m = view(table[FIRST, t], low, count)
    v = view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    for i in range(count):
        u = np.float64(m[i]) / (np.sqrt(v[i]) * root + adam.eps)
        total += u * u
    return total


@compiled
def begin(table, adam, numbers):
    """Count a step for every tensor; fill in its 1/√(1 − β₂ᵗ), η/(1 − β₁ᵗ) and c."""
    last = 0.0
    for t in range(table.shape[1]):
        counter = view(table[STEP, t], 0, 1)
        counter[0] += f32(1.0)
        step = np.float64(counter[0])
        if step == last:
            for row in range(numbers.shape[0]):
                numbers[row, t] = numbers[row, t - 1]
            continue
        last = step
        numbers[ROOT, t] = 1.0 / math.sqrt(1.0 - adam.wide_beta2**step)
        numbers[RATE, t] = adam.lr / (1.0 - adam.wide_beta1**step)
        reached = min(1.0, step / adam.warmup) if adam.warmup > 0.0 else 1.0
        numbers[LIMIT, t] = adam.limit * reached


@compiled
def factor(adam, square, theta, count, rate, c):
    """Return what û is to be multiplied with, in binary32.

    ``square`` is ‖u‖² of the block, ``theta`` its ‖θ‖² and ``count`` its number of entries.
    """
    if adam.law == NEWTONIAN or c == math.inf:
        return f32(rate)
    norm, limit = math.sqrt(square), c
    if adam.unit != NORM:
        norm /= math.sqrt(max(count, 1.0))
    if adam.unit == RELATIVE:
        limit = c * max(math.sqrt(theta / max(count, 1.0)), FLOOR)
    return f32(rate * gain(adam.law, norm / limit))


@compiled
def _scaled(adam, root, rate, c):
    """Return what |m| is to be multiplied with, and √v, and what is to be added to this.

    The two are then as c to |u|, the larger at most 2⁶³ where √v and ε/√v̂ are.
    """
    ratio = c / rate
    scale = 0.5 / max(1.0, ratio * root)
    return scale, scale * ratio * root, scale * ratio * adam.eps


@compiled
def measure(table, work, adam, numbers, squares, thetas, kept):
    """Advance pieces, and limit them if entries are limited by themselves; else measure them.

    A piece is a tensor, its first entry and its end; ``squares`` takes Σu², ``thetas`` Σθ² and
    ``kept``, unless it is None, û. Returns whether binary32 held Σû².
    """
    held = True
    for k in range(work.shape[0]):
        t, low, high = work[k, 0], work[k, 1], work[k, 2]
        root, rate = f32(numbers[ROOT, t]), numbers[RATE, t]
        if adam.entries:
            c = numbers[LIMIT, t]
            if c == 0.0:
                for start in range(low, high, BLOCK):
                    _advance(table, t, start, min(start + BLOCK, high), adam, root, None)
                _stop(table, t, low, high, adam)
            elif c == math.inf or adam.law == NEWTONIAN:
                for start in range(low, high, BLOCK):
                    end = min(start + BLOCK, high)
                    _advance(table, t, start, end, adam, root, None)
                    _apply(table, t, start, end, adam, root, f32(rate))
            else:
                narrow = toward_zero(c)
                scale, slope, offset = _scaled(adam, numbers[ROOT, t], rate, c)
                if adam.common and 2.0**-62 <= offset <= 2.0**62:
                    a, b, d = f32(scale), f32(slope), f32(offset)
                    _advance_and_limit(table, t, low, high, adam, a, b, d, narrow)
                    continue
                for start in range(low, high, BLOCK):
                    end = min(start + BLOCK, high)
                    _advance(table, t, start, end, adam, root, None)
                    _limit(table, t, start, end, adam, root, f32(rate), narrow)
            continue
        total = 0.0
        for start in range(low, high, BLOCK):
            end = min(start + BLOCK, high)
            square = _advance(table, t, start, end, adam, root, kept)
            if not 1e-25 < square < 1e35:  # beyond, binary32 loses terms
                square = _exact_square(table, t, start, end, adam, root)
                held = False
            total += square
        squares[k] = rate * rate * total
        if adam.weighs:
            thetas[k] = _wide_square(table[PARAM, t], low, high)
    return held


@compiled
def finish(table, work, adam, numbers, factors, kept):
    """Apply the updates of pieces, the last first: its moments, or what is kept, are at hand."""
    for k in range(work.shape[0] - 1, -1, -1):
        t, low, high = work[k, 0], work[k, 1], work[k, 2]
        if numbers[LIMIT, t] == 0.0 and adam.law != NEWTONIAN:
            _stop(table, t, low, high, adam)
            continue
        if kept is None:
            _apply(table, t, low, high, adam, f32(numbers[ROOT, t]), factors[k])
        else:
            _apply_kept(table, t, high, adam, factors[k], kept)


@compiled
def factors_of_model(work, adam, numbers, square, theta, count, factors):
    """Store what the û of each piece is to be multiplied with, where the block is the model."""
    for k in range(work.shape[0]):
        t = work[k, 0]
        rate, c = numbers[RATE, t], numbers[LIMIT, t]
        factors[k] = factor(adam, square, theta, count, rate, c)


@compiled
def factors_of_tensors(work, firsts, adam, numbers, squares, thetas, factors):
    """Store what the û of each tensor's pieces is to be multiplied with.

    The pieces of the i-th tensor are those from ``firsts[i]`` to ``firsts[i + 1]``.
    """
    for i in range(firsts.shape[0] - 1):
        t, square, theta, count = work[firsts[i], 0], 0.0, 0.0, 0
        for k in range(firsts[i], firsts[i + 1]):
            square += squares[k]
            theta += thetas[k]
            count += work[k, 2] - work[k, 1]
        one = factor(adam, square, theta, count, numbers[RATE, t], numbers[LIMIT, t])
        factors[firsts[i] : firsts[i + 1]] = one


@compiled
def _room(work, firsts):
    """Return the entries of the largest tensor whose û are kept: one of a piece, beyond a block."""
    most = 0
    for i in range(firsts.shape[0] - 1):
        count = work[firsts[i], 2]
        if firsts[i + 1] - firsts[i] == 1 and count > BLOCK:
            most = max(most, count)
    return most


@compiled
def whole(table, work, firsts, adam, numbers, squares, thetas, factors):
    """Step tensors one after the other, so that each is still at hand when it is applied."""
    kept = np.empty(_room(work, firsts), np.float32)
    for i in range(firsts.shape[0] - 1):
        a, b = firsts[i], firsts[i + 1]
        own, ends = work[a:b], firsts[i : i + 2] - a
        keeps = b - a == 1 and own[0, 2] > BLOCK
        if keeps:
            keeps = measure(table, own, adam, numbers, squares[a:b], thetas[a:b], kept)
        else:
            measure(table, own, adam, numbers, squares[a:b], thetas[a:b], None)
        factors_of_tensors(own, ends, adam, numbers, squares[a:b], thetas[a:b], factors[a:b])
        if keeps:
            finish(table, own, adam, numbers, factors[a:b], kept)
        else:
            finish(table, own, adam, numbers, factors[a:b], None)
