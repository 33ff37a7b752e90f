"""How much memory a step takes beside parameters, gradients and state, as on torch's own paths.

Counted is what `tests.live_bytes` says.
"""

from typing import Any

import pytest
import torch

from tests.cases import CONTROL, Case, Options
from tests.live_bytes import LiveBytes
from tests.steps import PATHS, built, everyone
from torch_impl import Gravity, RelativisticAdamW

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("memory")]

TENSORS, ENTRIES = 20, 10_000
BYTES_OF_ONE = ENTRIES * 4


def peak_of_a_step(case: Case, **options: Any) -> int:
    leaves = [torch.zeros(ENTRIES, requires_grad=True) for _ in range(TENSORS)]
    optimizer = built(case, leaves, **options)
    for _ in range(2):
        for leaf in leaves:
            leaf.grad = torch.ones_like(leaf)
        with LiveBytes() as memory:
            optimizer.step()
    return int(memory.peak)


@everyone()
@PATHS
@pytest.mark.parametrize("ascent", [False, True], ids=["", "maximize"])
def test_peak_memory_of_a_step(case: Case, options: Options, foreach: bool, ascent: bool) -> None:
    """foreach: one intermediate as large as the parameters. One by one: two as large as a tensor
    (torch.optim.AdamW: four), but for "global", which must know every update before the first.

    To limit entries takes up to 7.5 more of one tensor's size, its square root in binary64.
    """
    mode = options.get("relativistic_mode")
    of_all = foreach or (mode == "global" and options["law"] != "newtonian")
    tensors: float = TENSORS if of_all else 4 if case is CONTROL["AdamW"] else 2
    if mode == "per_component":
        tensors += 7.5
    scalars = 200 * TENSORS
    more = {"maximize": True, "weight_decay": 0.1} if ascent else {}
    if ascent and case.optimizer is Gravity:  # whose ζ is g over something as large as g
        tensors *= 2
    peak = peak_of_a_step(case, foreach=foreach, **options, **more)
    assert peak <= tensors * BYTES_OF_ONE + scalars


def test_under_one_norm_small_tensors_keep_nothing_but_their_proposals() -> None:
    """In pieces, each of some tensors together, as in a first step after a checkpoint."""
    leaves = [torch.zeros(100, requires_grad=True) for _ in range(1000)]
    first, resumed = (
        RelativisticAdamW(leaves, relativistic_mode="global", foreach=True) for _ in range(2)
    )
    for leaf in leaves:
        leaf.grad = torch.ones_like(leaf)
    first.step()
    resumed.load_state_dict(first.state_dict())
    with LiveBytes() as memory:
        resumed.step()
    assert memory.peak <= sum(leaf.nbytes for leaf in leaves) + 200  # and some numbers
