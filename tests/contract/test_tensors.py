"""What an optimizer does with every kind of parameter and gradient, on both paths."""

import pytest
import torch

from tests.cases import SUBJECTS, Case, Options
from tests.steps import PATHS, built, every_class, everyone, normal, trained

pytestmark = [pytest.mark.filterwarnings("ignore:law="), pytest.mark.contract("tensors")]


@everyone()
def test_foreach_and_single_agree(case: Case, options: Options) -> None:
    """Bit for bit: both paths run the same operations in the same order."""
    params = [normal((3, 4), 1), normal((), 2), normal((2, 0), 3), normal(7, 4, torch.float32)]

    def gradients(step: int) -> list[torch.Tensor]:
        return [normal(p.shape, 10 + step, p.dtype) for p in params]

    options = {**options, "lr": 0.3, "weight_decay": 0.1, "maximize": True}
    single = trained(case, params, gradients, foreach=False, **options)
    foreach = trained(case, params, gradients, foreach=True, **options)
    for a, b in zip(single, foreach, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=0)


@everyone()
@PATHS
def test_foreach_issues_foreach_operations(case: Case, options: Options, foreach: bool) -> None:
    params = [normal(3, 1), normal(4, 2)]
    with torch.profiler.profile() as profile:
        trained(case, params, lambda _: [p.clone() for p in params], foreach=foreach, **options)
    names = {event.key for event in profile.key_averages()}
    assert any("_foreach_" in name for name in names) == foreach


@everyone()
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


@everyone()
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


@every_class("torch.optim views what is conjugated as real, which raises")
def test_a_conjugated_gradient_is_read_as_what_it_stands_for(name: str) -> None:
    param, grad = normal(3, 1, torch.complex64), normal(3, 2, torch.complex64)
    (expected,) = trained(SUBJECTS[name], [param], lambda _: [grad.conj().resolve_conj()])
    (actual,) = trained(SUBJECTS[name], [param], lambda _: [grad.conj()])
    torch.testing.assert_close(actual, expected, rtol=0, atol=0)


@everyone("torch.optim keeps the moments in the dtype of the parameter")
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


@everyone()
@PATHS
def test_gradients_are_only_read(case: Case, options: Options, foreach: bool) -> None:
    leaf = normal(4, 1).requires_grad_()
    leaf.grad = normal(4, 2)
    before = leaf.grad.clone()
    options = {**options, "weight_decay": 0.1, "foreach": foreach}
    built(case, [leaf], maximize=True, **options).step()
    built(case, [leaf], **options).step()
    assert torch.equal(leaf.grad, before)


@everyone()
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
@every_class("torch.optim says Adam, and not which gradient it is")
def test_sparse_gradients_are_refused_before_anything_changes(name: str, foreach: bool) -> None:
    dense, sparse = normal(3, 1).requires_grad_(), normal(3, 2).requires_grad_()
    dense.grad, sparse.grad = normal(3, 3), normal(3, 4).to_sparse()
    before = dense.detach().clone()
    optimizer = built(SUBJECTS[name], [{"params": [dense]}, {"params": [sparse]}], foreach=foreach)
    with pytest.raises(RuntimeError, match=rf"{name} does not support sparse gradients: .*\(3,\)"):
        optimizer.step()
    assert torch.equal(dense.detach(), before)
    assert not optimizer.state


@every_class()
def test_closure_is_called_with_gradients_enabled(name: str) -> None:
    leaf = normal(3, 1).requires_grad_()
    optimizer = built(SUBJECTS[name], [leaf])

    def closure() -> torch.Tensor:
        optimizer.zero_grad()
        loss = leaf.square().sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    before = float(leaf.detach().square().sum())
    assert float(optimizer.step(closure).detach()) == pytest.approx(before)
    assert float(leaf.detach().square().sum()) < before
