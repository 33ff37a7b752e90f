"""Runs of earlier code are taken over where a sample of them comes out as it is recorded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from paper.experiments import carry, store
from tests.test_experiment_store import tiny

OLD = "0" * 12


@pytest.fixture
def records(tmp_path: Path) -> list[dict[str, Any]]:
    """Four runs of earlier code, and one of today's."""
    made = [store.load(store.perform(tiny(seed=seed), tmp_path / "made")) for seed in range(5)]
    return [*({**record, "code": OLD} for record in made[:4]), made[4]]


def test_what_a_sample_confirms_is_taken_over(
    records: list[dict[str, Any]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results, today = tmp_path / "results", records[-1]["code"]
    store.write_collected(store.collected(results, "some"), records)
    monkeypatch.setattr(carry, "FOLDER", tmp_path)
    asked = ["--results", str(results), "--share", "0.5", "--workers", "1"]
    assert carry.main(asked) == 0
    assert len([*(tmp_path / "carried").iterdir()]) == 3  # at least
    found = store.read_collected(store.collected(results, "some"))
    assert sorted(record["run"]["seed"] for record in found) == [0, 1, 2, 3, 4]
    for record in found:
        assert record["code"] == today
        assert record.get("made") == (None if record["run"]["seed"] == 4 else OLD)
        assert store.result(record).run == tiny(seed=record["run"]["seed"])
    assert store.restore(found, tmp_path / "restored") == 5


def test_what_is_not_confirmed_is_left(
    records: list[dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    results = tmp_path / "results"
    for record in records[:4]:
        record["train_loss"][-1] *= 1.01
    store.write_collected(store.collected(results, "some"), records)
    monkeypatch.setattr(carry, "FOLDER", tmp_path)
    assert carry.main(["--results", str(results), "--workers", "1"]) == 1
    assert store.read_collected(store.collected(results, "some"))[0]["code"] == OLD
    printed = capsys.readouterr().out
    found = "of 3 of 4 0 as recorded, 0 as the earlier code here, 3 otherwise"
    assert f"{OLD} → {records[-1]['code']}: {found}" in printed
    assert "0 runs were taken over, 4 are left to be made again" in printed


def test_who_made_a_record_is_kept_when_it_is_taken_over_again(
    records: list[dict[str, Any]],
) -> None:
    def compared(some: Sequence[dict[str, Any]]) -> list[carry.Found]:
        return ["as recorded"] * len(some)

    assert carry.carry(records, compared)[0] == 4
    for record in records[:4]:
        record["code"] = "1" * 12
    assert carry.carry(records, compared)[0] == 4
    assert {record["made"] for record in records[:4]} == {OLD}


def test_another_processor_is_told_from_other_code(
    records: list[dict[str, Any]], tmp_path: Path
) -> None:
    """By what the earlier code, here that of today, gives here."""
    record = {**records[-1], "validation_loss": 1.0}  # of another processor
    assert carry.compare(record, tmp_path) == "otherwise"
    assert carry.compare(record, tmp_path, store.ROOT) == "as the earlier code here"
    (again,) = (file for file in tmp_path.glob("*.json"))
    again.write_text(store.line({**store.load(again), "validation_loss": 2.0}))
    assert carry.compare(record, tmp_path, store.ROOT) == "otherwise"
    with pytest.raises(ValueError, match=f"expected {OLD}, of a record"):
        carry.compare({**record, "code": OLD}, tmp_path, store.ROOT)


def test_what_there_is_no_more_is_not_asked_for(records: list[dict[str, Any]]) -> None:
    gone = {**records[0], "run": {**records[0]["run"], "task": "gone"}}
    assert not carry.outdated([gone, records[-1]])


def test_a_share_is_made_again_and_some_at_least() -> None:
    group: list[Any] = [*range(1000)]
    for share, expected in ((0.03, 30), (0.001, 3), (1.0, 1000)):
        some = carry.sample(group, share, 3)
        assert len({*some}) == expected
        assert some == carry.sample(group, share, 3)
    assert len(carry.sample(group[:2], 0.03, 3)) == 2
