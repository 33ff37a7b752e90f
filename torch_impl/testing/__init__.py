"""Checks of any torch.optim.Optimizer: does it do what training loops rely on.

`check_optimizer` runs them all; ``python -m subluminal.testing package.module:Class`` does so from
a shell, and `subluminal.testing.pytest` as one test per check. Needs ``subluminal[testing]``.
"""

from .extras import need

need("hypothesis")

from . import checks, faults, invariants, machine
from .registry import CHECKS, Check, NotApplicable, check
from .report import CheckFailure, Report, Result
from .run import check_optimizer, run_check, run_checks
from .subject import Subject, normal

__all__ = [
    "CHECKS",
    "Check",
    "CheckFailure",
    "NotApplicable",
    "Report",
    "Result",
    "Subject",
    "check",
    "check_optimizer",
    "checks",
    "faults",
    "invariants",
    "machine",
    "normal",
    "run_check",
    "run_checks",
]
