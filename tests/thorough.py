"""Runs properties on many examples: ``pytest -p tests.thorough --thorough FILE``.

Of all tests only those are run that Hypothesis draws examples for: 20,000 for every test function,
which its variants share; fewer, or more, where the mark `property` says so. The file says how many
examples each has seen, and each variant of one that is not through or has failed. What it holds
already is not run again, unless it has failed: a run that was cut off is continued.
"""

import json
import math
import platform
import time
from collections import Counter
from collections.abc import Generator
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from hypothesis import is_hypothesis_test, settings
from hypothesis.statistics import collector

from analysis.files import write_atomically
from analysis.forms import read_json
from paper.tables.thorough import FORM

EXAMPLES = 20_000
"""What a property is to see in all its variants."""


def name_of(item: pytest.Item) -> str:
    """Return the test function that an item is a variant of."""
    return item.nodeid.partition("[")[0]


def is_property(item: pytest.Item) -> bool:
    """Whether Hypothesis draws examples for a test."""
    marked = item.get_closest_marker("property") is not None
    return marked or is_hypothesis_test(getattr(item, "obj", None))


class Thorough:
    """What becomes of the properties of a run.

    Parameters
    ----------
    path
        Of the file.
    writes
        Whether it writes the file: of several processes the one that all report to.
    """

    def __init__(self, path: Path, writes: bool = True) -> None:
        self.path, self.writes = path, writes
        self.found: dict[str, dict[str, Any]] = {}
        self.begun: dict[str, dict[str, dict[str, Any]]] = {}
        if path.exists():
            results = read_json(path, FORM)
            self.found, self.begun = results["properties"], results["begun"]
        self.variants: Counter[str] = Counter()

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        single = {name: row for rows in self.begun.values() for name, row in rows.items()}
        done = {name for name, row in (self.found | single).items() if not row["failed"]}
        properties = [item for item in items if is_property(item)]
        self.variants = Counter(map(name_of, properties))
        chosen = [item for item in properties if not done & {item.nodeid, name_of(item)}]
        left = [item for item in items if item not in set(chosen)]
        functions: dict[str, Any] = {name_of(item): item for item in chosen}
        for item in functions.values():
            if is_hypothesis_test(item.obj):
                self.settings_of(item)(item.function)
        items[:] = chosen
        config.hook.pytest_deselected(items=left)

    def settings_of(self, item: Any) -> settings:
        """Return settings under which a variant sees its share."""
        marker = item.get_closest_marker("property")
        times = 1.0 if marker is None else marker.args[0]
        examples = math.ceil(EXAMPLES * times / self.variants[name_of(item)])
        return settings(settings.get_profile("thorough"), max_examples=examples)

    @pytest.hookimpl(wrapper=True, trylast=True)
    def pytest_runtest_call(self, item: pytest.Item) -> Generator[None, None, None]:
        name, variants = name_of(item), self.variants[name_of(item)]
        examples, start = 0, time.perf_counter()

        def note(statistics: Any) -> None:
            nonlocal examples
            phases = [value for key, value in statistics.items() if key.endswith("-phase")]
            cases = [case for phase in phases for case in phase["test-cases"]]
            examples += sum(case["status"] == "valid" for case in cases)

        before = settings.get_current_profile_name()
        settings.register_profile("share", self.settings_of(item))
        settings.load_profile("share")
        try:
            with collector.with_value(note):  # type: ignore[arg-type]
                return (yield)
        finally:
            settings.load_profile(before)
            seconds = time.perf_counter() - start
            item.user_properties.append(("seen", [name, variants, examples, seconds]))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        values: dict[str, Any] = dict(report.user_properties)
        seen = values.get("seen")
        if not self.writes or report.when != "call" or seen is None:
            return
        name, variants, examples, seconds = seen
        row = {"examples": examples, "seconds": round(seconds, 3), "failed": int(report.failed)}
        rows = self.begun.setdefault(name, {})
        rows[report.nodeid] = row
        if len(rows) == variants:
            sums = {key: sum(row[key] for row in rows.values()) for key in row}
            self.found[name] = {"variants": variants, **sums, "seconds": round(sums["seconds"], 1)}
            if not sums["failed"]:
                del self.begun[name]
        self.write()

    def write(self) -> None:
        """Write what has been found so far."""
        packages = ("hypothesis", "torch", "numpy")
        record = {
            "asked": EXAMPLES,
            "date": datetime.now(UTC).date().isoformat(),
            "versions": {"python": platform.python_version()}
            | {name: version(name) for name in packages},
            "properties": dict(sorted(self.found.items())),
            "begun": {
                name: dict(sorted(rows.items())) for name, rows in sorted(self.begun.items())
            },
        }
        write_atomically(self.path, json.dumps(record, indent=1) + "\n")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--thorough", type=Path, help="run properties alone, and write the counts here"
    )


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--thorough")
    if path is not None:
        plugin = Thorough(path, writes=not hasattr(config, "workerinput"))
        config.pluginmanager.register(plugin, "thorough")
