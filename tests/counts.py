"""Counts the contract tests that passed, failed and were skipped, by feature and optimizer class.

``pytest -m contract --counts FILE`` writes them to a JSON file, with the largest errors of the
distributed schemes and what all of it was measured on.
"""

import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch


class Counts:
    """What the reports of a run of the tests add up to."""

    def __init__(self) -> None:
        self.outcomes: dict[tuple[str, str], Counter[str]] = {}
        self.errors: dict[tuple[str, str, str, str], float] = {}
        self.refused: set[tuple[str, str]] = set()
        self.worlds: dict[str, set[int]] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        values: dict[str, Any] = dict(report.user_properties)
        if "contract" not in values or (report.when != "call" and report.outcome == "passed"):
            return
        feature, optimizer = values["contract"]
        failed_as_said = report.skipped and hasattr(report, "wasxfail")
        outcome = "failed" if failed_as_said else report.outcome
        self.outcomes.setdefault((feature, optimizer), Counter())[outcome] += 1
        if "distributed" in values:
            self._add_errors(feature, *values["distributed"])

    def _add_errors(self, scheme: str, world: int, records: list[dict[str, Any]]) -> None:
        self.worlds.setdefault(scheme, set()).add(world)
        for record in records:
            if record.get("refused"):
                self.refused.add((scheme, record["mode"]))
                continue
            key = (scheme, record["optimizer"], record["mode"], record["dtype"])
            self.errors[key] = max(record["error"], self.errors.get(key, 0.0))

    def table(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        contract: dict[str, Any] = {}
        for (feature, optimizer), counts in sorted(self.outcomes.items()):
            contract.setdefault(feature, {})[optimizer] = dict(sorted(counts.items()))
        keys = ("scheme", "optimizer", "mode", "dtype")
        return {
            "environment": {
                "machine": f"{platform.machine()}, {os.cpu_count()} CPU cores",
                "cuda": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
                "python": platform.python_version(),
                "torch": torch.__version__,
                "numpy": np.__version__,
            },
            "contract": contract,
            "distributed": {
                "processes": {scheme: sorted(worlds) for scheme, worlds in self.worlds.items()},
                "refused": sorted(self.refused),
                "largest errors": [
                    dict(zip(keys, key, strict=True)) | {"error": error}
                    for key, error in sorted(self.errors.items())
                ],
            },
        }


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--counts", type=Path, help="write the counts of the contract tests here")


def pytest_configure(config: pytest.Config) -> None:
    if config.getoption("--counts") and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Counts(), "counts")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let a test's report say what it counts for."""
    for item in items:
        marker = item.get_closest_marker("contract")
        if marker is not None:
            item.user_properties.append(("contract", [marker.args[0], _class_of(item)]))


def _class_of(item: pytest.Item) -> str:
    """Return the name of the optimizer class that a test is run on, by its parameters."""
    params = getattr(getattr(item, "callspec", None), "params", {})
    if "case" in params:
        return str(params["case"].optimizer.__name__)
    if "cls" in params:
        return str(params["cls"].__name__)
    return str(params.get("name", "every class"))


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    counts = session.config.pluginmanager.get_plugin("counts")
    complete = exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
    if isinstance(counts, Counts) and complete:
        path: Path = session.config.getoption("--counts")
        draft = path.with_suffix(".part")
        draft.write_text(json.dumps(counts.table(), indent=1, sort_keys=True) + "\n")
        os.replace(draft, path)
