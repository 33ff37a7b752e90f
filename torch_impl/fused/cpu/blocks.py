"""Tensors of binary32 as the kernels of the CPU are told of them.

A model is a table of addresses, one row per kind of tensor, one column per tensor. Notation: p the
parameter, g its gradient, m and v the moments, x the largest v so far.
"""

import numba
import numpy as np
from numba import types

from .loops import compiled, pointer

BLOCK = 16384
"""Entries whose part of a norm is one term, so that it does not depend on the number of threads."""

PARAM, GRAD, FIRST, SECOND, LARGEST, STEP = range(6)
"""Rows of a table; Gravity's velocity is in that of the first moment."""

f32 = np.float32
TINY, HUGE = np.finfo(f32).tiny, np.finfo(f32).max

_floats, _whole = pointer(types.float32), pointer(types.int32)


@compiled
def view(address, low, count):
    """Return ``count`` entries from the entry ``low`` on."""
    return numba.carray(_floats(address + 4 * low), count)


@compiled
def bits(address, low, count):
    """Return the same as whole numbers."""
    return numba.carray(_whole(address + 4 * low), count)
