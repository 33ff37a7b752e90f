"""Optimizers with ``fused=True`` on CUDA: in Triton's interpreter, or on a device if there is one.

The interpreter runs the kernels on tensors of the CPU as the device does: the same formulas, masks
and addresses, but not the compiler.
"""

from typing import Any

import pytest
import torch

from tests.steps import normal
from torch_impl import Gravity, RelativisticAdamW
from torch_impl.fused.cuda.blocks import BLOCK

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
ON_DEVICE = pytest.mark.skipif(
    DEVICE == "cpu", reason="NOT CHECKED: there is no CUDA device here, only Triton's interpreter"
)
BLOCKS = int(BLOCK)
SHAPES = ((3, 4), (5,), (), (0,), (2 * BLOCKS + 7,), (BLOCKS,))


def parameters(shapes: Any = SHAPES, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    each = (normal(shape, i, torch.float32) for i, shape in enumerate(shapes))
    return [x.to(DEVICE, dtype).requires_grad_() for x in each]


def stepped(optimizer: Any, params: list[torch.Tensor], steps: int = 3, first: int = 0) -> None:
    for step in range(first, first + steps):
        for i, param in enumerate(params):
            grad = normal(param.shape, 100 * step + i, torch.float32)
            param.grad = grad.to(DEVICE, param.dtype)
        optimizer.step()


def make(mode: str, params: list[torch.Tensor], **options: Any) -> Any:
    """Gravity, or RelativisticAdamW in a mode."""
    options = {"fused": True, **options}
    if mode == "gravity":
        return Gravity(params, alpha=0.0, **options)
    return RelativisticAdamW(params, relativistic_mode=mode, **options)


def everything(optimizer: Any, params: list[torch.Tensor]) -> list[torch.Tensor]:
    """Parameters and state buffers, copied."""
    own = [v for p in params for v in optimizer.state[p].values() if isinstance(v, torch.Tensor)]
    return [tensor.detach().clone() for tensor in (*params, *own)]


def same(one: list[torch.Tensor], other: list[torch.Tensor]) -> bool:
    pairs = zip(one, other, strict=True)
    return all(torch.equal(a.nan_to_num(7.0), b.nan_to_num(7.0)) for a, b in pairs)


def close(*results: list[torch.Tensor], units: int = 16) -> None:
    """Within some units of roundoff of binary32, of an entry or of 1."""
    tolerance = units * 2.0**-24
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(
            a, b, rtol=tolerance, atol=tolerance, equal_nan=True, check_device=False
        )
