"""The README's tables of what the optimizers work with, from the counts of the contract tests."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.forms import read_json

OPTIMIZERS = ("RelativisticAdam", "RelativisticAdamW", "Gravity", "AdamW")

FEATURES: Mapping[str, str] = {
    "options": "options as numbers or tensors, changed in flight; groups; refusals",
    "tensors": "any memory format, complex, 0-d, empty, absent and frozen gradients",
    "state": "saving, loading, copying; older and foreign checkpoints; wrong state refused",
    "training": "schedulers, hooks, closures, SWA, named parameters, steps inside backward",
    "precision": "GradScaler, autocast, float16 and bfloat16 parameters, dtypes mixed",
    "memory": "peak memory of a step",
    "torch.compile": "torch.compile: one graph, no recompilation, eager's results",
    "differentiable": "`differentiable=True`: gradcheck",
    "capturable": "`capturable=True`: no host synchronisation (fake CUDA tensors)",
    "CUDA": "CUDA: the CPU's results, no synchronisation, graph replay, peak memory",
    "DDP": "DistributedDataParallel",
    "FSDP2": "`fully_shard` (FSDP2), uneven and empty parts",
    "FSDP1 is refused": "FullyShardedDataParallel (FSDP1): refused with advice",
    "ZeRO-1": "ZeroRedundancyOptimizer",
    "tensor parallel": "tensor parallelism, replicated biases beside it",
    "FSDP2 × tensor parallel": "`fully_shard` × tensor parallelism",
    "meshes and dtypes mixed": "several meshes, placements, dtypes and groups in one optimizer",
    "distributed checkpoint": "torch.distributed.checkpoint: save, re-shard, load; to one process",
}
"""What a feature of the contract tests is called in the README, in the README's order."""


FORM = {
    "environment": {
        **dict.fromkeys(("machine", "python", "torch", "numpy"), str),
        "cuda": (str, None),
    },
    "contract": {str: {str: {str: int}}},
    "distributed": {
        "processes": {str: [int]},
        "refused": [[str]],
        "largest errors": [
            {**dict.fromkeys(("dtype", "mode", "optimizer", "scheme"), str), "error": float}
        ],
    },
}
"""What the counts hold."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make contract`` has measured."""
    results: dict[str, Any] = read_json(folder / "contract.json", FORM)
    for feature in results["contract"]:
        if feature not in FEATURES:
            raise ValueError(
                f"contract.json['contract'] has {feature!r}: expected {', '.join(FEATURES)}"
            )
    return results


def works_with_rows(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per feature and a column per optimizer, the last row the sums."""
    contract = results["contract"]
    rows: list[Sequence[str]] = [("works with", *OPTIMIZERS[:-1], "AdamW (control)")]
    for feature in sorted(contract, key=list(FEATURES).index):
        cells = [_cell(contract[feature].get(name, {})) for name in OPTIMIZERS]
        rows.append((FEATURES[feature], *cells))
    sums = []
    for name in OPTIMIZERS:
        counts = [counts.get(name, {}) for counts in contract.values()]
        each = (sum(c.get(key, 0) for c in counts) for key in ("passed", "failed", "skipped"))
        sums.append(" / ".join(map(str, each)))
    rows.append(("tests passed / failed / skipped", *sums))
    return rows


def _cell(counts: Mapping[str, int]) -> str:
    passed, failed = counts.get("passed", 0), counts.get("failed", 0)
    if failed:
        return f"{failed} of {passed + failed} fail"
    return f"✓ {passed}" if passed else "not checked" if counts else "–"


def distributed_rows(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per scheme and mode: the largest difference from one process."""
    distributed = results["distributed"]
    rows: list[Sequence[str]] = [
        ("scheme", "processes", "optimizers", "mode", "float64", "float32")
    ]
    refused = {tuple(pair) for pair in distributed["refused"]}
    for scheme in FEATURES:
        if scheme not in distributed["processes"]:
            continue
        worlds = ", ".join(map(str, distributed["processes"][scheme]))
        mine = [e for e in distributed["largest errors"] if e["scheme"] == scheme]
        for kind, mode in (
            *(("RelativisticAdam(W)", mode) for mode in ("global", "per_param", "per_component")),
            ("Gravity", "-"),
            ("AdamW (control)", "-"),
        ):
            names = [kind.partition(" ")[0].partition("(")[0]]
            names += ["RelativisticAdamW"] if kind.startswith("Relativistic") else []
            errors = {
                dtype: max(
                    (
                        e["error"]
                        for e in mine
                        if (e["mode"], e["dtype"]) == (mode, dtype) and e["optimizer"] in names
                    ),
                    default=None,
                )
                for dtype in ("float64", "float32")
            }
            if (scheme, mode) in refused:
                cells = ["refused", "refused"]
            else:
                cells = ["–" if e is None else f"{e:.1e}" for e in errors.values()]
            rows.append((scheme, worlds, kind, mode.replace("-", "–"), *cells))
    return rows


def environment(results: Mapping[str, Any]) -> str:
    """Return what the tests were run on, in words."""
    where = results["environment"]
    cuda = where["cuda"] or "no CUDA device"
    return (
        f"Counted on {where['machine']}, {cuda}, Python {where['python']}, "
        f"torch {where['torch']}, NumPy {where['numpy']}."
    )
