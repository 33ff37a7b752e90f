"""What kernels are given, the tensors of a group that have a gradient, and what is known of them.

Of those that were fit for a step torch is asked only once in the next one whether they are what
they were: by the guards of torch.compile, which look at type, dtype, device, shape, strides and
dispatch keys, by which views that are negative or conjugate differ. Where a torch has none nothing
is remembered.
"""

from itertools import chain
from typing import Any, NamedTuple

from torch import Tensor

from .layout import addresses_of

try:
    from torch._C._dynamo.guards import TensorGuards

    TensorGuards(dynamic_dims_sizes=None, dynamic_dims_strides=None).check()
except (ImportError, TypeError):  # it is torch's own affair
    TensorGuards: Any = None  # type: ignore[no-redef]


class Work(NamedTuple):
    """The tensors of a parameter group that have a gradient; parallel lists.

    Attributes
    ----------
    number, group
        The number of the group, and its options.
    params, grads, buffers, steps
        Parameters, gradients laid out in memory as these are, the state buffers of each kind, and
        steps. A gradient may be a copy that is not held by anyone else.
    uniform
        Whether all are known to be as `are_uniform` says.
    known
        What is remembered of them, if it is.
    """

    number: int
    group: dict[str, Any]
    params: list[Tensor]
    grads: list[Tensor]
    buffers: list[list[Tensor]]
    steps: list[Tensor]
    uniform: bool = False
    known: "Known | None" = None

    @property
    def own(self) -> list[list[Tensor]]:
        """What is the optimizer's own: parameters, buffers of each kind, and steps."""
        return [self.params, *self.buffers, self.steps]

    def addresses(self) -> list[list[int]]:
        """Return where parameters, gradients, three kinds of buffers and steps are, a row of each.

        Where there is no such kind, it is the one before.
        """
        own = addresses_of(self.own) if self.known is None else self.known.addresses
        params, first, *others, steps = own
        (grads,) = addresses_of([self.grads])
        second = others[0] if others else first
        largest = others[1] if len(others) > 1 else second
        return [params, grads, first, second, largest, steps]

    @property
    def sizes(self) -> list[int]:
        """The numbers of real entries of the tensors."""
        if self.known:
            return self.known.sizes
        return [x.numel() * (2 if x.is_complex() else 1) for x in self.params]

    @property
    def places(self) -> list[int]:
        """The places of the parameters in their group, which are the same in every step."""
        known = self.group["params"]
        if len(self.params) == len(known):
            return list(range(len(known)))
        place = {id(param): i for i, param in enumerate(known)}
        return [place[id(param)] for param in self.params]

    def at(self, indices: list[int]) -> "Work":
        """Return some of the tensors."""

        def some(row: list[Tensor]) -> list[Tensor]:
            return [row[i] for i in indices]

        params, grads, steps = some(self.params), some(self.grads), some(self.steps)
        buffers = [some(row) for row in self.buffers]
        return Work(self.number, self.group, params, grads, buffers, steps)


class Known:
    """Where the tensors of a group are that are fit for a step, and what they are.

    Parameters
    ----------
    work
        The tensors, of which none is kept.
    home
        The kind of device whose kernels they are fit for, if it is kernels.

    Attributes
    ----------
    addresses
        Of parameters, each kind of buffer and steps, a row of each.
    sizes
        The numbers of real entries of the parameters.
    uniform
        Whether they are, as `are_uniform` says.
    """

    def __init__(self, work: Work, home: str | None) -> None:
        self._fit_for = _fit_for(work, home)
        self.uniform = work.uniform
        self.addresses = addresses_of(work.own)
        self.sizes = work.sizes
        self._guards = TensorGuards(
            *chain(work.grads, *work.own), dynamic_dims_sizes=None, dynamic_dims_strides=None
        )

    def is_still(self, work: Work, home: str | None) -> bool:
        """Whether all are what they were, and in the same places but for gradients."""
        return (
            _fit_for(work, home) == self._fit_for
            and addresses_of(work.own) == self.addresses
            and self._guards.check(*chain(work.grads, *work.own))
        )


def _fit_for(work: Work, home: str | None) -> tuple[str | None, bool]:
    """Return by what tensors were judged, beside what they are."""
    return home, bool(work.group.get("narrow_state"))


def remembered(work: Work, home: str | None) -> Known | None:
    """Return what to remember of tensors that are fit for a step."""
    return None if TensorGuards is None else Known(work, home)


class Scaling(NamedTuple):
    """What a torch.amp.GradScaler says: what gradients are divided by, and whether one is bad.

    Both are tensors of one element, or None.
    """

    grad_scale: Tensor | None = None
    found_inf: Tensor | None = None
