"""What the kernels share: where a block lies, reading, rounding and writing it.

A bucket of tensors is a table of addresses, one row per kind of tensor and one column per tensor,
and a table of numbers, in the same columns. A program takes on a block of one tensor. Memory is
moved 128 bits at a time, for which Triton needs the hint that an address is aligned, and a branch
in which no entry is masked.

Entries are computed in binary32 with rounded quotients and roots and without fused multiply-adds
(which the launches forbid), what a tensor has one of in binary64. Comparisons, not `tl.maximum`,
choose between numbers: a NaN is not to be lost.
"""

from typing import NamedTuple

import triton
import triton.language as tl

BLOCK = tl.constexpr(1024)
"""Entries of a block."""

WARPS = 4
"""Warps that take on a block: two accesses of 128 bits a thread."""

TERMS = tl.constexpr(8192)
"""Terms that are added up at a time."""

PARAM = tl.constexpr(0)
GRAD = tl.constexpr(1)
FIRST = tl.constexpr(2)
SECOND = tl.constexpr(3)
LARGEST = tl.constexpr(4)
STEP = tl.constexpr(5)
PLACE = tl.constexpr(6)
ROWS = 7
"""Rows of a table: addresses (Gravity's velocity as the first moment), and places in the group."""

GENERAL = ("tensors", "blocks", "seed")
"""Whole numbers whose values a kernel is not compiled for."""

LARGEST_NUMBER = tl.constexpr(3.4028234663852886e38)


class How(NamedTuple):
    """What is known of a bucket when a kernel is compiled.

    Attributes
    ----------
    kind, state
        Dtypes of parameters and gradients, and of state buffers.
    aligned
        Whether all addresses are multiples of 16 bytes.
    maximize, penalised, decoupled, amsgrad
        Whether the gradient is negated, λθ is added to it, the decay is outside the limit, and the
        largest v so far is divided by.
    relative
        Whether Gravity's m is κ·max|g|.
    stochastic
        Whether parameters in bfloat16 are rounded up or down by chance.
    """

    kind: tl.dtype
    state: tl.dtype
    aligned: bool
    maximize: bool
    penalised: bool
    decoupled: bool = False
    amsgrad: bool = False
    relative: bool = False
    stochastic: bool = False


@triton.jit
def was_found(found):
    """Return whether a gradient was found not to be finite, so that nothing is to be done."""
    if found is None:
        return False
    else:
        return tl.load(found) != 0.0


@triton.jit
def wide(x):
    """Return a number in binary64."""
    return x * tl.full([], 1.0, tl.float64)


@triton.jit
def given(number, tensor):
    """Return an option in binary64: that of a tensor, if there is one."""
    if tensor is None:
        return wide(number)
    else:
        return tl.load(tensor).to(tl.float64)


@triton.jit
def column(numbers, row, t, tensors):
    """Return a number of a tensor, in binary64."""
    return tl.load(numbers + row * tensors + t)


@triton.jit
def narrow(numbers, row, t, tensors):
    """Return a number of a tensor, in binary32."""
    return column(numbers, row, t, tensors).to(tl.float32)


@triton.jit
def count_step(table, t, tensors):
    """Add 1 to the step of a tensor and return it in binary64."""
    counter = tl.load(table + STEP * tensors + t).to(tl.pointer_type(tl.float32))
    count = tl.load(counter) + 1.0
    tl.store(counter, count)
    return count.to(tl.float64)


@triton.jit
def place(table, blocks, firsts, counts, tensors, backwards: tl.constexpr):
    """Return where this program's block is, which entries are inside, and whether all are.

    Where it is: the table, its columns, the tensor's, the number of the block, its entries. A
    second pass goes backwards: what the first has touched last is still in the device's cache.
    """
    block = tl.program_id(0)
    if backwards:
        block = tl.num_programs(0) - 1 - block
    t = tl.load(blocks + block)
    low = tl.multiple_of((block - tl.load(firsts + t)).to(tl.int64) * BLOCK, BLOCK)
    count = tl.load(counts + t)
    entries = low + tl.arange(0, BLOCK).to(tl.int64)
    return (table, tensors, t, block, entries), entries < count, low + BLOCK <= count


@triton.jit
def _pointers(here, row, kind: tl.constexpr, aligned: tl.constexpr):
    table, tensors, t, _, entries = here
    pointer = tl.load(table + row * tensors + t).to(tl.pointer_type(kind))
    if aligned:
        return tl.multiple_of(pointer, 16) + entries
    else:
        return pointer + entries


@triton.jit
def read(here, inside, row, kind: tl.constexpr, how: tl.constexpr):
    """Return entries in binary32, 0 outside the tensor; ``inside`` is None if all are inside."""
    pointers = _pointers(here, row, kind, how.aligned)
    if inside is None:
        return tl.load(pointers).to(tl.float32)
    else:
        return tl.load(pointers, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def write(here, inside, row, x, kind: tl.constexpr, how: tl.constexpr):
    """Store entries that are numbers of the dtype."""
    pointers = _pointers(here, row, kind, how.aligned)
    if inside is None:
        tl.store(pointers, x.to(kind))
    else:
        tl.store(pointers, x.to(kind), mask=inside)


@triton.jit
def nearest(x, kind: tl.constexpr):
    """Return x as the nearest number of bfloat16; of others the hardware finds it."""
    if kind == tl.bfloat16:
        bits = x.to(tl.int32, bitcast=True)
        return _cut(x, 0x7FFF + ((bits >> 16) & 1))
    else:
        return x


@triton.jit
def by_chance(here, x, seed):
    """Return x as one of the numbers of bfloat16 around it, the nearer the more often.

    The bits that decide are Philox's of the entry, the tensor's place in its group and its step.
    """
    table, tensors, t, _, entries = here
    step = tl.load(tl.load(table + STEP * tensors + t).to(tl.pointer_type(tl.float32)))
    low, high = (entries & 0xFFFFFFFF).to(tl.uint32), (entries >> 32).to(tl.uint32)
    number = tl.load(table + PLACE * tensors + t).to(tl.uint32)
    bits, _, _, _ = tl.philox(seed, low, high, high * 0 + number, high * 0 + step.to(tl.uint32))
    return _cut(x, (bits >> 16).to(tl.int32))


@triton.jit
def _cut(x, more):
    """Return x without its last 16 bits, to which ``more`` is added first.

    ∞ has none. Of a NaN the payload goes: what is left of it could be that of ∞.
    """
    bits = x.to(tl.int32, bitcast=True)
    cut = ((bits + more) & -65536).to(tl.float32, bitcast=True)
    return tl.where(x != x, float("nan"), cut)


@triton.jit
def step_parameters(here, inside, p, s, seed, how: tl.constexpr):
    """Write p − s."""
    p = p - s
    p = by_chance(here, p, seed) if how.stochastic else nearest(p, how.kind)
    write(here, inside, PARAM, p, how.kind, how)


@triton.jit
def direction(here, inside, scale, penalty, how: tl.constexpr):
    """Return what to descend along, of gradients that come scaled without their scale."""
    g = read(here, inside, GRAD, how.kind, how)
    if scale is not None:
        g = tl.math.div_rn(g, tl.load(scale).to(tl.float32))
    if how.maximize:
        g = -g
    if how.penalised:
        g = g + penalty * read(here, inside, PARAM, how.kind, how)
    return g


@triton.jit
def total_of(terms, low, high):
    """Return the sum of terms in binary64, always in the same order."""
    parts = tl.zeros([TERMS], tl.float64)
    while low < high:
        places = low + tl.arange(0, TERMS)
        parts += tl.load(terms + places, mask=places < high, other=0.0)
        low += TERMS
    return tl.sum(parts, axis=0)
