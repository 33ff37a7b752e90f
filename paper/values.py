"""The numbers of the paper: every one computed from results, the registry, the laws or analysis.

The text has them by their paths, as ``#v("adam.bound")``; `paper.typeset` adds the tables.
"""

import inspect
import math
import statistics
from collections.abc import Iterable
from pathlib import Path

import numpy as np

import reference
from analysis import gravity, rounding
from analysis.facts import FACTS
from analysis.forms import read_json
from analysis.maps import MAPS, noise_floor
from proofs import exhaustive
from proofs.deep import record
from proofs.registry import read as read_registry
from reference.gravity import CLOCKS, ZETA_SUPREMUM
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, __version__

from . import bench, claims, contract, fault_tables, published, score_tables, theorems

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "paper" / "results"

RATIOS = (0.5, 0.9, 0.999, 1.001, 5.0)
"""Speed ratios at which the laws are compared."""

DEMO_FORM = {"versions": {str: str}, "results": [{"run": {str: object}, str: object}]}
"""What is asked of demo.json here."""


def values(results: Path = RESULTS) -> dict[str, str]:
    """Return the values by path, each as it is to be read.

    Parameters
    ----------
    results
        Folder of the committed results.
    """
    made: dict[str, str] = {"version": __version__}
    for name, part in (
        ("registry", _registry()),
        ("enumeration", _enumeration()),
        ("law", _laws()),
        ("defaults", _defaults()),
        ("adam", {"bound": f"{reference.largest_adam_entry():.2f}"}),
        ("regime", _regimes()),
        ("cycle", _cycles()),
        ("noise", _noise()),
        ("gravity", _gravity()),
        ("rounding", _rounding()),
        ("bench", _bench(results)),
        ("faults", _faults(results)),
        ("scores", _scores(results)),
        ("contract", _contract(results)),
        ("demo", _demo(results)),
        ("published", _published(results)),
        ("claims", {"count": str(len(claims.read()))}),
    ):
        made.update({f"{name}.{key}": value for key, value in part.items()})
    return made


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
    _, *methods = theorems.methods()
    return {**counted, **totals, **{f"method.{name}": count for name, count, *_ in methods}}


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
        "seconds": str(report["seconds"]),
        "naive.beyond": f"{naive['beyond_limit'] / 1e6:.0f} million",
        "naive.vanished": f"{naive['vanished'] / 1e6:.0f} million",
        "naive.vanishes_from": scientific(naive["first_vanished"]),
        "hypot.beyond": f"{hypot['beyond_limit'] / 1e6:.0f} million",
        "hypot.vanishes_from": scientific(hypot["first_vanished"]),
        "safe.beyond": str(sum(s["beyond_limit"] for s in safe)),
    }


def _laws() -> dict[str, str]:
    jump, piecewise = FACTS["published"].jump, FACTS["piecewise"].first_excess
    (where, height), *_ = FACTS["published"].peaks
    speeds = {
        f"{key}.speed.{ratio:g}": _speed(float(law.speed(ratio)))
        for key, law in reference.LAWS.items()
        for ratio in RATIOS
    }
    return {
        "count": str(len(reference.LAWS)),
        "properties": str(len(reference.LAW_PROPERTIES)),
        "published.jump": f"{float(jump):.2f}",
        "published.jump.long": f"{float(jump):.5f}",
        "published.peak": f"{float(height):.2g}",
        "published.peak.at": f"{float(where):.3f}",
        "piecewise.first_excess": f"{float(piecewise):.3f}",
        **speeds,
    }


def _speed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:.4g}"


def _defaults() -> dict[str, str]:
    signature = inspect.signature(RelativisticAdam).parameters
    decoupled = inspect.signature(RelativisticAdamW).parameters
    kinematic = inspect.signature(Gravity).parameters
    beta1, beta2 = signature["betas"].default
    return {
        **{key: f"{signature[key].default:g}" for key in ("lr", "speed_limit")},
        "eps": scientific(signature["eps"].default, 0),
        "beta1": f"{beta1:g}",
        "beta2": f"{beta2:g}",
        "warmup": str(signature["speed_warmup_steps"].default),
        "weight_decay": f"{decoupled['weight_decay'].default:g}",
        **{f"gravity.{key}": f"{kinematic[key].default:g}" for key in ("lr", "alpha", "beta")},
    }


def _regimes() -> dict[str, str]:
    rate, limit = 1e-3, 0.1
    million = reference.regime(lr=rate, speed_limit=limit, numel=10**6).typical_ratio
    return {
        "critical_entries": f"{(limit / rate) ** 2:,.0f}",
        "million.ratio": f"{million:.0f}",
    }


def _cycles() -> dict[str, str]:
    cycle = MAPS["smooth_sqrt"]
    return {f"amplitude.{rate:g}": f"{cycle.cycle_amplitude(rate):.4g}" for rate in (2.5, 5, 50)}


def _noise() -> dict[str, str]:
    """Spread of x on x²/2 under noise of deviation 1, at two rates under one limit."""
    limit = 1e-3
    return {
        f"spread.{name}": f"{limit * noise_floor('smooth_sqrt', rate, rate / limit):.4f}"
        for name, rate in (("slow", 0.1), ("fast", 1.0))
    }


def _gravity() -> dict[str, str]:
    steep = np.random.default_rng(0).normal(size=1000) * 10
    ranks = [np.argsort(np.argsort(np.abs(g))) for g in (steep, reference.zeta(steep))]
    coded = reference.GRAVITY_CLAIMS["zeta_below_half_inverse_m_as_coded"].witness
    swapped = reference.GRAVITY_CLAIMS["zeta_below_half_inverse_m_as_maximum"].witness
    if coded is None or swapped is None:
        raise ValueError("both readings of the bound hold: expected witnesses against them")
    beta = inspect.signature(Gravity).parameters["beta"].default
    return {
        "supremum": f"{ZETA_SUPREMUM:.5f}",
        "rank_correlation": f"{np.corrcoef(*ranks)[0, 1]:.2f}".replace("-", "−"),
        "witness.coded": _vector(coded[0]),
        "witness.coded.zeta": f"{np.abs(reference.zeta(coded[0])).max():.5f}",
        "witness.coded.bound": f"{max(coded[0]) / 2:g}",
        "witness.maximum": _vector(swapped[0]),
        **{
            f"reach.{name}": f"{gravity.displacement(clock, beta):.4g}"
            for name, clock in CLOCKS.items()
        },
    }


def _vector(entries: Iterable[float]) -> str:
    return f"({', '.join(f'{entry:g}' for entry in entries)})"


def _rounding() -> dict[str, str]:
    found = {
        f"{kernel}.{name}": rounding.curve(kernel, name, 0.1).vanishes_from
        for kernel in ("naive", "hypot")
        for name in rounding.FORMATS
    }
    off = 1 - float(np.float32(0.999)) - (1 - 0.999)
    return {
        **{key: scientific(size) for key, size in found.items()},
        "beta2.error": scientific(abs(off) / (1 - 0.999)),
    }


def _bench(results: Path) -> dict[str, str]:
    found = bench.read(bench.file(results, "cpu"))
    steps = bench.entries_of(found, "steps")
    floors = {e["row"].removesuffix(", fused"): e["floor"] for e in steps if "floor" in e}
    made = {
        "environment": bench.environment(found),
        "floor.adamw": str(bench.ADAMW_FLOOR),
        "floor.per_component": str(floors["RelativisticAdamW, per_component"]),
        "floor.per_param": str(floors["RelativisticAdamW, per_param"]),
        "floor.gravity": str(floors["Gravity"]),
    }
    for path in ("fused", "foreach"):
        for mode in ("per_component", "per_param", "global"):
            row = f"RelativisticAdamW, {mode}, {path}"
            made[f"{path}.{mode}"] = _span(e["ratio"] for e in steps if e["row"] == row)
        made[f"{path}.gravity"] = _span(e["ratio"] for e in steps if e["row"] == f"Gravity, {path}")
    for mode in ("per_component", "per_param"):
        row = f"relativistic-adam 1.0.0, {mode}"
        peers = bench.entries_of(found, "peers")
        made[f"peer.{mode}"] = _span((e["ratio"] for e in peers if e["row"] == row), ".0f")
    return made


def _span(ratios: Iterable[float], form: str = ".2f") -> str:
    judged = list(ratios)
    low, high = format(min(judged), form), format(max(judged), form)
    return low if low == high else f"{low} to {high}"


def _faults(results: Path) -> dict[str, str]:
    found = fault_tables.read(results)
    rows = {name: cells for name, *cells in fault_tables.counts(found)[1:]}
    return {
        "count": str(sum(found["faults"].values())),
        "optimizers": str(len(found["verdicts"])),
        "ours.damage": rows["RelativisticAdam, skip"][3],
        "published.damage": rows["relativistic-adam's RelativisticAdam"][3],
        "adam.damage": rows["torch's Adam"][3],
        "environment": fault_tables.environment(found),
    }


def _scores(results: Path) -> dict[str, str]:
    found = score_tables.read(results)
    rows = {name: cells for name, *cells in score_tables.scores(found)[1:]}
    return {
        "checks": str(len(found["checks"])),
        "beyond": str(sum(check["beyond torch"] for check in found["checks"].values())),
        "optimizers": str(len(found["outcomes"])),
        "ours.failed": rows["RelativisticAdam"][1],
        "relativistic_adam.failed": rows["relativistic-adam's RelativisticAdam"][1],
        "environment": score_tables.environment(found),
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


def scientific(value: float, digits: int = 1) -> str:
    """Return a number as it is read: 0.0092, 6,552, 1.8·10¹⁸.

    Parameters
    ----------
    value
        Any finite number.
    digits
        Digits after the first where it is written with a power of ten; one more where it is not.
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004
        return f"{value:.{digits + 2}g}" if abs(value) < 1e3 else f"{value:,.0f}"  # noqa: PLR2004
    mantissa, _, power = f"{value:.{digits}e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if float(mantissa) == 1 else f"{mantissa}·10{raised}"
