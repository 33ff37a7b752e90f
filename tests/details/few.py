"""Few and small numbers, and other processes that there are not: what tests of details share."""

from collections.abc import Mapping
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.cases import CASES, Options
from torch_impl import RelativisticAdam, RelativisticAdamW
from torch_impl.arithmetic import Arithmetic
from torch_impl.laws import LAWS
from torch_impl.limit import Proposal
from torch_impl.sharding import Sharding

ADAMS = (RelativisticAdam, RelativisticAdamW)
NAMES = pytest.mark.parametrize("name", CASES)

PATHS: Mapping[str, Options] = {
    "single": {"foreach": False},
    "foreach": {"foreach": True},
    "recorded": {"differentiable": True},
    "capturable": {"capturable": True, "foreach": True},
}


def leaf(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype).requires_grad_()


def gradient(*values: float, dtype: torch.dtype = torch.float64) -> Tensor:
    return torch.tensor(values, dtype=dtype)


KINDS = {"single": (False, False), "foreach": (True, False), "recorded": (False, True)}
ARITHMETICS = pytest.mark.parametrize(
    "arithmetic", [Arithmetic(*kind) for kind in KINDS.values()], ids=list(KINDS)
)
HOST, META = torch.device("cpu"), torch.device("meta")
F64 = torch.float64


def tensors(*rows: Any, dtype: torch.dtype = F64) -> list[Tensor]:
    return [torch.tensor(row, dtype=dtype) for row in rows]


def lists(found: Any) -> list[Any]:
    return [one.tolist() for one in found]


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=F64)


class Twice(Sharding):
    """As if another process held the same parts as this one."""

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        return values * 2 if operation == "SUM" else values


TWICE = Twice(None, (0,))


class Noted(Sharding):
    """Remembers what it was asked for and of which values; other processes hold nothing."""

    asked: list[Any] = []  # noqa: RUF012

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        self.asked.append((operation, values.flatten().tolist()))
        return values


def proposal(
    *updates: Any,
    limit: Any = 1.0,
    law: str = "hard_clip",
    unit: str = "norm",
    mode: str = "per_param",
    params: list[Tensor] | None = None,
    arithmetic: Arithmetic | None = None,
    dtype: torch.dtype = F64,
) -> Proposal:
    rows = tensors(*updates, dtype=dtype)
    params = [torch.ones_like(row) for row in rows] if params is None else params
    arithmetic = arithmetic or Arithmetic()
    return Proposal(rows, params, params, limit, LAWS[law], unit, mode, arithmetic)
