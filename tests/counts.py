"""Counts the contract tests that passed, failed and were skipped, by feature and optimizer class.

``pytest -m contract --counts FILE`` writes them to a JSON file, with the largest errors of the
distributed schemes and what it was measured on.
"""

import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

Counts = dict[tuple[str, ...], Counter[str]]
COUNTS = pytest.StashKey[Counts]()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--counts", type=Path, help="write the counts of the contract tests here")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[COUNTS] = {}
    config.pluginmanager.register(_Counter(config.stash[COUNTS]))


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


class _Counter:
    def __init__(self, counts: Counts) -> None:
        self.counts = counts

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        for name, value in report.user_properties:
            if (
                name == "contract"
                and isinstance(value, list)
                and (report.when == "call" or report.outcome != "passed")
            ):
                failed_as_said = report.skipped and hasattr(report, "wasxfail")
                outcome = "failed" if failed_as_said else report.outcome
                self.counts.setdefault(tuple(value), Counter())[outcome] += 1


def pytest_sessionfinish(session: pytest.Session) -> None:
    path: Path | None = session.config.getoption("--counts")
    if path is None or hasattr(session.config, "workerinput"):
        return
    table: dict[str, dict[str, Any]] = {}
    for (feature, optimizer), counts in sorted(session.config.stash[COUNTS].items()):
        table.setdefault(feature, {})[optimizer] = dict(sorted(counts.items()))
    draft = path.with_suffix(".part")
    draft.write_text(json.dumps(table, indent=1, sort_keys=True) + "\n")
    os.replace(draft, path)
