"""What is limited to which number, of entries, tensors and models."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.details.few import (
    ARITHMETICS,
    F64,
    HOST,
    META,
    TWICE,
    Noted,
    leaf,
    lists,
    number,
    proposal,
    tensors,
)
from torch_impl.arithmetic import Arithmetic
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

    def noting(name: str) -> Callable[..., Tensor]:
        def noted(*_: Any) -> Tensor:
            asked.append(name)
            return torch.zeros(1)

        return noted

    for name in ("limit_entries", "limit_entries_recorded"):
        monkeypatch.setattr(Law, name, noting(name))
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
    rows: Sequence[list[float]] = ([30.0, -40.0], [0.3, 0.4], [])
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
        limit_together([], {Noted(None, (0,)): [leaf(1.0)]}, units)
        assert len(Noted.asked) == asked
    for units, asked in (({"norm"}, 2), ({"relative"}, 4)):
        Noted.asked.clear()
        limit_tensors([], {Noted(None, (0,)): [leaf(1.0)]}, units)
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
