"""A thorough run takes properties alone, gives each its examples, counts them and goes on."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from paper.tables import thorough as tables
from tests import thorough
from tests.thorough import Thorough

NUMBERS = st.integers(0, 10**9)


class Item:
    """Stands for a test that pytest has collected."""

    def __init__(self, nodeid: str, function: Any, *marked: float) -> None:
        self.nodeid, self.obj, self.function = nodeid, function, function
        self.marker = pytest.mark.property(*marked).mark if marked else None
        self.user_properties: list[Any] = []

    def get_closest_marker(self, name: str) -> Any:
        assert name == "property"
        return self.marker


class Config:
    """Remembers which tests were left out."""

    def __init__(self) -> None:
        self.hook, self.left = self, list[Any]()

    def pytest_deselected(self, items: list[Any]) -> None:
        self.left += items


def even() -> Callable[[], None]:
    """Return a property of which every other number is judged."""

    @given(NUMBERS)
    def test(number: int) -> None:
        assume(number % 2 == 0)

    return test


def drawing() -> None:
    """Draw examples inside a test, half as many as the profile says."""

    @settings(max_examples=settings().max_examples // 2, database=None)
    @given(NUMBERS)
    def each(_: int) -> None:
        pass

    each()


def failing() -> None:
    raise AssertionError


def run(items: list[Item], path: Path) -> tuple[Thorough, list[Any]]:
    """Run what a thorough run chooses of some tests; return it and what it left."""
    plugin, config, chosen = Thorough(path), Config(), list[Any](items)
    plugin.pytest_collection_modifyitems(config, chosen)  # type: ignore[arg-type]
    for item in chosen:
        call, failed = plugin.pytest_runtest_call(item), False
        next(call)
        try:
            item.obj()
        except AssertionError as error:
            failed = True
            with pytest.raises(AssertionError):
                call.throw(error)
        else:
            with pytest.raises(StopIteration):
                call.send(None)
        phases: Any = ("setup", "call", "teardown")
        for when in phases:
            outcome: Any = "failed" if failed and when == "call" else "passed"
            plugin.pytest_runtest_logreport(
                pytest.TestReport(
                    *(item.nodeid, ("", 0, ""), {}, outcome, None),
                    when=when,
                    user_properties=item.user_properties,
                )
            )
    return plugin, config.left


@pytest.fixture(autouse=True)
def _of_a_hundred(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thorough, "EXAMPLES", 100)


def test_examples_are_shared_counted_and_written(tmp_path: Path) -> None:
    path, shared = tmp_path / "thorough.json", even()
    before = settings.get_current_profile_name()
    items = [
        Item("a.py::shared[1]", shared),
        Item("a.py::plain", failing),
        Item("a.py::shared[2]", shared),
        Item("a.py::inside[1]", drawing, 0.4),
        Item("a.py::inside[2]", drawing, 0.4),
        Item("a.py::failing", failing, 1),
    ]
    _, left = run(items, path)
    assert settings.get_current_profile_name() == before
    assert [item.nodeid for item in left] == ["a.py::plain"]
    found = tables.read(tmp_path)
    assert found["asked"] == 100
    counts = {name: {**row, "seconds": 0} for name, row in found["properties"].items()}
    assert counts == {
        "a.py::failing": {"variants": 1, "examples": 0, "seconds": 0, "failed": 1},
        "a.py::inside": {"variants": 2, "examples": 20, "seconds": 0, "failed": 0},
        "a.py::shared": {"variants": 2, "examples": 100, "seconds": 0, "failed": 0},
    }


def test_what_is_known_is_not_run_again(tmp_path: Path) -> None:
    path = tmp_path / "thorough.json"
    run([Item("a.py::first", even())], path)
    once = path.read_text()
    plugin, left = run([Item("a.py::first", failing, 1), Item("a.py::plain", failing)], path)
    assert len(left) == 2
    assert path.read_text() == once
    assert list(plugin.found) == ["a.py::first"]
    run([Item("a.py::first", failing, 1), Item("a.py::second", even())], path)
    assert list(tables.read(tmp_path)["properties"]) == ["a.py::first", "a.py::second"]


def test_what_has_failed_is_run_again(tmp_path: Path) -> None:
    path = tmp_path / "thorough.json"
    for function, failed in ((failing, 1), (drawing, 0)):
        run([Item("a.py::first", function, 1)], path)
        assert tables.read(tmp_path)["properties"]["a.py::first"]["failed"] == failed


def test_of_what_has_failed_the_other_variants_are_not_run_again(tmp_path: Path) -> None:
    path, shared = tmp_path / "thorough.json", even()
    names = ("a.py::shared[1]", "a.py::shared[2]")
    run([Item(names[0], shared), Item(names[1], failing, 1)], path)
    failed = tables.read(tmp_path)
    assert failed["properties"]["a.py::shared"]["failed"] == 1
    assert "more are begun" not in tables.environment(failed)
    _, left = run([Item(names[0], failing, 1), Item(names[1], shared)], path)
    assert [item.nodeid for item in left] == [names[0]]
    ended = tables.read(tmp_path)
    assert (ended["properties"]["a.py::shared"]["failed"], ended["begun"]) == (0, {})


def test_a_run_that_was_cut_off_goes_on_with_the_variants_left(tmp_path: Path) -> None:
    path, shared = tmp_path / "thorough.json", even()
    variants = [Item(f"a.py::shared[{i}]", shared) for i in range(3)]
    plugin = Thorough(path)
    for variant, outcome in zip(variants, ("passed", "failed"), strict=False):
        plugin.pytest_runtest_logreport(
            pytest.TestReport(
                *(variant.nodeid, ("", 0, ""), {}, outcome, None),  # type: ignore[arg-type]
                when="call",
                user_properties=[("seen", ["a.py::shared", 3, 34, 0.1])],
            )
        )
    begun = tables.read(tmp_path)
    assert begun["properties"] == {}
    assert begun["begun"]["a.py::shared"] == {
        "a.py::shared[0]": {"examples": 34, "seconds": 0.1, "failed": 0},
        "a.py::shared[1]": {"examples": 34, "seconds": 0.1, "failed": 1},
    }
    _, left = run(variants, path)
    assert left == variants[:1]
    ended = tables.read(tmp_path)
    assert ended["begun"] == {}
    row = ended["properties"]["a.py::shared"]
    assert {**row, "seconds": 0} == {"variants": 3, "examples": 102, "seconds": 0, "failed": 0}


def test_a_process_that_reports_to_another_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "thorough.json"
    report = pytest.TestReport(
        *("a.py::first", ("", 0, ""), {}, "passed", None),
        when="call",
        user_properties=[("seen", ["a.py::first", 1, 100, 0.1])],
    )
    Thorough(path, writes=False).pytest_runtest_logreport(report)
    assert not path.exists()
    Thorough(path).pytest_runtest_logreport(report)
    assert path.exists()


def test_the_table_adds_up() -> None:
    row = {"variants": 2, "examples": 1500, "seconds": 2.4, "failed": 0}
    few = {**row, "examples": 10}
    results = {
        "asked": 1000,
        "date": "2026-01-02",
        "versions": {"python": "3"},
        "properties": {"tests/test_a.py::test_x": row, "torch_impl/b.py::y": few},
        "begun": {"tests/test_a.py::test_z": {"tests/test_a.py::test_z[1]": few}},
    }
    assert tables.rows(results) == [
        ("property", "variants", "examples", "failed", "seconds"),
        ("`a: x`", "2", "1,500", "0", "2"),
        ("`torch_impl/b.py::y`", "2", "10", "0", "2"),
        ("all", "4", "1,510", "0", "5"),
    ]
    assert tables.environment(results) == (
        "2 properties, of which 1 have seen 1,000 examples or more; 1 more are begun; "
        "ended on 2026-01-02; python 3."
    )
