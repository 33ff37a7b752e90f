"""On a CUDA device: the results of the CPU, no waiting, graphs that replay, torch's peak memory."""

import pytest
import torch

from tests import waiting
from tests.cases import CASES, SUBJECTS, Case, Options
from tests.steps import PATHS, built, everyone, normal

pytestmark = [
    pytest.mark.filterwarnings("ignore:law="),
    pytest.mark.contract("CUDA"),
    pytest.mark.skipif(
        not torch.cuda.is_available(), reason="NOT CHECKED: there is no CUDA device here"
    ),
]


@everyone()
@PATHS
@pytest.mark.parametrize("capturable", [False, True], ids=["plain", "capturable"])
def test_steps_on_cuda_are_those_on_the_cpu(
    case: Case, options: Options, foreach: bool, capturable: bool
) -> None:
    params = [normal((65, 33), 1), normal(7, 2), normal((), 3), normal((0, 2), 4)]
    ends = []
    for device in ("cpu", "cuda"):
        leaves = [p.to(device, copy=True).requires_grad_() for p in params]
        on_device = device == "cuda"
        more = {"foreach": foreach, "capturable": capturable} if on_device else {}
        optimizer = built(case, leaves, lr=0.3, **options, **more)
        for step in range(3):
            for i, leaf in enumerate(leaves):
                leaf.grad = normal(leaf.shape, 10 * step + i).to(device)
            optimizer.step()
        ends.append([leaf.detach().cpu() for leaf in leaves])
    tolerance = max(1e-12, case.tolerance_of_tensors)  # sums in another order, other roots
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


@everyone()
@PATHS
@pytest.mark.parametrize("capturable", [False, True], ids=["plain", "capturable"])
def test_a_step_never_synchronises(
    case: Case, options: Options, foreach: bool, capturable: bool
) -> None:
    leaves = [normal((65, 33), 1, torch.float32).cuda().requires_grad_() for _ in range(3)]
    optimizer = built(case, leaves, foreach=foreach, capturable=capturable, **options)
    for leaf in leaves:
        leaf.grad = torch.ones_like(leaf)
    optimizer.step()  # which makes the state
    with waiting.refused():
        optimizer.step()


@everyone()
@PATHS
def test_a_graph_replays_the_step(case: Case, options: Options, foreach: bool) -> None:
    ends = []
    for graphed in (False, True):
        leaf = normal((64, 32), 1, torch.float32).cuda().requires_grad_()
        leaf.grad = torch.zeros_like(leaf)
        optimizer = built(case, [leaf], lr=0.1, foreach=foreach, capturable=True, **options)
        graph = torch.cuda.CUDAGraph()
        for step in range(6):
            leaf.grad.copy_(normal(leaf.shape, step, torch.float32))
            if graphed and step == 3:
                with torch.cuda.graph(graph):
                    optimizer.step()
            if graphed and step >= 3:
                graph.replay()
            else:
                optimizer.step()
        torch.cuda.synchronize()
        assert optimizer.state[leaf]["step"].item() == 6
        ends.append(leaf.detach())
    torch.testing.assert_close(*ends, rtol=0, atol=0)


@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("name", [name for name in CASES if name != "Gravity"])
def test_peak_memory_of_foreach_is_torchs(name: str, mode: str) -> None:
    """One intermediate as large as the parameters, and some kilobytes."""

    def peak(case: Case, **options: str) -> int:
        leaves = [torch.zeros(100_000, device="cuda", requires_grad=True) for _ in range(20)]
        optimizer = built(case, leaves, foreach=True, **options)
        for leaf in leaves:
            leaf.grad = torch.ones_like(leaf)
        optimizer.step()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        optimizer.step()
        return int(torch.cuda.max_memory_allocated() - before)

    allowed = peak(SUBJECTS["AdamW"]) + 64 * 1024
    assert peak(CASES[name], relativistic_mode=mode) <= allowed
