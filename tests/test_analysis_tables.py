"""``python -m analysis`` prints every table whole, and its tables follow their sources."""

import pytest
from rich.console import Console

import analysis.__main__ as command
from analysis.facts import FACTS
from analysis.maps import MAPS
from analysis.rounding import FORMATS, KERNELS
from analysis.tables import map_rows, rounding_rows, tables


@pytest.fixture(scope="module")
def derived() -> dict[str, dict[str, str]]:
    return dict(tables())


def test_every_law_and_every_map_has_a_table(derived: dict[str, dict[str, str]]) -> None:
    assert set(FACTS) <= set(derived)
    assert {title.rsplit(" ", 1)[1] for title in derived if "quadratic" in title} == set(MAPS)
    assert len(derived) == len(FACTS) + 3 + 2 + len(MAPS) + 1
    for table in derived.values():
        assert all(name and value for name, value in table.items())


def test_the_command_prints_every_row(
    derived: dict[str, dict[str, str]],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(command, "tables", lambda: iter(derived.items()))
    monkeypatch.setattr(command, "Console", lambda **_: Console(width=400))
    command.main()
    printed = capsys.readouterr().out
    for title, table in derived.items():
        assert title in printed
        assert all(name in printed for name in table)


def test_a_cycle_that_is_not_there_is_said_so() -> None:
    assert map_rows("piecewise")["amplitude/c of the cycle at a = 2.5"] == "no cycle"
    assert map_rows("smooth_sqrt")["amplitude/c of the cycle at a = 2.5"] == "0.3"


def test_only_the_safe_kernel_never_vanishes_nor_exceeds() -> None:
    found = rounding_rows()
    for name in FORMATS:
        for kernel in KERNELS:
            row = found[f"{name}, {kernel}"]
            safe = row.startswith("never 0, exceeds c for 0.00% of all x")
            assert safe == (kernel == "safe"), row
