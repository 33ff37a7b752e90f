"""Operations on lists of tensors: one tensor at a time, many together, or recorded by autograd.

A result overwrites the first argument and is returned; where autograd records it, it is new. So
whoever calls an operation goes on with what it returns.

Notation: x, y, z lists of tensors; a a factor, which is a number, a tensor without dimensions, or a
list with one of these per tensor.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

Scalar = float | Tensor
Factor = Scalar | Sequence[Scalar]


@dataclass(frozen=True)
class Arithmetic:
    """How the operations of a step are carried out.

    Attributes
    ----------
    foreach
        Whether to use multi-tensor operations.
    recorded
        Whether autograd records them, so that nothing may be overwritten.
    """

    foreach: bool = False
    recorded: bool = False

    def add(
        self, x: list[Tensor], y: list[Tensor], a: Scalar = 1, *, fresh: bool = False
    ) -> list[Tensor]:
        """Return x + a·y; as new tensors if ``fresh``."""
        if isinstance(a, Tensor):  # which torch does not take for alpha without reading it
            return self._apply("add", x, self.mul(y, a, fresh=True), fresh=fresh)
        return self._apply("add", x, y, alpha=a, fresh=fresh)

    def add_number(self, x: list[Tensor], a: Scalar) -> list[Tensor]:
        """Return x + a."""
        return self._apply("add", x, a)

    def add_square(self, x: list[Tensor], y: list[Tensor], a: Scalar) -> list[Tensor]:
        """Return x + a·y²."""
        if isinstance(a, Tensor):
            return self._apply("addcmul", x, self.mul(y, a, fresh=True), y)
        return self._apply("addcmul", x, y, y, value=a)

    def add_quotient(
        self, x: list[Tensor], y: list[Tensor], z: list[Tensor], a: list[Scalar]
    ) -> list[Tensor]:
        """Return x + a·y/z; z may be overwritten."""
        if isinstance(a[0], Tensor):
            return self._apply("addcdiv", x, y, self.div(z, a))
        if self.foreach:
            torch._foreach_addcdiv_(x, y, z, a)  # type: ignore[arg-type]
            return x
        method = Tensor.addcdiv if self.recorded else Tensor.addcdiv_
        rows = zip(x, y, z, a, strict=True)
        return [method(u, v, w, value=b) for u, v, w, b in rows]  # type: ignore[arg-type]

    def mul(self, x: list[Tensor], a: Factor, *, fresh: bool = False) -> list[Tensor]:
        """Return x·a; as new tensors if ``fresh``."""
        return self._apply("mul", x, a, fresh=fresh)

    def div(self, x: list[Tensor], a: Factor, *, fresh: bool = False) -> list[Tensor]:
        """Return x/a; as new tensors if ``fresh``."""
        return self._apply("div", x, a, fresh=fresh)

    def negate(self, x: list[Tensor], *, fresh: bool = False) -> list[Tensor]:
        """Return −x; as new tensors if ``fresh``."""
        return self._apply("neg", x, fresh=fresh)

    def reciprocal(self, x: list[Tensor]) -> list[Tensor]:
        """Return 1/x."""
        return self._apply("reciprocal", x)

    def roots(self, x: list[Tensor]) -> list[Tensor]:
        """Return √x as new tensors."""
        return self._apply("sqrt", x, fresh=True)

    def clamp(self, x: list[Tensor], bound: float) -> list[Tensor]:
        """Return x between −bound and bound."""
        if self.foreach:
            return self._apply("clamp_max", self._apply("clamp_min", x, -bound), bound)
        return [a.clamp(-bound, bound) if self.recorded else a.clamp_(-bound, bound) for a in x]

    def maximum(self, x: list[Tensor], y: list[Tensor]) -> list[Tensor]:
        """Return max(x, y); NaN if either is."""
        if self.foreach:
            return self._apply("maximum", x, y)
        pairs = zip(x, y, strict=True)
        return [torch.maximum(a, b, out=None if self.recorded else a) for a, b in pairs]

    def norms(
        self, x: list[Tensor], order: float, dtype: torch.dtype | None = None
    ) -> list[Tensor]:
        """Return ‖x‖ of each tensor, 0 for one without entries (of which torch has no maximum)."""
        full = [a for a in x if a.numel() > 0]
        if order == math.inf and full and full[0].is_cpu and not self.recorded:
            norms: Iterator[Tensor] = iter(_peaks(full))
        elif self.foreach and full:
            norms = iter(torch._foreach_norm(full, order, dtype=dtype))
        else:
            norms = (torch.linalg.vector_norm(a, order, dtype=dtype) for a in full)
        return [next(norms) if a.numel() > 0 else a.new_zeros((), dtype=dtype) for a in x]

    def _apply(
        self,
        name: str,
        x: list[Tensor],
        *operands: Tensor | Factor | list[Tensor],
        fresh: bool = False,
        **numbers: float,
    ) -> list[Tensor]:
        """Carry out the operation that torch calls so."""
        if self.foreach:
            result = getattr(torch, f"_foreach_{name}" + "_" * (not fresh))(x, *operands, **numbers)
            return list(result) if fresh else x
        method = getattr(Tensor, name + "_" * (not fresh and not self.recorded))
        each = [o if isinstance(o, Sequence) else [o] * len(x) for o in operands]
        return [method(*row, **numbers) for row in zip(x, *each, strict=True)]


def _peaks(x: list[Tensor]) -> Sequence[Tensor]:
    """Return each max|x|, NaN if an entry is; on the CPU many times as fast as the norm."""
    low, high = map(torch.stack, zip(*map(torch.aminmax, x), strict=True))
    return torch.maximum(low.neg_(), high).unbind()


def moved(tensor: Tensor, device: torch.device) -> Tensor:
    """Return a tensor on a device, without waiting where it is an accelerator.

    To the host one has to wait: what is copied there without is read before it has come.
    """
    return tensor.to(device, non_blocking=device.type != "cpu")
