"""Parameters of every shape, layout and kind, on both paths."""

from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..expect import (
    advance,
    drawing,
    expect,
    expect_all_same,
    expect_same,
    leaves_of,
    needs,
    needs_no_chance,
    refusable,
)
from ..registry import check
from ..subject import Options, Subject, normal

SHAPES = st.lists(
    st.sampled_from([(1, 1), (2, 2), (3, 4), (2, 0), (), (7,)]), min_size=1, max_size=3
)


def _roundings(subject: Subject) -> float:
    """Return how far paths may differ that do the same in another order: 0 for the strict."""
    return 0.0 if subject.strict else 1e-12


@check("tensors")
def foreach_takes_the_steps_of_single_tensors(subject: Subject) -> None:
    """For any shapes, in float32 and float64; the same bits in float64 alone if strict."""
    needs(subject, "foreach")
    needs_no_chance(subject)
    more = subject.having(lr=0.3, weight_decay=0.1, maximize=True)

    @drawing(25)
    @given(SHAPES, st.lists(st.booleans(), min_size=3, max_size=3))
    def agree(shapes: list[Any], wide: list[bool]) -> None:
        kinds = [torch.float64 if it else torch.float32 for it in wide]
        params = [
            normal(shape, i + 1, kind)
            for i, (shape, kind) in enumerate(zip(shapes, kinds, strict=False))
        ]

        def gradients(step: int) -> list[Tensor]:
            return [normal(p.shape, 10 + step, p.dtype) for p in params]

        with refusable("2d"):
            single = subject.trained(params, gradients, 2, foreach=False, **more)
        foreach = subject.trained(params, gradients, 2, foreach=True, **more)
        same_order = subject.strict and {p.dtype for p in params} == {torch.float64}
        for one, other in zip(foreach, single, strict=True):
            # In float32 several may be stepped as one, their operations in another order; and a sum
            # over all tensors is taken dtype by dtype.
            tolerance = 0.0 if same_order else 16 * torch.finfo(one.dtype).eps
            expect_same(one, other, "foreach=True and foreach=False differ", tolerance)

    agree()


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records the names of the operations that are carried out."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.names: set[str] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.names.add(str(func))
        return func(*args, **(kwargs or {}))


@check("tensors")
def foreach_issues_foreach_operations(subject: Subject) -> None:
    """And the other path does not."""
    needs(subject, "foreach")
    for foreach in (False, True):
        leaves = leaves_of((3, 2), (4, 1))
        optimizer = subject.build(leaves, foreach=foreach)
        with _Operations() as operations:
            advance(optimizer, leaves, 0)
        found = any("_foreach_" in name for name in operations.names)
        expect(found == foreach, f"foreach={foreach} and operations of foreach: {found}")


@check("tensors")
def the_layout_of_a_parameter_does_not_matter(subject: Subject) -> None:
    """Channels last, transposed, and strided gradients of contiguous parameters."""
    needs_no_chance(subject)
    plain = [normal((2, 3, 4, 5), 1), normal((4, 6), 2)]
    strided = [
        plain[0].contiguous(memory_format=torch.channels_last),
        plain[1].t().contiguous().t(),
    ]

    def gradients(step: int) -> list[Tensor]:
        return [normal(p.shape, 10 * step + i) for i, p in enumerate(plain)]

    def of_strides(step: int) -> list[Tensor]:
        pairs = zip(strided, gradients(step), strict=True)
        return [torch.empty_like(p).copy_(grad) for p, grad in pairs]

    more = subject.having(lr=0.3)
    for path in subject.paths():
        with refusable("2d"):
            expected = subject.trained(plain, gradients, **more, **path)
        for params, give, what in (
            (strided, of_strides, "parameters and gradients that are not contiguous"),
            (strided, gradients, "parameters that are not contiguous"),
            (plain, of_strides, "gradients that are not contiguous"),
        ):
            actual = subject.trained(params, give, **more, **path)
            # Sums in another order.
            expect_all_same(actual, expected, f"{what} take other steps", 1e-12)


@check("tensors")
def complex_parameters_step_as_pairs_of_reals(subject: Subject) -> None:
    """As torch.view_as_real sees them, beside real ones."""
    needs_no_chance(subject)
    param, other = normal((3, 2), 1, torch.complex128), normal((4, 1), 2)

    def gradients(step: int) -> list[Tensor]:
        return [normal((3, 2), step, torch.complex128), normal((4, 1), step)]

    def of_reals(step: int) -> list[Tensor]:
        return [torch.view_as_real(gradients(step)[0]), gradients(step)[1]]

    more = subject.having(lr=0.3, weight_decay=0.1)
    for path in subject.paths():
        with refusable("complex"):
            actual, beside = subject.trained([param, other], gradients, **more, **path)
        pair = torch.view_as_real(param)
        with refusable("2d"):
            expected, beside_real = subject.trained([pair, other], of_reals, **more, **path)
        message, tolerance = "complex numbers are not stepped as pairs", _roundings(subject)
        expect_same(torch.view_as_real(actual), expected, message, tolerance)
        expect_same(beside, beside_real, message, tolerance)


@check("tensors")
def a_tensor_without_dimensions_steps_as_one_of_one_entry(subject: Subject) -> None:
    """A shape of () beside a shape of (1,)."""
    needs_no_chance(subject)

    def ends(shape: tuple[int, ...], path: Options) -> list[Tensor]:
        params = [normal(shape, 1), normal((3, 2), 2)]
        with refusable("2d"):
            found = subject.trained(
                params, lambda step: [normal(p.shape, step) for p in params], **path
            )
        return [value.reshape(-1) for value in found]

    for path in subject.paths():
        message = "shapes () and (1,) take other steps"
        expect_all_same(ends((), path), ends((1,), path), message, _roundings(subject))


@check("tensors")
def a_tensor_without_entries_does_no_harm(subject: Subject) -> None:
    """The one beside it takes the step it would take alone."""
    needs_no_chance(subject)
    param = normal((3, 2), 1)
    for path in subject.paths():
        (alone,) = subject.trained([param], lambda step: [normal((3, 2), step)], **path)
        beside, empty = subject.trained(
            [param, torch.zeros(0, 2, dtype=torch.float64)],
            lambda step: [normal((3, 2), step), torch.zeros(0, 2, dtype=torch.float64)],
            **path,
        )
        expect(empty.shape == (0, 2), f"a tensor of shape (0, 2) has become {tuple(empty.shape)}")
        expect_same(
            beside, alone, "beside an empty tensor the step is another", _roundings(subject)
        )
