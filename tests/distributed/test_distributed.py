"""Trained in several processes, an optimizer ends where it ends in one: torch's own engines, gloo.

Each scheme is run once for all optimizers (see `tests.distributed.worker`).
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from torch.distributed.fsdp._common_utils import _set_fsdp_flattened

from tests.cases import CASES, SUBJECTS
from torch_impl import Gravity

BOUNDS = {"float64": 1e-12, "float32": 16 * 2.0**-23}
"""Largest difference of a parameter, of size 1: sums in another order, by some units of roundoff,
in gradients that Adam's division makes relative errors of."""

Run = tuple[str, int]

SCHEMES: list[tuple[str, Run]] = [
    *[("FSDP2", ("fsdp2", world)) for world in (2, 3)],
    *[("DDP", ("ddp", world)) for world in (2, 3)],
    *[("ZeRO-1", ("zero", world)) for world in (2, 3)],
    *[("tensor parallel", ("tensor_parallel", world)) for world in (2, 3)],
    ("FSDP2 × tensor parallel", ("fully_sharded_and_tensor_parallel", 4)),
    *[("meshes and dtypes mixed", ("mixed", world)) for world in (2, 3)],
]
CHECKPOINTS: list[tuple[Run, Run]] = [
    (("save", 3), ("load", 2)),
    (("save", 2), ("load", 3)),
    (("save", 2), ("load", 1)),
]


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Path:
    """A folder that the workers of a test run share."""
    own = tmp_path_factory.getbasetemp()
    return own if worker_id == "master" else own.parent


def records_of(runs: tuple[Run, ...], shared: Path) -> list[dict[str, Any]]:
    """Carry out runs one after the other, or await the worker that does; return the last's records.

    Every process must find the same.
    """
    folder = shared / "-".join(f"{scheme}{world}" for scheme, world in runs)
    folder.mkdir(exist_ok=True)
    done = folder / "done"
    with FileLock(folder / "lock"):
        if not done.exists():
            for scheme, world in runs:
                _carry_out(scheme, world, folder)
            done.touch()
    world = runs[-1][1]
    first, *others = (
        json.loads((folder / f"{runs[-1][0]}-{rank}.json").read_text()) for rank in range(world)
    )
    assert all(other == first for other in others)
    return first  # type: ignore[no-any-return]


def _carry_out(scheme: str, world: int, folder: Path) -> None:
    logs = [folder / f"{scheme}-{rank}.log" for rank in range(world)]
    (folder / f"{scheme}-{world}.store").unlink(missing_ok=True)  # of a run that has failed
    processes = []
    for rank, log in enumerate(logs):
        command = [sys.executable, "-W", "ignore", "-m", "tests.distributed.worker"]
        arguments = [scheme, str(rank), str(world), str(folder)]
        with log.open("w") as output:
            processes.append(
                subprocess.Popen(command + arguments, stdout=output, stderr=subprocess.STDOUT)
            )
    try:
        codes = [process.wait(timeout=240) for process in processes]
    except subprocess.TimeoutExpired:
        codes = [-1]
    finally:
        for process in processes:
            process.kill()
    if any(codes):
        pytest.fail("\n".join(f"== {log.name}\n{log.read_text()[-3000:]}" for log in logs))


def check(runs: tuple[Run, ...], name: str, shared: Path, record_property: Any) -> None:
    mine = [record for record in records_of(runs, shared) if record["optimizer"] == name]
    assert mine
    record_property("distributed", [runs[-1][1], mine])
    for record in mine:
        assert record["error"] <= BOUNDS.get(record["dtype"], 0), record


def _parameters(runs: list[tuple[str, tuple[Run, ...]]]) -> list[Any]:
    return [
        pytest.param(
            chain,
            name,
            id=f"{scheme}-{'-'.join(str(world) for _, world in chain)}-{name}",
            marks=pytest.mark.contract(scheme),
        )
        for scheme, chain in runs
        for name in SUBJECTS
    ]


@pytest.mark.parametrize(
    ("runs", "name"), _parameters([(scheme, (run,)) for scheme, run in SCHEMES])
)
def test_many_processes_end_where_one_does(
    runs: tuple[Run, ...], name: str, shared_folder: Path, record_property: Any
) -> None:
    check(runs, name, shared_folder, record_property)


@pytest.mark.parametrize(
    ("runs", "name"),
    _parameters([("distributed checkpoint", chain) for chain in CHECKPOINTS]),
)
def test_a_distributed_checkpoint_continues_on_other_processes(
    runs: tuple[Run, ...], name: str, shared_folder: Path, record_property: Any
) -> None:
    check(runs, name, shared_folder, record_property)


@pytest.mark.parametrize("world", [2, 3])
def test_limits_reports_and_skips_are_those_of_one_process(world: int, shared_folder: Path) -> None:
    """limit_speed and what it measures; a step that one process cannot take is taken by none."""
    records = records_of((("limits", world),), shared_folder)
    assert len(records) == 3 * (3 + 2) + 4
    for record in records:
        assert record["error"] <= BOUNDS["float64"], record
        assert record["apart"] <= BOUNDS["float64"], record
        assert record["skipped"] == {"skip": 1, "disagreeing": 4}.get(record["check"], 0), record


@pytest.mark.contract("FSDP1 is refused")
@pytest.mark.parametrize("name", CASES)
def test_pieces_that_fsdp1_has_cut_off_are_refused(name: str) -> None:
    """But per component, which needs no norm."""
    piece = torch.nn.Parameter(torch.zeros(3))
    _set_fsdp_flattened(piece)
    cls = CASES[name].optimizer
    with pytest.raises(ValueError, match=r"use torch\.distributed\.fsdp\.fully_shard"):
        cls([piece])
    if cls is not Gravity:
        cls([piece], relativistic_mode="per_component")
