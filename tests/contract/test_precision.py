"""What narrow parameters need beside the checks of `torch_impl.testing`."""

from typing import Any

import pytest
import torch

from tests.steps import PATHS
from torch_impl import Gravity

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("precision")]


@pytest.mark.parametrize("cls", [Gravity])
@PATHS
def test_gravitys_steepest_entry_is_not_lost(cls: Any, foreach: bool) -> None:
    """In binary16 (gG)² overflows from G = 16 on, and ζ = 0 would stop the steepest entry."""
    leaf = torch.zeros(2, dtype=torch.float16, requires_grad=True)
    leaf.grad = torch.tensor([20.0, 0.1], dtype=torch.float16)
    cls([leaf], lr=1e3, alpha=0.0, foreach=foreach).step()
    first_step = -1e3 * (1 - 1.9 / 3) * 20 / (1 + 20.0**4)
    assert leaf[0].item() == pytest.approx(first_step, rel=2.0**-10, abs=0)
