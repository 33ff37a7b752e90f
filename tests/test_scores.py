"""The tables of scores count what was found."""

import json
from pathlib import Path

import pytest

from paper.readme import RESULTS
from paper.tables import scores as tables
from torch_impl.testing import CHECKS

FOUND = {
    "checks": {
        "it_steps": {"topic": "steps", "beyond torch": False},
        "it_flies": {"topic": "steps", "beyond torch": True},
    },
    "outcomes": {
        "A": {"it_steps": ["passed", ""], "it_flies": ["failed", "no wings"]},
        "B": {"it_steps": ["failed", "stands"], "it_flies": ["failed", "no wings"]},
    },
}


def test_outcomes_are_counted_apart_from_those_beyond_torch() -> None:
    rows = tables.scores(FOUND)
    assert [len(row) for row in rows] == [7, 7, 7]
    assert rows[1:] == [("A", *"100010"), ("B", *"010010")]


def test_a_failed_check_names_who_fails() -> None:
    assert tables.failures(FOUND, beyond=False)[1:] == [("it steps", "steps", "B")]
    assert tables.failures(FOUND, beyond=True)[1:] == [("it flies", "steps", "A; B")]


def test_outcomes_of_other_checks_than_are_listed_are_refused(tmp_path: Path) -> None:
    results = tables.read(RESULTS)
    del results["checks"]["gradients_are_only_read"]
    (tmp_path / "scores.json").write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"^scores\.json: \w+ has outcomes of \["):
        tables.read(tmp_path)


KNOWN = {"a_step_is_compiled_once_and_whole"}
"""What ours fail with on_nonfinite="skip": undoing a step breaks its graph."""


def test_what_is_committed_is_of_all_checks_and_ours_fail_none() -> None:
    results = tables.read(RESULTS)
    assert set(results["checks"]) == set(CHECKS)
    for name, found in results["outcomes"].items():
        assert set(found) == set(CHECKS)
        ours = name.partition(",")[0] in {"RelativisticAdam", "RelativisticAdamW", "Gravity"}
        failed = [check for check, (outcome, _) in found.items() if outcome == "failed"]
        beyond = [check for check in failed if results["checks"][check]["beyond torch"]]
        assert not ours or set(failed) == (KNOWN if failed and name.endswith("skip") else set())
        assert name != "torch's AdamW" or failed == beyond
