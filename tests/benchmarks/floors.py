"""What stops steps in pieces: torch's operations by themselves, where the cache holds all."""

import torch
from torch import Tensor
from torch.optim import Optimizer

from torch_impl.pieces import PIECE


class InCache(Optimizer):
    """The operations of RelativisticAdamW's step in pieces, on one piece again and again.

    So nothing of a step is left but they: no memory outside the cache, no law, no Python between
    tensors. Its parameters stay as they are.

    Parameters
    ----------
    params
        Parameters, whose entries are counted.
    """

    def __init__(self, params: list[Tensor]) -> None:
        super().__init__(params, {})
        self._pieces = sum(-(-param.numel() // PIECE) for param in params)
        rows = torch.rand(6, min(PIECE, max(param.numel() for param in params))) + 0.1
        self._param, self._grad, self._first, self._second, self._room, self._other = rows

    def step(self, closure: object = None) -> None:  # type: ignore[override]  # noqa: ARG002
        """Take as many pieces as the parameters have."""
        for _ in range(self._pieces):
            self._measure()
            self._finish()

    def _measure(self) -> None:
        grad, room = self._grad, self._room
        torch.dot(grad, grad)
        self._first.lerp_(grad, 0.1)
        self._second.mul_(0.999).addcmul_(grad, grad, value=0.001)
        torch.sqrt(self._second, out=room).add_(1e-8)
        torch.div(self._first, room, out=room)
        torch.linalg.vector_norm(room)

    def _finish(self) -> None:
        torch.sqrt(self._second, out=self._room).add_(1e-8)
        torch.mul(self._param, 1e-5, out=self._other)
        self._other.addcdiv_(self._first, self._room, value=1e-9)
        self._param.sub_(self._other)
