"""The CUDA kernels by themselves: laws bit for bit, and what Triton's compiler makes of them."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import triton
import triton.language as tl

import reference
from tests.bits import as_tensor, assert_same_bits, every_number, finite
from torch_impl.fused.cuda import blocks, laws
from torch_impl.laws import LAWS
from torch_impl.limit import tensor_toward_zero

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
SIZE = tl.constexpr(2**16 if DEVICE == "cpu" else 2**10)  # whose code is compiled there


@triton.jit  # type: ignore[untyped-decorator]
def _limit(x, c, y, law: tl.constexpr):  # type: ignore[no-untyped-def]
    entries = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(y + entries, laws.limited(tl.load(x + entries), tl.load(c), law))


@triton.jit  # type: ignore[untyped-decorator]
def _gains(x, y, law: tl.constexpr):  # type: ignore[no-untyped-def]
    entries = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(y + entries, laws.gain(tl.load(x + entries), law))


@triton.jit
def _toward_zero(x, y):  # type: ignore[no-untyped-def]
    entries = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(y + entries, laws.toward_zero(tl.load(x + entries)))


@triton.jit
def _nearest(x, y):  # type: ignore[no-untyped-def]
    entries = tl.program_id(0) * SIZE + tl.arange(0, SIZE)
    tl.store(y + entries, blocks.nearest(tl.load(x + entries), tl.bfloat16))


def run(kernel: Any, x: torch.Tensor, *more: Any, dtype: torch.dtype, **options: Any) -> Any:
    """Run a kernel on all entries of x; what it stores, as an array."""
    size = int(SIZE)
    padded = torch.nn.functional.pad(x, (0, -len(x) % size), value=1.0).to(DEVICE)
    y = torch.zeros_like(padded, dtype=dtype)
    with np.errstate(all="ignore"):
        kernel[(len(padded) // size,)](padded, *more, y, **options, enable_fp_fusion=False)
    return y.cpu()[: len(x)].numpy()


@pytest.mark.parametrize("c", [0.1, 1.0, 3e-39])
@pytest.mark.parametrize("law", [key for key in LAWS if key != "newtonian"])
def test_entries_are_limited_as_on_the_cpu(law: str, c: float) -> None:
    """Bit for bit where no tanh is; with one within 2 units in the last place."""
    numbers = every_number(torch.float32)
    limit = torch.tensor([c], dtype=torch.float32, device=DEVICE)
    actual = run(_limit, as_tensor(numbers), limit, dtype=torch.float32, law=law)
    expected = LAWS[law].limit_entries(as_tensor(numbers), limit.cpu()[0]).numpy()
    if law in {"smooth_sqrt", "hard_clip"}:
        assert_same_bits(actual, expected)
    slow = np.abs(numbers) < limit.item()
    if law in {"published", "piecewise"}:
        assert_same_bits(actual[slow], expected[slow])
    np.testing.assert_array_max_ulp(finite(actual), finite(expected), maxulp=2)
    if law != "piecewise":
        with np.errstate(invalid="ignore"):
            assert not (np.abs(actual) > limit.item()).any()
            assert not (np.abs(actual) > np.abs(numbers)).any()


@pytest.mark.parametrize("law", LAWS)
def test_gains_are_the_references(law: str) -> None:
    """In binary64 within 8 units in the last place, with 1 − e^(−2r), r ≥ 0.01, within 64."""
    ratios = 10.0 ** np.random.default_rng(0).uniform(-20, 20, 2**16)
    ratios[:3] = 0.0, 1.0, 2.0**-1074
    actual = run(_gains, torch.from_numpy(ratios), dtype=torch.float64, law=law)
    expected = reference.LAWS[law].gain(ratios)
    near = np.abs(ratios - 1) < 1e-3  # where `piecewise` has its pole
    units = 8 if law in {"newtonian", "smooth_sqrt", "hard_clip"} else 64
    np.testing.assert_allclose(actual[~near], expected[~near], rtol=units * 2.0**-52, atol=0)


def test_limits_are_rounded_toward_zero() -> None:
    rng = np.random.default_rng(1)
    limits = 2.0 ** rng.uniform(-160, 140, 2**16)
    limits[:5] = 0.0, 2.0**-149, 0.1, np.inf, 1e300
    actual = run(_toward_zero, torch.from_numpy(limits), dtype=torch.float32)
    assert_same_bits(actual, tensor_toward_zero(torch.from_numpy(limits), torch.float32).numpy())


def test_numbers_are_rounded_to_bfloat16_as_torch_does() -> None:
    """Numbers of every exponent, and the tie above each number of bfloat16, which goes to even."""
    ties = (every_number(torch.bfloat16).view(np.uint16).astype(np.uint32) << 16) | 0x8000
    numbers = np.concatenate([every_number(torch.float32), ties.view(np.float32)])
    expected = as_tensor(numbers).bfloat16().float().numpy()
    actual = run(_nearest, as_tensor(numbers), dtype=torch.float32)
    assert_same_bits(actual, expected)


def test_what_is_compiled_moves_128_bits_and_rounds_every_operation(tmp_path: Path) -> None:
    """Each whole block has a branch of wide accesses: two at a time for 1,024 entries and 4 warps.

    No quotient or root is approximate, nothing is fused, no array is in local memory.
    """
    env = {key: value for key, value in os.environ.items() if key != "TRITON_INTERPRET"}
    process = subprocess.run(
        [sys.executable, "-m", "tests.cuda.compiled"],
        env={**env, "TRITON_CACHE_DIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    found = json.loads(process.stdout)
    for subject, kernels in found.items():
        for name, counts in kernels.items():
            rounded = counts["approximate"], counts["fused"], counts["local"]
            assert rounded == (0, 0, 0), (subject, name)

    def is_wide(subject: str, name: str, loads: int, stores: int) -> bool:
        counts = found[subject][name]
        return bool(counts["wide loads"] >= loads and counts["wide stores"] >= stores)

    for subject in ("per_param", "global"):
        assert is_wide(subject, "measure", 3 * 2, 2 * 2)  # of g, m, v; of m, v
        assert is_wide(subject, "finish", 3 * 2, 1 * 2)  # of m, v, p; of p
    assert is_wide("per_component", "limit_entries", 4 * 2, 3 * 2)
    assert is_wide("bfloat16", "finish", 2 * 2 + 1, 1)
    assert is_wide("float16", "measure", 3 * 2 + 1, 3 * 2)  # with AMSGrad's
    assert is_wide("gravity", "find_peaks", 1 * 2, 0)
    assert is_wide("gravity", "advance", 3 * 2, 2 * 2)
