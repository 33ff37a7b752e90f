"""What every optimizer of the package does with every kind of parameter, on both paths."""

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from reference import LAWS as REFERENCE_LAWS
from tests import strategies
from tests.cases import CASES, Case, Options, float64
from torch_impl import LAWS, Gravity, RelativisticAdam, RelativisticAdamW

ADAMS = [RelativisticAdam, RelativisticAdamW]
PATHS = pytest.mark.parametrize("foreach", [False, True], ids=["single", "foreach"])
VARIANTS = pytest.mark.parametrize(
    ("case", "options"),
    [
        pytest.param(case, options, id=f"{name}-{variant}")
        for name, case in CASES.items()
        for variant, options in case.variants.items()
    ],
)
pytestmark = pytest.mark.filterwarnings("ignore:law=")


def built(case: Case, params: Any, **options: Any) -> Any:
    if case.optimizer is Gravity:
        options.setdefault("alpha", 0.0)
    return case.optimizer(params, **options)


def trained(
    case: Case, params: list[torch.Tensor], gradients: Callable[[int], Any], **options: Any
) -> list[torch.Tensor]:
    """Take three steps from copies of the parameters; return where they end."""
    leaves = [p.detach().clone().requires_grad_() for p in params]
    optimizer = built(case, leaves, **options)
    for step in range(3):
        for leaf, grad in zip(leaves, gradients(step), strict=True):
            leaf.grad = grad
        optimizer.step()
    return [leaf.detach() for leaf in leaves]


def normal(shape: Any, seed: int, dtype: torch.dtype = torch.float64) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


@VARIANTS
@PATHS
def test_foreach_and_single_agree(case: Case, options: Options, foreach: bool) -> None:
    """Bit for bit: both paths run the same operations in the same order."""
    params = [normal((3, 4), 1), normal((), 2), normal((2, 0), 3), normal(7, 4, torch.float32)]

    def gradients(step: int) -> list[torch.Tensor]:
        return [normal(p.shape, 10 + step, p.dtype) for p in params]

    options = {**options, "lr": 0.3, "weight_decay": 0.1, "maximize": True}
    one = trained(case, params, gradients, foreach=foreach, **options)
    default = trained(case, params, gradients, **options)
    for a, b in zip(one, default, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@VARIANTS
@PATHS
def test_foreach_issues_foreach_operations(case: Case, options: Options, foreach: bool) -> None:
    params = [normal(3, 1), normal(4, 2)]
    with torch.profiler.profile() as profile:
        trained(case, params, lambda _: [p.clone() for p in params], foreach=foreach, **options)
    names = {event.key for event in profile.key_averages()}
    assert any("_foreach_" in name for name in names) == foreach


@VARIANTS
@PATHS
def test_layout_does_not_matter(case: Case, options: Options, foreach: bool) -> None:
    plain = [normal((2, 3, 4, 5), 1), normal((4, 6), 2)]
    options = {**options, "lr": 0.3, "foreach": foreach}
    expected = trained(case, plain, lambda step: [normal(p.shape, step) for p in plain], **options)
    strided = [
        plain[0].contiguous(memory_format=torch.channels_last),
        plain[1].t().contiguous().t(),
    ]
    assert not any(p.is_contiguous() for p in strided)
    actual = trained(
        case,
        strided,
        lambda step: [torch.empty_like(p).copy_(normal(p.shape, step)) for p in strided],
        **options,
    )
    for a, b in zip(actual, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-12)  # sums in another order


@VARIANTS
@PATHS
def test_complex_parameters_step_as_pairs_of_reals(
    case: Case, options: Options, foreach: bool
) -> None:
    param = normal((3, 2), 1, torch.complex128)
    other = normal(4, 2)
    options = {**options, "lr": 0.3, "weight_decay": 0.1, "foreach": foreach}

    def gradients(step: int) -> list[torch.Tensor]:
        return [normal(param.shape, step, torch.complex128), normal(other.shape, step)]

    actual, beside = trained(case, [param, other], gradients, **options)
    expected, beside_real = trained(
        case,
        [torch.view_as_real(param), other],
        lambda step: [torch.view_as_real(gradients(step)[0]), gradients(step)[1]],
        **options,
    )
    torch.testing.assert_close(torch.view_as_real(actual), expected, rtol=0, atol=0)
    torch.testing.assert_close(beside, beside_real, rtol=0, atol=0)


@VARIANTS
@PATHS
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_narrow_parameters_are_updated_in_32_bits(
    case: Case, options: Options, foreach: bool, dtype: torch.dtype
) -> None:
    """One step lands within half an ulp of where binary32 lands, also for a gradient of 1e-6."""
    start = normal(5, 1).to(dtype)
    grad = torch.tensor([1e-6, -1e-6, 0.5, -0.25, 0.0], dtype=dtype)
    options = {**options, "lr": 0.1, "foreach": foreach}
    ends = []
    for kind in (dtype, torch.float32):
        leaf = start.to(kind, copy=True).requires_grad_()
        leaf.grad = grad.to(kind)
        optimizer = built(case, [leaf], **options)
        optimizer.step()
        ends.append(leaf.detach())
        state = optimizer.state[leaf]
        assert all(state[key].dtype == torch.float32 for key in state)
    torch.testing.assert_close(ends[0], ends[1].to(dtype), rtol=0, atol=0)


@VARIANTS
@PATHS
def test_gradients_are_only_read(case: Case, options: Options, foreach: bool) -> None:
    leaf = normal(4, 1).requires_grad_()
    leaf.grad = normal(4, 2)
    before = leaf.grad.clone()
    options = {**options, "weight_decay": 0.1, "foreach": foreach}
    built(case, [leaf], maximize=True, **options).step()
    built(case, [leaf], **options).step()
    assert torch.equal(leaf.grad, before)


@VARIANTS
@PATHS
def test_absent_gradients_and_empty_tensors(case: Case, options: Options, foreach: bool) -> None:
    present, absent, empty = normal(3, 1), normal(3, 2), normal((0, 2), 3)
    leaves = [p.clone().requires_grad_() for p in (present, absent, empty)]
    optimizer = built(case, leaves, foreach=foreach, **options)
    optimizer.step()
    assert not optimizer.state
    leaves[0].grad, leaves[2].grad = normal(3, 4), empty.clone()
    optimizer.step()
    assert torch.equal(leaves[1].detach(), absent)
    assert leaves[1] not in optimizer.state
    assert [optimizer.state[leaf]["step"].item() for leaf in (leaves[0], leaves[2])] == [1, 1]
    assert not torch.equal(leaves[0].detach(), present)


@PATHS
@pytest.mark.parametrize("name", CASES)
def test_sparse_gradients_are_refused_before_anything_changes(name: str, foreach: bool) -> None:
    dense, sparse = normal(3, 1).requires_grad_(), normal(3, 2).requires_grad_()
    dense.grad, sparse.grad = normal(3, 3), normal(3, 4).to_sparse()
    before = dense.detach().clone()
    optimizer = built(CASES[name], [{"params": [dense]}, {"params": [sparse]}], foreach=foreach)
    with pytest.raises(RuntimeError, match=rf"{name} does not support sparse gradients: .*\(3,\)"):
        optimizer.step()
    assert torch.equal(dense.detach(), before)
    assert not optimizer.state


@pytest.mark.parametrize("name", CASES)
def test_closure_is_called_with_gradients_enabled(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    optimizer = built(CASES[name], [leaf])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = leaf.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    before = float(leaf.detach().square().sum())
    assert float(optimizer.step(closure).detach()) == pytest.approx(before)
    assert float(leaf.detach().square().sum()) < before


@VARIANTS
def test_saved_state_continues_bit_for_bit(case: Case, options: Options) -> None:
    def run(steps: range, leaf: torch.Tensor, optimizer: Any) -> None:
        for step in steps:
            leaf.grad = normal(4, step)
            optimizer.step()

    leaf = normal(4, 1).requires_grad_()
    optimizer = built(case, [leaf], **options)
    run(range(3), leaf, optimizer)
    buffer = io.BytesIO()
    torch.save(optimizer.state_dict(), buffer)
    buffer.seek(0)
    other = leaf.detach().clone().requires_grad_()
    restored = built(case, [other], lr=9.0, **options)
    restored.load_state_dict(torch.load(buffer, weights_only=True))
    third_leaf, third = copy.deepcopy((leaf, optimizer))
    for continued in ((leaf, optimizer), (other, restored), (third_leaf, third)):
        run(range(3, 6), *continued)
    assert torch.equal(leaf, other)
    assert torch.equal(leaf, third_leaf)


# A step of c, the decay of lr·λ·‖θ‖, half an ulp of each entry for the write, and for the limit
# itself the roundings of `test_torch_laws`.
BOUNDED = [key for key in LAWS if REFERENCE_LAWS[key].claims["bounded"].holds]


@PATHS
@pytest.mark.parametrize("mode", ["global", "per_param", "per_component"])
@pytest.mark.parametrize("law", BOUNDED)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@given(
    arrays=strategies.updates(1e-3, 1e3),
    scale=st.sampled_from([1e-12, 1.0, 1e12]),
    c=strategies.speed_limits(1e-3, 1e1),
    decay=st.sampled_from([0.0, 0.1]),
)
def test_parameters_never_move_faster_than_the_speed_limit(
    law: str,
    mode: str,
    foreach: bool,
    dtype: torch.dtype,
    arrays: Any,
    scale: float,
    c: float,
    decay: float,
) -> None:
    leaves = [torch.tensor(a, dtype=dtype).requires_grad_() for a in arrays]
    optimizer = RelativisticAdamW(
        leaves,
        lr=1.0,
        weight_decay=decay,
        speed_limit=c,
        relativistic_mode=mode,
        law=law,
        foreach=foreach,
    )
    for step in range(3):
        before = [float64(leaf).ravel() for leaf in leaves]
        for leaf in leaves:
            leaf.grad = (normal(leaf.shape, step) * scale).to(dtype)
        optimizer.step()
        after = [float64(leaf).ravel() for leaf in leaves]
        if mode == "global":
            before, after = [np.concatenate(before)], [np.concatenate(after)]
        for old, new in zip(before, after, strict=True):
            half_ulp = torch.finfo(dtype).eps / 2 * np.maximum(np.abs(old), np.abs(new))
            moved, size = np.abs(new - old), np.abs(old)
            rounding = 8 * torch.finfo(torch.float32).eps
            if mode == "per_component":
                assert (moved <= (c + decay * size) * (1 + rounding) + half_ulp).all()
            else:
                bound = (c + decay * np.linalg.norm(size)) * (1 + rounding)
                assert np.linalg.norm(moved) <= bound + np.linalg.norm(half_ulp)


@pytest.mark.parametrize("cls", ADAMS)
def test_one_norm_spans_groups_dtypes_and_laws_in_global_mode(cls: Any) -> None:
    leaves = [torch.zeros(3, dtype=torch.float64), torch.zeros(4, dtype=torch.float32)]
    groups = [
        {"params": [leaves[0].requires_grad_()], "speed_limit": 1.0},
        {"params": [leaves[1].requires_grad_()], "speed_limit": 2.0, "law": "tanh"},
    ]
    for leaf in leaves:
        leaf.grad = torch.ones_like(leaf)
    cls(groups, lr=10.0, eps=0.0, relativistic_mode="global", law="hard_clip").step()
    norm = 10 * math.sqrt(7)
    expected = 10 / norm * 1.0, 10 / norm * 2 * math.tanh(norm / 2)
    for leaf, value in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(float64(leaf), -value, rtol=1e-6)


@PATHS
def test_each_parameter_warms_its_limit_up_by_its_own_step(foreach: bool) -> None:
    early, late = torch.zeros(1).requires_grad_(), torch.zeros(1).requires_grad_()
    options: Options = {"lr": 1e6, "speed_limit": 1.0, "law": "hard_clip", "foreach": foreach}
    optimizer = RelativisticAdam(
        [early, late], adaptive_speed=True, speed_warmup_steps=10, **options
    )
    early.grad = torch.ones(1)
    optimizer.step()
    late.grad = torch.ones(1)
    optimizer.step()
    assert float(early.detach()) == pytest.approx(-0.1 - 0.2)
    assert float(late.detach()) == pytest.approx(-0.1)


@PATHS
@pytest.mark.parametrize("max_step_grad", ["inverse_max", 0.5])
@pytest.mark.parametrize("bad", [math.inf, -math.inf])
def test_an_infinite_gradient_spares_the_other_entries_of_gravity(
    foreach: bool, max_step_grad: Any, bad: float
) -> None:
    leaf = torch.zeros(3).requires_grad_()
    leaf.grad = torch.tensor([bad, 1.0, 0.0])
    Gravity([leaf], alpha=0.0, max_step_grad=max_step_grad, foreach=foreach).step()
    assert leaf.detach().isnan().tolist() == [True, False, False]


def test_gravity_draws_its_velocity_from_the_generator() -> None:
    def end(seed: int) -> torch.Tensor:
        leaf = torch.zeros(1000).requires_grad_()
        leaf.grad = torch.zeros(1000)
        generator = torch.Generator().manual_seed(seed)
        optimizer = Gravity([leaf], lr=0.5, alpha=0.1, beta=0.5, generator=generator)
        optimizer.step()
        return leaf.detach()

    assert torch.equal(end(1), end(1))
    assert not torch.equal(end(1), end(2))
    assert float(end(1).std()) == pytest.approx(0.5 * 0.2 * 0.5, rel=0.1)


def test_gravitys_velocity_deviation_is_fixed_when_the_group_is_added() -> None:
    leaf = torch.zeros(1000).requires_grad_()
    leaf.grad = torch.zeros(1000)
    optimizer = Gravity([leaf], lr=0.1, alpha=0.01)
    assert optimizer.param_groups[0]["velocity_std"] == pytest.approx(0.1)
    optimizer.param_groups[0]["lr"] = 1e-9  # what a scheduler's warm-up does
    optimizer.step()
    assert float(optimizer.state[leaf]["v"].std()) < 0.1
    still = Gravity([leaf], lr=0.0)
    assert still.param_groups[0]["velocity_std"] == 0
    still.add_param_group({"params": [torch.zeros(1)], "velocity_std": 0.5})
    assert still.param_groups[1]["velocity_std"] == 0.5
    with pytest.raises(ValueError, match="velocity_std=-1: expected"):
        still.add_param_group({"params": [torch.zeros(1)], "velocity_std": -1})
