"""What optimizers pass of `torch_impl.testing`: ``python -m paper.scores``, some minutes."""

import json
import platform
from collections.abc import Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import pytorch_optimizer
import relativistic_adam
import torch
from tqdm import tqdm

from analysis.files import write_atomically
from torch_impl.testing import CHECKS, Subject, run_checks

from .faults import RESULTS, ROWS

SUBJECTS: Mapping[str, Subject] = {
    **{name: row.subject for name, row in ROWS.items() if not name.endswith("raise")},
    "relativistic-adam's RelativisticAdamW": Subject(relativistic_adam.RelativisticAdamW),
    "pytorch-optimizer's Lamb": Subject(pytorch_optimizer.Lamb),
}
"""The optimizers, by name."""


def measured() -> dict[str, Any]:
    """Return the outcome and reason of every check of every optimizer."""
    torch.set_num_threads(1)
    found: dict[str, dict[str, Any]] = {}
    beyond = [check.name for check in CHECKS.values() if check.beyond_torch]
    for name, subject in tqdm(SUBJECTS.items(), unit="optimizer"):
        strict = replace(subject, strict=True)
        plain = [one for one in run_checks(subject).results if one.check not in beyond]
        results = [*plain, *run_checks(strict, only=beyond).results]
        found[name] = {one.check: [one.outcome, one.reason.partition("\n")[0]] for one in results}
    packages = ("torch", "relativistic-adam", "pytorch-optimizer", "hypothesis")
    return {
        "environment": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "checks": {
            check.name: {"topic": check.topic, "beyond torch": bool(check.beyond_torch)}
            for check in CHECKS.values()
        },
        "outcomes": found,
    }


if __name__ == "__main__":
    write_atomically(RESULTS / "scores.json", json.dumps(measured(), indent=1) + "\n")
