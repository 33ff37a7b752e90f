"""The checks of `torch_impl.testing`, on every variant of every optimizer and on the control."""

from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch

from paper.tables.contract import FEATURES
from tests.cases import CONTROL, SUBJECTS, Case, Options
from torch_impl import RelativisticAdam
from torch_impl.testing import CHECKS, Check, run_check

pytestmark = pytest.mark.filterwarnings("ignore:law=")

COMPILED = "a_step_is_compiled_once_and_whole"
INSIDE_BACKWARD = "one_optimizer_per_parameter_can_step_inside_backward"


OF_EVERY_LAW = {
    INSIDE_BACKWARD,
    "a_saved_state_continues_bit_for_bit",
    "a_step_at_rate_zero_without_gradients_changes_nothing",
}
"""Checks of state and training that are not run on one variant of each mode alone."""


def of_each_mode(check: Check) -> bool:
    """Whether one law of each mode says enough: it takes long, or the law is not its matter."""
    around = check.topic in {"state", "training"} and check.name not in OF_EVERY_LAW
    return around or check.topic == "torch.compile"


def chosen(case: Case, check: Check) -> Iterator[str]:
    """Yield the names of the variants that a check is run on; each law is compiled in one mode."""
    for name in case.variants:
        compiled = case.optimizer is RelativisticAdam and name.endswith("per_param")
        one_law = of_each_mode(check) and not (compiled and check.name == COMPILED)
        if not one_law or name in case.costly:
            yield name


def variants(case: Case, check: Check) -> Iterator[tuple[str, Options]]:
    """Yield the variants a check applies to, with a limit that moves where it is compiled."""
    for name in chosen(case, check):
        options = case.variants[name]
        refused = options.get("relativistic_mode") == "global"
        if check.topic == "torch.compile" and case.per_group:
            options = {**options, "speed_limit": torch.tensor(0.05)}
        if not (check.name == INSIDE_BACKWARD and refused):
            yield name, options


def marks(name: str, check: Check) -> list[pytest.MarkDecorator]:
    """Count it for its topic; of the control, expect that it fails what torch.optim fails."""
    counted = [pytest.mark.contract(check.topic)]
    if name in CONTROL and check.beyond_torch:
        counted.append(pytest.mark.xfail(reason=check.beyond_torch, strict=True))
    return counted


@pytest.mark.parametrize(
    ("case", "options", "check"),
    [
        pytest.param(case, options, check, id=f"{name}-{variant}-{key}", marks=marks(name, check))
        for name, case in SUBJECTS.items()
        for key, check in CHECKS.items()
        if check.topic in FEATURES
        for variant, options in variants(case, check)
    ],
)
def test_the_contract_is_kept(case: Case, options: Options, check: Check) -> None:
    subject = case.subject(options)
    if case in CONTROL.values() and not check.beyond_torch:
        subject = replace(subject, strict=False)
    run_check(check.name, subject)
