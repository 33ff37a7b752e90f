"""How the kernels are compiled, and what Numba does not offer.

LLVM vectorises a loop if a division has no check for 0 (``error_model="numpy"``), the loop runs
over a view of its block, by an index that cannot be negative, and the terms of a sum may change
places. Conditions on options leave the loops when they are compiled. NaN and infinities are not
assumed away.
"""

import hashlib
from pathlib import Path

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

_SOURCES = hashlib.sha256(
    b"".join(path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py")))
).digest()


def compiling(**options):
    """Return what has Numba compile a function, once as long as no source beside this changes.

    Numba itself would look at the file of the function, and not at those of the functions that it
    calls: what is installed over an older version would run old code. Where it does not say what
    it looked at, every process compiles.
    """

    def compile_one(function):
        dispatcher = numba.njit(cache=True, **options)(function)
        kept = getattr(dispatcher._cache, "_cache_file", None)
        if not hasattr(kept, "_source_stamp"):
            return numba.njit(**options)(function)
        kept._source_stamp = _SOURCES
        return dispatcher

    return compile_one


compiled = compiling(error_model="numpy", fastmath={"reassoc", "contract", "nsz"}, nogil=True)

exact = compiling(error_model="numpy", fastmath=set(), nogil=True)
"""Compiles what is to be rounded as it is written: what becomes of an entry.

Without ``fastmath`` Numba would take that of the function that calls it.

LLVM may round a·b + c·d in two ways, and chooses otherwise in a process that compiles a kernel than
in those that find it in their cache.
"""

STRETCH = 256
"""Entries of a run before it is another's turn: few, so that memory delivers to all of them."""

RUNS = 2
"""Runs of the tensors that a loop writes to: more get in each other's way in the caches."""

AT_A_TIME = 4
"""Vectors of which a loop does the same operation before the next."""


def pointer(kind):
    """Return what makes a pointer of an address."""

    @intrinsic
    def made(_context, _address):
        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], context.get_value_type(signature.return_type))

        return types.CPointer(kind)(types.int64), generate

    return made


@intrinsic
def fma(_typing, _x, _y, _z):
    """Return x·y + z, rounded once, in binary32."""
    kind = types.float32

    def generate(_context, builder, _signature, arguments):
        return builder.fma(*arguments)

    return kind(kind, kind, kind), generate


@compiled
def turns(runs, count):
    """Return how many stretches so many entries make that are read in so many runs."""
    return count // (runs * STRETCH) * runs + 1


@compiled
def stretch(k, runs, count):
    """Return where the k-th stretch begins and ends; what the runs leave over is the last."""
    run = count // (runs * STRETCH) * STRETCH
    low = k // runs * STRETCH + k % runs * run
    return (low, low + STRETCH) if k < run // STRETCH * runs else (runs * run, count)


@intrinsic
def each(typing, body, _count, others):
    """Call ``body(i, *others)`` for every i below a count; no call may depend on another.

    The entries are taken in two runs, a stretch of each in turn: the prefetchers of a core follow
    them apart, and it waits less for memory. LLVM makes vectors of a long loop but takes them one
    at a time. Where a core has no room for more operations that wait, each then waits for the roots
    and divisions of the one before. Here four vectors are under way, and every result is the same.
    """
    whole, made = types.intp, {}
    for function, told in (
        (body, (types.uintp, *others.types)),  # by an index that cannot be negative
        (numba.typeof(turns), (whole, whole)),
        (numba.typeof(stretch), (whole, whole, whole)),
    ):
        made[function] = typing.resolve_function_type(function, told, {})

    def generate(context, builder, _signature, arguments):
        enter, count_turns, cut = (context.get_function(*item) for item in made.items())
        runs, count = context.get_constant(whole, RUNS), arguments[1]
        values = cgutils.unpack_tuple(builder, arguments[2])
        with cgutils.for_range(builder, count_turns(builder, (runs, count))) as turn:
            low, high = cgutils.unpack_tuple(builder, cut(builder, (turn.index, runs, count)))
            with cgutils.for_range(builder, high, start=low) as loop:
                enter(builder, (loop.index, *values))
                latch = builder.basic_block
            _hint(builder.module, latch.terminator, "llvm.loop.interleave.count", AT_A_TIME)
        return context.get_dummy_value()

    return types.void(body, whole, others), generate


def _hint(module, branch, name, value):
    """Tell LLVM something of the loop whose last branch this is."""
    told = module.add_metadata(
        [ir.MetaDataString(module, name), ir.Constant(ir.IntType(32), value)]
    )
    identity = module.add_metadata([told])
    identity.operands = (identity, told)  # by referring to itself it is another for every loop
    branch.set_metadata("llvm.loop", identity)
