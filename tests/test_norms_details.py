"""What the other tests of norms and limits would let change, on few and small numbers."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from torch_impl.arithmetic import Arithmetic, moved
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
from torch_impl.laws import LAWS, Law
from torch_impl.limit import (
    Proposal,
    _normalise,
    _per_root,
    limit_entries,
    limit_tensors,
    limit_together,
    round_toward_zero,
    tensor_toward_zero,
)
from torch_impl.limiter import Limiter, Scope
from torch_impl.measures import (
    LEAST_POWER,
    Measure,
    entries_of_model,
    measured,
    of_model,
    of_whole_tensors,
    powers_near,
)
from torch_impl.sharding import Sharding

KINDS = {"single": (False, False), "foreach": (True, False), "recorded": (False, True)}
ARITHMETICS = pytest.mark.parametrize(
    "arithmetic", [Arithmetic(*kind) for kind in KINDS.values()], ids=list(KINDS)
)
HOST, META = torch.device("cpu"), torch.device("meta")
F64 = torch.float64


def tensors(*rows: Any, dtype: torch.dtype = F64) -> list[Tensor]:
    return [torch.tensor(row, dtype=dtype) for row in rows]


def lists(found: Any) -> list[Any]:
    return [one.tolist() for one in found]


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=F64)


class Twice(Sharding):
    """As if another process held the same parts as this one."""

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        return values * 2 if operation == "SUM" else values


TWICE = Twice(None, (0,))


# Operations.

OPERATIONS: dict[str, tuple[Callable[[Arithmetic, Any, Any], Any], list[Any]]] = {
    "x + y": (lambda a, x, y: a.add(x, y), [[3.0, 0.0], [6.0]]),
    "x + 3y": (lambda a, x, y: a.add(x, y, 3), [[7.0, 4.0], [18.0]]),
    "x + ay": (lambda a, x, y: a.add(x, y, number(3)), [[7.0, 4.0], [18.0]]),
    "x + 3": (lambda a, x, _: a.add_number(x, 3), [[4.0, 1.0], [3.0]]),
    "x + a": (lambda a, x, _: a.add_number(x, number(3)), [[4.0, 1.0], [3.0]]),
    "x + 3y²": (lambda a, x, y: a.add_square(x, y, 3), [[13.0, 10.0], [108.0]]),
    "x + ay²": (lambda a, x, y: a.add_square(x, y, number(3)), [[13.0, 10.0], [108.0]]),
    "x + 8y/z": (
        lambda a, x, y: a.add_quotient(x, y, tensors([4.0, -1.0], [3.0]), [8, 2]),
        [[5.0, -18.0], [4.0]],
    ),
    "x + ay/z": (
        lambda a, x, y: a.add_quotient(x, y, tensors([4.0, -1.0], [3.0]), [number(8), number(2)]),
        [[5.0, -18.0], [4.0]],
    ),
    "3x": (lambda a, x, _: a.mul(x, 3), [[3.0, -6.0], [0.0]]),
    "ax": (lambda a, x, _: a.mul(x, [3, 5]), [[3.0, -6.0], [0.0]]),
    "x/4": (lambda a, x, _: a.div(x, 4), [[0.25, -0.5], [0.0]]),
    "x/a": (lambda a, x, _: a.div(x, [number(4), number(2)]), [[0.25, -0.5], [0.0]]),
    "−x": (lambda a, x, _: a.negate(x), [[-1.0, 2.0], [0.0]]),
    "1/x": (lambda a, x, _: a.reciprocal(x), [[1.0, -0.5], [math.inf]]),
    "between ±½": (lambda a, x, _: a.clamp(x, 0.5), [[0.5, -0.5], [0.0]]),
    "max(x, y)": (lambda a, x, y: a.maximum(x, y), [[2.0, 2.0], [6.0]]),
}


@ARITHMETICS
@pytest.mark.parametrize("name", OPERATIONS)
def test_an_operation_overwrites_its_first_argument_unless_it_is_recorded(
    name: str, arithmetic: Arithmetic
) -> None:
    operation, expected = OPERATIONS[name]
    x, y = tensors([1.0, -2.0], [0.0]), tensors([2.0, 2.0], [6.0])
    found = operation(arithmetic, x, y)
    assert lists(found) == expected
    assert lists(y) == [[2.0, 2.0], [6.0]]
    if arithmetic.recorded:
        assert lists(x) == [[1.0, -2.0], [0.0]]
    else:
        assert all(one is other for one, other in zip(found, x, strict=True))


FRESH: dict[str, tuple[Callable[[Arithmetic, Any], Any], list[Any]]] = {
    "2x": (lambda a, x: a.add(x, x, fresh=True), [[2.0, 8.0], [0.0]]),
    "x + ax": (lambda a, x: a.add(x, x, number(2), fresh=True), [[3.0, 12.0], [0.0]]),
    "3x": (lambda a, x: a.mul(x, 3, fresh=True), [[3.0, 12.0], [0.0]]),
    "x/2": (lambda a, x: a.div(x, 2, fresh=True), [[0.5, 2.0], [0.0]]),
    "−x": (lambda a, x: a.negate(x, fresh=True), [[-1.0, -4.0], [0.0]]),
    "√x": (lambda a, x: a.roots(x), [[1.0, 2.0], [0.0]]),
}


@ARITHMETICS
@pytest.mark.parametrize("name", FRESH)
def test_a_fresh_result_leaves_the_argument(name: str, arithmetic: Arithmetic) -> None:
    operation, expected = FRESH[name]
    x = tensors([1.0, 4.0], [0.0])
    found = operation(arithmetic, x)
    assert isinstance(found, list)
    assert lists(found) == expected
    assert lists(x) == [[1.0, 4.0], [0.0]]


@ARITHMETICS
def test_norms_are_in_the_dtype_that_is_asked_for(arithmetic: Arithmetic) -> None:
    x = tensors([3.0, -4.0], [], [1.0, math.nan], [-7.0], dtype=torch.float32)
    for dtype in (None, F64):
        two = arithmetic.norms(x, 2, dtype)
        assert [norm.dtype for norm in two] == [dtype or torch.float32] * 4
        assert [norm.shape for norm in two] == [()] * 4
        assert lists([two[0], two[1], two[3]]) == [5.0, 0.0, 7.0]
        assert math.isnan(two[2])
    peaks = arithmetic.norms(x, math.inf)
    assert [peak.dtype for peak in peaks] == [torch.float32] * 4
    assert lists([peaks[0], peaks[1], peaks[3]]) == [4.0, 0.0, 7.0]
    assert math.isnan(peaks[2])
    assert lists(x[:2]) == [[3.0, -4.0], []]
    assert lists(arithmetic.norms(tensors([], []), math.inf)) == [0.0, 0.0]
    assert lists(arithmetic.norms(x[:1], 1)) == [7.0]


def test_default_operations_are_on_single_tensors_and_not_recorded() -> None:
    assert Arithmetic() == Arithmetic(foreach=False, recorded=False)


def test_what_goes_to_an_accelerator_is_not_waited_for() -> None:
    value = number(2.0)
    assert moved(value, HOST) is value
    assert moved(value, META).device.type == "meta"

    class Waiting:
        """Says whether it would wait."""

        def to(self, device: torch.device, non_blocking: bool = False) -> Any:
            return device.type, non_blocking

    stand_in: Any = Waiting()
    assert moved(stand_in, HOST) == ("cpu", False)
    assert moved(stand_in, META) == ("meta", True)


# Batches.

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
        (step,) = batch(tensors([1.0]), **{flag: True}).steps
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
    for options in ({}, {"maximize": True}):
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


# Measures.


@ARITHMETICS
def test_a_measure_is_a_norm_and_a_power_of_two(arithmetic: Arithmetic) -> None:
    x = tensors([3e200, -4e200], [0.0], [3e-320], [0.75, 1.0])
    powers = powers_near(x, arithmetic)
    assert powers.dtype == F64
    exponent = math.frexp(4e200)[1]
    assert powers.tolist() == [2.0**exponent, LEAST_POWER, LEAST_POWER, 2.0]
    found = measured(x, arithmetic)
    assert torch.equal(found.powers, powers)
    assert found.norms.dtype == F64
    sizes = [5e200 / 2.0**exponent, 0.0, 3e-320 / LEAST_POWER, 0.625]
    assert found.norms.tolist() == pytest.approx(sizes, rel=1e-15)
    assert x[3].tolist() == [0.75, 1.0]
    narrow = measured(tensors([3e38, -3e38], [0.0], dtype=torch.float32), arithmetic)
    size = float(torch.tensor(3e38))
    assert narrow.norms.dtype == narrow.powers.dtype == F64
    assert narrow.norms.tolist() == pytest.approx([size * math.sqrt(2), 0.0], rel=1e-15)
    assert narrow.powers.tolist() == [1.0, 1.0]


def test_the_inverse_of_a_power_is_a_normal_number() -> None:
    largest = tensors([3.4e38], [1e-45], [math.inf], [0.0], dtype=torch.float32)
    powers = powers_near(largest, Arithmetic())
    assert powers.tolist()[:2] == [2.0**126, 2.0**-126]
    assert powers.tolist()[3] == 2.0**-126


def test_powers_have_no_derivative() -> None:
    x = torch.tensor([3.0], dtype=F64, requires_grad=True)
    assert not powers_near([x], Arithmetic(recorded=True)).requires_grad


MINE, OTHERS = tensors([3.0, 4.0])[0], tensors([12.0])[0]


def test_whole_tensors_are_measured_from_their_parts() -> None:
    own = [Measure(*tensors([5.0, 6.0], [2.0, 8.0])), Measure(*tensors([7.0], [1.0]))]
    assert of_whole_tensors(own, [[MINE], [OTHERS]], {}) is own
    third = tensors([1.0])[0]
    found = of_whole_tensors(own, [[MINE, third], [OTHERS]], {TWICE: [MINE]})
    assert found[0].norms.tolist() == pytest.approx([5 * math.sqrt(2), 6.0])
    assert found[0].powers.tolist() == [2.0, 8.0]
    assert found[1].norms.tolist() == [7.0]
    assert found[1].powers.tolist() == [1.0]


class Noted(Sharding):
    """Remembers what it was asked for and of which values; other processes hold nothing."""

    asked: list[Any] = []  # noqa: RUF012

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        self.asked.append((operation, values.flatten().tolist()))
        return values


def test_nothing_of_a_tensor_is_no_part_of_its_norm() -> None:
    Noted.asked.clear()
    of_whole_tensors([], [], {Noted(None, (0,)): [MINE]})
    assert Noted.asked == [("MAX", [LEAST_POWER, 0.0]), ("SUM", [0.0])]
    found = of_model([], [], {TWICE: [MINE]})
    assert (found.norms.tolist(), found.powers.tolist()) == ([0.0], [LEAST_POWER])
    assert found.norms.dtype == F64


def test_other_processes_are_met_on_the_parameters_device() -> None:
    there = {TWICE: [torch.zeros(1, device=META)]}
    count = entries_of_model([], [], there)
    assert isinstance(count, Tensor)
    found = of_model([], [], there)
    assert {count.device, found.norms.device, found.powers.device} == {META}


class Larger(Sharding):
    """As if another process held a part of norm 3·8, beside ours."""

    def _reduced(self, values: Tensor, operation: str) -> Tensor:
        if operation == "SUM":
            return values + 9.0
        numbers, are_nan = values
        return torch.stack([numbers.clamp(min=8.0), are_nan])


def test_parts_are_brought_to_the_largest_power() -> None:
    other = Larger(None, (0,))
    own = [Measure(*tensors([8.0], [4.0]))]
    (found,) = of_whole_tensors(own, [[MINE]], {other: [MINE]})
    assert found.powers.tolist() == [8.0]
    assert found.norms.tolist() == [5.0]  # of 3 there and 8·4/8 here
    model = of_model(own, [[MINE]], {other: [MINE]})
    assert (model.norms.tolist(), model.powers.tolist()) == ([5.0], [8.0])
    absent = of_model([], [], {other: [MINE]})  # nothing here
    assert (absent.norms.tolist(), absent.powers.tolist()) == ([3.0], [8.0])
    (none,) = of_whole_tensors([Measure(*tensors([1.0], [1.0]))], [[OTHERS]], {other: [MINE]})
    assert none.norms.tolist() == [1.0]


def test_a_model_is_measured_from_its_tensors() -> None:
    own = [Measure(*tensors([3.0, 1.0], [4.0, 16.0])), Measure(*tensors([2.0], [8.0]))]
    third = tensors([1.0])[0]
    found = of_model(own, [[MINE, third], [OTHERS]], {})
    assert (found.norms.shape, found.powers.tolist()) == ((1,), [16.0])
    assert found.norms.item() * 16 == pytest.approx(math.hypot(12, 16, 16))
    some = of_model(own, [[MINE, third], [OTHERS]], {TWICE: [MINE, OTHERS]})
    assert (some.norms.shape, some.powers.tolist()) == ((1,), [16.0])
    assert some.norms.item() * 16 == pytest.approx(math.hypot(12, 12, 16, 16, 16))
    every = of_model(own, [[MINE, third], [OTHERS]], {TWICE: [MINE, third, OTHERS]})
    assert every.norms.item() * 16 == pytest.approx(math.hypot(12, 16, 16) * math.sqrt(2))


def test_entries_of_a_model_are_counted_over_processes() -> None:
    third = tensors([1.0])[0]
    parts, owners = [[MINE, third], [OTHERS]], [[MINE, third], [OTHERS]]
    assert entries_of_model(parts, owners, {}) == 4
    some = entries_of_model(parts, owners, {TWICE: [MINE]})
    assert isinstance(some, Tensor)
    assert (some.dtype, some.tolist()) == (F64, [6.0])
    both = entries_of_model(parts, owners, {TWICE: [MINE], Twice(None, (1,)): [OTHERS]})
    assert isinstance(both, Tensor)
    assert both.tolist() == [7.0]


def test_a_measure_is_moved_as_a_whole() -> None:
    found = Measure(number(3.0), number(2.0)).moved(HOST)
    assert (found.norms.item(), found.powers.item()) == (3.0, 2.0)
    there = Measure(number(3.0), number(2.0)).moved(META)
    assert (there.norms.device.type, there.powers.device.type) == ("meta", "meta")


# Limits.


def proposal(
    *updates: Any,
    limit: Any = 1.0,
    law: str = "hard_clip",
    unit: str = "norm",
    mode: str = "per_param",
    params: list[Tensor] | None = None,
    arithmetic: Arithmetic | None = None,
    dtype: torch.dtype = F64,
) -> Proposal:
    rows = tensors(*updates, dtype=dtype)
    params = [torch.ones_like(row) for row in rows] if params is None else params
    arithmetic = arithmetic or Arithmetic()
    return Proposal(rows, params, params, limit, LAWS[law], unit, mode, arithmetic)


def alone(one: Proposal) -> list[Any]:
    limit_tensors([one], {}, {one.unit})
    return lists(one.updates)


def test_counts_are_of_real_entries() -> None:
    owners = [torch.zeros(2, 3), torch.zeros(4, dtype=torch.complex64)]
    one = Proposal(owners, owners, owners, 1.0, LAWS["tanh"], "norm", "global", Arithmetic())
    assert one.counts == [6, 8]


def test_only_an_infinite_number_is_known_to_be_no_limit() -> None:
    known = {math.inf: True, 1.0: False, number(math.inf): False}
    assert all(proposal([1.0], limit=c).unlimited is unlimited for c, unlimited in known.items())


def test_a_limit_of_zero_is_left_out_of_quotients() -> None:
    for limit, expected in (
        (0.0, [1.0, 1.0]),
        (2.0, [2.0, 2.0]),
        (number(3.0), [3.0, 3.0]),
        (tensors([0.0, 4.0])[0], [1.0, 4.0]),
    ):
        one = proposal([1.0], [1.0], limit=limit)
        found = one.limits(HOST)
        assert (found.dtype, found.tolist()) == (F64, expected)
        assert one.limits(META).device == META


@pytest.mark.parametrize("limit", [0, number(0.0), tensors([0.0, 0.0])[0]], ids=str)
def test_a_limit_of_zero_stops_what_is_not_finite(limit: Any) -> None:
    one = proposal([math.nan, 1.0], [math.inf], limit=limit)
    one.stop()
    assert lists(one.updates) == [[0.0, 0.0], [0.0]]


def test_one_of_two_limits_stops_its_own_tensor() -> None:
    one = proposal([3.0], [5.0], limit=tensors([0.0, 1.0])[0])
    one.stop()
    assert lists(one.updates) == [[0.0], [5.0]]
    other = proposal([3.0], limit=2.0)
    other.stop()
    assert lists(other.updates) == [[3.0]]


@ARITHMETICS
def test_entries_are_limited_by_themselves(arithmetic: Arithmetic) -> None:
    one = proposal([3.0, -0.5], [-4.0], limit=2.0, arithmetic=arithmetic)
    limit_entries(one)
    assert lists(one.updates) == [[2.0, -0.5], [-2.0]]
    each = proposal([3.0], [-4.0], limit=tensors([0.0, 1.0])[0], arithmetic=arithmetic)
    limit_entries(each)
    assert lists(each.updates) == [[0.0], [-1.0]]
    free = proposal([3e300, math.inf], limit=math.inf, arithmetic=arithmetic)
    kept = free.updates[0]
    limit_entries(free)
    assert free.updates[0] is kept
    params = tensors([10.0, -2.0, 0.0])
    relative = proposal(
        [30.0, 30.0, -30.0], limit=0.5, unit="relative", params=params, arithmetic=arithmetic
    )
    limit_entries(relative)
    assert lists(relative.updates) == [[5.0, 1.0, -0.5e-3]]
    assert params[0].tolist() == [10.0, -2.0, 0.0]


def test_a_limit_relative_to_a_narrow_parameter_is_not_narrow() -> None:
    params = [torch.zeros(1, dtype=torch.bfloat16)]
    one = proposal([1.0], limit=1.0, unit="relative", params=params, dtype=torch.float32)
    limit_entries(one)
    assert one.updates[0].item() == torch.tensor(1e-3).item()


@ARITHMETICS
def test_entries_are_limited_as_autograd_asks(
    arithmetic: Arithmetic, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    for name in ("limit_entries", "limit_entries_recorded"):
        monkeypatch.setattr(Law, name, lambda *_, name=name: asked.append(name) or torch.zeros(1))
    limit_entries(proposal([1.0], arithmetic=arithmetic))
    assert asked == ["limit_entries" + "_recorded" * arithmetic.recorded]


def test_a_limit_of_zero_has_no_part_in_a_derivative() -> None:
    one = proposal([3.0, 0.0], limit=0, law="smooth_sqrt", arithmetic=Arithmetic(recorded=True))
    update = one.updates[0].requires_grad_()
    one.updates = [update * 1]
    limit_tensors([one], {}, {"norm"})
    (slopes,) = torch.autograd.grad(one.updates[0].sum(), update)
    assert lists(one.updates) == [[0.0, 0.0]]
    assert slopes.tolist() == [0.0, 0.0]


def test_norms_are_float64() -> None:
    one = proposal([3.0, 4.0], [0.0], dtype=torch.float32)
    found = _normalise(one)
    assert (found.norms.dtype, found.powers.dtype) == (F64, F64)
    assert found.norms.tolist() == [0.625, 0.0]
    assert lists(one.updates) == [[0.375, 0.5], [0.0]]


@ARITHMETICS
def test_a_norm_is_divided_by_a_root_of_at_least_one(arithmetic: Arithmetic) -> None:
    norms = tensors([6.0, 6.0, 6.0])[0]
    for counts in ([0, 1, 4], [number(0.0), number(1.0).reshape(1), number(4.0)]):
        found = _per_root(norms, counts, arithmetic)
        assert found.tolist() == [6.0, 6.0, 3.0]
    assert norms.tolist() == [6.0] * 3
    there = [torch.ones(1, device=META)]
    assert _per_root(torch.ones(1, device=META), there, arithmetic).shape == (1,)


def test_the_limit_of_an_entry_is_rounded_toward_zero() -> None:
    one = proposal([1.0], limit=0.1, dtype=torch.float32)
    limit_entries(one)
    assert one.updates[0].dtype == torch.float32
    assert one.updates[0].item() == 0.09999999403953552


@ARITHMETICS
def test_tensors_are_limited_by_themselves(arithmetic: Arithmetic) -> None:
    rows = ([30.0, -40.0], [0.3, 0.4], [])
    params = tensors([6.0, 8.0], [0.0, 0.0], [])
    for unit, limit, expected in (
        ("norm", 5.0, [[3.0, -4.0], [0.3, 0.4], []]),
        ("norm", math.inf, [list(row) for row in rows]),
        ("norm", 0.0, [[0.0, -0.0], [0.0, 0.0], []]),
        ("norm", tensors([10.0, 0.25, 1.0])[0], [[6.0, -8.0], [0.15, 0.2], []]),
        ("norm", tensors([math.inf, 0.0, 1.0])[0], [[30.0, -40.0], [0.0, 0.0], []]),
        ("rms", 5.0 / math.sqrt(2), [[3.0, -4.0], [0.3, 0.4], []]),
        ("relative", 0.5, [[3.0, -4.0], [3e-4 * math.sqrt(2), 4e-4 * math.sqrt(2)], []]),
    ):
        one = proposal(*rows, limit=limit, unit=unit, params=params, arithmetic=arithmetic)
        found = alone(one)
        for row, values in zip(found, expected, strict=True):
            assert row == pytest.approx(values, rel=1e-14, abs=0)


def test_an_infinite_limit_leaves_a_norm_that_is_not_finite() -> None:
    one = proposal([math.inf, 2.0], limit=number(math.inf))
    assert alone(one) == [[math.inf, 2.0]]


def test_a_gain_can_be_below_the_smallest_binary32() -> None:
    one = proposal([3e38] * 4, limit=1e-8, dtype=torch.float32)
    assert alone(one)[0] == pytest.approx([0.5e-8] * 4, rel=1e-6)


def test_tensors_divided_among_processes_have_one_norm() -> None:
    one = proposal([3.0, 4.0], [3.0, 4.0], limit=1.0)
    owner = one.owners[0]
    limit_tensors([one], {TWICE: [owner]}, {"norm"})
    root = math.sqrt(2)
    assert lists(one.updates) == [
        pytest.approx([0.6 / root, 0.8 / root]),
        pytest.approx([0.6, 0.8]),
    ]
    other = proposal([30.0, 40.0], limit=0.5, unit="relative", params=tensors([3.0, 4.0]))
    limit_tensors([other], {TWICE: other.owners}, {"relative"})
    assert lists(other.updates) == [pytest.approx([1.5, 2.0])]  # both norms are √2 times as long


def test_tensors_together_have_one_norm_and_their_own_limits() -> None:
    params = tensors([6.0, 0.0]), tensors([8.0, 0.0])
    for unit, first, second in (
        ("norm", 5.0, 10.0),
        ("rms", 5.0 * 2, 10.0 * 2),
        ("relative", 5.0 * 10, 10.0 * 10),
    ):
        one = proposal([300.0, 0.0], limit=5.0, unit=unit, params=params[0])
        two = proposal([400.0, 0.0], limit=10.0, unit=unit, params=params[1])
        limit_together([one, two], {}, {unit})
        assert lists(one.updates) == [pytest.approx([0.6 * first, 0.0])]
        assert lists(two.updates) == [pytest.approx([0.8 * second, 0.0])]


def test_units_may_differ_where_tensors_are_together() -> None:
    one = proposal([300.0, 0.0], limit=5.0, unit="norm", params=tensors([6.0, 0.0]))
    two = proposal([400.0, 0.0], limit=0.5, unit="relative", params=tensors([8.0, 0.0]))
    limit_together([one, two], {}, {"norm", "relative"})
    assert lists(one.updates) == [pytest.approx([3.0, 0.0])]
    assert lists(two.updates) == [pytest.approx([4.0, 0.0])]


def test_together_processes_count_what_they_hold() -> None:
    for unit, length in (("norm", 1.0), ("rms", 2.0), ("relative", math.sqrt(2) * 5)):
        one = proposal([30.0, 40.0], limit=1.0, unit=unit, params=tensors([3.0, 4.0]))
        limit_together([one], {TWICE: one.owners}, {unit})
        root = length / math.sqrt(2)
        assert lists(one.updates) == [pytest.approx([0.6 * root, 0.8 * root])]


def test_together_nothing_is_nothing() -> None:
    limit_together([], {}, set())


def test_a_process_without_a_proposal_takes_part_all_the_same() -> None:
    for units, asked in (({"norm"}, 2), ({"rms"}, 3), ({"relative"}, 5)):
        Noted.asked.clear()
        limit_together([], {Noted(None, (0,)): [MINE]}, units)
        assert len(Noted.asked) == asked
    for units, asked in (({"norm"}, 2), ({"relative"}, 4)):
        Noted.asked.clear()
        limit_tensors([], {Noted(None, (0,)): [MINE]}, units)
        assert len(Noted.asked) == asked


def test_numbers_are_rounded_toward_zero() -> None:
    assert round_toward_zero(0.1, torch.float32) == 0.09999999403953552
    assert round_toward_zero(0.1, F64) == 0.1
    assert round_toward_zero(0.25, torch.float32) == 0.25
    assert round_toward_zero(1e300, torch.float32) == torch.finfo(torch.float32).max
    assert round_toward_zero(math.inf, torch.float32) == math.inf
    assert round_toward_zero(1e-60, torch.float32) == 0.0
    values = tensors([1e-60, 0.7, 1e300, math.inf, 0.0])[0]
    found = tensor_toward_zero(values, torch.float32)
    assert found.dtype == torch.float32
    largest = torch.finfo(torch.float32).max
    assert found.tolist() == [0.0, 0.699999988079071, largest, math.inf, 0.0]


# Who is limited with whom.


def limited(scopes: list[Scope], proposals: list[Proposal]) -> tuple[list[bool], list[Any]]:
    limiter = Limiter(scopes)
    done = [limiter.limit(one) for one in proposals]
    assert limiter.finish() == []
    return done, [lists(one.updates) for one in proposals]


def scope(mode: str, unit: str = "norm", *, limits: bool = True) -> Scope:
    return Scope([torch.zeros(1)], mode, unit, limits)


def test_what_is_limited_alone_is_limited_at_once() -> None:
    for mode, expected in (("per_param", [3.0, 4.0]), ("per_component", [5.0, 5.0])):
        one = proposal([30.0, 40.0], limit=5.0, mode=mode)
        assert limited([scope(mode)], [one]) == ([True], [[expected]])
    one = proposal([30.0, 40.0], limit=5.0, unit="rms")
    _, found = limited([scope("per_param", "rms")], [one])
    assert found == [[pytest.approx([3.0 * math.sqrt(2), 4.0 * math.sqrt(2)])]]


def test_what_is_limited_together_waits() -> None:
    one, two = (proposal([x], limit=5.0, mode="global") for x in (30.0, 40.0))
    assert limited([scope("global")], [one, two]) == ([False, False], [[[3.0]], [[4.0]]])


def test_what_has_no_limit_does_not_wait() -> None:
    for mode in ("global", "per_param", "per_component"):
        one = proposal([30.0, math.inf], limit=math.inf, mode=mode)
        kept = one.updates[0]
        assert limited([scope(mode, limits=False)], [one])[0] == [True]
        assert one.updates[0] is kept


def test_one_group_with_a_limit_has_all_of_its_mode_wait() -> None:
    one = proposal([30.0], limit=math.inf, mode="global")
    two = proposal([40.0], limit=5.0, mode="global")
    three, four = proposal([9.0], limit=1.0), proposal([9.0], limit=math.inf)
    five = proposal([9.0], limit=2.0, mode="per_component")
    scopes = [scope("global", limits=False), scope("global"), scope("per_param")]
    done, found = limited([*scopes, scope("per_component")], [one, two, three, four, five])
    assert done == [False, False, True, True, True]
    assert found == [[[30.0]], [[4.0]], [[1.0]], [[9.0]], [[2.0]]]


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parameter is divided among two processes that hold the same."""

    def all_of_them(params: Any) -> Any:
        params = list(params)
        return {TWICE: params} if params else {}

    monkeypatch.setattr("torch_impl.limiter.parameters_by_sharding", all_of_them)


@pytest.mark.usefixtures("divided")
def test_tensors_that_are_divided_wait_for_the_other_processes() -> None:
    root = math.sqrt(2)
    for mode, unit, length in (
        ("per_param", "norm", 5.0),
        ("per_param", "relative", 5.0 * 2),
        ("global", "norm", 5.0),
        ("global", "rms", 5.0 * 2),
    ):
        params = tensors([1.0, 1.0])
        one = proposal([30.0, 40.0], limit=5.0, mode=mode, unit=unit, params=params)
        done, found = limited([Scope(params, mode, unit, True)], [one])
        assert done == [False]
        assert found == [[pytest.approx([0.6 * length / root, 0.8 * length / root])]]
    entry = proposal([30.0], limit=5.0, mode="per_component")
    assert limited([Scope(entry.params, "per_component", "norm", True)], [entry])[0] == [True]
    free = proposal([30.0], limit=math.inf)
    assert limited([Scope(free.params, "per_param", "norm", False)], [free])[0] == [True]


@pytest.mark.usefixtures("divided")
def test_what_is_observed_is_measured_over_processes() -> None:
    for mode in ("per_param", "global"):
        one = proposal([30.0, 40.0], limit=5.0, mode=mode)
        limiter = Limiter([Scope(one.params, mode, "norm", True)], observed=True)
        assert not limiter.limit(one)
        (row,) = limiter.finish()
        assert row.size.item() == pytest.approx(50 * math.sqrt(2))
        assert row.speed[2].item() == pytest.approx(5.0)


def test_processes_meet_for_the_modes_that_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def noted(params: Any) -> Any:
        params = list(params)
        return {Noted(None, (0,)): params} if params else {}

    monkeypatch.setattr("torch_impl.limiter.parameters_by_sharding", noted)
    for mode, limits, times in (
        ("per_param", True, 2),
        ("global", True, 2),
        ("per_component", True, 0),
        ("per_param", False, 0),
        ("global", False, 0),
    ):
        Noted.asked.clear()
        Limiter([Scope([MINE], mode, "norm", limits)]).finish()
        assert len(Noted.asked) == times, (mode, limits)


def test_what_is_observed_is_measured_before_and_after() -> None:
    for mode in ("per_param", "global", "per_component"):
        limiter = Limiter([scope(mode)], observed=True)
        one, two = (proposal(row, limit=5.0, mode=mode) for row in ([30.0, 40.0], [0.0, 1.0]))
        for each in (one, two):
            limiter.limit(each)
        rows = limiter.finish()
        assert [row.owner for row in rows] == [one.owners[0], two.owners[0]]
        norms = [row.speed[0].item() for row in rows]
        assert norms == [50.0, 1.0]
        applied = [row.speed[2].item() for row in rows]
        assert applied == [
            pytest.approx(torch.stack(each.updates).norm().item()) for each in (one, two)
        ]
        whole = math.hypot(50, 1)
        sizes = {"per_param": [50.0, 1.0], "global": [whole] * 2}
        if mode in sizes:
            assert [row.size.item() for row in rows] == pytest.approx(sizes[mode])
