"""Compiled code: the same bits from a cache, four vectors at a time."""

import math
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

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
def _one_at_a_time(address: int, n: int, a: Any) -> None:
    x = view(address, 0, n)
    for i in range(n):
        _rooted(i, x, a)


@njit(error_model="numpy")
def _four_at_a_time(address: int, n: int, a: Any) -> None:
    each(_rooted, n, (view(address, 0, n), a))  # type: ignore[call-arg]


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
    for loop in (_one_at_a_time, _four_at_a_time):
        x = np.arange(n + 1, dtype=np.float32)
        loop(x.ctypes.data, n, np.float32(0.7))
        found.append(x)
    (code,) = _four_at_a_time.inspect_llvm().values()
    assert len(re.findall(r"call <\d+ x float> @llvm\.sqrt", code)) >= AT_A_TIME
    assert np.array_equal(*found)
    assert found[0][n] == n  # beyond the end
    assert not n or found[0][n - 1] == pytest.approx(n - 1 + 0.7 * math.sqrt(n - 1))
