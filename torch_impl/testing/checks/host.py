"""What a step asks of the host, and what it keeps there."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from ..expect import expect, leaves_of, policy, refusable, stepped
from ..registry import NotApplicable, check
from ..subject import Subject


@contextmanager
def _unread() -> Iterator[None]:
    """Raise AssertionError where the value of a tensor without data is asked for."""
    try:
        yield
    except (RuntimeError, NotImplementedError) as error:
        message = str(error)
        if "called on meta tensors" in message or "out of meta tensor" in message:
            raise AssertionError(f"a step reads a tensor on the host: {message}") from error
        if "Meta" in message:
            raise NotApplicable("uses an operation that needs data") from error
        raise


@check("host")
def a_step_reads_no_tensor_on_the_host(subject: Subject) -> None:
    """On an accelerator it would wait for the device: on "meta" there is nothing to read."""
    asked = policy(subject)
    if asked in {"skip", "raise"}:
        raise NotApplicable(f"has to know of every gradient whether it is finite, to {asked}")
    for path in subject.paths():
        leaves = [torch.empty(shape, device="meta") for shape in ((5, 3), (7, 1))]
        with refusable("supported devices"), _unread():
            optimizer = subject.build([leaf.requires_grad_() for leaf in leaves], **path)
            for _ in range(2):
                for leaf in leaves:
                    leaf.grad = torch.empty_like(leaf)
                optimizer.step()


@check("host")
def a_count_of_steps_is_a_tensor(subject: Subject) -> None:
    """As in torch.optim: a compiled step is compiled anew for each value of a plain number."""
    saved = stepped(subject, leaves_of((3, 2), (4, 1))).state_dict()["state"]
    counts = [state["step"] for state in saved.values() if "step" in state]
    if not counts:
        raise NotApplicable("keeps no count of steps in its state")
    for count in counts:
        kind = type(count).__name__
        expect(isinstance(count, Tensor), f"'step' is of type {kind}: expected a tensor")
