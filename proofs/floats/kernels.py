"""The kernels, operation by operation as they run, and broken ones.

Notation: x an entry of the proposed update, c the speed limit, g a gradient entry and G the largest
one in magnitude.
"""

from typing import Any

from .machines import Machine


def lorentz_root(machine: Machine, quotient: Any) -> Any:
    """Return √(1 + q·q)."""
    return machine.sqrt(machine.add(machine.number(1), machine.mul(quotient, quotient)))


def smooth_torch(machine: Machine, x: Any, c: Any) -> Any:
    """`torch_impl.laws.Law.limit_entries` with smooth_sqrt."""
    slow, fast = _ordered(machine, x, c)
    quotient = machine.div(slow, fast)
    quotient = machine.choose(machine.is_nan(quotient), machine.number(0), quotient)
    return machine.signed(machine.div(slow, lorentz_root(machine, quotient)), x)


def smooth_numpy(machine: Machine, x: Any, c: Any) -> Any:
    """`reference.Law.limit_entries` with smooth_sqrt, for finite x and c > 0."""
    size = machine.size(x)
    ratio, inverse = (
        _at_most_one(machine, q) for q in (machine.div(size, c), machine.div(c, size))
    )
    below = machine.div(x, lorentz_root(machine, ratio))
    above = machine.signed(machine.div(c, lorentz_root(machine, inverse)), x)
    return machine.choose(machine.less(size, c), below, above)


def smooth_naive(machine: Machine, x: Any, c: Any) -> Any:
    """x/√(1 + (x/c)²), as anyone would write it first."""
    return machine.div(x, lorentz_root(machine, machine.div(x, c)))


def smooth_unguarded(machine: Machine, x: Any, c: Any) -> Any:
    """`smooth_torch` without what replaces 0/0 and ∞/∞."""
    slow, fast = _ordered(machine, x, c)
    root = lorentz_root(machine, machine.div(slow, fast))
    return machine.signed(machine.div(slow, root), x)


def zeta(machine: Machine, g: Any, largest: Any, one: float = 1) -> Any:
    """g/(1 + (g·G)²), as Gravity has it."""
    product = machine.mul(g, largest)
    return machine.div(g, machine.add(machine.number(one), machine.mul(product, product)))


def weighted_zeta(machine: Machine, g: Any, largest: Any, weight: Any) -> Any:
    """w·g/(1 + (g·G)²), multiplied first: what Gravity adds to β̂·V, w = 1 − β̂."""
    product = machine.mul(g, largest)
    divisor = machine.add(machine.number(1), machine.mul(product, product))
    return machine.div(machine.mul(g, weight), divisor)


def zeta_over_weight(machine: Machine, g: Any, largest: Any, weight: Any) -> Any:
    """g/((1 + (g·G)²)/w): the same where weights are tensors."""
    product = machine.mul(g, largest)
    divisor = machine.add(machine.number(1), machine.mul(product, product))
    return machine.div(g, machine.div(divisor, weight))


def zeta_over_half(machine: Machine, g: Any, largest: Any) -> Any:
    """g/(½ + (g·G)²)."""
    return zeta(machine, g, largest, 0.5)


def zeta_of_largest(machine: Machine, g: Any, _unused: Any) -> Any:
    """ζ of the steepest entry, whose |g| is G."""
    return zeta(machine, g, g)


def _ordered(machine: Machine, x: Any, c: Any) -> tuple[Any, Any]:
    """Return the smaller and the larger of |x| and c; both NaN for a NaN x."""
    size = machine.size(x)
    is_fast = machine.less(c, size)
    slow = machine.choose(is_fast, c, size)
    return slow, machine.choose(machine.less(size, c), c, size)


def _at_most_one(machine: Machine, x: Any) -> Any:
    one = machine.number(1)
    return machine.choose(machine.less(one, x), one, x)
