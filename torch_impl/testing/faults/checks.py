"""The faults as checks: each has to be survived, or refused with a clear error."""

import re

from ..expect import policy
from ..registry import NotApplicable, check
from ..subject import Subject
from .states import STATE_FAULTS, state_outcome
from .steps import FAULTS, NOT_FINITE, outcome
from .verdict import CLEAR_ERROR, SURVIVED, Verdict

BEYOND_TORCH = {
    "1e20": "after a step as long as SGD's the next ones are lost in rounding",
    "1e38": "the square of 1e38 is infinite, and what is divided by its root never moves again",
    "float16 underflow": "in the state of float16 parameters the square of 1e-6 is 0",
    **dict.fromkeys(
        ("wrong shape", "wrong dtype", "missing key", "reordered named parameters"),
        "of a loaded state torch.optim looks at the numbers of groups and parameters alone",
    ),
}
"""Why torch.optim's optimizers are damaged by a fault."""

OF_THE_FILE = "bit-flipped file"
"""The fault that is no check of an optimizer, which never sees the file."""


def _check_fault(name: str) -> None:
    def run(subject: Subject) -> None:
        if name in NOT_FINITE and policy(subject) in {None, "propagate"}:
            raise NotApplicable("has no policy for gradients that are not finite")
        if name in FAULTS:
            found = outcome(subject, FAULTS[name])
        else:
            found = state_outcome(subject, STATE_FAULTS[name])
        _judge(name, found)

    words = re.sub(r"\W+", "_", name)
    run.__name__ = f"the_fault_{words}_is_survived_or_refused"
    check("faults", beyond_torch=BEYOND_TORCH.get(name, ""))(run)


def _judge(name: str, found: Verdict) -> None:
    if found.kind not in {SURVIVED, CLEAR_ERROR}:
        raise AssertionError(f"{name}: {found.kind}: {found.detail}")


for _name in (*FAULTS, *STATE_FAULTS):
    if _name != OF_THE_FILE:
        _check_fault(_name)
