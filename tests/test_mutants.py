"""A report of mutants counts what mutmut has recorded, and says why a mutant is left."""

import json
from pathlib import Path
from typing import Any

import pytest

from paper.tables import fuzz
from paper.tables import mutants as tables
from tests import mutants


def test_every_target_has_files_and_tests() -> None:
    seen: set[str] = set()
    for target in mutants.TARGETS.values():
        assert set(target.anew) <= set(target.tests)
        for test in target.tests:
            assert (mutants.ROOT / test.partition("::")[0]).exists(), test
        for pattern in target.files:
            files = {path.as_posix() for path in mutants.ROOT.glob(pattern)}
            assert files, pattern
            assert not files & seen
            seen |= files


def test_a_report_counts_outcomes_and_says_why_a_mutant_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    codes = {f"reference.laws.x_f__mutmut_{i}": code for i, code in enumerate((1, 3, -24, 0, 33))}
    folder = tmp_path / "mutants" / "reference"
    folder.mkdir(parents=True)
    record = {"exit_code_by_key": {**codes, "reference.laws.xǁLawǁg__mutmut_1": None}}
    (folder / "laws.py.meta").write_text(json.dumps(record))
    reasons = tmp_path / "mutants.toml"
    reasons.write_text(
        "[[survivor]]\nin = '.*:other'\nchange = ''\nreason = 'no'\n"
        "[[survivor]]\nin = 'reference/.*'\nchange = 'strict=None'\nreason = 'as long before'\n"
    )
    monkeypatch.setattr(mutants, "REASONS", reasons)
    change = {"reference.laws.x_f__mutmut_3": ["-zip(strict=True)", "+zip(strict=None)"]}
    monkeypatch.setattr(mutants, "change", lambda _f, _p, mutant: change.get(mutant, ["+x"]))
    found = mutants.report("reference", tmp_path)
    counts = {"killed": 2, "timeouts": 1, "survived": 2, "not run": 1}
    assert found["files"] == {"reference/laws.py": counts}
    assert [(row["function"], row["reason"]) for row in found["survivors"]] == [
        ("f", "as long before"),
        ("f", ""),
    ]
    results: dict[str, Any] = {"targets": {"reference": found}}
    head = ("file", "mutants", "killed", "timeouts", "survived", "not run", "score")
    row = ("6", "2", "1", "2", "1", "60.0%")
    assert tables.rows(results) == [head, ("`reference/laws.py`", *row), ("all", *row)]
    assert tables.survivors(results) == [
        ("reason", "mutants", "in"),
        ("as long before", "1", "`reference/laws.py:f`"),
        ("**no reason yet**", "1", "`reference/laws.py:f`"),
    ]


def test_a_mutant_that_dies_anew_is_recorded_as_killed(tmp_path: Path) -> None:
    folder = tmp_path / "mutants" / "reference"
    folder.mkdir(parents=True)
    (folder / "laws.py.meta").write_text(json.dumps({"exit_code_by_key": {"a": 0, "b": 0}}))
    mutants._record(tmp_path, "b", 1)
    assert list(mutants.codes(tmp_path)) == [
        ("reference/laws.py", "a", 0),
        ("reference/laws.py", "b", 1),
    ]


def test_the_table_of_fuzzing_adds_up() -> None:
    counts = {"inputs": 1000, "taken": 1, "refused": 998, "findings": 1, "seconds": 1.5}
    results = {"seed": 1, "versions": {"python": "3"}, "targets": {"a": counts, "b": counts}}
    assert fuzz.rows(results)[1:] == [
        ("`a`", "1,000", "1", "998", "1"),
        ("`b`", "1,000", "1", "998", "1"),
        ("all", "2,000", "2", "1,996", "2"),
    ]
    assert (
        fuzz.environment(results)
        == "Seed 1; python 3; 3 s summed over targets, two at a time, pauses included."
    )


def test_a_reason_with_a_pattern_that_is_none_is_refused(tmp_path: Path) -> None:
    source = tmp_path / "mutants.toml"
    source.write_text("[[survivor]]\nin = '.*'\nchange = '('\nreason = 'no'\n")
    with pytest.raises(ValueError, match=r"^mutants\.toml has change = '\(': expected a pattern"):
        mutants.read_reasons(source)
