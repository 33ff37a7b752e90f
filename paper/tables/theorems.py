"""The list of theorems and refutations, as the texts show it."""

from collections import Counter

import reference
from proofs import exhaustive
from proofs.deep import check, record
from proofs.entry import Entry
from proofs.methods import METHODS
from proofs.registry import CLAIMS, read

Row = list[str]


def counts() -> list[Row]:
    """Return how many theorems and refutations there are, by what they are about."""
    kinds = Counter((entry.kind, entry.domain) for entry in read().values())
    rows = [
        [domain, str(kinds["theorem", domain]), str(kinds["refutation", domain])]
        for domain in ("reals", "floats")
    ]
    return [["about", "theorems", "refutations"], *rows]


def methods() -> list[Row]:
    """Return the methods: how many entries each has, what runs it, what it trusts."""
    used = Counter(method for entry in read().values() for method in entry.methods)
    return [
        ["method", "entries", "checked by", "what has to be trusted"],
        *([n, str(used[n]), _command(m.tier), m.trusted] for n, m in METHODS.items()),
    ]


def _command(tier: str) -> str:
    return "`make test`, `python -m proofs`" if tier == "default" else f"`{tier}`"


def axioms() -> list[Row]:
    """Return the axioms of the theorems in Coq, and how many rest on each."""
    used = Counter(axiom for found in record.recorded()["axioms"].values() for axiom in found)
    return [
        ["axiom", "says", "statements and mutants that use it"],
        *([f"`{name}`", says, str(used[name])] for name, says in check.AXIOMS.items()),
    ]


def rows(domain: str) -> list[Row]:
    """Return the entries that are listed by hand, about reals or floats."""
    listed = [e for e in read().values() if e.domain == domain and not _is_claim(e)]
    head = ["id", "statement", "formula", "", "by"]
    return [head, *map(_row, listed)]


def _row(entry: Entry) -> Row:
    verdict = "proved" if entry.kind == "theorem" else f"**false**: {entry.witness}"
    about = f" ({entry.formats})" if entry.formats else ""
    assumes = f" Assumes: {entry.assumes}" if entry.assumes else ""
    formula = entry.latex.replace(r"\|", r"\Vert ").replace("|", r"\vert ")
    return [
        f"`{entry.id}`",
        f"{entry.statement}{assumes}",
        f"${formula}${about}",
        verdict,
        ", ".join(entry.methods),
    ]


def claims() -> list[Row]:
    """Return every claim of every law: whether it holds, and what says so."""
    entries = read()
    laws = list(reference.LAWS)
    names = list(next(iter(reference.LAWS.values())).claims)
    body = [[name, *(_verdict(entries[f"{law}.{name}"]) for law in laws)] for name in names]
    gravity = [
        [name, _verdict(entries[f"gravity.{name}"]), *[""] * (len(laws) - 1)]
        for name in CLAIMS["gravity"]
    ]
    return [["claim", *laws], *body, ["*of Gravity's term*", *[""] * len(laws)], *gravity]


def _verdict(entry: Entry) -> str:
    holds = "holds" if entry.kind == "theorem" else "**false**"
    return f"{holds} ({', '.join(entry.methods)})"


def _is_claim(entry: Entry) -> bool:
    subject, _, name = entry.id.partition(".")
    return name in CLAIMS.get(subject, {})


def deep_run() -> str:
    """Return what the last run of the deep tier was."""
    found = record.recorded()
    versions = ", ".join(f"{name} {version}" for name, version in found["versions"].items())
    return (
        f"Last run of `make proofs`: {len(found['statements'])} statements and mutants at commit "
        f"{found['commit']} in {found['seconds']['all']:.0f} s, with {versions}."
    )


def enumeration() -> str:
    """Return what the last enumeration was."""
    report = exhaustive.recorded()
    if report is None:
        return "The kernels in C have changed since the last run of `make enumerate`."
    inputs = sum(row["inputs"] for row in report["sweeps"])
    return (
        f"Last run of `make enumerate`: {inputs:,} inputs in {report['seconds']} s, "
        f"{report['compiler']} with {' '.join(report['flags'])}, {report['libc']}, "
        f"{report['processor']}."
    )
