"""``capturable=True``: a step asks the device for nothing, as fake CUDA tensors show."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
import torch.optim.optimizer as optimizer_module
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from tests.cases import CASES, Case, Options
from tests.steps import PATHS, everyone
from torch_impl.testing import run_check

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("capturable")]


@pytest.fixture
def fake_cuda() -> Iterator[None]:
    """Tensors without data, on a device that may not exist: whoever reads one raises."""
    with FakeTensorMode():
        yield


def parameters(device: str = "cuda") -> list[torch.Tensor]:
    leaves = [
        torch.empty(5, 3, device=device),
        torch.empty(7, device=device, dtype=torch.bfloat16),
        torch.empty(4, device=device, dtype=torch.complex64),
        torch.empty(0, device=device),
    ]
    for leaf in leaves:
        leaf.requires_grad_().grad = torch.empty_like(leaf)
    return leaves


MORE: dict[str, list[Options]] = {
    "RelativisticAdam": [
        {"adaptive_speed": True, "speed_unit": "relative", "weight_decay": 0.1},
        {"speed_unit": "rms", "amsgrad": True, "maximize": True},
    ],
    "RelativisticAdamW": [{"adaptive_speed": True, "speed_unit": "relative", "amsgrad": True}],
}


@pytest.mark.parametrize(
    ("case", "options"),
    [
        pytest.param(CASES[name], {**options, **more}, id=f"{name}-{variant}-{i}")
        for name, choices in MORE.items()
        for variant, options in CASES[name].variants.items()
        for i, more in enumerate(choices)
    ],
)
def test_a_step_with_more_options_never_waits_for_the_device(case: Case, options: Options) -> None:
    run_check("a_capturable_step_never_waits_for_the_device", case.subject(options))


@everyone()
@PATHS
@pytest.mark.usefixtures("fake_cuda")
def test_nor_does_it_with_options_that_are_tensors(
    case: Case, options: Options, foreach: bool
) -> None:
    """Tensors on the device; torch's foreach path reads betas on the device, and is not asked."""
    tensors: Options = {"lr": 0.1}
    if case.optimizer.__name__ in CASES:
        names = ("beta",) if case.optimizer.__name__ == "Gravity" else ("speed_limit",)
        tensors |= dict.fromkeys((*names, "weight_decay"), 0.1)
    optimizer = case.optimizer(parameters(), capturable=True, foreach=foreach, **options)
    for name, value in tensors.items():
        optimizer.param_groups[0][name] = torch.full((), value, device="cuda")
    for _ in range(2):
        optimizer.step()


class Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the names of the operations that are carried out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


@everyone()
@pytest.mark.usefixtures("fake_cuda")
def test_foreach_is_the_default_on_cuda(
    case: Case, options: Options, monkeypatch: pytest.MonkeyPatch
) -> None:
    types = [*optimizer_module._foreach_supported_types, FakeTensor]  # fake ones stand for plain
    monkeypatch.setattr(optimizer_module, "_foreach_supported_types", types)
    optimizer = case.optimizer(parameters(), capturable=True, **options)
    with Operations() as operations:
        optimizer.step()
    assert any("_foreach_" in name for name in operations.names)


@pytest.mark.parametrize("name", CASES)
@pytest.mark.usefixtures("fake_cuda")
def test_a_step_on_the_host_is_brought_to_the_device(name: str) -> None:
    """As of an optimizer that was not capturable before: a graph would replay a host's number."""
    leaves = parameters()
    optimizer = CASES[name].optimizer(leaves, capturable=True)
    optimizer.step()
    for state in optimizer.state.values():
        state["step"] = torch.zeros((), device="cpu")
    optimizer.step()
    assert all(state["step"].device.type == "cuda" for state in optimizer.state.values())


@PATHS
@pytest.mark.parametrize("name", ["RelativisticAdam"])
@pytest.mark.usefixtures("fake_cuda")
def test_a_limit_on_the_device_is_warmed_up_there(name: str, foreach: bool) -> None:
    options: Options = {"adaptive_speed": True, "capturable": True, "foreach": foreach}
    optimizer = CASES[name].optimizer(parameters(), **options)
    optimizer.param_groups[0]["speed_limit"] = torch.full((), 0.1, device="cuda")
    optimizer.step()
