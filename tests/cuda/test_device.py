"""What only a CUDA device shows: no waiting, graphs that replay, no memory kept."""

import pytest
import torch

from tests import waiting
from tests.cuda.common import DEVICE, ON_DEVICE, make, parameters, same, stepped
from tests.steps import normal
from tests.variants import MODES


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
@pytest.mark.parametrize("capturable", [False, True])
def test_a_step_never_synchronises(mode: str, capturable: bool) -> None:
    params = parameters()
    optimizer = make(mode, params, capturable=capturable)
    stepped(optimizer, params, 1)  # which compiles, and makes the state
    gradients = [torch.ones_like(param) for param in params]
    with waiting.refused():
        for param, gradient in zip(params, gradients, strict=True):
            param.grad = gradient  # at another address: the table is written
        optimizer.step()


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_graph_replays_the_step_among_others(mode: str) -> None:
    """Steps that are not replayed, on other gradients, come in between."""
    ends = []
    for graphed in (False, True):
        params = parameters()
        optimizer = make(mode, params, lr=0.1, capturable=True)
        static = [torch.zeros_like(param) for param in params]
        graph = torch.cuda.CUDAGraph()
        stepped(optimizer, params, 3)
        for step in range(3, 9):
            grads = [normal(p.shape, 10 * step + i, torch.float32) for i, p in enumerate(params)]
            if step == 6:  # eager, and elsewhere
                for param, grad in zip(params, grads, strict=True):
                    param.grad = grad.to(DEVICE)
                optimizer.step()
                continue
            for param, room, grad in zip(params, static, grads, strict=True):
                room.copy_(grad)
                param.grad = room
            if graphed and step == 3:
                torch.cuda.synchronize()
                with torch.cuda.graph(graph):
                    optimizer.step()
            if graphed:
                graph.replay()
            else:
                optimizer.step()
        torch.cuda.synchronize()
        assert optimizer.state[params[0]]["step"].item() == 9
        ends.append([param.detach() for param in params])
    assert same(*ends)


@ON_DEVICE
@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_a_step_keeps_no_memory_on_the_device(mode: str) -> None:
    params = parameters([(2**20,), (2**20,)])
    optimizer = make(mode, params)
    stepped(optimizer, params, 2)
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    optimizer.step()
    torch.cuda.synchronize()
    assert torch.cuda.max_memory_allocated() - before <= 2**12  # numbers of tensors
