"""What is killed loses only what was in flight, on this machine and on a cluster."""

import math
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from paper.experiments import graph, store
from paper.experiments.__main__ import build, cluster
from paper.experiments.plan import cost
from paper.training import Run
from tests.experiments_killed import RUNS

SLOW = 600.0


def wait_for(files: int, folder: Path) -> list[Path]:
    """Return the files of runs, as soon as there are so many."""
    deadline = time.monotonic() + SLOW
    while time.monotonic() < deadline:
        found = sorted((folder / "runs").glob("*.json"))
        if len(found) >= files:
            return found
        time.sleep(0.01)
    raise AssertionError(f"not {files} runs within {SLOW} s")


def killed_after(files: int, folder: Path, victim: psutil.Process) -> threading.Thread:
    """Kill a process as soon as there are so many runs."""

    def kill() -> None:
        wait_for(files, folder)
        victim.kill()

    thread = threading.Thread(target=kill)
    thread.start()
    return thread


def names(runs: Sequence[Run]) -> set[str]:
    return {f"{store.key(run)}.json" for run in runs}


def test_a_killed_experiment_goes_on_where_it_was(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.experiments_killed", str(tmp_path)]
    first = subprocess.Popen(command, cwd=store.ROOT, start_new_session=True)
    done = wait_for(3, tmp_path)
    os.killpg(first.pid, signal.SIGKILL)
    first.wait()
    assert not (store.collected(tmp_path, "small")).exists()
    kept = {path: path.stat().st_mtime_ns for path in done}
    for path in sorted((tmp_path / "runs").glob("*.json")):
        store.load(path)  # each is whole
    subprocess.run(command, cwd=store.ROOT, check=True)
    assert {path: path.stat().st_mtime_ns for path in done} == kept
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= names(RUNS)
    assert len(store.read_collected(store.collected(tmp_path, "small"))) == len(RUNS)


def test_a_worker_of_a_cluster_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    with cluster("local", 2) as client:
        assert client is not None
        pids = client.run(os.getpid)
        assert len(set(pids.values())) == 2
        victim = psutil.Process(next(iter(pids.values())))
        watcher = killed_after(3, tmp_path, victim)
        assert build({"small": RUNS}, tmp_path, tmp_path, workers=2, dask=True)
        watcher.join()
        assert not victim.is_running() or victim.status() == psutil.STATUS_ZOMBIE
    assert len(store.read_collected(store.collected(tmp_path, "small"))) == len(RUNS)
    assert {path.name for path in (tmp_path / "runs").iterdir()} >= names(RUNS)


def test_batches_are_of_one_task_and_method() -> None:
    others = [replace(run, task="noisy_double_well") for run in RUNS]
    mixed = [run for pair in zip(RUNS * 3, others * 3, strict=True) for run in pair]
    found = graph.batches(mixed)
    assert {
        (len({run.task for run in batch}), len({run.method for run in batch})) for batch in found
    } == {(1, 1)}
    assert max(len(batch) for batch in found) == graph.BATCH
    assert sorted(map(repr, mixed)) == sorted(repr(run) for batch in found for run in batch)


def test_cost_is_that_of_steps_of_the_same_task() -> None:
    records = [
        {"run": {"task": "noisy_quadratic"}, "steps": steps, "seconds": seconds}
        for steps, seconds in ((100, 1.0), (200, 4.0), (10, 0.3), (0, 0.1))
    ]
    assert cost(RUNS, records) == pytest.approx(10 * 200 * 0.02)
    assert math.isnan(cost([replace(RUNS[0], task="digits")], records))
