"""Performs ten small runs and collects them: ``python -m tests.experiments_killed FOLDER``.

`tests/test_experiment_graph.py` kills it on the way.
"""

import sys
from pathlib import Path

from paper.experiments import methods
from paper.experiments.__main__ import build
from paper.training import Run

RUNS: list[Run] = [
    methods.ADAMW.run("noisy_quadratic", 1e-2, seed, 200, "constant") for seed in range(10)
]


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    sys.exit(0 if build({"small": RUNS}, folder, folder, workers=1) else 1)
