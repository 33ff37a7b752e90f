"""Loaders of state: what they refuse changes nothing."""

import copy
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import torch
from torch.optim import Optimizer

from tests.fuzz.changes import anything, changed_some
from tests.fuzz.outcomes import CLEAR, CONTRADICTION, FindingError, check_says_something
from torch_impl import SpeedLimitHandle


class Trained(NamedTuple):
    """Something whose state can be loaded, and what must not change when a state is refused."""

    optimizer: Optimizer
    handle: SpeedLimitHandle | None

    @property
    def loads(self) -> Any:
        return self.optimizer if self.handle is None else self.handle

    def parts(self) -> list[Any]:
        """Return every number that it holds, in an order."""
        optimizer = self.optimizer
        saved = [optimizer.state_dict(), optimizer.defaults]
        if self.handle is not None:
            saved.append(self.handle.state_dict())
        return [[p for group in optimizer.param_groups for p in group["params"]], *saved]


def trained(make: Callable[[Any], Any]) -> Trained:
    """Return what has taken two steps on three parameters in two groups."""
    generator = torch.Generator().manual_seed(0)
    leaves = [torch.randn(shape, generator=generator) for shape in ((3,), (2, 2), ())]
    params = [leaf.requires_grad_() for leaf in leaves]
    made = make([{"params": params[:2]}, {"params": params[2:], "lr": 0.01}])
    handle = made if isinstance(made, SpeedLimitHandle) else None
    optimizer = made if handle is None else handle._optimizer
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        optimizer.step()
    return Trained(optimizer, handle)


def same(one: Any, other: Any) -> bool:
    """Whether nested data is the same, of tensors every bit."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.detach().numpy().tobytes() == other.detach().numpy().tobytes()
        )
    if isinstance(one, dict):
        keys = isinstance(other, dict) and one.keys() == other.keys()
        return keys and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return (
            isinstance(other, (list, tuple))
            and len(one) == len(other)
            and all(map(same, one, other))
        )
    return type(one) is type(other) and bool(one == other)


def loader(
    make: Callable[[Any], Any], *, by_torch: bool = False
) -> Callable[[Path], Callable[[Random], bool]]:
    """Return a target that loads changed state dicts, and takes a step after what was taken.

    Parameters
    ----------
    make
        Makes what is loaded from parameters.
    by_torch
        Whether torch's own optimizer loads, behind a hook that has seen the form, buffers and steps
        but not the options: a step is taken where these are its own. What is no dict fails before.
    """

    def prepared(_: Path) -> Callable[[Random], bool]:
        valid = copy.deepcopy(trained(make).loads.state_dict())
        held: list[tuple[Trained, list[Any]]] = []

        def take(random: Random) -> bool:
            if not held:
                subject = trained(make)
                held.append((subject, copy.deepcopy(subject.parts())))
            subject, before = held[0]
            given = changed_some(random, valid, anything)
            unseen = (AttributeError,) if by_torch and not isinstance(given, dict) else ()
            try:
                subject.loads.load_state_dict(given)
            except (*CLEAR, CONTRADICTION, *unseen) as error:
                check_says_something(error)
                if not same(before, subject.parts()):
                    raise FindingError(f"changed, though refused: {error}") from error
                return False
            held.clear()
            if not by_torch or same(valid["param_groups"], given["param_groups"]):
                subject.optimizer.step()
            return True

        return take

    return prepared
