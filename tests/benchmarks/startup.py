"""Fresh processes: what importing the package takes, and compiling its kernels."""

import tempfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from .contenders import process
from .side_by_side import Repeat, SideBySide, judge


class Start(NamedTuple):
    """A process and what it is compared with.

    Attributes
    ----------
    over
        The baseline's name.
    baseline, variant
        What they run.
    cold
        Whether the compilers' caches are empty.
    """

    over: str
    baseline: str
    variant: str
    cold: bool = False


def starts(device: str) -> Mapping[str, Start]:
    """Return what is compared, by row."""

    def first_step(imported: str, optimizer: str) -> str:
        return (
            f"import {imported}\n"
            f"param = torch.zeros(1000, device={device!r}, requires_grad=True)\n"
            "param.grad = torch.ones_like(param)\n"
            f"{optimizer}([param], fused=True).step()\n"
        )

    adamw = first_step("torch", "torch.optim.AdamW")
    own = first_step("torch, torch_impl", "torch_impl.RelativisticAdamW")
    over_torch = partial(Start, "import torch", "import torch")
    return {
        "import torch, torch_impl": over_torch("import torch, torch_impl"),
        "first step of AdamW, fused": over_torch(adamw),
        "first step of RelativisticAdamW, fused, kernels from their cache": over_torch(own),
        "first step of RelativisticAdamW, fused, kernels compiled": over_torch(own, cold=True),
    }


def measure_start(start: Start, budget: float, fewest: int, timed: Repeat) -> dict[str, Any]:
    """Return the ratio of a fresh process to another."""
    with tempfile.TemporaryDirectory() as folder:
        codes = {"baseline": start.baseline, "again": start.baseline, "variant": start.variant}
        contenders = {
            name: process(code, Path(folder) / name, cold=start.cold)
            for name, code in codes.items()
        }
        side = SideBySide(contenders)
        return judge(side, budget=budget, fewest=fewest, timed=timed)
