"""Under torch.compile: torch's own graph breaks, no recompilation, the results of eager."""

from typing import Any

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch._dynamo.utils import counters

from tests.cases import CONTROL, Case, Options
from tests.steps import everyone, normal
from torch_impl import Gravity

pytestmark = [
    pytest.mark.filterwarnings("ignore:law="),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),  # of the compiler about itself
    pytest.mark.contract("torch.compile"),
]

PARAMETERS = [normal((5, 3), 1, torch.float32), normal(7, 2, torch.float32)]
EACH_PATH = pytest.mark.parametrize("foreach", [None, True], ids=["default", "foreach"])


def run(case: Case, backend: Any, foreach: bool | None, **options: Any) -> list[torch.Tensor]:
    """Take five steps under a scheduler that changes the learning rate and the limit."""
    leaves = [p.clone().requires_grad_() for p in PARAMETERS]
    if case.optimizer is Gravity:
        options["generator"] = torch.Generator().manual_seed(0)
    if foreach:
        options |= {"foreach": True, "lr": 0.1}
    else:
        options["lr"] = torch.tensor(0.1)
    optimizer = case.optimizer(leaves, **options)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.9)
    step = torch.compile(optimizer.step, backend=backend) if backend else optimizer.step
    for i in range(5):
        for j, leaf in enumerate(leaves):
            leaf.grad = normal(leaf.shape, 10 * i + j, torch.float32)
        step()
        if not foreach:  # whose learning rate is a number, and constant for the compiler
            scheduler.step()
        limit = options.get("speed_limit")
        if limit is not None:
            limit.mul_(0.9)
    return [leaf.detach() for leaf in leaves]


def limited(case: Case) -> Options:
    """A fresh limit in a tensor, for those that have one."""
    return {"speed_limit": torch.tensor(0.05)} if case.per_group else {}


def graphs_and_breaks(
    case: Case, foreach: bool | None, options: Options
) -> tuple[list[torch.Tensor], int, set[str]]:
    """Return where a compiled run ends, how many graphs it was compiled to, and what broke them."""
    torch._dynamo.reset()
    counters.clear()
    counter = CompileCounterWithBackend("eager")
    ends = run(case, counter, foreach, **options)
    kinds = {reason.partition("\n")[0] for reason in counters["graph_break"]}
    return ends, counter.frame_count, kinds


@everyone()
@EACH_PATH
def test_a_step_is_compiled_once_and_whole(
    case: Case, options: Options, foreach: bool | None
) -> None:
    """One graph in five steps, and no graph breaks but AdamW's: those around the step itself."""
    _, _, expected = graphs_and_breaks(CONTROL["AdamW"], foreach, {})
    compiled, graphs, breaks = graphs_and_breaks(case, foreach, {**options, **limited(case)})
    assert graphs == 1
    assert breaks <= expected
    for a, b in zip(compiled, run(case, None, foreach, **options, **limited(case)), strict=True):
        # Some roundings of binary32 a step; compiled, bias corrections are formed in tensors.
        tolerance = max(1e-6, case.tolerance_of_tensors)
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@everyone(costly=True)
@EACH_PATH
def test_what_inductor_generates_gives_the_results_of_eager(
    case: Case, options: Options, foreach: bool | None
) -> None:
    torch._dynamo.reset()
    eager = run(case, None, foreach, **options, **limited(case))
    compiled = run(case, "inductor", foreach, **options, **limited(case))
    for a, b in zip(compiled, eager, strict=True):
        tolerance = max(1e-6, case.tolerance_of_tensors)
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)
