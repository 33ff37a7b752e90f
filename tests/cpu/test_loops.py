"""Compiled code: the same bits from a cache, runs in turn, four vectors at a time."""

import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

from torch_impl.fused.cpu import loops
from torch_impl.fused.cpu.blocks import view
from torch_impl.fused.cpu.loops import AT_A_TIME, STRETCH, each, stretch, turns

ROOT = Path(__file__).parents[2]
STEPS_OF_ALL = """
import hashlib
import torch
from tests.cpu.common import everything, parameters, stepped
from torch_impl import Gravity, RelativisticAdamW

torch.set_num_threads(1)
digest = hashlib.sha256()
for mode in ("per_component", "per_param", "global", None):
    params = parameters()
    made = RelativisticAdamW(params, relativistic_mode=mode, fused=True) if mode else Gravity(
        params, alpha=0.0, weight_decay=0.1, fused=True
    )
    stepped(made, params)
    for tensor in everything(made, params):
        digest.update(tensor.numpy().tobytes())
print(digest.hexdigest())
"""


def test_kernels_from_their_cache_give_the_bits_of_those_just_compiled(tmp_path: Path) -> None:
    """LLVM sees other code in a process that finds some of it compiled."""
    command = [sys.executable, "-c", STEPS_OF_ALL]
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)}
    found = [
        subprocess.run(
            command, cwd=ROOT, env=environment, check=True, capture_output=True, text=True
        ).stdout
        for _ in ("compiled", "cached")
    ]
    assert list(tmp_path.rglob("*.nbc"))
    assert found[0] == found[1]


@njit(error_model="numpy")
def _rooted(i: int, x: Any, a: Any) -> None:
    x[i] = np.sqrt(x[i]) * a + x[i]


@njit(error_model="numpy")
def _by_one_loop(address: int, n: int, a: Any) -> None:
    x = view(address, 0, n)
    for i in range(n):
        _rooted(i, x, a)


@njit(error_model="numpy")
def _by_each(address: int, n: int, a: Any) -> None:
    each(_rooted, n, (view(address, 0, n), a))  # type: ignore[call-arg]


ONE_STEP = """
import torch
from torch_impl import Gravity

param = torch.zeros(3, requires_grad=True)
param.grad = torch.ones(3)
Gravity([param], 1.0, alpha=0.0, fused=True).step()
print(param.tolist())
"""


def test_a_kernel_is_compiled_anew_when_what_it_calls_has_changed(tmp_path: Path) -> None:
    """As after another version is installed over it."""
    package = tmp_path / "torch_impl"
    shutil.copytree(ROOT / "torch_impl", package, ignore=shutil.ignore_patterns("__pycache__"))
    called = package / "fused" / "cpu" / "blocks.py"

    def step() -> str:
        command = [sys.executable, "-c", ONE_STEP]
        return subprocess.run(
            command, cwd=tmp_path, check=True, capture_output=True, text=True
        ).stdout

    before = step()
    assert list(called.parent.rglob("*.nbc"))
    source = called.read_text(encoding="utf-8")
    called.write_text(source.replace("np.finfo(f32).max", "f32(0.25)"), encoding="utf-8")
    assert step() != before


def test_what_numba_does_not_say_is_compiled_in_every_process(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def compiled(**options: Any) -> Callable[[Any], Any]:
        return lambda _function: SimpleNamespace(options=options, _cache=object())

    monkeypatch.setattr("numba.njit", compiled)
    made = loops.compiling(nogil=True)(print)  # type: ignore[no-untyped-call]
    assert made.options == {"nogil": True}


@njit(error_model="numpy")
def _noted(i: int, turn: Any, order: Any) -> None:
    order[i] = turn[0]
    turn[0] += 1


@njit(error_model="numpy")
def _note_order(count: int, turn: Any, order: Any) -> None:
    each(_noted, count, (turn, order))  # type: ignore[call-arg]


def test_a_loop_takes_stretches_of_two_runs_in_turn() -> None:
    count = 5 * STRETCH
    order = np.zeros(count, dtype=np.int64)
    _note_order(count, np.zeros(1, dtype=np.int64), order)
    taken = np.argsort(order)[::STRETCH]
    assert taken.tolist() == [STRETCH * k for k in (0, 2, 1, 3, 4)]


@given(st.integers(1, 4), st.integers(0, 10 * STRETCH))
def test_stretches_cover_every_entry_once(runs: int, count: int) -> None:
    """Each run is passed in order, and it is every run's turn in each round."""
    bounds = [stretch(k, runs, count) for k in range(turns(runs, count))]
    assert [i for low, high in sorted(bounds) for i in range(low, high)] == [*range(count)]
    run = count // (runs * STRETCH) * STRETCH
    assert bounds[:-1] == [
        (low + k * run, low + k * run + STRETCH)
        for low in range(0, run, STRETCH)
        for k in range(runs)
    ]


@pytest.mark.parametrize("n", [0, 1, 7, 32, 100, 2 * STRETCH - 1, 2 * STRETCH, 5 * STRETCH + 1])
def test_a_loop_takes_four_vectors_at_a_time_and_does_the_same(n: int) -> None:
    """Of vectors of 16 entries LLVM may take four anyway."""
    found: list[Any] = []
    for loop in (_by_one_loop, _by_each):
        x = np.arange(n + 1, dtype=np.float32)
        loop(x.ctypes.data, n, np.float32(0.7))
        found.append(x)
    (code,) = _by_each.inspect_llvm().values()
    assert len(re.findall(r"call <\d+ x float> @llvm\.sqrt", code)) >= AT_A_TIME
    assert np.array_equal(*found)
    assert found[0][n] == n  # beyond the end
    assert not n or found[0][n - 1] == pytest.approx(n - 1 + 0.7 * math.sqrt(n - 1))
