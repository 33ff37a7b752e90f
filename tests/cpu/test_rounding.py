"""How far kernels round apart from the path of single tensors, in units in the last place."""

from typing import Any

import numpy as np
import pytest
import torch

import torch_impl.fused.homes
from torch_impl import Gravity, RelativisticAdamW
from torch_impl.laws import LAWS

COUNT = 20_000
UNITS = 8
"""Of an update; a moment that is a sum of like signs is within 4."""


def gradients(steps: int) -> list[torch.Tensor]:
    """Entries over twenty orders of magnitude, the same in every run."""
    rng = torch.Generator().manual_seed(0)
    return [
        torch.exp(3 * torch.randn(COUNT, generator=rng)) * torch.randn(COUNT, generator=rng)
        for _ in range(steps)
    ]


def end(optimizer: Any, grads: list[torch.Tensor]) -> list[np.ndarray[Any, Any]]:
    """What the last step applies, from 0, and the state after it."""
    (param,) = optimizer.param_groups[0]["params"]
    for grad in grads:
        with torch.no_grad():
            param.zero_()
        param.grad = grad.clone()
        with np.errstate(all="ignore"):
            optimizer.step()
    state = (value for key, value in optimizer.state[param].items() if key != "step")
    return [param.detach().numpy().copy(), *(value.numpy() for value in state)]


def units_apart(a: np.ndarray[Any, Any], b: np.ndarray[Any, Any]) -> int:
    """How many numbers of binary32 lie between, at most; signs are the same."""
    assert (np.signbit(a) == np.signbit(b)).all()
    return int(np.abs(a.view(np.int32).astype(np.int64) - b.view(np.int32)).max())


@pytest.fixture(params=["cpu", "cuda"])
def kernels(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    if request.param == "cuda" and torch.cuda.is_available():
        pytest.skip("NOT CHECKED: CUDA's kernels in Triton's interpreter, where there is a device")
    monkeypatch.setattr(torch_impl.fused.homes, "home_of", lambda _param: request.param)
    return str(request.param)


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("limit", [1e-3, 0.5])
@pytest.mark.parametrize("mode", ["per_component", "per_param", "global"])
@pytest.mark.parametrize("law", [key for key, law in LAWS.items() if law.monotone])
def test_updates_are_as_many_units_apart_as_is_stated(law: str, mode: str, limit: float) -> None:
    """With β₁ = 0: else m is a sum in which terms cancel, and all of its digits may differ."""
    ends = []
    for how in ({"fused": True}, {"foreach": False}):
        param = torch.zeros(COUNT, requires_grad=True)
        options: Any = {"law": law, "relativistic_mode": mode, "speed_limit": limit, **how}
        optimizer = RelativisticAdamW([param], betas=(0.0, 0.999), weight_decay=0, **options)
        ends.append(end(optimizer, gradients(3)))
    update, m, v = (units_apart(a, b) for a, b in zip(*ends, strict=True))
    assert update <= UNITS
    assert m == 0
    assert v <= 4


@pytest.mark.usefixtures("kernels")
@pytest.mark.parametrize("options", [{}, {"max_step_grad": 2.0}])
def test_gravitys_first_update_is_too(options: dict[str, Any]) -> None:
    ends = []
    for how in ({"fused": True}, {"foreach": False}):
        param = torch.zeros(COUNT, requires_grad=True)
        given: dict[str, Any] = {**options, **how}
        ends.append(end(Gravity([param], alpha=0.0, **given), gradients(1)))
    assert max(units_apart(a, b) for a, b in zip(*ends, strict=True)) <= UNITS


def test_the_root_of_a_square_is_the_number() -> None:
    """Of every number of binary32 in [1, 4), and so of all whose squares are normal.

    It is why c·x/√(x² + y²) never exceeds c: the root is at least x, rounded as it is.
    """
    mantissas = np.arange(2**23, dtype=np.int32)
    for exponent in (127, 128):  # others are these times powers of 4, which change no rounding
        x = (mantissas | (exponent << 23)).view(np.float32)
        np.testing.assert_array_equal(np.sqrt(x * x), x)
