"""What a step does before and beside its numbers."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from tests.cases import CASES, Options
from tests.details.few import HOST, META, NAMES, gradient, leaf
from torch_impl import Gravity, RelativisticAdam


@NAMES
def test_a_closure_is_evaluated_once_with_gradients_enabled(name: str) -> None:
    param = leaf(1.0)
    optimizer = CASES[name].optimizer([param])
    enabled = []

    def closure() -> float:
        enabled.append(torch.is_grad_enabled())
        param.grad = gradient(1.0)
        return 2.5

    assert optimizer.step(closure) == 2.5
    assert enabled == [True]
    assert param.item() != 1.0
    assert optimizer.step() is None


def test_an_error_in_a_step_comes_before_it_changes_anything() -> None:
    params = [leaf(1.0), leaf(1.0)]
    optimizer = RelativisticAdam(params)
    params[0].grad = gradient(1.0)
    params[1].grad = gradient(1.0).to_sparse()
    with pytest.raises(RuntimeError, match=r"^RelativisticAdam does not support sparse gradients"):
        optimizer.step()
    assert not optimizer.state
    assert params[0].item() == 1.0


def test_a_capture_is_checked_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    optimizer = RelativisticAdam([leaf(1.0)])
    asked = []
    for name in ("_accelerator_graph_capture_health_check", "_cuda_graph_capture_health_check"):
        monkeypatch.setattr(optimizer, name, lambda name=name: asked.append(name), raising=False)
    optimizer.step()
    monkeypatch.setattr(optimizer, "_accelerator_graph_capture_health_check", None)
    optimizer.step()
    monkeypatch.delattr(optimizer, "_accelerator_graph_capture_health_check")
    monkeypatch.delattr(Optimizer, "_accelerator_graph_capture_health_check", raising=False)
    optimizer.step()  # as where torch does not have it
    assert [name.split("_")[1] for name in asked] == ["accelerator", "cuda", "cuda"]


@pytest.mark.parametrize("capturable", [False, True])
def test_steps_are_counted_on_the_device_if_they_are_captured(capturable: bool) -> None:
    param = torch.zeros(2, device=META, requires_grad=True)
    param.grad = torch.zeros(2, device=META)
    optimizer = RelativisticAdam([param], capturable=capturable)
    optimizer.state[param]["step"] = torch.tensor(3.0)
    steps: list[Tensor] = []
    optimizer._init_group(optimizer.param_groups[0], [], [], steps, [], [])
    assert list(optimizer.state[param]) == ["step", "exp_avg", "exp_avg_sq"]
    assert steps == [optimizer.state[param]["step"]]
    assert steps[0].device == (META if capturable else HOST)


def test_a_step_of_divided_parameters_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_impl.base.is_distributed", lambda _: True)
    message = (
        "^differentiable=True: expected parameters that are not DTensors, whose reductions have no "
        "derivative$"
    )
    with pytest.raises(ValueError, match=message):
        RelativisticAdam([leaf(1.0)], differentiable=True)


def test_one_norm_of_the_model_is_refused_inside_a_backward_pass() -> None:
    params = [leaf(1.0), leaf(2.0)]
    modes = {"params": params[:1]}, {"params": params[1:], "relativistic_mode": "global"}
    optimizer = RelativisticAdam(modes)

    def step(_: Tensor) -> None:
        optimizer.step()

    params[0].register_post_accumulate_grad_hook(step)  # type: ignore[no-untyped-call]
    with pytest.raises(RuntimeError, match=r"^relativistic_mode='global' takes the norm"):
        (params[0] * 3).sum().backward()  # type: ignore[no-untyped-call]
    optimizer.param_groups[1]["relativistic_mode"] = "per_param"
    (params[0] * 3).sum().backward()  # type: ignore[no-untyped-call]


def test_global_mode_is_refused_to_a_part_of_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Any] = []
    for room in ("relativistic", "base"):
        monkeypatch.setattr(
            f"torch_impl.{room}.refuse_partitioned", lambda *words: asked.append(words)
        )
    RelativisticAdam([leaf(1.0)])
    assert asked == []
    RelativisticAdam([leaf(1.0)], relativistic_mode="global", on_nonfinite="raise")
    assert asked == [
        ("on_nonfinite='raise'", "'propagate'"),
        ("relativistic_mode='global'", "'per_param' or 'per_component'"),
    ]


def test_flattened_parameters_are_refused_where_tensors_matter() -> None:
    param = leaf(1.0)
    param._fsdp_flattened = True  # type: ignore[attr-defined]
    RelativisticAdam([param], relativistic_mode="per_component")
    guarded: Options = {"relativistic_mode": "per_component", "on_nonfinite": "skip"}
    refused: list[tuple[Any, Options]] = [(RelativisticAdam, {}), (Gravity, {})]
    for cls, options in (*refused, (RelativisticAdam, guarded)):
        with pytest.raises(ValueError, match=r"^a parameter is a piece that FullyShardedData"):
            cls([param], **options)


def test_new_buffers_have_the_layout_of_the_parameter_and_the_dtype_of_the_state() -> None:
    param = torch.zeros(2, 3, dtype=torch.bfloat16).t().requires_grad_()
    param.grad = torch.ones_like(param)
    optimizer = RelativisticAdam([param], amsgrad=True)
    optimizer.step()
    state = optimizer.state[param]
    assert list(state) == ["step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq"]
    for key in ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"):
        assert (state[key].dtype, state[key].stride()) == (torch.float32, param.stride())
    assert (state["step"].dtype, state["step"].item()) == (torch.float32, 1.0)
    narrow = {**optimizer.param_groups[0], "narrow_state": True}
    (first,) = optimizer._new_buffers([param], narrow, "exp_avg")
    (velocity,) = Gravity([param])._new_buffers([param], {**narrow, "velocity_std": 0.0}, "v")
    assert first.dtype == velocity.dtype == torch.bfloat16
