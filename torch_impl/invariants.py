"""What an optimizer can promise of its steps, so that it can be checked.

Notation: θ the parameters of a block, n their number, u the step that is proposed for it, s the one
that is taken, decay aside, c the limit of ‖s‖, r = ‖u‖/c.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from torch.optim import Optimizer

BLOCKS = ("entry", "tensor", "model")
"""What a norm can range over."""


@dataclass(frozen=True)
class NormBound:
    """No step is longer than c, decay aside, but for rounding.

    Nothing that one block is given changes another: neither what is huge nor what is infinite.

    Attributes
    ----------
    block
        What the norm ranges over: an element of `BLOCKS`.
    limit
        c ≥ 0 of a block, from ‖θ‖ before the step and n.
    """

    block: str
    limit: Callable[[float, int], float]

    def __post_init__(self) -> None:
        if self.block not in BLOCKS:
            raise ValueError(
                f"block={self.block!r}: expected one of {', '.join(map(repr, BLOCKS))}"
            )


@dataclass(frozen=True)
class SmallUpdates:
    """A small step is nearly that of another optimizer: ‖s − u‖ ≤ a·r²·‖u‖ in each block.

    Attributes
    ----------
    base
        Makes, of parameters, the optimizer whose steps, decay aside, are u.
    deviation
        a; 0 says that the two are the same, and needs no `NormBound` to measure r.
    """

    base: Callable[[Any], Optimizer]
    deviation: float

    def __post_init__(self) -> None:
        if not 0 <= self.deviation < math.inf:
            raise ValueError(f"deviation={self.deviation!r}: expected a finite number >= 0")


@dataclass(frozen=True)
class Invariants:
    """What is promised of an optimizer's next step, under its options as they are now.

    An optimizer declares it by a method ``invariants`` without arguments; for a class that cannot
    be changed a function of the optimizer does. It is asked before each step, of an optimizer with
    one parameter group. What is not declared is not checked.

    Attributes
    ----------
    norm_bound
        How long a step can be.
    decay
        The share of a parameter that a step takes off beside it: lr·λ of a decoupled decay.
    small_updates
        What a step is as long as it is small.
    degree
        k, if gradients times a power of two give, bit for bit, steps times its k-th power: 0 for
        Adam with ε = 0, 1 for SGD. Of gradients that are 0, or near the ends of the format's range,
        nothing is said.
    deterministic
        The same parameters, gradients and seed give the same bits.
    odd
        −g at −θ gives −s, bit for bit.
    equivariant
        Neither the order of the entries of a tensor, nor its shape, nor the order of the tensors
        matters, but for rounding.
    monotone
        With a higher learning rate the first step is never shorter.
    continuous
        It changes by no larger share than the learning rate, so that it jumps nowhere.
    descends
        The first step moves every entry against its gradient, if the format has room for it.
    guarded
        A step with a gradient that is not finite is an error, or none: nothing changes.
    """

    norm_bound: NormBound | None = None
    decay: float = 0.0
    small_updates: SmallUpdates | None = None
    degree: int | None = None
    deterministic: bool = False
    odd: bool = False
    equivariant: bool = False
    monotone: bool = False
    continuous: bool = False
    descends: bool = False
    guarded: bool = False

    def __post_init__(self) -> None:
        if self.norm_bound is None and self.small_updates and self.small_updates.deviation > 0:
            raise ValueError(
                f"small_updates.deviation={self.small_updates.deviation!r} without norm_bound: "
                "expected 0, or a bound to measure r by"
            )


Declaration = Callable[[Optimizer], Invariants]
"""Says what an optimizer promises, from its options and how many steps it has taken."""


def steps_taken(optimizer: Optimizer) -> float:
    """Return how many steps the parameter that has taken most of them has taken."""
    states = optimizer.state.values()
    return max((float(state["step"]) for state in states if "step" in state), default=0.0)
