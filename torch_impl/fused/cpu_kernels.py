"""Whole steps for binary32 tensors on the CPU, compiled by Numba.

A model is a table of addresses, one row per kind of tensor, one column per tensor. Notation: p the
parameter, g its gradient, m and v the moments, x the largest v so far; r the ratio of a norm to the
limit c; û = m/(√v̂ + ε), of which the proposed update is the η/(1 − β₁ᵗ)-fold.

LLVM vectorises a loop if a division has no check for 0 (``error_model="numpy"``), the loop runs
over a view of its block, and the terms of a sum may change places, in spans of 2,048 terms of
binary32 that are added up in binary64. Conditions on options leave the loops when they are
compiled. NaN and infinities are not assumed away.
"""

import math

import numba
import numpy as np
from numba import types

from .loops import each, fma, pointer

compiled = numba.njit(
    error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, nogil=True, cache=True
)
exact = numba.njit(error_model="numpy", fastmath=set(), nogil=True, cache=True)
"""Compiles what is to be rounded as it is written: what becomes of an entry.

Without ``fastmath`` Numba would take that of the function that calls it.

LLVM may round a·b + c·d in two ways, and chooses otherwise in a process that compiles a kernel than
in those that find it in their cache.
"""

BLOCK = 16384
"""Entries whose part of a norm is one term, so that it does not depend on the number of threads."""

SPAN = 2048
"""Entries that are summed in binary32."""

NEWTONIAN, SMOOTH_SQRT, TANH, HARD_CLIP, PUBLISHED, PIECEWISE = range(6)
NORM, RMS, RELATIVE = range(3)

PARAM, GRAD, FIRST, SECOND, LARGEST, STEP = range(6)
"""Rows of a table; Gravity's velocity is in that of the first moment."""

ROOT, RATE, LIMIT = range(3)
"""Rows of the numbers of tensors: 1/√(1 − β₂ᵗ), η/(1 − β₁ᵗ), c."""

SCALE, WEIGHT = range(2)
"""Rows of the numbers of tensors in Gravity: G or m, β̂."""

_f = np.float32
_TINY, _LARGEST = np.finfo(_f).tiny, np.finfo(_f).max
_LARGEST_WITH_SQUARE = _f(2.0**63)
_FLOOR = 1e-3


_floats, _whole = pointer(types.float32), pointer(types.int32)


@compiled
def _view(address, low, count):
    """Return ``count`` entries from the entry ``low`` on."""
    return numba.carray(_floats(address + 4 * low), count)


@compiled
def _bits(address, low, count):
    """Return the same as whole numbers."""
    return numba.carray(_whole(address + 4 * low), count)


@compiled
def _gain(law, ratio):
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
def _limited(law, x, c):
    """Return an entry limited by itself, by a law of which LLVM makes no vectors."""
    quotient, slow = _ordered(x, c)
    is_slow = abs(x) < c
    if law == HARD_CLIP:
        result = slow
    elif is_slow and law == TANH:
        result = slow * (_f(math.tanh(quotient)) / quotient) if quotient > 0 else slow
    elif is_slow and law == PUBLISHED:
        result = slow * np.sqrt((_f(1.0) - quotient) * (_f(1.0) + quotient))
    elif is_slow and law == PIECEWISE:
        result = slow / ((_f(1.0) - quotient) * (_f(1.0) + quotient))
    else:
        result = slow * _f(math.tanh(_f(1.0) / max(quotient, _f(1.0 / 32.0))))
    return np.copysign(result, x)


@exact
def _limited_smoothly(size, c):
    """Return the size of an entry limited by itself, by smooth_sqrt."""
    quotient, slow = _ordered(size, c)
    return slow / np.sqrt(fma(quotient, quotient, _f(1.0)))


@exact
def _share(x, y, c):
    """Return c·x/√(x² + y²): an entry of size c·x/y limited by itself, by smooth_sqrt.

    It has a division less than `_limited_smoothly` and like it never exceeds c: the root of a
    number that is at least x² rounded is at least x, if that does not underflow. What is wanted for
    this is x, y ≥ 0 that are at most 2⁶³·1.5, and y at least 2⁻⁶².
    """
    return c * (x / np.sqrt(fma(x, x, y * y)))


@compiled
def _toward_zero(c):
    """Return the largest number of binary32 that is at most c ≥ 0."""
    narrow = min(_f(c), _LARGEST)
    return narrow if narrow <= c else np.nextafter(narrow, _f(0.0))


@exact
def _saturated(d):
    """Return d between the numbers whose squares are finite; NaN for what is not finite."""
    nothing = d * _f(0.0)
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
        p, g = _view(table[PARAM, t], start, count), _view(table[GRAD, t], start, count)
        m, v = _view(table[FIRST, t], start, count), _view(table[SECOND, t], start, count)
        x = _view(table[LARGEST, t], start, count)
        if kept is not None:
            k = kept[start : start + count]
        part = _f(0.0)
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
    p, m = _view(table[PARAM, t], low, count), _view(table[FIRST, t], low, count)
    v = _view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    each(_apply_entry, count, (p, m, v, adam, root, factor))


@exact
def _apply_kept_entry(i, p, kept, adam, factor):
    p[i] = _moved(p[i], factor * kept[i], adam)


@compiled
def _apply_kept(table, t, high, adam, factor, kept):
    """Do the same for a tensor of so many entries whose û are kept."""
    each(_apply_kept_entry, high, (_view(table[PARAM, t], 0, high), kept, adam, factor))


@compiled
def _stop(table, t, low, high, adam):
    """Write p − decay·p: where the limit is 0 nothing else is applied, whatever is proposed."""
    p = _view(table[PARAM, t], low, high - low)
    for i in range(high - low):
        p[i] = _moved(p[i], _f(0.0), adam)


@exact
def _advance_and_limit_entry(i, p, g, m, v, adam, scale, slope, offset, c):
    first, second = _averages(g[i] * adam.sign, m[i], v[i], adam)
    m[i] = first
    v[i] = second
    size = abs(first) * scale
    size = _LARGEST_WITH_SQUARE if size > _LARGEST_WITH_SQUARE else size
    step = _share(size, fma(np.sqrt(second), slope, offset), c)
    p[i] = _moved(p[i], np.copysign(step, first), adam)


@compiled
def _advance_and_limit(table, t, low, high, adam, scale, slope, offset, c):
    """Advance a block and limit its entries by smooth_sqrt, in the case that is most common.

    That is without AMSGrad, penalty and relative unit, conditions that would keep LLVM from making
    vectors of so long a loop. ``scale``, ``slope`` and ``offset`` are those of `_scaled`.
    """
    count = high - low
    p, g = _view(table[PARAM, t], low, count), _view(table[GRAD, t], low, count)
    m, v = _view(table[FIRST, t], low, count), _view(table[SECOND, t], low, count)
    each(_advance_and_limit_entry, count, (p, g, m, v, adam, scale, slope, offset, c))


@compiled
def _limit(table, t, low, high, adam, root, rate, c):
    """Limit the entries of a block whose moments are advanced."""
    count = high - low
    p, m = _view(table[PARAM, t], low, count), _view(table[FIRST, t], low, count)
    v = _view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    if adam.law != SMOOTH_SQRT:
        for i in range(count):
            u = _direction(rate * m[i], v[i], adam, root)
            limit = c * max(abs(p[i]), _f(_FLOOR)) if adam.unit == RELATIVE else c
            p[i] = _moved(p[i], _limited(adam.law, u, limit), adam)
    elif adam.unit == RELATIVE:
        for i in range(count):
            # With the sign of u instead of m, LLVM would divide twice, for u and for -u.
            size = _direction(rate * abs(m[i]), v[i], adam, root)
            scale = abs(p[i])
            limit = c * (scale if scale > _f(_FLOOR) else _f(_FLOOR))
            step = _limited_smoothly(size, limit)
            p[i] = _moved(p[i], np.copysign(step, m[i]), adam)
    else:
        for i in range(count):
            size = _direction(rate * abs(m[i]), v[i], adam, root)
            p[i] = _moved(p[i], np.copysign(_limited_smoothly(size, c), m[i]), adam)


@compiled
def _wide_square(address, low, high):
    """Return Σx² in binary64."""
    total = 0.0
    x = _view(address, low, high - low)
    for i in range(high - low):
        total += np.float64(x[i]) * np.float64(x[i])
    return total


@compiled
def _exact_square(table, t, low, high, adam, root):
    """Return Σû² in binary64, for what binary32 cannot sum."""
    count, total = high - low, 0.0
    m = _view(table[FIRST, t], low, count)
    v = _view(table[LARGEST if adam.amsgrad else SECOND, t], low, count)
    for i in range(count):
        u = np.float64(m[i]) / (np.sqrt(v[i]) * root + adam.eps)
        total += u * u
    return total


@compiled
def begin(table, adam, numbers):
    """Count a step for every tensor; fill in its 1/√(1 − β₂ᵗ), η/(1 − β₁ᵗ) and c."""
    last = 0.0
    for t in range(table.shape[1]):
        counter = _view(table[STEP, t], 0, 1)
        counter[0] += _f(1.0)
        step = np.float64(counter[0])
        if step == last:
            for row in range(numbers.shape[0]):
                numbers[row, t] = numbers[row, t - 1]
            continue
        last = step
        numbers[ROOT, t] = 1.0 / math.sqrt(1.0 - adam.wide_beta2**step)
        numbers[RATE, t] = adam.lr / (1.0 - adam.wide_beta1**step)
        share = min(1.0, step / adam.warmup) if adam.warmup > 0.0 else 1.0
        numbers[LIMIT, t] = adam.limit * share


@compiled
def factor(adam, square, theta, count, rate, c):
    """Return what û is to be multiplied with, in binary32.

    ``square`` is ‖u‖² of the block, ``theta`` its ‖θ‖² and ``count`` its number of entries.
    """
    if adam.law == NEWTONIAN or c == math.inf:
        return _f(rate)
    norm, limit = math.sqrt(square), c
    if adam.unit != NORM:
        norm /= math.sqrt(max(count, 1.0))
    if adam.unit == RELATIVE:
        limit = c * max(math.sqrt(theta / max(count, 1.0)), _FLOOR)
    return _f(rate * _gain(adam.law, norm / limit))


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
        root, rate = _f(numbers[ROOT, t]), numbers[RATE, t]
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
                    _apply(table, t, start, end, adam, root, _f(rate))
            else:
                narrow = _toward_zero(c)
                scale, slope, offset = _scaled(adam, numbers[ROOT, t], rate, c)
                if adam.common and 2.0**-62 <= offset <= 2.0**62:
                    a, b, d = _f(scale), _f(slope), _f(offset)
                    _advance_and_limit(table, t, low, high, adam, a, b, d, narrow)
                    continue
                for start in range(low, high, BLOCK):
                    end = min(start + BLOCK, high)
                    _advance(table, t, start, end, adam, root, None)
                    _limit(table, t, start, end, adam, root, _f(rate), narrow)
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
            _apply(table, t, low, high, adam, _f(numbers[ROOT, t]), factors[k])
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


@exact
def _size(bits):
    """Return the bits of |x|: as whole numbers in its order, those of NaN beyond those of ∞."""
    return np.int32(bits & np.int32(0x7FFFFFFF))


@compiled
def _peak(table, t, low, high):
    """Return the bits of max|g| of a block."""
    g, most = _bits(table[GRAD, t], low, high - low), np.int32(0)
    for i in range(high - low):
        size = _size(g[i])
        most = size if size > most else most
    return most


@compiled
def peaks(table, work, gravity, largest):
    """Store max|g| of pieces, with its penalty; NaN if there is one."""
    bits = largest.view(np.int32)
    for k in range(work.shape[0]):
        t, low, high = work[k, 0], work[k, 1], work[k, 2]
        if gravity.penalty == 0:
            bits[k] = _peak(table, t, low, high)
            continue
        g, p = _view(table[GRAD, t], low, high - low), _view(table[PARAM, t], low, high - low)
        peak, undefined = _f(0.0), False
        for i in range(high - low):
            size = abs(g[i] * gravity.sign + gravity.penalty * p[i])
            undefined |= size != size  # noqa: PLR0124
            peak = size if size > peak else peak
        largest[k] = math.nan if undefined else peak


@compiled
def begin_gravity(table, gravity, numbers):
    """Count a step for every tensor and fill in its β̂."""
    for t in range(table.shape[1]):
        counter = _view(table[STEP, t], 0, 1)
        counter[0] += _f(1.0)
        clock = np.float64(counter[0]) - 1.0 + gravity.initial_step
        numbers[WEIGHT, t] = (gravity.beta * clock + 1.0) / (clock + 2.0)


@compiled
def scales_of_tensors(work, firsts, gravity, numbers, largest):
    """Store each tensor's G = max|g|, or m = κ·max|g|, kept finite and, as m, above 0."""
    for i in range(firsts.shape[0] - 1):
        peak = _f(0.0)
        for k in range(firsts[i], firsts[i + 1]):
            peak = largest[k] if not largest[k] <= peak else peak
        if gravity.relative:
            peak = peak * gravity.kappa
            peak = _TINY if peak < _TINY else peak
        numbers[SCALE, work[firsts[i], 0]] = _LARGEST if peak > _LARGEST else peak


@exact
def _advance_gravity_entry(i, p, g, v, gravity, scale, weight, rest):
    d = g[i] * gravity.sign
    if gravity.penalty != 0:
        d = fma(gravity.penalty, p[i], d)
    quotient = d / scale if gravity.relative else d * scale
    velocity = fma(weight, v[i], rest * d / fma(quotient, quotient, _f(1.0)))
    v[i] = velocity
    p[i] = fma(-gravity.lr, velocity, p[i])


@compiled
def _advance_gravity(table, t, low, high, gravity, numbers):
    count = high - low
    p, g = _view(table[PARAM, t], low, count), _view(table[GRAD, t], low, count)
    v = _view(table[FIRST, t], low, count)
    scale, weight = _f(numbers[SCALE, t]), _f(numbers[WEIGHT, t])
    rest = _f(1.0 - numbers[WEIGHT, t])
    each(_advance_gravity_entry, count, (p, g, v, gravity, scale, weight, rest))


@compiled
def advance_gravity(table, work, gravity, numbers):
    """Advance the velocity and the parameter of pieces, the last first."""
    for k in range(work.shape[0] - 1, -1, -1):
        _advance_gravity(table, work[k, 0], work[k, 1], work[k, 2], gravity, numbers)


@compiled
def _advance_and_look_ahead(table, own, following, gravity, numbers):
    """Advance a tensor of one piece and return the bits of max|g| of the following one.

    Its gradient is on its way while there is something to do.
    """
    t, after, count = own[0], following[0], min(own[2], following[2])
    p, g = _view(table[PARAM, t], 0, count), _view(table[GRAD, t], 0, count)
    v, ahead = _view(table[FIRST, t], 0, count), _bits(table[GRAD, after], 0, count)
    scale, weight = _f(numbers[SCALE, t]), _f(numbers[WEIGHT, t])
    rest, most = _f(1.0 - numbers[WEIGHT, t]), np.int32(0)
    for i in range(count):
        _advance_gravity_entry(i, p, g, v, gravity, scale, weight, rest)
        size = _size(ahead[i])
        most = size if size > most else most
    _advance_gravity(table, t, count, own[2], gravity, numbers)
    return max(most, _peak(table, after, count, following[2]))


@compiled
def whole_gravity(table, work, firsts, gravity, numbers, largest):
    """Step tensors one after the other."""
    bits, looked = largest.view(np.int32), False
    for i in range(firsts.shape[0] - 1):
        a, b = firsts[i], firsts[i + 1]
        if not looked:
            peaks(table, work[a:b], gravity, largest[a:b])
        scales_of_tensors(work[a:b], firsts[i : i + 2] - a, gravity, numbers, largest[a:b])
        looked = gravity.penalty == 0 and b - a == 1 and i + 2 < firsts.shape[0]
        looked = looked and firsts[i + 2] - b == 1
        if looked:
            bits[b] = _advance_and_look_ahead(table, work[a], work[b], gravity, numbers)
        else:
            advance_gravity(table, work[a:b], gravity, numbers)
