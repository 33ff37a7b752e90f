"""What a batch holds, copies and converts."""

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.details.few import (
    F64,
    HOST,
    META,
    lists,
    number,
    tensors,
)
from torch_impl.arithmetic import Arithmetic
from torch_impl.batches import (
    Batch,
    as_real,
    batches,
    buffer_dtype,
    largest_with_square,
    refuse_sparse_gradients,
    state_dtype,
    working_dtype,
)

GROUP: dict[str, Any] = {
    "lr": 0.5,
    "weight_decay": 0.0,
    "maximize": False,
    "foreach": False,
    "capturable": False,
    "differentiable": False,
}


def batch(
    grads: list[Tensor], params: list[Tensor] | None = None, foreach: bool = False, **options: Any
) -> Batch:
    params = [torch.ones_like(grad) for grad in grads] if params is None else params
    steps = [torch.tensor(float(i)) for i, _ in enumerate(grads)]
    buffers = {"m": [torch.full_like(grad, 7.0) for grad in grads]}
    (one,) = batches({**GROUP, "foreach": foreach, **options}, params, grads, steps, buffers)
    return one


def test_a_batch_counts_steps_from_one() -> None:
    counters = [torch.tensor(0.0), torch.tensor(4.0)]
    grads = tensors([1.0], [2.0])
    (one,) = batches({**GROUP, "foreach": True}, tensors([0.0], [0.0]), grads, counters, {})
    assert one.steps == [1.0, 5.0]
    assert lists(counters) == [1.0, 5.0]
    assert all(isinstance(step, float) for step in one.steps)
    assert one.device == HOST
    for flag in ("capturable", "differentiable"):
        options: dict[str, Any] = {flag: True}
        (step,) = batch(tensors([1.0]), **options).steps
        assert isinstance(step, Tensor)
        assert (step.dtype, step.item()) == (F64, 1.0)


def test_a_counter_of_64_bits_is_not_shared_with_a_batch() -> None:
    counter = torch.tensor(0.0, dtype=F64)
    options = {**GROUP, "capturable": True}
    (one,) = batches(options, tensors([0.0]), tensors([1.0]), [counter], {})
    counter.add_(5)
    assert lists(one.steps) == [1.0]


def test_batches_hold_what_shares_device_and_dtype_or_one_tensor() -> None:
    params = [torch.zeros(2), torch.zeros(3, dtype=F64), torch.zeros(4)]
    grads = [torch.ones_like(param) for param in params]
    for foreach, sizes in (
        (True, [[2, 4], [3]]),
        (False, [[2], [3], [4]]),
        (None, [[2], [3], [4]]),
    ):
        steps = [torch.tensor(float(i)) for i in range(3)]
        buffers = {"m": [torch.full_like(p, float(i)) for i, p in enumerate(params)]}
        found = list(batches({**GROUP, "foreach": foreach}, params, grads, steps, buffers))
        assert [[len(p) for p in one.params] for one in found] == sizes
        for one in found:
            order = [len(p) - 2 for p in one.params]
            assert one.owners == one.params
            assert [len(g) - 2 for g in one.grads] == order
            assert [step - 1 for step in one.steps] == order
            assert [m[0].item() for m in one.read("m")] == order
            assert one.arithmetic == Arithmetic(bool(foreach), recorded=False)


def test_what_is_read_is_the_buffer_or_where_it_is_recorded_a_copy() -> None:
    params = tensors([1.0, 2.0])
    one = batch(tensors([0.0, 0.0]), params)
    assert one.read("param")[0] is params[0]
    one.write("param", tensors([5.0, 6.0]))
    assert params[0].tolist() == [5.0, 6.0]
    recorded = batch(tensors([0.0, 0.0]), params, differentiable=True)
    (copy,) = recorded.read("param")
    assert copy is not params[0]
    assert copy.tolist() == [5.0, 6.0]
    recorded.write("m", tensors([8.0, 9.0]))
    assert lists(recorded.read("m")) == [[8.0, 9.0]]
    with pytest.raises(ValueError, match="shorter"):
        one.write("param", [])


def test_an_option_is_a_number_or_a_float64_tensor_without_dimensions() -> None:
    one = batch(tensors([1.0]), lr=torch.tensor([[0.5]]), count=10**30)
    rate = one.number("lr")
    assert isinstance(rate, Tensor)
    assert (rate.dtype, rate.shape, rate.item()) == (F64, (), 0.5)
    assert one.number("count") == 1e30
    assert isinstance(one.number("count"), float)


def test_only_an_option_on_a_device_is_moved(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def noted(value: Tensor, device: torch.device) -> Tensor:
        asked.append((value.device.type, device.type))
        return value

    monkeypatch.setattr("torch_impl.batches.moved", noted)
    one = batch([torch.ones(1, device=META)], capturable=True)
    one.as_scalar(number(0.5))
    assert asked == []
    one.as_scalar(torch.ones((), device=META))
    assert asked == [("meta", "meta")]


def test_torch_is_asked_whether_to_take_many_together(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def default(*args: Any, **kwargs: Any) -> tuple[bool, bool]:
        asked.append((*args, *kwargs.items()))
        return False, True

    monkeypatch.setattr("torch_impl.batches._default_to_fused_or_foreach", default)
    (param,) = tensors([1.0])
    for recorded in (False, True):
        options = {**GROUP, "foreach": None, "differentiable": recorded}
        (one,) = batches(options, [param], [param], [torch.zeros(())], {})
        assert one.arithmetic == Arithmetic(foreach=True, recorded=recorded)
        assert asked.pop() == ([param], recorded, ("use_fused", False))


def test_gradients_are_copied_before_they_are_overwritten() -> None:
    """Unless they are the step's own: converted, negated, or taken before."""
    given = tensors([1.0, -2.0])
    given_options: list[dict[str, Any]] = [{}, {"maximize": True}]
    for options in given_options:
        one = batch(given, **options)
        sign = -1 if options else 1
        assert lists(one.grads) == [[sign * 1.0, sign * -2.0]]
        held = one.grads[0]
        (own,) = one.own_grads()
        assert (own is held) == bool(options)
        assert own is not given[0]
        assert one.grads == []
        one.grads = [own]
        assert one.own_grads()[0] is own
    narrow = batch([torch.tensor([1.0, 2.0], dtype=torch.bfloat16)])
    assert narrow.grads[0].dtype == torch.float32
    held = narrow.grads[0]
    assert narrow.own_grads()[0] is held
    recorded = batch(given, differentiable=True)
    assert recorded.own_grads()[0] is given[0]
    mixed = batch([torch.ones(2, dtype=torch.bfloat16)], [torch.ones(2)])
    assert mixed.grads[0].dtype == torch.float32
    both = batch(
        [torch.ones(1), torch.ones(1, dtype=torch.bfloat16)], [torch.ones(1)] * 2, foreach=True
    )
    held = both.grads[0]
    assert both.own_grads()[0] is not held
    assert lists(given) == [[1.0, -2.0]]


def test_a_negated_gradient_that_was_converted_is_overwritten() -> None:
    given = torch.tensor([1.0, 2.0], dtype=torch.bfloat16)
    one = batch([given], maximize=True)
    assert lists(one.grads) == [[-1.0, -2.0]]
    assert given.tolist() == [1.0, 2.0]


def test_complex_gradients_are_seen_as_real_pairs() -> None:
    given = torch.tensor([1 + 2j]).conj()
    one = batch([given], [torch.tensor([0j])])
    assert lists(one.grads) == [[[1.0, -2.0]]]
    assert as_real(number(3.0)).item() == 3.0


def test_saturated_gradients_have_finite_squares() -> None:
    huge = [1e200, -1e200, 3.0, math.inf, math.nan]
    given = tensors(huge)
    one = batch(given)
    one.saturate()
    (found,) = one.grads
    assert found[:3].tolist() == [2.0**511, -(2.0**511), 3.0]
    assert found[3:].isnan().all()
    assert given[0][:4].tolist() == huge[:4]
    held = one.grads[0]
    one.saturate()
    assert one.grads[0] is held
    assert one.own_grads()[0] is held


def test_a_penalty_is_added_to_a_copy() -> None:
    given = tensors([1.0])
    one = batch(given, tensors([4.0]), weight_decay=0.5)
    one.penalise()
    assert lists(one.grads) == [[3.0]]
    assert given[0].tolist() == [1.0]
    none = batch(given)
    none.penalise()
    assert none.grads[0] is given[0]
    zero = batch(given, weight_decay=number(0.0))
    zero.penalise()
    assert zero.grads[0] is not given[0]
    mine = batch(given, tensors([4.0]), weight_decay=0.5, maximize=True)
    held = mine.grads[0]
    mine.penalise()
    assert mine.grads[0] is held
    assert held.tolist() == [1.0]


def test_state_has_at_least_32_bits_unless_it_may_be_narrow() -> None:
    wide = {
        torch.float16: (torch.float32, torch.float32),
        torch.bfloat16: (torch.float32, torch.float32),
        torch.float32: (torch.float32, torch.float32),
        torch.float64: (F64, F64),
        torch.complex64: (torch.complex64, torch.float32),
        torch.complex128: (torch.complex128, F64),
    }
    for dtype, (state, working) in wide.items():
        param = torch.zeros(1, dtype=dtype)
        assert state_dtype(param) == state
        assert working_dtype(param) == working
        assert buffer_dtype(param, {}) == buffer_dtype(param, {"narrow_state": False}) == state
        assert buffer_dtype(param, {"narrow_state": True}) == dtype
    assert [largest_with_square(d) for d in (torch.float32, F64)] == [2.0**63, 2.0**511]


def test_a_sparse_gradient_is_refused_by_shape_and_layout() -> None:
    params = [torch.zeros(2, 3, requires_grad=True) for _ in range(3)]
    optimizer = torch.optim.SGD([{"params": params[:1]}, {"params": params[1:]}])
    params[1].grad = torch.ones(2, 3)
    refuse_sparse_gradients(optimizer)
    params[2].grad = torch.ones(2, 3).to_sparse()
    message = (
        r"^SGD does not support sparse gradients: one of shape \(2, 3\) has layout "
        r"torch.sparse_coo; use a dense one$"
    )
    with pytest.raises(RuntimeError, match=message):
        refuse_sparse_gradients(optimizer)
