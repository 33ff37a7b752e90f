"""Faults that a training meets, and what an optimizer makes of them."""

from . import checks
from .states import STATE_FAULTS, TORCH_FILES, Files, StateFault, state_outcome
from .steps import FAULTS, Fault, outcome
from .trial import Trial
from .verdict import CLEAR_ERROR, KINDS, OTHER_ERROR, SILENT_DAMAGE, SURVIVED, Verdict

__all__ = [
    "CLEAR_ERROR",
    "FAULTS",
    "KINDS",
    "OTHER_ERROR",
    "SILENT_DAMAGE",
    "STATE_FAULTS",
    "SURVIVED",
    "TORCH_FILES",
    "Fault",
    "Files",
    "StateFault",
    "Trial",
    "Verdict",
    "checks",
    "outcome",
    "state_outcome",
]
