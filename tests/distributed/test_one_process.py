"""A world of one process, in this one: what needs no second process to be shown."""

import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.tensor import DTensor, Partial, Replicate, Shard, distribute_tensor

from tests.cases import CASES
from tests.steps import built, normal
from torch_impl import limit_speed
from torch_impl.sharding import Sharding

with warnings.catch_warnings():  # torch scripts its optimizers for RPC, which is deprecated
    warnings.simplefilter("ignore")
    from tests.distributed.limits import limits
    from tests.distributed.worker import SCHEMES

NAMES = pytest.mark.parametrize("name", CASES)


@pytest.fixture(scope="module")
def mesh(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeviceMesh]:
    store = tmp_path_factory.mktemp("store") / "store"
    dist.init_process_group("gloo", init_method=f"file://{store}", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.mark.usefixtures("mesh")
@pytest.mark.filterwarnings("ignore")  # torch's engines warn of each other
@pytest.mark.parametrize("scheme", ["fsdp2", "zero", "mixed", "limits"])
def test_a_world_of_one_is_no_world(scheme: str, tmp_path: Path) -> None:
    """To the bit, but for a root of a square in what is divided."""
    for record in {**SCHEMES, "limits": limits}[scheme](0, 1, tmp_path):
        assert record["error"] <= (1e-14 if record["dtype"] == "float64" else 1e-6), record


def test_a_policy_is_refused_where_processes_could_not_agree_on_the_device(
    mesh: DeviceMesh,
) -> None:
    leaf = distribute_tensor(normal((4, 3), 1), mesh, [Shard(0)]).requires_grad_()
    optimizer = torch.optim.SGD([{"params": [leaf], "capturable": True}], lr=1.0)
    with pytest.raises(ValueError, match="with capturable=True on DTensors: expected 'propagate'"):
        limit_speed(optimizer, 0.5, on_nonfinite="skip")
    limit_speed(optimizer, 0.5)


def stepped(name: str, leaf: torch.Tensor) -> Any:
    optimizer = built(CASES[name], [leaf])
    leaf.grad = torch.ones_like(leaf)
    optimizer.step()
    return optimizer


@NAMES
def test_a_full_state_is_divided_as_its_parameter(name: str, mesh: DeviceMesh) -> None:
    """Also without torch.distributed.checkpoint, which would divide it before."""
    value = normal((4, 3), 1)
    plain = stepped(name, value.clone().requires_grad_())
    leaf = distribute_tensor(value, mesh, [Shard(0)]).requires_grad_()
    optimizer = built(CASES[name], [leaf])
    optimizer.load_state_dict(plain.state_dict())
    (expected,) = plain.state.values()
    for key, loaded in optimizer.state[leaf].items():
        assert isinstance(loaded, DTensor) == (key != "step")
        whole = loaded.full_tensor() if isinstance(loaded, DTensor) else loaded
        assert torch.equal(whole, expected[key])


@NAMES
def test_a_divided_state_is_refused_for_a_parameter_that_is_not(
    name: str, mesh: DeviceMesh
) -> None:
    divided = stepped(name, distribute_tensor(normal((4, 3), 1), mesh, [Shard(0)]).requires_grad_())
    optimizer = built(CASES[name], [normal((4, 3), 1).requires_grad_()])
    with pytest.raises(ValueError, match="is divided among processes, the parameter is not"):
        optimizer.load_state_dict(divided.state_dict())
    assert not optimizer.state


@NAMES
def test_a_gradient_placed_otherwise_is_brought_to_its_parameter(
    name: str, mesh: DeviceMesh
) -> None:
    ends = []
    for placement in (Replicate(), Shard(0)):
        leaf = distribute_tensor(normal((4, 3), 1), mesh, [Shard(0)]).requires_grad_()
        leaf.grad = distribute_tensor(normal((4, 3), 2), mesh, [Shard(0)])
        with torch.no_grad():
            leaf.grad = leaf.grad.redistribute(mesh, [placement])
        built(CASES[name], [leaf]).step()
        ends.append(leaf.detach().full_tensor())  # type: ignore[attr-defined]
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", CASES)
def test_a_parameter_of_summands_is_refused(name: str, mesh: DeviceMesh) -> None:
    """No norm can be taken of a tensor whose parts are still to be added."""
    leaf = DTensor.from_local(normal((4, 3), 1), mesh, [Partial()]).requires_grad_()
    leaf.grad = torch.ones_like(leaf)
    optimizer = built(CASES[name], [leaf])
    with pytest.raises(ValueError, match="expected no partial one"):
        optimizer.step()


@pytest.mark.parametrize("mode", ["global", "per_param"])
@pytest.mark.parametrize("gradients", [0, 1])
def test_who_has_no_gradient_joins_all_the_same(
    mode: str, gradients: int, mesh: DeviceMesh, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The number of reductions does not depend on which gradients there are."""
    calls: list[int] = []
    reduced = Sharding._reduced

    def counted(self: Sharding, values: torch.Tensor, operation: str) -> torch.Tensor:
        calls.append(values.numel())
        return reduced(self, values, operation)

    monkeypatch.setattr(Sharding, "_reduced", counted)
    leaves = [
        distribute_tensor(normal((2, 3), i), mesh, [Shard(0)]).requires_grad_() for i in (1, 2)
    ]
    for leaf in leaves[:gradients]:
        leaf.grad = torch.ones_like(leaf)
    options = {"relativistic_mode": mode, "speed_unit": "relative"}
    CASES["RelativisticAdam"].optimizer(leaves, **options).step()
    # Powers with their NaNs apart, squares, the same of θ; in all, or per tensor; and n.
    assert calls == ([2, 1, 2, 1, 1] if mode == "global" else [4, 2, 4, 2])


def test_a_maximum_keeps_what_is_not_a_number(mesh: DeviceMesh) -> None:
    sharding = Sharding(mesh, (0,))
    values = torch.tensor([torch.nan, torch.inf, -torch.inf, 2.0]).double()
    torch.testing.assert_close(sharding.max(values), values, rtol=0, atol=0, equal_nan=True)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # of the compiler about itself
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("unit", ["norm", "relative"])
def test_a_compiled_step_reduces_too(mode: str, unit: str, mesh: DeviceMesh) -> None:
    """Parts are parts under torch.compile: equal to eager, the reductions in the graph."""
    ends, reductions = [], 0

    def backend(graph: torch.fx.GraphModule, _: Any) -> Any:
        nonlocal reductions
        reductions += sum("all_reduce" in str(node.target) for node in graph.graph.nodes)
        return graph.forward

    for compiled in (False, True):
        torch._dynamo.reset()
        divided = distribute_tensor(normal((4, 3), 1), mesh, [Shard(0)]).requires_grad_()
        copied = distribute_tensor(normal(3, 2), mesh, [Replicate()]).requires_grad_()
        plain = normal(2, 3).requires_grad_()
        divided.grad = distribute_tensor(normal((4, 3), 4), mesh, [Shard(0)])
        copied.grad = distribute_tensor(normal(3, 5), mesh, [Replicate()])
        plain.grad = normal(2, 6)
        optimizer = CASES["RelativisticAdamW"].optimizer(
            [divided, copied, plain], lr=0.1, relativistic_mode=mode, speed_unit=unit
        )
        step = torch.compile(optimizer.step, backend=backend) if compiled else optimizer.step
        for _ in range(2):
            step()
        whole = [t.full_tensor() if isinstance(t, DTensor) else t for t in (divided, copied, plain)]
        ends.append([tensor.detach().clone() for tensor in whole])
    assert reductions == (0 if mode == "per_component" else 5 if mode == "global" else 4) // (
        1 if unit == "relative" else 2
    )
    for a, b in zip(*ends, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-13, atol=1e-13)


def test_a_divided_step_is_not_differentiable(mesh: DeviceMesh) -> None:
    leaf = distribute_tensor(normal((4, 3), 1), mesh, [Shard(0)])
    with pytest.raises(ValueError, match="expected parameters that are not DTensors"):
        CASES["RelativisticAdam"].optimizer([leaf], differentiable=True)


@pytest.mark.parametrize("mode", ["global", "per_param"])
def test_a_refusal_of_summands_comes_before_any_change(mode: str, mesh: DeviceMesh) -> None:
    other = normal(2, 1).requires_grad_()
    other.grad = normal(2, 2)
    leaf = DTensor.from_local(normal((4, 3), 1), mesh, [Partial()]).requires_grad_()
    optimizer = CASES["RelativisticAdam"].optimizer([other, leaf], relativistic_mode=mode)
    with pytest.raises(ValueError, match="expected no partial one"):
        optimizer.step()
    assert not optimizer.state
    assert torch.equal(other.detach(), normal(2, 1))
