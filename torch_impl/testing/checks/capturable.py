"""``capturable=True``: a step asks the device for nothing, as fake CUDA tensors show."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensorMode

from ..expect import advance, expect, expect_same, leaves_of, needs
from ..registry import NotApplicable, check
from ..subject import Subject


def _on_the_device() -> list[Tensor]:
    """Return parameters with gradients, without data: whoever reads one raises."""
    leaves = [
        torch.empty(5, 3, device="cuda"),
        torch.empty(7, 1, device="cuda", dtype=torch.bfloat16),
        torch.empty(4, 1, device="cuda", dtype=torch.complex64),
        torch.empty(0, 1, device="cuda"),
    ]
    for leaf in leaves:
        leaf.requires_grad_().grad = torch.empty_like(leaf)
    return leaves


@contextmanager
def _as_far_as_fake_tensors_go() -> Iterator[None]:
    """Raise NotApplicable where an operation on fake tensors asks for the device itself."""
    try:
        yield
    except RuntimeError as error:
        if "not linked with support for cuda" in str(error):
            raise NotApplicable("cannot be shown without CUDA: fake tensors ask for it") from error
        raise


@check("capturable")
def a_capturable_step_never_waits_for_the_device(subject: Subject) -> None:
    """Nor does it keep state on the host, which a CUDA graph would replay as it was."""
    needs(subject, "capturable")
    options = subject.having(maximize=True, weight_decay=0.1)
    for path in subject.paths():
        with _as_far_as_fake_tensors_go(), FakeTensorMode():
            optimizer = subject.build(_on_the_device(), capturable=True, **options, **path)
            for _ in range(2):
                optimizer.step()
            for state in optimizer.state.values():
                for key, value in state.items():
                    there = isinstance(value, Tensor) and value.device.type == "cuda"
                    expect(there, f"state {key!r} is on the host: {value!r}")


@check("capturable", beyond_torch="torch.optim asserts that capturable is for accelerators")
def a_capturable_step_is_the_plain_one(subject: Subject) -> None:
    """On the CPU, too."""
    needs(subject, "capturable")
    for path in subject.paths():
        ends = []
        for capturable in (False, True):
            leaves = leaves_of((3, 2))
            torch.manual_seed(0)
            optimizer = subject.build(
                leaves, capturable=capturable, **subject.having(lr=0.3), **path
            )
            for step in range(4):
                advance(optimizer, leaves, step)
            ends.append(leaves[0].detach())
        # The corrections are formed in float64 either way: some roundings a step.
        expect_same(ends[0], ends[1], "a capturable step is not the plain one", 1e-13)
