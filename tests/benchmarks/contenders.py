"""Steps, copies and processes as contenders, and the memory that a run takes."""

import itertools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.optim import Optimizer

from tests.live_bytes import LiveBytes

from .side_by_side import Contender

ROOT = Path(__file__).parents[2]

Make = Callable[[list[Tensor]], Optimizer]

LONGEST = 60
"""Seconds after which a process is taken to hang."""

PAGES = 2**20
"""Bytes of resident memory that the interpreter itself may touch during a run."""


def random_gradients(sizes: Sequence[int], device: str) -> list[Tensor]:
    """Return a gradient for each of a model's tensors."""
    generator = torch.Generator(device).manual_seed(0)
    return [torch.randn(n, generator=generator, device=device) for n in sizes]


def places_of(gradients: Sequence[Tensor]) -> Sequence[Sequence[Tensor]]:
    """Return two places for a model's gradients, in memory that has been used."""
    return [[gradient.clone() for gradient in gradients] for _ in range(2)]


def stepping(
    make: Make, gradients: Sequence[Tensor], places: Sequence[Sequence[Tensor]] = ()
) -> Contender:
    """Return an optimizer's step on parameters of its own.

    Before each `.grad` is replaced by a copy of the gradients in one of the places, by turns, which
    contenders may share: new memory would take longer than a step.
    """
    params = [torch.zeros_like(gradient).requires_grad_() for gradient in gradients]
    optimizer = make(params)
    turns = itertools.cycle(places or places_of(gradients))

    def prepare() -> None:
        for param, gradient, place in zip(params, gradients, next(turns), strict=True):
            param.grad = place.copy_(gradient)

    def run() -> None:
        optimizer.step()

    return Contender(prepare, run)


def resuming(make: Make, gradients: Sequence[Tensor]) -> Contender:
    """Return the step of an optimizer that has loaded its state, and kept nothing else."""
    params = [torch.zeros_like(gradient).requires_grad_() for gradient in gradients]
    first = make(params)
    for param, gradient in zip(params, gradients, strict=True):
        param.grad = gradient.clone()
    first.step()
    optimizer = make(params)
    optimizer.load_state_dict(first.state_dict())
    return Contender(lambda: None, optimizer.step)


def copying(entries: int, device: str) -> Contender:
    """Return the copy of a float32 tensor, which moves 8 bytes per entry."""
    source = torch.ones(entries, device=device)
    target = torch.empty_like(source)

    def run() -> None:
        target.copy_(source)

    return Contender(lambda: None, run)


def process(code: str, caches: Path, *, cold: bool = False) -> Contender:
    """Return a fresh interpreter that runs some code.

    Parameters
    ----------
    code
        What it runs, from the root of the tree.
    caches
        The folder of the compilers' caches.
    cold
        Whether the caches are emptied before every run.
    """
    environment = {
        **os.environ,
        "NUMBA_CACHE_DIR": str(caches / "numba"),
        "TRITON_CACHE_DIR": str(caches / "triton"),
    }

    def prepare() -> None:
        if cold:
            shutil.rmtree(caches, ignore_errors=True)

    def run() -> None:
        command = [sys.executable, "-c", code]
        subprocess.run(command, check=True, cwd=ROOT, env=environment, timeout=LONGEST)

    return Contender(prepare, run)


def memory_peak(contender: Contender, device: str) -> int:
    """Return how many bytes a run takes at most beside what lived before.

    On CUDA those of torch's allocator. On the CPU those of the tensors that torch makes or, where
    it is more (what other libraries allocate), of the process's resident memory from `PAGES` on.
    What a first run keeps is counted.
    """
    contender.prepare()
    if device == "cuda":
        torch.cuda.synchronize()
        before = int(torch.cuda.memory_allocated())
        torch.cuda.reset_peak_memory_stats()
        contender.run()
        torch.cuda.synchronize()
        return int(torch.cuda.max_memory_allocated()) - before
    with LiveBytes() as memory:  # which takes memory itself
        contender.run()
    contender.prepare()
    before = _highest_resident(reset=True)
    contender.run()
    resident = _highest_resident() - before
    return max(int(memory.peak), resident if resident >= PAGES else 0)


def _highest_resident(*, reset: bool = False) -> int:
    """Return the most bytes that were resident since the last reset; 0 if Linux does not say."""
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
