"""What other tests of Gravity would let change: V₀, scales, other processes."""

import pytest
import torch
from torch import Tensor

from tests.cases import Options
from tests.details.few import gradient, leaf
from torch_impl import Gravity
from torch_impl.sharding import Sharding


def test_gravity_draws_in_the_dtype_of_the_state() -> None:
    param = torch.zeros(2, 3, dtype=torch.bfloat16).t().requires_grad_()
    param.grad = torch.zeros_like(param)
    for std in (0.0, 0.5):
        optimizer = Gravity([{"params": [param], "velocity_std": std}], generator=None)
        torch.manual_seed(3)
        optimizer.step()
        velocity = optimizer.state[param]["v"]
        assert (velocity.dtype, velocity.stride()) == (torch.float32, param.stride())
        torch.manual_seed(3)
        drawn = torch.empty_like(velocity).normal_(0, 1) * std * 1.9 / 3
        torch.testing.assert_close(velocity, drawn, rtol=1e-6, atol=0)


def test_at_rate_zero_there_is_no_deviation() -> None:
    for lr, std in ((0.0, 0.0), (torch.tensor(0.5), 0.5)):
        assert Gravity([leaf(1.0)], lr=lr, alpha=0.25).param_groups[0]["velocity_std"] == std


def test_without_a_deviation_no_number_is_drawn() -> None:
    param = leaf(1.0)
    param.grad = gradient(1.0)
    before = torch.get_rng_state()
    Gravity([param], alpha=0.0).step()
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("foreach", [False, True])
def test_a_scale_of_gravity_is_neither_zero_nor_infinite(foreach: bool) -> None:
    """m = κ·G: of a gradient of 0, and of one for which κ·G is beyond the largest number."""
    largest = torch.finfo(torch.float64).max
    for g, kappa, zeta in ((0.0, 0.5, 0.0), (1e308, 3.0, 1e308 / (1 + (1e308 / largest) ** 2))):
        param = leaf(0.0)
        param.grad = gradient(g)
        options: Options = {"lr": 1.0, "alpha": 0.0, "beta": 0.5, "initial_step": 0}
        Gravity([param], max_step_grad=kappa, foreach=foreach, **options).step()
        assert param.item() == pytest.approx(-zeta / 2, rel=1e-14)


class Larger(Sharding):
    """As if another process held a part of the tensor with an entry of 4."""

    def _reduced(self, values: Tensor, _: str) -> Tensor:
        numbers, are_nan = values
        return torch.stack([numbers.clamp(min=4.0), are_nan])


@pytest.mark.parametrize("foreach", [False, True])
def test_gravity_takes_the_largest_entry_of_all_processes(
    foreach: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a tensor in two processes, of one here alone, and of one without a gradient here."""
    params = [leaf(0.0), leaf(0.0), torch.zeros(1, requires_grad=True), leaf(0.0)]
    divided = {Larger(None, (0,)): [params[3], params[0], params[2]]}
    monkeypatch.setattr("torch_impl.gravity.parameters_by_sharding", lambda _: divided)
    optimizer = Gravity(params, lr=1.0, alpha=0.0, beta=0.5, initial_step=0, foreach=foreach)
    for param in params[:3]:
        param.grad = torch.full_like(param, 0.5)
    optimizer.step()
    beside, alone = (0.5 / (1 + (0.5 * peak) ** 2) / 2 for peak in (4.0, 0.5))
    assert [param.item() for param in params] == pytest.approx([-beside, -alone, -beside, 0.0])
    assert optimizer.state[params[2]]["v"].dtype == torch.float32


def test_nothing_here_is_the_least_of_all_processes(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    class Noted(Sharding):
        def _reduced(self, values: Tensor, operation: str) -> Tensor:
            asked.append((operation, values.tolist()))
            return values

    param = leaf(0.0)
    divided = {Noted(None, (0,)): [param]}
    monkeypatch.setattr("torch_impl.gravity.parameters_by_sharding", lambda _: divided)
    Gravity([param]).step()
    assert asked == [("MAX", [[0.0], [0.0]])]


def test_a_velocity_of_a_divided_tensor_is_drawn_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    """And is then divided as its parameter is; without a deviation nothing is drawn."""
    param = torch.zeros(3, 2, dtype=torch.bfloat16).t().requires_grad_()
    asked = []

    def divided(velocity: Tensor, like: Tensor) -> Tensor:
        asked.append(id(like))
        return velocity

    monkeypatch.setattr(
        "torch_impl.gravity.is_distributed", lambda tensor: not tensor.is_leaf or tensor.dim() > 0
    )
    monkeypatch.setattr("torch_impl.gravity.divided_like", divided)
    optimizer = Gravity([leaf(1.0)], generator=torch.Generator().manual_seed(2))
    (drawn,) = optimizer._new_buffers([param], {"velocity_std": 0.5}, "v")
    assert (drawn.dtype, drawn.shape, drawn.is_contiguous()) == (torch.float32, (2, 3), True)
    expected = torch.empty(2, 3).normal_(0, 0.5, generator=torch.Generator().manual_seed(2))
    assert torch.equal(drawn, expected)
    assert asked == [id(param)]
    (still,) = optimizer._new_buffers([param], {"velocity_std": 0.0}, "v")
    assert not still.is_contiguous()
    assert asked == [id(param)]
    (wide,) = optimizer._new_buffers([param.double()], {"velocity_std": 0.5}, "v")
    assert wide.dtype == torch.float64
    there = param.detach().to("meta")
    optimizer._generator = None
    (meta,) = optimizer._new_buffers([there], {"velocity_std": 0.5}, "v")
    assert meta.device.type == "meta"
