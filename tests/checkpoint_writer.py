"""Writes checkpoints until it is killed: ``python -m tests.checkpoint_writer FILE KILLS``.

Its children do, each killed with SIGKILL after some milliseconds; after each the file is read. The
children are forks, so that torch is imported once.
"""

import os
import random
import signal
import sys
import time
from pathlib import Path

import torch

from torch_impl import load_checkpoint, save_checkpoint

SIZE = 200_000
"""Entries of a tensor: its file takes long enough to be written for a kill to come in between."""


def write_forever(file: Path, first: int) -> None:
    """Write checkpoints whose tensor is full of their number."""
    number = first
    while True:
        number += 1
        save_checkpoint({"number": number, "tensor": torch.full((SIZE,), float(number))}, file)


def main() -> None:
    """Print the number of every checkpoint that is found, and how many were cut off."""
    torch.set_num_threads(1)
    file, kills = Path(sys.argv[1]), int(sys.argv[2])
    rng = random.Random(0)  # noqa: S311
    save_checkpoint({"number": 0, "tensor": torch.zeros(SIZE)}, file)
    numbers = [0]
    for _ in range(kills):
        child = os.fork()
        if child == 0:
            write_forever(file, numbers[-1])
        time.sleep(rng.uniform(0.005, 0.05))
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        found = load_checkpoint(file)
        if not bool((found["tensor"] == found["number"]).all()):
            sys.exit(f"{file} is of two checkpoints")
        numbers.append(found["number"])
    if numbers != sorted(numbers):
        sys.exit(f"{file} went back: {numbers}")
    parts = list(file.parent.glob(f".{file.name}.*.part"))
    print(numbers[-1], len(parts))  # noqa: T201


if __name__ == "__main__":
    main()
