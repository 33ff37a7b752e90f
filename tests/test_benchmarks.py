"""Ratios are measured side by side, judged by their control, kept through interruptions."""

import importlib
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.benchmarks import bench_ratios, checks, compare, gpu, records, report, suite
from tests.benchmarks.contenders import copying, memory_peak, process, random_gradients, stepping
from tests.benchmarks.pairs import SPREAD, STEPS, STEPS_ON_CPU, Pair
from tests.benchmarks.records import Records
from tests.benchmarks.side_by_side import ATTEMPTS, Contender, SideBySide, judge
from tests.benchmarks.suite import Key, Table, keys, measure_steps, peak_of, tables
from torch_impl import RelativisticAdamW
from torch_impl.pages import LEAST

FIRST, *_, LAST = keys("cpu")


@pytest.fixture
def pass_time(monkeypatch: pytest.MonkeyPatch) -> Callable[[float], None]:
    """Replace the clock by one that stands still, but for what is passed."""
    now = 0.0

    def passing(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(time, "perf_counter", lambda: now)
    return passing


def taking(pass_time: Callable[[float], None], *seconds: float) -> Contender:
    durations = itertools.cycle(seconds)
    return Contender(lambda: pass_time(1000), lambda: pass_time(next(durations)))


def test_a_ratio_is_that_of_medians_without_the_preparation(
    pass_time: Callable[[float], None],
) -> None:
    side = SideBySide(
        {
            "baseline": taking(pass_time, 2, 2, 200),
            "again": taking(pass_time, 2.02),
            "variant": taking(pass_time, 3, 3, 0.3),
        }
    )
    found = judge(side, budget=0, fewest=3)
    assert (found["ratio"], found["control"]) == pytest.approx((1.5, 1.01))
    assert (found["judged"], found["attempts"], found["rounds"]) == (True, 1, 3)


@pytest.mark.parametrize(("disturbed", "attempts"), [(1, 2), (2, 3), (100, ATTEMPTS)])
def test_what_the_control_disturbs_is_measured_again_and_then_not_judged(
    pass_time: Callable[[float], None], disturbed: int, attempts: int
) -> None:
    again = [1.2] * 3 * disturbed + [1.0] * 1000
    side = SideBySide(
        {
            "baseline": taking(pass_time, 1),
            "again": taking(pass_time, 1.2, *again),  # the first round tells how long one takes
            "variant": taking(pass_time, 3),
        }
    )
    found = judge(side, budget=0, fewest=3)
    assert found["attempts"] == attempts
    assert found["judged"] == (disturbed < ATTEMPTS)
    assert found["control"] == pytest.approx(1.2 if disturbed >= ATTEMPTS else 1.0)


def test_a_budget_is_spent_on_rounds(pass_time: Callable[[float], None]) -> None:
    same = Contender(lambda: None, lambda: pass_time(1))
    side = SideBySide({"baseline": same, "again": same, "variant": same})
    assert judge(side, budget=60, fewest=3)["rounds"] == 20


def test_every_round_runs_every_contender_once_in_an_order_of_its_own() -> None:
    ran: list[str] = []
    contenders = {
        name: Contender(lambda: None, lambda name=name: ran.append(name))  # type: ignore[misc]
        for name in ("baseline", "again", "variant")
    }
    side = SideBySide(contenders)
    for _ in range(50):
        side.round()
    orders = {tuple(ran[i : i + 3]) for i in range(0, 150, 3)}
    assert orders == set(itertools.permutations(contenders))


def test_every_step_has_new_gradients() -> None:
    seen = []

    class Seeing(torch.optim.SGD):
        def step(self, closure: Any = None) -> Any:
            param = self.param_groups[0]["params"][0]
            seen.append((param.grad, param.grad.clone()))
            super().step(closure)
            param.grad.zero_()  # which may not be seen again

    gradients = random_gradients([5], "cpu")
    contender = stepping(lambda params: Seeing(params, lr=1.0), gradients)
    for _ in range(3):
        contender.prepare()
        contender.run()
    for (one, _), (other, found) in itertools.pairwise(seen):
        assert one.data_ptr() != other.data_ptr()
        assert torch.equal(found, gradients[0])


QUICK = Table({}, {}, 0, 1)


class InThisThread:
    """A pool of no threads, which notes that it was asked."""

    def __init__(self, asked: list[bool]) -> None:
        self.asked = asked

    def submit(self, task: Callable[[slice], None], part: slice) -> Future[None]:
        self.asked.append(True)
        done: Future[None] = Future()
        task(part)
        done.set_result(None)
        return done


ALL_PAIRS = [
    (name, row, pair)
    for name, table in tables("cpu").items()
    for row, pair in table.rows.items()
    if isinstance(pair, Pair)
]


@pytest.mark.parametrize(("name", "row", "pair"), ALL_PAIRS, ids=lambda x: x if x else "")
def test_every_pair_can_be_measured(name: str, row: str, pair: Pair) -> None:
    found = measure_steps(pair, [10, 20], "cpu", QUICK)
    assert found["ratio"] > 0
    assert found["entries"] == 30
    assert peak_of(pair, [10, 20], "cpu")["memory"] >= 0
    assert set(found["seconds"]) == {"baseline", "again", "variant"}
    assert (pair.floor is not None) == (
        name in {"steps", "sizes", "scaling"} and row.endswith(", fused")
    )


def test_both_steps_have_the_pairs_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    pair = Pair("b", STEPS["Gravity, fused"].baseline, STEPS["Gravity, fused"].variant, threads=3)
    table = QUICK._replace(rows={"a": pair}, models={"m": [10]})
    seen: list[int] = []

    def measured(*_: Any) -> dict[str, Any]:
        seen.append(torch.get_num_threads())
        return {}

    monkeypatch.setattr(suite, "tables", lambda _device: {"t": table})
    monkeypatch.setattr(suite, "measure_steps", measured)
    assert suite.measure(Key("t", "a", "m"), "cpu").keys() == {*Key._fields, "over", "took"}
    assert seen == [3]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("row", SPREAD)
def test_steps_are_spread_over_threads_or_not_whatever_their_size(
    row: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    threads = importlib.import_module("torch_impl.fused.cpu.threads")
    spread: list[bool] = []
    usual = threads.ALONE
    monkeypatch.setattr(threads, "_pool", lambda: InThisThread(spread))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        for make, expected in ((SPREAD[row].baseline, False), (SPREAD[row].variant, True)):
            spread.clear()
            contender = stepping(make, random_gradients([10] * 16, "cpu"))
            contender.prepare()
            contender.run()
            assert bool(spread) == expected
            assert usual == threads.ALONE
    finally:
        torch.set_num_threads(before)


def test_the_host_is_measured_on_as_many_tensors_of_one_entry(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stepped: list[list[int]] = []

    def noting(make: Any, gradients: Any, places: Any = ()) -> Contender:
        stepped.append([gradient.numel() for gradient in gradients])
        return stepping(make, gradients, places)

    monkeypatch.setattr(suite, "stepping", noting)
    found = measure_steps(STEPS["Gravity, fused"], [10, 20], "cpu", QUICK._replace(hosts=True))
    assert set(found["seconds"]) - {"baseline", "again", "variant"} == {"host", "baseline's host"}
    assert stepped == [[10, 20]] * 3 + [[1, 1]] * 2


def test_large_models_are_measured_beside_a_copy_and_save_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Of the baseline there is one, which steps twice a round."""
    made: list[Any] = []

    def noting(make: Any, gradients: Any, places: Any) -> Contender:
        made.append(make)
        return stepping(make, gradients, places)

    monkeypatch.setattr(suite, "stepping", noting)
    monkeypatch.setattr(suite, "UNCACHED", 30)
    monkeypatch.setattr(suite, "COPIED", {"cpu": 1000})
    found = measure_steps(STEPS["Gravity, fused"], [10, 20], "cpu", QUICK)
    assert found["floor"] == 24
    assert found["copy"] == 8 * 1000 / found["seconds"]["copy"]
    assert len(made) == 2
    assert "copy" not in measure_steps(STEPS["Gravity, fused"], [29], "cpu", QUICK)
    assert len(made) == 5


def test_the_lists_of_tensors_are_as_large_as_they_are_called() -> None:
    sizes = {
        name: (len(model), sum(model))
        for device in ("cpu", "cuda")
        for name, model in tables(device)["steps"].models.items()
    }
    assert sizes == {
        "1 tensor of 16M": (1, 16_000_000),
        "149 tensors, 31M": (149, 30_921_856),
        "64 tensors of 131,072": (64, 2**23),
        "1,000 tensors of 100": (1000, 100_000),
        "1 tensor of 1B": (1, 10**9),
        "GPT-2 medium, 292 tensors, 355M": (292, 354_823_168),  # as Hugging Face counts them
    }


def test_memory_is_seen_whoever_allocates_it() -> None:
    entries = 10_000_000

    def by_numpy() -> None:
        np.ones(entries, dtype=np.float32)

    def by_torch() -> None:
        torch.ones(entries)

    for run in (by_numpy, by_torch):
        peak = memory_peak(Contender(lambda: None, run), "cpu")
        assert peak == pytest.approx(4 * entries, rel=0.1)
    copy = copying(entries, "cpu")
    copy.run()  # which touches the target
    assert memory_peak(copy, "cpu") == 0


def test_caches_of_a_cold_process_are_empty(tmp_path: Path) -> None:
    cached = tmp_path / "numba" / "kernel"
    for cold in (False, True):
        cached.parent.mkdir(parents=True, exist_ok=True)
        cached.touch()
        code = f"import os, pathlib; path = pathlib.Path(os.environ['NUMBA_CACHE_DIR'], 'kernel'); \
assert path.exists() == {not cold}"
        contender = process(code, tmp_path, cold=cold)
        contender.prepare()
        contender.run()


def record(key: Key, **changes: Any) -> dict[str, Any]:
    seconds = {"baseline": 2.0, "again": 2.0, "variant": 3.0}
    entry = {**key._asdict(), "over": "b", "ratio": 1.5, "control": 1.0, "judged": True}
    entry |= {"attempts": 1, "rounds": 7, "seconds": seconds}
    if key.table != "startup":
        entry |= {"entries": sum(tables("cpu")[key.table].models[key.column]), "memory": 0.0}
    return {**entry, **changes}


def test_an_interrupted_run_is_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Records(tmp_path, "cpu").put(FIRST, record(FIRST))
    Records(tmp_path, "cpu").put(LAST, record(LAST, judged=False, control=1.3))
    run = Records(tmp_path, "cpu")
    assert run.get(FIRST) == record(FIRST)
    assert run.get(LAST) is None  # to be measured again
    monkeypatch.setattr(records, "fingerprint", lambda: "of other sources")
    assert Records(tmp_path, "cpu").get(FIRST) is None


def test_a_run_ends_in_one_file(tmp_path: Path) -> None:
    run = Records(tmp_path, "cpu")
    every = keys("cpu")
    for key in reversed(every[1:]):
        run.put(key, record(key))
    assert run.finish() == [every[0]]
    assert run.parts.exists()
    run.put(every[0], record(every[0]))
    assert run.finish(checks=["c"]) == []
    assert not run.parts.exists()
    written = json.loads((tmp_path / "cpu.json").read_text())
    assert written["entries"] == [record(key) for key in every]
    assert written["checks"] == ["c"]
    assert written["environment"]["versions"]["torch"] == torch.__version__


def test_caches_of_data_are_told_by_level(tmp_path: Path) -> None:
    for i, (level, kind, size) in enumerate(
        [("1", "Data", "32K"), ("1", "Instruction", "64K"), ("2", "Unified", "512K")]
    ):
        index = tmp_path / f"index{i}"
        index.mkdir()
        for name, value in (("level", level), ("type", kind), ("size", size)):
            (index / name).write_text(f"{value}\n")
    assert records.caches(tmp_path) == {"L1": "32K", "L2": "512K"}
    assert records.caches(tmp_path / "none") == {}


def test_huge_pages_are_as_the_system_chose(tmp_path: Path) -> None:
    file = tmp_path / "enabled"
    assert records.huge_pages(file) == "unknown"
    file.write_text("always [madvise] never\n")
    assert records.huge_pages(file) == "madvise"
    file.write_text("another\n")
    assert records.huge_pages(file) == "unknown"


def test_an_adamw_in_huge_pages_steps_as_any() -> None:
    ends = []
    for pair in (STEPS_ON_CPU["AdamW, fused, its state in huge pages"], STEPS["AdamW, foreach"]):
        param = torch.ones(LEAST // 4, requires_grad=True)
        optimizer = pair.variant([param])
        for _ in range(2):
            param.grad = torch.ones_like(param)
            optimizer.step()
        ends.append(param.detach())
        assert set(optimizer.state[param]) == {"step", "exp_avg", "exp_avg_sq"}
    torch.testing.assert_close(*ends)


def test_sources_versions_and_machine_are_in_the_fingerprint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "kernel.py"
    source.write_text("one")
    monkeypatch.setattr(records, "sources", lambda: [source])
    found = {records.fingerprint()}
    source.write_text("two")
    found.add(records.fingerprint())
    monkeypatch.setattr(records, "versions", lambda: {"torch": "0"})
    found.add(records.fingerprint())
    assert len(found) == 3


class Timed:
    """What the tests use of pytest-benchmark's fixture, which xdist disables."""

    def __init__(self) -> None:
        self.extra_info: dict[str, Any] = {}
        self.calls = 0

    def pedantic(self, call: Callable[[], None], rounds: int) -> None:
        self.calls += 1
        for _ in range(rounds):
            call()


def test_a_benchmark_is_recorded_once_and_loudly_not_judged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, timed = Records(tmp_path, "cpu"), Timed()

    def measured(key: Key, _device: str, *, timed: Any) -> dict[str, Any]:
        ran: list[int] = []
        for attempt in range(ATTEMPTS):
            timed(lambda attempt=attempt: ran.append(attempt), 2)
        assert ran == [0, 0, 1, 1, 2, 2]
        return record(key, judged=key == FIRST, control=1.3)

    monkeypatch.setattr(bench_ratios, "measure", measured)
    bench_ratios.test_ratio(FIRST, timed, run)
    assert timed.extra_info["ratio"] == 1.5
    assert timed.calls == 1
    with pytest.raises(pytest.skip.Exception, match="measured before"):
        bench_ratios.test_ratio(FIRST, timed, run)
    with pytest.raises(pytest.skip.Exception, match=r"NOT JUDGED.*1\.30"):
        bench_ratios.test_ratio(LAST, timed, run)


def test_the_report_prints_every_ratio_and_what_is_missing(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = Records(tmp_path, "cpu")
    some = keys("cpu")[1:-1]
    for key in some:
        run.put(key, record(key))
    assert report.main(tmp_path) == 1
    printed = capsys.readouterr().out
    assert "missing, to be measured by make bench: " + ", ".join(FIRST) in printed
    assert "missing, to be measured by make bench-startup: " + ", ".join(LAST) in printed
    assert all(f"| {', '.join(key)} | b | 1.50 | 1.00 |" in printed for key in some)
    run.put(FIRST, record(FIRST))
    assert report.main(tmp_path) == 0  # fresh processes have a command of their own


def test_a_comparison_fails_where_something_became_slower(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    new, old = tmp_path / "cpu.json", tmp_path / "bench-cpu.json"
    command = ["--old", str(tmp_path), "--new", str(tmp_path)]

    def outcome(*changed: dict[str, Any]) -> tuple[int, str]:
        new.write_text(json.dumps({**measured, "entries": changed}))
        return compare.main(command), capsys.readouterr().out

    new.write_text("{}")
    assert compare.main(command) == 1
    where = {**dict.fromkeys(("processor", "commit", "day"), ""), "gpu": None}
    measured: dict[str, Any] = {"environment": {**where, "threads": 1, "versions": {}}}
    assert "bench-record" in capsys.readouterr().out
    old.write_text(json.dumps({**measured, "entries": [record(FIRST)]}))
    assert outcome(record(FIRST, ratio=1.8))[0] == 0
    assert "| 1.50 | 1.80 | +20% |" in outcome(record(FIRST, ratio=1.8))[1]
    assert outcome(record(FIRST, ratio=1.9))[0] == 1
    code, printed = outcome(record(FIRST, ratio=1.9, judged=False))
    assert (code, "not judged" in printed) == (0, True)
    code, printed = outcome(record(LAST))
    assert (code, "is gone" in printed, "only one was measured" in printed) == (0, True, True)


@pytest.mark.parametrize("kind", [torch.OutOfMemoryError, ValueError])
def test_a_run_of_the_gpus_command_is_continued_and_fails_where_something_does(
    kind: type[Exception],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    measured: list[Key] = []
    written_before: list[int] = []
    broken = {LAST}

    def measure(key: Key, _device: str) -> dict[str, Any]:
        measured.append(key)
        found = json.loads((tmp_path / "cpu.json").read_text())["entries"]
        written_before.append(len(found))
        if key in broken:
            raise kind("out of memory\nTried to allocate")
        return record(key)

    passed = {"name": "a check", "passed": True, "found": "1 of 1"}
    monkeypatch.setattr(gpu, "measure", measure)
    monkeypatch.setattr(gpu, "checked", lambda _device: [passed])
    run = Records(tmp_path, "cpu", "abc")
    assert gpu.run("cpu", run, seconds=-1) == 1
    assert not measured
    assert (
        "missing, to be measured by the same command: " + ", ".join(FIRST)
        in capsys.readouterr().out
    )
    Records(tmp_path, "cpu").put(FIRST, record(FIRST))
    assert gpu.run("cpu", run) == 1
    assert measured == keys("cpu")[1:]
    assert written_before == [0, *range(2, len(keys("cpu")))]
    assert "FAILED: out of memory" in capsys.readouterr().out
    written = json.loads((tmp_path / "cpu.json").read_text())
    assert written["checks"] == [passed]
    assert written["environment"]["commit"] == "abc"
    assert [entry.get("error") for entry in written["entries"]][-2:] == [None, "out of memory"]
    broken.clear()
    measured.clear()
    assert gpu.run("cpu", run) == 0
    assert measured == [LAST]
    passed["passed"] = False
    assert gpu.run("cpu", run) == 1
    assert "FAILED: a check: 1 of 1" in capsys.readouterr().out


def test_checks_run_in_a_process_of_their_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever becomes of it, there is something to be told."""
    found = gpu.checked("nowhere")
    assert [each["passed"] for each in found] == [False, False]
    assert "nowhere" in found[0]["found"]
    monkeypatch.setattr(gpu, "check", lambda _device: [])  # which no process can be sent
    (failed,) = gpu.checked("cpu")
    assert not failed["passed"]
    assert "pickle" in failed["found"]


def test_without_a_gpu_its_command_says_so(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert gpu.main([]) == 2
    assert "no CUDA device" in capsys.readouterr().err


def test_the_gpus_command_needs_torch_and_numpy_alone() -> None:
    code = """
import sys
import torch, numpy
theirs = set(sys.modules)
import tests.benchmarks.gpu
from importlib.metadata import packages_distributions
tops = {name.partition(".")[0] for name in set(sys.modules) - theirs}
print(*tops & set(packages_distributions()) - {"torch", "numpy"})
"""
    root = Path(gpu.__file__).parents[2]
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


@pytest.mark.parametrize("name", checks.subjects())
def test_checks_pass_on_the_cpu(name: str) -> None:
    assert checks.largest_error(name, "cpu") < 1
    assert checks.is_deterministic(name, "cpu")


class Off(RelativisticAdamW):
    """Wrong by a ten thousandth of a step, or random."""

    def __init__(self, params: Any, *, random: bool = False, **options: Any) -> None:
        super().__init__(params, **options)
        self.random = random

    def step(self, closure: Any = None) -> Any:
        (group,) = self.param_groups
        if group["fused"]:
            for param in group["params"]:
                with torch.no_grad():
                    param.add_(1e-5 * (torch.rand(()) if self.random else torch.ones(())))
        return super().step(closure)


def test_checks_find_what_is_wrong_random_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"speed_limit": 0.05, "speed_unit": "rms"}
    found = {
        "wrong": (Off, options),
        "random": (Off, {**options, "random": True}),
        "refused": (RelativisticAdamW, {**options, "placement": "gradient"}),
        "unknown": (RelativisticAdamW, {**options, "unknown": None}),
    }
    monkeypatch.setattr(checks, "subjects", lambda: found)
    agreement, determinism = checks.check("cpu")
    assert agreement["found"].startswith("0 of 4; not wrong; not random; not refused (`fused=True`")
    assert "; not unknown (" in agreement["found"]
    assert determinism["found"].startswith("1 of 4; not random; not refused")
    assert not agreement["passed"]


@pytest.mark.parametrize("row", [row for row, pair in STEPS.items() if pair.floor])
def test_a_fused_step_takes_no_multiple_of_torchs(row: str) -> None:
    """Three times AdamW's at most; measured are 0.9 to 1.5, and others use this machine too."""
    ratios = (
        measure_steps(STEPS[row], [131_072] * 8, "cpu", Table({}, {}, 0, 15))["ratio"]
        for _ in range(5)
    )
    assert any(ratio < 3 for ratio in ratios)


@pytest.mark.parametrize("row", [row for row, pair in STEPS.items() if pair.floor])
def test_a_fused_step_is_faster_than_foreach(row: str) -> None:
    foreach = STEPS[row.replace("fused", "foreach")].variant
    pair = Pair("foreach", foreach, STEPS[row].variant)
    ratios = (
        measure_steps(pair, [131_072] * 8, "cpu", Table({}, {}, 0, 15))["ratio"] for _ in range(5)
    )
    assert any(ratio < 1 for ratio in ratios)
