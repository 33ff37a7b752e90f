"""Checkpoints: whole or refused, whatever happens to the file or to its writer."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from torch_impl import CheckpointError, RelativisticAdamW, load_checkpoint, save_checkpoint

STATE = {"tensor": torch.arange(6.0).reshape(2, 3), "names": ["a", "b"], "nested": {"lr": 0.1}}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "last.pt"
    save_checkpoint(STATE, path)
    return path


def assert_is(state: Any, expected: Any = STATE) -> None:
    assert torch.equal(state["tensor"], expected["tensor"])
    assert state["names"] == expected["names"]
    assert state["nested"] == expected["nested"]


def test_what_is_written_is_read_by_torch_too(file: Path) -> None:
    assert_is(load_checkpoint(file))
    assert_is(torch.load(file, weights_only=True))
    assert load_checkpoint(file, map_location="meta")["tensor"].device.type == "meta"
    assert os.listdir(file.parent) == [file.name]


def test_an_optimizer_goes_on_from_it(tmp_path: Path) -> None:
    def step(optimizer: torch.optim.Optimizer, param: torch.Tensor) -> None:
        param.grad = torch.ones_like(param)
        optimizer.step()

    param = torch.ones(4, requires_grad=True)
    optimizer = RelativisticAdamW([param], lr=0.1)
    step(optimizer, param)
    save_checkpoint({"param": param, "optimizer": optimizer.state_dict()}, tmp_path / "a.pt")
    found = load_checkpoint(tmp_path / "a.pt")
    twin = found["param"].detach().requires_grad_()
    other = RelativisticAdamW([twin], lr=0.1)
    other.load_state_dict(found["optimizer"])
    step(optimizer, param)
    step(other, twin)
    assert torch.equal(param, twin)


def test_a_flipped_bit_is_detected(file: Path) -> None:
    """One of every byte, all of those that say that a file is whole."""
    whole = file.read_bytes()
    for i in range(len(whole)):
        for bit in (i % 8,) if i < len(whole) - 56 else range(8):
            changed = bytearray(whole)
            changed[i] ^= 1 << bit
            file.write_bytes(changed)
            with pytest.raises(CheckpointError, match=r"another SHA-256|was not written by"):
                load_checkpoint(file)


def test_a_cut_and_an_extension_are_detected(file: Path) -> None:
    whole = file.read_bytes()
    for size in (*range(0, len(whole), 7), len(whole) - 1):
        file.write_bytes(whole[:size])
        with pytest.raises(CheckpointError, match=r"last\.pt"):
            load_checkpoint(file)
    for more in (b"\0", whole[-60:], whole):
        file.write_bytes(whole + more)
        with pytest.raises(CheckpointError, match=r"last\.pt"):
            load_checkpoint(file)


def test_a_file_of_torch_save_is_refused_with_what_is_missing(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="was not written by save_checkpoint"):
        load_checkpoint(tmp_path / "other.pt")
    with pytest.raises(FileNotFoundError):
        load_checkpoint(tmp_path / "none.pt")


def test_objects_that_would_not_be_read_are_not_written(file: Path) -> None:
    with pytest.raises(CheckpointError, match="state holds pathlib"):
        save_checkpoint({"path": Path("x")}, file)
    assert_is(load_checkpoint(file))
    assert os.listdir(file.parent) == [file.name]


def test_a_failure_leaves_the_old_file(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space left"):
        save_checkpoint({**STATE, "names": []}, file)
    assert_is(load_checkpoint(file))
    assert os.listdir(file.parent) == [file.name]


def test_a_file_can_be_replaced_through_a_relative_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for names in (["a"], ["b"]):
        save_checkpoint({**STATE, "names": names}, "here.pt")
        assert load_checkpoint("here.pt")["names"] == names


@pytest.mark.skipif(not hasattr(os, "fork"), reason="NOT CHECKED: a kill; there are no forks here")
def test_a_writer_that_is_killed_leaves_a_whole_file(tmp_path: Path) -> None:
    """50 times, in the middle of one of many writes; some left their temporary file behind."""
    process = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "tests.checkpoint_writer", tmp_path / "a.pt", "50"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    written, cut_off = map(int, process.stdout.split())
    assert written > 0
    assert cut_off > 0  # or no kill has come while a file was written
