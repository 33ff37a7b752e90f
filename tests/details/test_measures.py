"""Norms as numbers and powers of two, of parts, tensors and models."""

import math

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
    Twice,
    number,
    tensors,
)
from torch_impl.arithmetic import Arithmetic
from torch_impl.measures import (
    LEAST_POWER,
    Measure,
    entries_of_model,
    measured,
    of_model,
    of_whole_tensors,
    powers_near,
)
from torch_impl.sharding import Divided, Sharding


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


def test_nothing_of_a_tensor_is_no_part_of_its_norm() -> None:
    Noted.asked.clear()
    of_whole_tensors([], [], {Noted(None, (0,)): [MINE]})
    assert Noted.asked == [("MAX", [LEAST_POWER, 0.0]), ("SUM", [0.0])]
    found = of_model([], [], {TWICE: [MINE]})
    assert (found.norms.tolist(), found.powers.tolist()) == ([0.0], [LEAST_POWER])
    assert found.norms.dtype == F64


def test_other_processes_are_met_on_the_parameters_device() -> None:
    there: Divided = {TWICE: [torch.zeros(1, device=META)]}
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
