"""What Numba does not offer: arrays at an address, x·y + z, loops of four vectors at a time.

Numba keeps what it has compiled until the file with the function changes: after a change here,
`cpu_kernels` has to be touched.
"""

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

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


@intrinsic
def each(typing, body, _count, others):
    """Call ``body(i, *others)`` for every i below a count; no call may depend on another.

    LLVM makes vectors of a long loop but takes them one at a time. Where a core has no room for
    more operations that wait, each then waits for the roots and divisions of the one before. Here
    several are under way, and every result is the same.
    """
    callee = typing.resolve_function_type(body, (types.intp, *others.types), {})

    def generate(context, builder, _signature, arguments):
        function = context.get_function(body, callee)
        values = cgutils.unpack_tuple(builder, arguments[2])
        with cgutils.for_range(builder, arguments[1]) as loop:
            function(builder, (loop.index, *values))
            latch = builder.basic_block
        _hint(builder.module, latch.terminator, "llvm.loop.interleave.count", AT_A_TIME)
        return context.get_dummy_value()

    return types.void(body, types.intp, others), generate


def _hint(module, branch, name, value):
    """Tell LLVM something of the loop whose last branch this is."""
    told = module.add_metadata(
        [ir.MetaDataString(module, name), ir.Constant(ir.IntType(32), value)]
    )
    identity = module.add_metadata([told])
    identity.operands = (identity, told)  # by referring to itself it is another for every loop
    branch.set_metadata("llvm.loop", identity)
