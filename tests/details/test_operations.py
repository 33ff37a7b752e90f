"""Operations on lists of tensors: every result, and what is overwritten."""

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch

from tests.details.few import (
    ARITHMETICS,
    F64,
    HOST,
    META,
    lists,
    number,
    tensors,
)
from torch_impl.arithmetic import Arithmetic, moved

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
