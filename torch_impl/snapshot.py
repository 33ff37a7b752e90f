"""What a step may change of an optimizer, copied, so that the step can be undone."""

from collections import deque
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import Optimizer

from .arithmetic import moved
from .sharding import local


class Snapshot:
    """Parameters, states and options before a step, through containers of any depth.

    Parameters
    ----------
    optimizer
        Whose step it is.
    more
        Another mapping that the step may change.
    """

    def __init__(self, optimizer: Optimizer, more: Any = None) -> None:
        self._kept = _kept([optimizer.state, optimizer.param_groups, more])

    @torch.no_grad()
    def restore(self) -> None:
        """Put everything back; what was not there is gone."""
        self._kept.restore()

    @torch.no_grad()
    def restore_where(self, bad: Tensor) -> None:
        """Put tensors back on the device where ``bad``, of no dimensions, is true."""
        self._kept.restore_where(bad)

    def can_restore_on_the_device(self) -> bool:
        """Whether the step has changed nothing but what tensors hold."""
        return self._kept.is_unchanged(self._kept.value)


class _Kept:
    """A value, and what it takes to make it again what it was."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def restore(self) -> Any:
        return self.value

    def restore_where(self, _: Tensor) -> None:
        """Only tensors can be told apart on the device."""

    def is_unchanged(self, now: Any) -> bool:
        """Whether the value is now what it was, but for what tensors hold."""
        return self.value is now or (isinstance(now, (int, float, str)) and self.value == now)


class _KeptTensor(_Kept):
    def __init__(self, value: Tensor) -> None:
        super().__init__(value)
        self._copy = value.detach().clone()

    def restore(self) -> Tensor:
        local(self.value).copy_(local(self._copy))
        return self.value  # type: ignore[no-any-return]

    def restore_where(self, bad: Tensor) -> None:
        own, old = local(self.value), local(self._copy)
        own.copy_(torch.where(moved(bad, own.device), old, own))

    def is_unchanged(self, now: Any) -> bool:
        return self.value is now


class _KeptContainer(_Kept):
    def __init__(self, value: Any) -> None:
        super().__init__(value)
        self._items = [(key, _kept(item)) for key, item in _items(value)]

    def restore(self) -> Any:
        items = [(key, kept.restore()) for key, kept in self._items]
        if isinstance(self.value, dict):
            self.value.clear()
            self.value.update(items)
        elif isinstance(self.value, (list, deque)):
            self.value.clear()
            self.value.extend(item for _, item in items)
        return self.value

    def restore_where(self, bad: Tensor) -> None:
        for _, kept in self._items:
            kept.restore_where(bad)

    def is_unchanged(self, now: Any) -> bool:
        if type(now) is not type(self.value) or len(now) != len(self._items):
            return False
        rows = zip(self._items, _items(now), strict=True)
        return all(key is other and kept.is_unchanged(item) for (key, kept), (other, item) in rows)


def _kept(value: Any) -> _Kept:
    if isinstance(value, Tensor):
        return _KeptTensor(value)
    if isinstance(value, (dict, list, tuple, deque)):
        return _KeptContainer(value)
    return _Kept(value)


def _items(value: Any) -> list[tuple[Any, Any]]:
    """Return keys and items of a container; a parameter as a key stands for itself."""
    return list(value.items()) if isinstance(value, dict) else [(None, item) for item in value]


def tensors_in(value: Any) -> Iterator[Tensor]:
    """Yield the tensors of floating-point or complex numbers in a value, however deep."""
    if isinstance(value, Tensor):
        if value.is_floating_point() or value.is_complex():
            yield value
    elif isinstance(value, (dict, list, tuple, deque)):
        for _, item in _items(value):
            yield from tensors_in(item)
