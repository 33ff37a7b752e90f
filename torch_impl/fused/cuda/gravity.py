"""Gravity as kernels: the largest gradient entry of each tensor, then velocity and parameter.

Notation: p the parameter, g its gradient, V the velocity, G = max|g|, η the learning rate, λ the
decay, β̂ the running coefficient.
"""

import triton
import triton.language as tl

from .blocks import (
    FIRST,
    GENERAL,
    LARGEST_NUMBER,
    PARAM,
    TERMS,
    count_step,
    direction,
    given,
    narrow,
    nearest,
    place,
    read,
    step_parameters,
    was_found,
    wide,
    write,
)

RATE = tl.constexpr(0)
PENALTY = tl.constexpr(1)
WEIGHT = tl.constexpr(2)
REST = tl.constexpr(3)
NUMBERS = 4
"""Rows of numbers: η, λ, β̂, 1 − β̂."""

_TINY = tl.constexpr(2.0**-126)


@triton.jit(do_not_specialize=GENERAL)
def begin(
    table,
    numbers,
    tensors,
    found,
    lr: "fp64",
    beta: "fp64",
    decay: "fp64",
    lr_tensor,
    beta_tensor,
    decay_tensor,
    initial_step: "fp64",
):
    """Count a step of the program's tensor and fill in its numbers."""
    if was_found(found):
        return
    t = tl.program_id(0)
    clock = count_step(table, t, tensors) - 1.0 + initial_step
    weight = (given(beta, beta_tensor) * clock + 1.0) / (clock + 2.0)
    own = numbers + t
    tl.store(own + RATE * tensors, given(lr, lr_tensor))
    tl.store(own + PENALTY * tensors, given(decay, decay_tensor))
    tl.store(own + WEIGHT * tensors, weight)
    tl.store(own + REST * tensors, 1.0 - weight)


@triton.jit
def _peak_of_block(here, inside, numbers, peaks, scale, how: tl.constexpr):
    _, tensors, t, block, _ = here
    penalty = narrow(numbers, PENALTY, t, tensors)
    d = direction(here, inside, scale, penalty, how)
    tl.store(peaks + block, tl.max(tl.abs(d).to(tl.int32, bitcast=True), axis=0))


@triton.jit(do_not_specialize=GENERAL)
def find_peaks(
    table,
    blocks,
    firsts,
    counts,
    tensors,
    numbers,
    peaks,
    scale,
    found,
    how: tl.constexpr,
):
    """Store the bits of a block's max|g|: their order is that of the sizes, NaN's beyond ∞'s."""
    if was_found(found):
        return
    here, inside, full = place(table, blocks, firsts, counts, tensors, backwards=False)
    if full:
        _peak_of_block(here, None, numbers, peaks, scale, how)
    else:
        _peak_of_block(here, inside, numbers, peaks, scale, how)


@triton.jit(do_not_specialize=GENERAL)
def find_factors(peaks, firsts, factors, kappa: "fp64", found, relative: tl.constexpr):
    """Store the tensor's G = max|g|, or m = κ·max|g|, kept finite and, as m, above 0."""
    if was_found(found):
        return
    t = tl.program_id(0)
    low, high = tl.load(firsts + t), tl.load(firsts + t + 1)
    parts = tl.zeros([TERMS], tl.int32)
    while low < high:
        places = low + tl.arange(0, TERMS)
        more = tl.load(peaks + places, mask=places < high, other=0)
        parts = tl.where(more > parts, more, parts)
        low += TERMS
    peak = tl.max(parts, axis=0).to(tl.float32, bitcast=True)
    if relative:
        peak = peak * wide(kappa).to(tl.float32)
        peak = tl.where(peak < _TINY, _TINY, peak)
    tl.store(factors + t, tl.where(peak > LARGEST_NUMBER, LARGEST_NUMBER, peak))


@triton.jit
def _advance_block(here, inside, numbers, factors, scale, seed, how: tl.constexpr):
    _, tensors, t, _, _ = here
    penalty = narrow(numbers, PENALTY, t, tensors)
    d = direction(here, inside, scale, penalty, how)
    factor = tl.load(factors + t)
    if how.relative:
        quotient = tl.math.div_rn(d, factor)
    else:
        quotient = d * factor
    zeta = tl.math.div_rn(d, 1.0 + quotient * quotient)
    weight, rest = narrow(numbers, WEIGHT, t, tensors), narrow(numbers, REST, t, tensors)
    velocity = weight * read(here, inside, FIRST, how.state, how) + rest * zeta
    velocity = nearest(velocity, how.state)
    write(here, inside, FIRST, velocity, how.state, how)
    p = read(here, inside, PARAM, how.kind, how)
    s = narrow(numbers, RATE, t, tensors) * velocity
    step_parameters(here, inside, p, s, seed, how)


@triton.jit(do_not_specialize=GENERAL)
def advance(
    table,
    blocks,
    firsts,
    counts,
    tensors,
    numbers,
    factors,
    scale,
    seed: "i64",
    found,
    how: tl.constexpr,
):
    """Advance the velocity and the parameters of a block."""
    if was_found(found):
        return
    here, inside, full = place(table, blocks, firsts, counts, tensors, backwards=True)
    if full:
        _advance_block(here, None, numbers, factors, scale, seed, how)
    else:
        _advance_block(here, inside, numbers, factors, scale, seed, how)
