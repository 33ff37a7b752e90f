"""The numbers of the paper: every one computed from results, the registry or `derived`.

The text has them by their paths, as ``#v("adam.bound")``; `typeset` adds the tables.
"""

import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from analysis.forms import read_json
from paper.experiments import design
from paper.tables import bench, contract, faults, fuzz, mutants, scores, theorems
from proofs import exhaustive
from proofs.deep import record
from proofs.registry import read as read_registry
from torch_impl import __version__

from . import answers, claims, published
from .derived import derived
from .numerals import scientific

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "paper" / "results"
EXPERIMENTS = RESULTS / "experiments"

DEMO_FORM = {"versions": {str: str}, "results": [{"run": {str: object}, str: object}]}
"""What is asked of demo.json here."""


def values(results: Path = RESULTS) -> dict[str, str]:
    """Return the values by path, each as it is to be read.

    Parameters
    ----------
    results
        Folder of the committed results.
    """
    parts = {
        "registry": _registry(),
        "enumeration": _enumeration(),
        "bench": _bench(results),
        "faults": _faults(results),
        "scores": _scores(results),
        "contract": _contract(results),
        "demo": _demo(results),
        "explosions": _explosions(results),
        "published": _published(results),
        "testing": _testing(results),
        "design": {
            "rates": str(len(design.NINE_RATES)),
            "seeds": str(len(design.SEEDS)),
            "many_seeds": str(len(design.MANY_SEEDS)),
            "development": str(len(design.DEVELOPMENT)),
            "confirmation": str(len(design.CONFIRMATION)),
        },
        "claims": {"count": str(len(claims.read()))},
    }
    made = {f"{name}.{key}": value for name, part in parts.items() for key, value in part.items()}
    return {"version": __version__, **derived(), **made}


def _registry() -> dict[str, str]:
    head, *rows = theorems.counts()
    counted = {
        f"{domain}.{kind}": count
        for domain, *counts in rows
        for kind, count in zip(head[1:], counts, strict=True)
    }
    entries = read_registry().values()
    found = record.recorded()
    totals = {
        "theorems": str(sum(entry.kind == "theorem" for entry in entries)),
        "refutations": str(sum(entry.kind == "refutation" for entry in entries)),
        "statements": str(len(found["statements"])),
        "deep.seconds": f"{found['seconds']['all']:.0f}",
        "coq.version": found["versions"]["coq"].partition("+")[0],
    }
    return {**counted, **totals}


def _enumeration() -> dict[str, str]:
    report = exhaustive.recorded()
    if report is None:
        raise ValueError("proofs/exhaustive.json is of other kernels: expected `make enumerate`")
    sweeps = report["sweeps"]
    naive, hypot = (
        next(s for s in sweeps if s["kernel"] == name and 0 < s["c"] < 1)
        for name in ("naive", "hypot")
    )
    safe = [s for s in sweeps if s["kernel"].startswith("smooth")]
    return {
        "inputs": f"{sum(s['inputs'] for s in sweeps):,}",
        "per_sweep": f"{naive['inputs']:,}",
        "naive.beyond": f"{naive['beyond_limit'] / 1e6:.0f} million",
        "naive.vanished": f"{naive['vanished'] / 1e6:.0f} million",
        "naive.vanishes_from": scientific(naive["first_vanished"]),
        "hypot.beyond": f"{hypot['beyond_limit'] / 1e6:.0f} million",
        "hypot.vanishes_from": scientific(hypot["first_vanished"]),
        "safe.beyond": str(sum(s["beyond_limit"] for s in safe)),
    }


def _bench(results: Path) -> dict[str, str]:
    found, gpu = bench.read(bench.file(results, "cpu")), bench.file(results, "cuda")
    steps = bench.entries_of(found, "steps")
    floors = {e["row"].removesuffix(", fused"): e["floor"] for e in steps if "floor" in e}
    made = {
        "cpu": bench.hardware(found),
        "gpu": bench.hardware(bench.read(gpu)) if gpu.exists() else "",
        "floor.adamw": str(bench.ADAMW_FLOOR),
        "floor.per_component": str(floors["RelativisticAdamW, per_component"]),
        "floor.per_param": str(floors["RelativisticAdamW, per_param"]),
        "floor.gravity": str(floors["Gravity"]),
    }
    for path in ("fused", "foreach"):
        for mode in ("per_component", "per_param", "global"):
            row = f"RelativisticAdamW, {mode}, {path}"
            made[f"{path}.{mode}"] = _span(steps, row)
        made[f"{path}.gravity"] = _span(steps, f"Gravity, {path}")
    for mode in ("per_component", "per_param"):
        row = f"relativistic-adam 1.0.0, {mode}"
        peers = bench.entries_of(found, "peers")
        made[f"peer.{mode}"] = _span(peers, row, ".0f")
    return made


def _span(entries: Iterable[Mapping[str, Any]], row: str, form: str = ".2f") -> str:
    """Return the least and the largest ratio of a row, of those that were judged."""
    judged = [entry["ratio"] for entry in entries if entry["row"] == row and entry["judged"]]
    low, high = format(min(judged), form), format(max(judged), form)
    return low if low == high else f"{low} to {high}"


def _faults(results: Path) -> dict[str, str]:
    found = faults.read(results)
    rows = {name: cells for name, *cells in faults.counts(found)[1:]}
    return {
        "count": str(sum(found["faults"].values())),
        "ours.damage": rows["RelativisticAdam, skip"][3],
        "published.damage": rows["relativistic-adam's RelativisticAdam"][3],
        "adam.damage": rows["torch's Adam"][3],
    }


def _scores(results: Path) -> dict[str, str]:
    found = scores.read(results)
    rows = {name: cells for name, *cells in scores.scores(found)[1:]}
    return {
        "checks": str(len(found["checks"])),
        "beyond": str(sum(check["beyond torch"] for check in found["checks"].values())),
        "optimizers": str(len(found["outcomes"])),
        "relativistic_adam.failed": rows["relativistic-adam's RelativisticAdam"][1],
        "environment": scores.environment(found),
    }


def _contract(results: Path) -> dict[str, str]:
    found = contract.read(results)
    *_, sums = contract.works_with_rows(found)
    names = ("RelativisticAdam", "RelativisticAdamW", "Gravity")
    totals = zip(names, sums[1:4], strict=True)
    return {
        "environment": contract.environment(found),
        **{f"passed.{name}": total.partition(" /")[0] for name, total in totals},
    }


def _published(results: Path) -> dict[str, str]:
    found = published.read(results)
    ranked = {row["max_step_grad"]: f"{row['accuracy']:.3f}" for row in found["tuning"]}
    first, *_, last = ranked.values()
    return {
        "source": found["source"],
        "cells": str(len(found["runs"])),
        "wins": str(published.wins(found)),
        "tuning.published": first,
        "tuning.best": last,
    }


def _testing(results: Path) -> dict[str, str]:
    every, killed, *_, score = mutants.rows(mutants.read(results))[-1][1:]
    inputs, _, _, findings = fuzz.rows(fuzz.read(results))[-1][1:]
    return {
        "mutants": f"{int(every):,}",
        "mutants.killed": f"{int(killed):,}",
        "mutants.score": score,
        "fuzz.inputs": inputs,
        "fuzz.findings": findings,
    }


def _demo(results: Path) -> dict[str, str]:
    found = read_json(results / "demo.json", DEMO_FORM)
    runs = [r for r in found["results"] if r["run"]["task"] == "published_regression"]
    made = {"seeds": str(len({run["run"]["seed"] for run in runs}))}
    for name, method in {
        "adam": "Adam",
        "clipped": "Adam + clip_grad_norm_",
        "per_param": "RelativisticAdam smooth_sqrt, per_param",
        "published": "RelativisticAdam published, per_param",
        "per_component": "RelativisticAdam smooth_sqrt, per_component",
        "tuned": "Adam, lr = 0.001 (its default)",
    }.items():
        mine = [run for run in runs if run["run"]["method"] == method]
        alive = [run for run in mine if not run["exploded"]]
        made[f"{name}.exploded"] = f"{len(mine) - len(alive)} of {len(mine)} runs"
        if alive:
            made[f"{name}.loss"] = scientific(
                statistics.median(run["train_loss"][-1] for run in alive)
            )
        ratios = [run["largest_ratio"] for run in mine if run["largest_ratio"] is not None]
        if ratios:
            made[f"{name}.ratio"] = f"{statistics.median(ratios):.4g}"
    return made


def _explosions(results: Path) -> dict[str, str]:
    """Return how many runs of a method exploded, on each task of the factorial."""
    found = answers.read(results / "experiments") or {}
    head, *rows = found.get("factorial", [["method"]])
    columns = {i: name.partition(":")[0] for i, name in enumerate(head) if "exploded" in name}
    cells = {row[0]: [f"{row[i]} runs on {task}" for i, task in columns.items()] for row in rows}
    return {
        name.lower(): " and ".join(cells.get(name, ["runs not yet measured"]))
        for name in ("Adam", "AdamW")
    }
