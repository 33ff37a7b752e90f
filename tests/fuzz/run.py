"""Takes the inputs of a target: input i is made from a seed, the target's name and i alone."""

import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import torch

from tests.fuzz.targets import TARGETS

SEED = 8


def start_worker() -> None:
    """Give a worker one thread, and no warnings of what it loads."""
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")


def fuzzed(name: str, inputs: int, seed: int = SEED) -> dict[str, Any]:
    """Return what became of a target's inputs; of each kind of finding the first input."""
    start, counts = time.perf_counter(), Counter[str]()
    findings: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        take = TARGETS[name].make(Path(folder))
        for i in range(inputs):
            random = Random(f"{seed} {name} {i}")  # noqa: S311  # no secret
            try:
                counts["taken" if take(random) else "refused"] += 1
            except Exception as error:  # any that is not clear is what is looked for
                counts["findings"] += 1
                findings.setdefault(_kind(error), i)
                take = TARGETS[name].make(Path(folder))
    outcomes = {key: counts[key] for key in ("taken", "refused", "findings")}
    seconds = round(time.perf_counter() - start, 1)
    return {"inputs": inputs, **outcomes, "seconds": seconds, "first of each finding": findings}


def _kind(error: Exception) -> str:
    """Return what an error is and where it was raised."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    return f"{type(error).__name__} in {Path(frame.filename).name}:{frame.name}: {error}"[:160]
