"""The tables of the paper: rows of words, the first one the head, which the text lays out.

In a cell, ``**words**`` are bold and what stands between backticks is code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import reference
from analysis.forms import read_json
from paper.tables import bench, faults, scores, theorems
from proofs.entry import Entry
from proofs.registry import CLAIMS
from proofs.registry import read as read_registry

from . import claims, published
from .numerals import scientific
from .values import DEMO_FORM, RESULTS

Rows = list[Sequence[str]]

CITED = (
    "smooth-sqrt-inverse-of-gamma",
    "piecewise-exceeds-from-the-golden-ratio",
    "readme-literal-loses-sign",
    "bounded-law-vector",
    "law-firmly-nonexpansive",
    "tanh-near-smooth-sqrt",
    "adam-default-step",
    "growth-of-a-step",
    "quadratic-never-diverges",
    "relativistic-flow-energy",
    "gravity-flow-energy",
    "gravity-flow-energy-with-zeta",
    "velocity-universal-bound",
    "smooth-torch-limited",
    "block-of-measured-norm-within-limit",
    "naive-vanishes-binary32",
    "kernel-monotone",
    "zeta-not-amplified",
)
"""The entries of the registry that the paper's table shows; claims have tables of their own."""


def tables(results: Path = RESULTS) -> dict[str, Rows]:
    """Return the tables by name.

    Parameters
    ----------
    results
        Folder of the committed results.
    """
    found = bench.read(bench.file(results, "cpu"))
    return {
        "laws": laws(),
        "law-claims": law_claims(),
        "gravity-claims": gravity_claims(),
        "theorems": cited(),
        "methods": methods(),
        "robustness": robustness(faults.read(results), scores.read(results)),
        "steps": steps(found),
        "steps-gpu": gpu_steps(results),
        "peers": peers(found),
        "costs": bench.ratios(found, "costs"),
        "gravity-published": published.rows(published.read(results)),
        "demo": demo(results),
    }


def laws() -> Rows:
    """Return a row per law: its gain, and where it comes from."""
    return [
        ("law", "gain", "source"),
        *((f"`{key}`", law.equation, law.source) for key, law in reference.LAWS.items()),
    ]


def law_claims() -> Rows:
    """Return a row per property: which laws have it, and where the others fail."""
    entries = read_registry()
    rows: Rows = [("property", *(f"`{key}`" for key in reference.LAWS), "by")]
    for name in reference.LAW_PROPERTIES:
        shown = [_verdict(law.claims[name]) for law in reference.LAWS.values()]
        methods = {m: None for key in reference.LAWS for m in entries[f"{key}.{name}"].methods}
        rows.append((name.replace("_", " "), *shown, ", ".join(methods)))
    return rows


def gravity_claims() -> Rows:
    """Return a row per claim about Gravity's term."""
    entries = read_registry()
    rows: Rows = [("claim about ζ", "", "by")]
    for name, claim in CLAIMS["gravity"].items():
        methods = ", ".join(entries[f"gravity.{name}"].methods)
        rows.append((claim.property.statement, _verdict(claim), methods))
    return rows


def _verdict(claim: Any) -> str:
    if claim.holds:
        return "✓"
    return f"✗ {', '.join(map(_shown, claim.witness))}"


def _shown(witness: Any) -> str:
    return f"{witness:g}" if isinstance(witness, float) else str(witness)


def cited() -> Rows:
    """Return a row per theorem that the paper names: what it says, and what proves it."""
    entries = read_registry()
    rows: Rows = [("id", "statement", "", "by")]
    return rows + [_theorem(entries[key]) for key in CITED]


def _theorem(entry: Entry) -> Sequence[str]:
    status = "proved" if entry.kind == "theorem" else "**refuted**"
    return (f"`{entry.id}`", entry.statement, status, ", ".join(entry.methods))


def methods() -> Rows:
    """Return the methods of proof: how many entries each has, and what it trusts."""
    return [(row[0], row[1], row[3]) for row in theorems.methods()]


def robustness(met_faults: Mapping[str, Any], passed: Mapping[str, Any]) -> Rows:
    """Return a row per optimizer: its checks, within torch.optim's and beyond, and its faults."""
    checked = {name: (*row[:2], *row[3:5]) for name, *row in scores.scores(passed)[1:]}
    met = {name: row[:4] for name, *row in faults.counts(met_faults)[1:]}
    names = dict.fromkeys([*met, *checked])
    unknown = ("–",) * 4
    return [
        ("optimizer", "passes", "fails", "beyond: passes", "fails", *faults.MARKS),
        *((name, *checked.get(name, unknown), *met.get(name, unknown)) for name in names),
    ]


def steps(found: Mapping[str, Any]) -> Rows:
    """Return the ratios of step times, all over one baseline, and the peak memory of a step."""
    table = _with_memory(bench.ratios(found, "steps"), found)
    return [(row[0], *row[2:]) for row in table]


def peers(found: Mapping[str, Any]) -> Rows:
    """Return how much longer other packages take, and the peak memory of their steps."""
    return _with_memory(bench.ratios(found, "peers"), found)


def _with_memory(table: Rows, found: Mapping[str, Any]) -> Rows:
    """Append the peak memory on the first model, as a multiple of the parameters."""
    head, *body = bench.memory(found, "steps", "peers")
    peaks = {row[0]: row[1] for row in body}
    return [(*table[0], f"memory, {head[1]}"), *((*row, peaks[row[0]]) for row in table[1:])]


def gpu_steps(results: Path) -> Rows:
    """Return the ratios of step times on a GPU by kernels, empty where none are measured."""
    path = bench.file(results, "cuda")
    if not path.exists():
        return []
    head, *body = bench.ratios(bench.read(path), "steps")
    return [head, *(row for row in body if row[0].endswith("fused"))]


def demo(results: Path) -> Rows:
    """Return the published demo: a row per method, over its seeds."""
    grouped: dict[str, list[Mapping[str, Any]]] = {}
    for result in read_json(results / "demo.json", DEMO_FORM)["results"]:
        if result["run"]["task"] == "published_regression":
            grouped.setdefault(result["run"]["method"], []).append(result)
    rows: Rows = [("optimizer", "exploded", "training loss", "validation loss", "largest r")]
    for method, runs in grouped.items():
        alive = [run for run in runs if not run["exploded"]]
        rows.append(
            (
                method,
                f"{len(runs) - len(alive)} of {len(runs)}",
                _range(run["train_loss"][-1] for run in alive),
                _range(run["validation_loss"] for run in alive),
                _range(run["largest_ratio"] for run in runs),
            )
        )
    return rows


def _range(numbers: Any) -> str:
    present = [number for number in numbers if number is not None]
    if not present:
        return "–"
    low, high = (scientific(end(present)) for end in (min, max))
    return low if low == high else f"{low} to {high}"


def claim_rows(judged: Sequence[Mapping[str, Any]]) -> Rows:
    """Return a row per published sentence, as `paper.manuscript.claims.judged` returns them."""
    rows: Rows = [("published sentence", "verdict", "because", "shown by")]
    return rows + [
        (
            f"{claim['quote']} @{claim['source']}",
            claim["verdict"],
            claim["because"],
            ", ".join(map(_evidence, claim["by"])),
        )
        for claim in judged
    ]


def _evidence(shown: str) -> str:
    kind, _, name = shown.partition(":")
    return f"@{kind}:{name}" if kind in {"figure", "table", "question"} else f"`{name}`"


def shown_claims(
    found: Mapping[str, str], answers: Mapping[str, Any], source: Path = claims.SOURCE
) -> Rows:
    """Return the table of published sentences, with values and the experiments' verdicts."""
    return claim_rows(claims.judged(claims.read(source), found, answers["claims"]))
