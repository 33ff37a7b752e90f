"""Writes the golden files: ``python -m tests.golden.write`` in a clone with all of its history.

Each holds a training of an older version: its options, parameters and state after some steps, the
gradients of the next, and where its own code has gone with them.
"""

import importlib.util
import io
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from types import ModuleType
from typing import Any

import relativistic_adam
import torch

from tests.steps import normal

HERE = Path(__file__).parent
FIRST = "88648533171d496987d9216a48075571e1fd6e8d"
"""The commit in which the optimizers came."""

SAVED, NEXT = 5, 3
"""Steps before a state is saved, and those after it that are recorded."""

SHAPES = ((3, 4), (5,))

OPTIONS: dict[str, dict[str, Any]] = {
    "RelativisticAdam": {"lr": 0.05, "eps": 0.0, "weight_decay": 0.1, "amsgrad": True},
    "RelativisticAdamW": {
        "lr": 0.05,
        "eps": 0.0,
        "weight_decay": 0.0,
        "relativistic_mode": "per_component",
    },
    "Gravity": {"lr": 0.05},
}
"""Without ε, and without decoupled decay, 1.0.0 takes the steps of ``law="published"``."""


def first_version(folder: str) -> ModuleType:
    """Return the package as it was in its first commit, unpacked into a folder."""
    command = ["git", "archive", FIRST, "torch_impl"]
    packed = subprocess.run(command, check=True, capture_output=True).stdout
    with tarfile.open(fileobj=io.BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    package = Path(folder, "torch_impl")
    found = importlib.util.spec_from_file_location(
        "first_version", package / "__init__.py", submodule_search_locations=[str(package)]
    )
    assert found is not None
    assert found.loader is not None
    module = importlib.util.module_from_spec(found)
    sys.modules["first_version"] = module
    found.loader.exec_module(module)
    return module


def training(optimizer: type[torch.optim.Optimizer], options: dict[str, Any]) -> dict[str, Any]:
    """Return what a golden file holds of an optimizer."""
    torch.manual_seed(0)
    params = [normal(shape, i).requires_grad_() for i, shape in enumerate(SHAPES)]
    gradients = [
        [normal(shape, 10 * t + i) for i, shape in enumerate(SHAPES)] for t in range(SAVED + NEXT)
    ]
    old: Any = optimizer(params, **options)

    def step(some: list[torch.Tensor]) -> None:
        for param, gradient in zip(params, some, strict=True):
            param.grad = gradient
        old.step()

    for some in gradients[:SAVED]:
        step(some)
    kept: dict[str, Any] = {
        "options": options,
        "params": [param.detach().clone() for param in params],
        "state_dict": torch.utils._pytree.tree_map_only(
            torch.Tensor, torch.Tensor.clone, old.state_dict()
        ),
        "gradients": gradients[SAVED:],
    }
    for some in kept["gradients"]:
        step(some)
    return {**kept, "after": [param.detach().clone() for param in params]}


def main() -> None:
    """Write all files."""
    with tempfile.TemporaryDirectory() as folder:
        versions = {"relativistic-adam-1.0.0": relativistic_adam, "first": first_version(folder)}
        for version, module in versions.items():
            for name, options in OPTIONS.items():
                if hasattr(module, name):
                    golden = training(getattr(module, name), options)
                    torch.save(golden, HERE / f"{name}-{version}.pt")


if __name__ == "__main__":
    main()
