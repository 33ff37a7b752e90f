"""What optimizers make of faults: ``python -m paper.faults``, a minute and a half."""

import copy
import json
import platform
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import pytorch_optimizer
import relativistic_adam
import torch
from tqdm import tqdm

from analysis.files import write_atomically
from torch_impl import (
    Gravity,
    RelativisticAdam,
    RelativisticAdamW,
    limit_speed,
    load_checkpoint,
    save_checkpoint,
)
from torch_impl.testing import Subject
from torch_impl.testing.expect import policy
from torch_impl.testing.faults import (
    FAULTS,
    KINDS,
    SILENT_DAMAGE,
    STATE_FAULTS,
    SURVIVED,
    TORCH_FILES,
    Files,
    Verdict,
    outcome,
    state_outcome,
)
from torch_impl.testing.faults.trial import AFTER, BEFORE

from .tables.faults import ASKED

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "paper" / "results"

GOLDEN = ROOT / "tests" / "golden"
"""States that older versions have saved."""

OLDER = "older version"

CHECKPOINTS = Files(save_checkpoint, load_checkpoint)


class Row(NamedTuple):
    """An optimizer of the table.

    Attributes
    ----------
    subject
        The optimizer with its options.
    ours
        Whether it is of this package, so that its state is kept by `save_checkpoint`.
    """

    subject: Subject
    ours: bool


def limited_adamw(
    params: Any, on_nonfinite: str = "propagate", **options: Any
) -> torch.optim.Optimizer:
    """Return AdamW behind a speed limit."""
    optimizer = torch.optim.AdamW(params, **options)
    limit_speed(optimizer, 1e-3, on_nonfinite=on_nonfinite)
    return optimizer


def _rows() -> dict[str, Row]:
    rows = {}
    for make, name, policies in (
        (RelativisticAdam, "RelativisticAdam", ("skip", "raise")),
        (RelativisticAdamW, "RelativisticAdamW", ("skip", "raise")),
        (Gravity, "Gravity", ("skip", "raise")),
        (limited_adamw, "limit_speed on AdamW", ("skip",)),
    ):
        rows[name] = Row(Subject(make), ours=True)
        for chosen in policies:
            rows[f"{name}, {chosen}"] = Row(Subject(make, {"on_nonfinite": chosen}), ours=True)
    rivals = {
        "relativistic-adam's RelativisticAdam": Subject(relativistic_adam.RelativisticAdam),
        "torch's Adam": Subject(torch.optim.Adam),
        "torch's AdamW": Subject(torch.optim.AdamW),
        "torch's Adafactor": Subject(torch.optim.Adafactor),
        "torch's SGD": Subject(torch.optim.SGD, {"momentum": 0.9}),  # else it has no state
        **{
            f"pytorch-optimizer's {name}": Subject(getattr(pytorch_optimizer, name))
            for name in ("Gravity", "StableAdamW", "AdaGC", "StableSPAM")
        },
    }
    return {**rows, **{name: Row(subject, ours=False) for name, subject in rivals.items()}}


ROWS: Mapping[str, Row] = _rows()
"""The optimizers, by name."""


def verdict(row: Row, fault: str) -> Verdict:
    """Return what an optimizer makes of a fault."""
    if fault in FAULTS:
        found = outcome(row.subject, FAULTS[fault])
        spreads = found.kind == SILENT_DAMAGE and found.detail.endswith("not finite")
        if spreads and policy(row.subject) == "propagate":
            found = found._replace(detail=f"{found.detail}, {ASKED}")
        return found
    files = CHECKPOINTS if row.ours else TORCH_FILES
    found = state_outcome(row.subject, STATE_FAULTS[fault], files)
    older = golden_files(row.subject) if fault == OLDER and row.ours else []
    others = [golden_outcome(row.subject, path) for path in older]
    return max([found, *others], key=lambda one: KINDS.index(one.kind))


def golden_files(subject: Subject) -> list[Path]:
    """Return the states that older versions of an optimizer have saved."""
    return sorted(GOLDEN.glob(f"{subject.name}-*.pt"))


def golden_outcome(subject: Subject, path: Path) -> Verdict:
    """Return what an optimizer makes of a state that an older version has saved.

    It has to go on, bit for bit, as a new one with these options that is given the same numbers.
    """
    golden = torch.load(path, weights_only=True)
    groups = golden["state_dict"]["param_groups"]
    loaded = [param.clone().requires_grad_() for param in golden["params"]]
    given = [param.clone().requires_grad_() for param in golden["params"]]
    one = subject.build(loaded)
    one.load_state_dict(copy.deepcopy(golden["state_dict"]))
    options = {name: value for name, value in groups[0].items() if name != "params"}
    other = subject.build([{"params": given, **options}])
    for i, state in golden["state_dict"]["state"].items():
        step = torch.tensor(float(state["step"]))
        other.state[given[i]] = {**copy.deepcopy(state), "step": step}
    for optimizer, params in ((one, loaded), (other, given)):
        for gradients in golden["gradients"]:
            for param, gradient in zip(params, gradients, strict=True):
                param.grad = gradient
            optimizer.step()
    if all(map(torch.equal, loaded, given)):
        return Verdict(SURVIVED)
    return Verdict(SILENT_DAMAGE, f"{path.name} does not go on as its numbers do")


def measured() -> dict[str, Any]:
    """Return the verdicts on all optimizers and faults, and what they were found with."""
    torch.set_num_threads(1)
    cells = [(name, fault) for name in ROWS for fault in (*FAULTS, *STATE_FAULTS)]
    verdicts: dict[str, dict[str, Any]] = {name: {} for name in ROWS}
    for name, fault in tqdm(cells, unit="fault"):
        verdicts[name][fault] = list(verdict(ROWS[name], fault))
    packages = ("torch", "relativistic-adam", "pytorch-optimizer")
    return {
        "environment": {
            "python": platform.python_version(),
            **{name: version(name) for name in packages},
        },
        "steps": {"before": BEFORE, "after": AFTER},
        "faults": {"steps": len(FAULTS), "states": len(STATE_FAULTS)},
        "ours": [name for name, row in ROWS.items() if row.ours],
        "verdicts": verdicts,
    }


if __name__ == "__main__":
    write_atomically(RESULTS / "faults.json", json.dumps(measured(), indent=1) + "\n")
