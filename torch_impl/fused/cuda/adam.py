"""RelativisticAdam and RelativisticAdamW as kernels.

Notation: p the parameter, g its gradient, m and v the moments, x the largest v so far; r the ratio
of a norm to the limit c, t the step, η the learning rate, λ the decay; û = m/(√v̂ + ε), of which the
proposed update is the η/(1 − β₁ᵗ)-fold.

Where a block of the limit is more than an entry a step takes two passes: one advances the moments
and adds up Σu², block by block, another recomputes û and applies it. In between the sums are added
up in their order, so that a step has the same bits whenever it is run.
"""

import triton
import triton.language as tl

from . import laws
from .blocks import (
    FIRST,
    GENERAL,
    LARGEST,
    PARAM,
    SECOND,
    column,
    count_step,
    direction,
    given,
    narrow,
    nearest,
    place,
    read,
    step_parameters,
    total_of,
    was_found,
    wide,
    write,
)

BETA1 = tl.constexpr(0)
REST1 = tl.constexpr(1)
BETA2 = tl.constexpr(2)
REST2 = tl.constexpr(3)
EPS = tl.constexpr(4)
DECAY = tl.constexpr(5)
ROOT = tl.constexpr(6)
RATE = tl.constexpr(7)
LIMIT = tl.constexpr(8)
NUMBERS = 9
"""Rows of numbers: β₁, 1 − β₁, β₂, 1 − β₂, ε, λ or ηλ, 1/√(1 − β₂ᵗ), η/(1 − β₁ᵗ), c."""

_FLOOR = tl.constexpr(1e-3)


@triton.jit
def _power(beta, step):
    """Return βᵗ."""
    positive = beta > 0.0
    return tl.where(positive, tl.exp(step * tl.log(tl.where(positive, beta, 1.0))), 0.0)


@triton.jit(do_not_specialize=GENERAL)
def begin(
    table,
    numbers,
    tensors,
    found,
    lr: "fp64",
    beta1: "fp64",
    beta2: "fp64",
    decay: "fp64",
    limit: "fp64",
    lr_tensor,
    beta1_tensor,
    beta2_tensor,
    decay_tensor,
    limit_tensor,
    eps: "fp64",
    warmup: "fp64",
    reference_lr: "fp64",
    follows: tl.constexpr,
    decoupled: tl.constexpr,
):
    """Count a step of the program's tensor and fill in its numbers."""
    if was_found(found):
        return
    t = tl.program_id(0)
    step = count_step(table, t, tensors)
    lr, decay = given(lr, lr_tensor), given(decay, decay_tensor)
    beta1, beta2 = given(beta1, beta1_tensor), given(beta2, beta2_tensor)
    c, warmup = given(limit, limit_tensor), wide(warmup)
    if follows:
        c = tl.where(c == float("inf"), c, c * (lr / wide(reference_lr)))
    if decoupled:
        decay = lr * decay
    share = tl.where(step < warmup, step / tl.where(warmup > 0.0, warmup, 1.0), 1.0)
    own = numbers + t
    tl.store(own + BETA1 * tensors, beta1)
    tl.store(own + REST1 * tensors, 1.0 - beta1)
    tl.store(own + BETA2 * tensors, beta2)
    tl.store(own + REST2 * tensors, 1.0 - beta2)
    tl.store(own + EPS * tensors, wide(eps))
    tl.store(own + DECAY * tensors, decay)
    tl.store(own + ROOT * tensors, 1.0 / tl.sqrt(1.0 - _power(beta2, step)))
    tl.store(own + RATE * tensors, lr / (1.0 - _power(beta1, step)))
    tl.store(own + LIMIT * tensors, c * share)


@triton.jit
def _quotient(here, numbers, m, v):
    """Return û = m/(√v̂ + ε)."""
    _, tensors, t, _, _ = here
    root, eps = narrow(numbers, ROOT, t, tensors), narrow(numbers, EPS, t, tensors)
    return tl.math.div_rn(m, tl.sqrt_rn(v) * root + eps)


@triton.jit
def _advanced(here, inside, numbers, scale, how: tl.constexpr):
    """Advance the moments of a block and return its û.

    Entries of a gradient whose squares overflow count as 2⁶³; what is not finite becomes NaN.
    """
    _, tensors, t, _, _ = here
    penalty = narrow(numbers, DECAY, t, tensors)
    d = direction(here, inside, scale, penalty, how)
    most: tl.constexpr = 2.0**7 if how.state == tl.float16 else 2.0**63
    nothing = d * 0.0
    d = tl.where(d > most, most, d)
    d = tl.where(d < -most, -most, d) + nothing
    beta1, rest1 = narrow(numbers, BETA1, t, tensors), narrow(numbers, REST1, t, tensors)
    beta2, rest2 = narrow(numbers, BETA2, t, tensors), narrow(numbers, REST2, t, tensors)
    m = beta1 * read(here, inside, FIRST, how.state, how) + rest1 * d
    v = beta2 * read(here, inside, SECOND, how.state, how) + rest2 * d * d
    m, v = nearest(m, how.state), nearest(v, how.state)
    write(here, inside, FIRST, m, how.state, how)
    write(here, inside, SECOND, v, how.state, how)
    if how.amsgrad:
        x = read(here, inside, LARGEST, how.state, how)
        v = tl.where(x > v, x, v)
        write(here, inside, LARGEST, v, how.state, how)
    return _quotient(here, numbers, m, v)


@triton.jit
def _apply(here, inside, numbers, s, p, seed, how: tl.constexpr):
    """Write p − (s + ηλ·p); s is 0 where the limit is, whatever was proposed."""
    _, tensors, t, _, _ = here
    s = tl.where(column(numbers, LIMIT, t, tensors) == 0.0, 0.0, s)
    if how.decoupled:
        s = s + narrow(numbers, DECAY, t, tensors) * p
    step_parameters(here, inside, p, s, seed, how)


@triton.jit
def _measure_block(here, inside, numbers, squares, thetas, scale, how: tl.constexpr):
    _, tensors, t, block, _ = here
    u = _advanced(here, inside, numbers, scale, how).to(tl.float64)
    if inside is not None:
        u = tl.where(inside, u, 0.0)
    rate = column(numbers, RATE, t, tensors)
    tl.store(squares + block, tl.sum(u * u, axis=0) * rate * rate)
    if thetas is not None:
        p = read(here, inside, PARAM, how.kind, how).to(tl.float64)
        tl.store(thetas + block, tl.sum(p * p, axis=0))


@triton.jit(do_not_specialize=GENERAL)
def measure(
    table,
    blocks,
    firsts,
    counts,
    tensors,
    numbers,
    squares,
    thetas,
    scale,
    found,
    how: tl.constexpr,
):
    """Advance the moments of a block and store its Σu², and Σθ² where there is room for it."""
    if was_found(found):
        return
    here, inside, full = place(table, blocks, firsts, counts, tensors, backwards=False)
    if full:
        _measure_block(here, None, numbers, squares, thetas, scale, how)
    else:
        _measure_block(here, inside, numbers, squares, thetas, scale, how)


@triton.jit(do_not_specialize=GENERAL)
def add_up(squares, thetas, total, blocks, found):
    """Store Σu² of all blocks of a bucket, and Σθ² if they have one."""
    if was_found(found):
        return
    tl.store(total, total_of(squares, blocks * 0, blocks))
    if thetas is not None:
        tl.store(total + 1, total_of(thetas, blocks * 0, blocks))


@triton.jit(do_not_specialize=GENERAL)
def find_factors(
    squares,
    thetas,
    total,
    firsts,
    counts,
    tensors,
    numbers,
    factors,
    entries: "fp64",
    found,
    law: tl.constexpr,
    unit: tl.constexpr,
):
    """Store what the û of the program's tensor is to be multiplied with.

    ``total`` and ``entries`` are those of the model, where that is the block of the limit.
    """
    if was_found(found):
        return
    t = tl.program_id(0)
    rate, c = column(numbers, RATE, t, tensors), column(numbers, LIMIT, t, tensors)
    low, high = tl.load(firsts + t), tl.load(firsts + t + 1)
    if total is None:
        square, count = total_of(squares, low, high), tl.load(counts + t).to(tl.float64)
    else:
        square, count = tl.load(total), wide(entries)
    count = tl.where(count < 1.0, 1.0, count)
    norm, limit = tl.sqrt(square), c
    if unit != "norm":
        norm = norm / tl.sqrt(count)
    if unit == "relative":
        theta = total_of(thetas, low, high) if total is None else tl.load(total + 1)
        size = tl.sqrt(theta / count)
        limit = c * tl.where(size < _FLOOR, _FLOOR, size)
    unlimited = c == float("inf")
    ratio = norm / tl.where(unlimited | (c == 0.0), 1.0, limit)
    factor = tl.where(unlimited, rate, rate * laws.gain(ratio, law))
    tl.store(factors + t, factor.to(tl.float32))


@triton.jit
def _finish_block(here, inside, numbers, factors, seed, how: tl.constexpr):
    _, _, t, _, _ = here
    row = LARGEST if how.amsgrad else SECOND
    m = read(here, inside, FIRST, how.state, how)
    v = read(here, inside, row, how.state, how)
    p = read(here, inside, PARAM, how.kind, how)
    s = tl.load(factors + t) * _quotient(here, numbers, m, v)
    _apply(here, inside, numbers, s, p, seed, how)


@triton.jit(do_not_specialize=GENERAL)
def finish(
    table,
    blocks,
    firsts,
    counts,
    tensors,
    numbers,
    factors,
    seed: "i64",
    found,
    how: tl.constexpr,
):
    """Apply the update of a block with the factor of its tensor."""
    if was_found(found):
        return
    here, inside, full = place(table, blocks, firsts, counts, tensors, backwards=True)
    if full:
        _finish_block(here, None, numbers, factors, seed, how)
    else:
        _finish_block(here, inside, numbers, factors, seed, how)


@triton.jit
def _limit_block(
    here, inside, numbers, scale, seed, how: tl.constexpr, law: tl.constexpr, unit: tl.constexpr
):
    _, tensors, t, _, _ = here
    u = _advanced(here, inside, numbers, scale, how)
    u = narrow(numbers, RATE, t, tensors) * u
    p = read(here, inside, PARAM, how.kind, how)
    if law == "newtonian":
        s = u
    else:
        c = laws.toward_zero(column(numbers, LIMIT, t, tensors))
        if unit == "relative":
            size = tl.abs(p)
            s = laws.limited(u, c * tl.where(size < _FLOOR, _FLOOR, size), law)
        else:
            s = laws.limited(u, c, law)
    _apply(here, inside, numbers, s, p, seed, how)


@triton.jit(do_not_specialize=GENERAL)
def limit_entries(
    table,
    blocks,
    firsts,
    counts,
    tensors,
    numbers,
    scale,
    seed: "i64",
    found,
    how: tl.constexpr,
    law: tl.constexpr,
    unit: tl.constexpr,
):
    """Take the whole step of a block whose entries are limited by themselves."""
    if was_found(found):
        return
    here, inside, full = place(table, blocks, firsts, counts, tensors, backwards=False)
    if full:
        _limit_block(here, None, numbers, scale, seed, how, law, unit)
    else:
        _limit_block(here, inside, numbers, scale, seed, how, law, unit)
