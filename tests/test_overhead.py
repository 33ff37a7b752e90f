"""The cost of a step is measured side by side, and not judged where the control is off."""

import json
from pathlib import Path

import pytest

from paper import overhead


def test_a_pair_is_measured_with_its_control() -> None:
    for variant in ("limit_speed", "telemetry"):
        found = overhead.measure([10, 20], overhead.PAIRS[variant], rounds=3, seed=0)
        assert found["ratio"] > 0
        assert found["control"] > 0


def test_a_cell_is_not_judged_where_the_control_is_out_of_band() -> None:
    row = {model: {"ratio": 1.234, "control": 1.0} for model in overhead.MODELS}
    results = {"overhead": {"ratios": {variant: dict(row) for variant in overhead.PAIRS}}}
    last = list(overhead.MODELS)[-1]
    results["overhead"]["ratios"]["telemetry"][last] = {"ratio": 1.234, "control": 1.06}
    table = overhead.rows(results)
    assert table[1][2:] == ("1.23",) * len(overhead.MODELS)
    (telemetry,) = [row for row in table if row[0] == "telemetry"]
    assert telemetry[-1] == "not judged (control 1.06)"


def test_the_command_writes_what_the_tables_are_made_from(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    tables = {name: (pairs, {"small": [5]}) for name, (pairs, _) in overhead.TABLES.items()}
    monkeypatch.setattr(overhead, "TABLES", tables)
    monkeypatch.setattr(overhead, "CONTROL_BAND", 1e9)
    overhead.main(["--out", str(tmp_path), "--rounds", "1"])
    results = overhead.read(tmp_path)
    assert set(results["overhead"]["ratios"]) == set(overhead.PAIRS)
    assert set(results["fused"]["ratios"]) == set(overhead.FUSED_PAIRS)
    assert overhead.environment(results, "fused") in capsys.readouterr().out
    overhead.main(["--out", str(tmp_path), "--rounds", "2", "--tables", "fused"])
    written = json.loads((tmp_path / "overhead.json").read_text())
    assert written["overhead"] == results["overhead"]
    assert written["fused"]["environment"]["rounds"] == 2
