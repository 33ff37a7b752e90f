"""The tables of benchmarks say what was measured, and what was not."""

import json
from pathlib import Path
from typing import Any

import pytest

from paper.tables import bench, goals, growth
from tests.benchmarks.models import SMALL
from tests.benchmarks.suite import keys


def entry(**changes: Any) -> dict[str, Any]:
    seconds = {"baseline": 2.0, "again": 2.0, "variant": 3.0}
    entry = {"table": "steps", "row": "a", "column": "m", "over": "b", "entries": 10, "memory": 0.5}
    entry |= {"ratio": 1.234, "control": 1.0, "judged": True, "rounds": 7, "seconds": seconds}
    return {**entry, **changes}


def results(*entries: dict[str, Any]) -> dict[str, Any]:
    where = {"processor": "P, 2 cores", "gpu": None, "threads": 1, "versions": {"torch": "2"}}
    where |= {"commit": "abc", "day": "2026-01-01"}
    return {"environment": where, "entries": entries, "checks": []}


def test_a_cell_says_the_ratio_or_why_there_is_none() -> None:
    found = results(
        entry(),
        entry(column="n", judged=False, control=1.06),
        entry(row="c", error="out of memory"),
        entry(table="peers"),
    )
    assert bench.ratios(found, "steps") == [
        ("a step with", "over one of", "m", "n"),
        ("a", "b", "1.23", "not judged (control 1.06)"),
        ("c", "b", "not measured: out of memory", "–"),
    ]


def test_one_table_has_every_benchmark() -> None:
    found = results(
        entry(floor=24, copy=160.0),
        entry(judged=False, control=1.06),
        {"table": "startup", "row": "s", "column": "m", "over": "b", "error": "killed"},
    )
    assert bench.every(found)[1:] == [
        ("steps, a, m", "b", "1.23", "1.00", "0.50", "50%"),
        ("steps, a, m", "b", "not judged (control 1.06)", "1.06", "0.50", "–"),
        ("startup, s, m", "b", "not measured: killed", "–", "–", "–"),
    ]


def test_memory_is_that_of_some_tables() -> None:
    found = results(entry(), entry(table="peers", row="p", memory=2.0), entry(table="costs"))
    assert bench.memory(found, "steps", "peers") == [
        ("a step with", "m"),
        ("a", "0.50"),
        ("p", "2.00"),
    ]


def test_bandwidth_is_a_share_of_the_copys() -> None:
    # 10 entries at 24 bytes in 3 s are 80 bytes a second; AdamW's 28 in 2 s are 140
    disturbed = entry(row="d", floor=24, copy=1.0, judged=False)
    found = results(entry(floor=24, copy=160.0), entry(row="c"), disturbed)
    assert bench.bandwidth(found) == [
        ("a step with", "bytes per parameter", "m"),
        ("AdamW, fused", "28", "88%"),
        ("a", "24", "50%"),
        ("d", "24", "not judged"),
    ]


def test_the_hosts_share_is_that_of_tensors_of_one_entry() -> None:
    seconds = {"baseline": 2.0, "variant": 4.0, "host": 1.0, "baseline's host": 0.2}
    found = results(
        entry(table="sizes", seconds=seconds),
        entry(table="sizes", seconds={**seconds, "baseline": 1.0}, row="c"),
        entry(table="sizes", seconds=seconds, row="d", judged=False),
        entry(),
    )
    first = entry(table="sizes", seconds=seconds, column="first", judged=False)
    assert bench.hosts(results(first, *found["entries"]))[:3] == [
        ("a step with", "first", "m"),
        ("AdamW, fused", "–", "15%"),
        ("a", "not judged", "25%"),
    ]
    assert bench.hosts(found) == [
        ("a step with", "m"),
        ("AdamW, fused", "15%"),  # the median of 0.2/2 and 0.2/1
        ("a", "25%"),
        ("c", "25%"),
        ("d", "not judged"),
    ]


def test_goals_are_reached_or_missed() -> None:
    row, column = "RelativisticAdamW, per_param, fused", "64 tensors of 131,072"
    found = [
        entry(row=row, column=column, ratio=1.204),
        entry(row=row, column="1 tensor of 16M", ratio=1.456),
        entry(row=row, column="149 tensors, 31M", judged=False),
        entry(row="Gravity, foreach", column=column, ratio=2.0),
        entry(),
    ]
    assert goals.rows(found, "cpu") == [
        ("a step with", column, "1 tensor of 16M", "149 tensors, 31M"),
        (row, "1.20 ≤ 1.20, aim 1.10", "1.46 **>** 1.45, aim 1.34", "– (1.45)"),
        ("Gravity, foreach", "2.00 ≤ 4.50", "–", "–"),
    ]
    assert goals.rows(found, "cuda") == [("a step with",)]


def test_every_kernel_has_goals_and_on_the_cpu_what_needs_none() -> None:
    for device, paths in (("cpu", ("fused", "foreach")), ("cuda", ("fused",))):
        wanted = {
            (key.row, key.column)
            for key in keys(device)
            if key.table == "steps"
            and key.row.endswith(paths)
            and not key.row.startswith("AdamW")
            and (device == "cpu" or key.column not in SMALL)
        }
        assert goals.GOALS[device].keys() == wanted


def test_a_line_is_fitted_and_a_bend_is_seen() -> None:
    sizes = [1e5, 1e6, 1e7, 1e8]
    straight = growth.fit(sizes, [3 + n / 1000 for n in sizes])
    assert straight["fixed"] == pytest.approx(3000)
    assert straight["deviation"] < 1e-9
    assert growth.fit(sizes, [n**1.1 for n in sizes])["exponent"] == pytest.approx(1.1)
    assert growth.fit(sizes, [n**1.1 for n in sizes])["deviation"] > 0.1


def test_growth_is_told_by_what_was_measured() -> None:
    line = [
        entry(
            table="scaling",
            entries=n,
            seconds={"variant": 1e-6 + n * 1e-9, "baseline": 2e-6 + n * 1e-9},
            ratio=1 + n / 1e6,
            judged=n < 1e6,
        )
        for n in (10**5, 5 * 10**5, 10**6)
    ]
    failed = {"table": "scaling", "row": "a", "error": "out of memory"}
    (_, adamw, row) = growth.rows([*line, failed])
    assert adamw[4:] == ("2,000", "1")
    assert row == (
        "a",
        "100,000 to 1,000,000",
        "0.996",
        "0%",
        "1,000",
        "1.10 to 1.50 (2 of 3 judged)",
    )


def test_the_environment_counts_what_was_judged() -> None:
    found = results(
        entry(took=60.0),
        entry(rounds=30, took=120.0),
        entry(judged=False),
        entry(table="startup", took=300.0),
        {"error": "no memory"},
    )
    assert bench.environment(found) == (
        "Measured on 2026-01-01 at commit abc on P, 2 cores; torch 2; torch's threads: 1. Medians "
        "of 7 to 30 rounds; of 5 benchmarks 3 have a control within 0.95 to 1.05. Steps took 3 "
        "min, fresh processes 5."
    )


def test_the_environment_says_what_decides_what_a_kernel_can_do() -> None:
    found = results(entry())
    found["environment"] |= {"gpu": "G", "vectors": "AVX2", "caches": {"L1": "32K", "L2": "512K"}}
    assert " on G; P, 2 cores; AVX2; L1 32K, L2 512K; torch 2; " in bench.environment(found)
    found["environment"]["huge pages"] = "madvise"
    assert "; L1 32K, L2 512K; huge pages: madvise; torch 2; " in bench.environment(found)


def test_hardware_is_the_gpu_where_one_was_measured() -> None:
    found = results(entry())
    assert bench.hardware(found) == "P, 2 cores, torch 2, commit abc, 2026-01-01"
    found["environment"]["gpu"] = "G"
    assert bench.hardware(found) == "G, torch 2, commit abc, 2026-01-01"


def test_what_was_not_measured_says_what_measures_it(tmp_path: Path) -> None:
    made = bench.blocks(tmp_path)
    assert made["bench-cpu-steps"] == "Not yet measured: `make bench` measures it."
    assert made["bench-cuda-checks"] == "Not yet measured: `make bench-gpu` measures it."
    found = results(
        entry(),
        entry(table="startup"),
        {"table": "startup", "row": "s", "column": "m", "over": "b", "error": "killed"},
        *(entry(table="scaling", entries=n) for n in (10, 20)),
    )
    found["checks"] = [{"name": "n", "passed": True, "found": "1 of 1"}]
    for device in ("cpu", "cuda"):
        bench.file(tmp_path, device).write_text(json.dumps(found))
    made = bench.blocks(tmp_path)
    assert "| a | b | 1.23 |" in made["bench-cpu-steps"]
    assert "| a | b | 1.23 | 3.00 | 2.00 |" in made["bench-cpu-startup"]
    assert "| s | b | not measured: killed | – | – |" in made["bench-cpu-startup"]
    assert "| n | 1 of 1 |" in made["bench-cuda-checks"]
    assert not any("Not yet" in block for block in made.values())
