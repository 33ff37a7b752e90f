"""What the last run of the deep tier found: proofs/record.json."""

import hashlib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from analysis.forms import read_json

from ..entry import Entry
from ..outcome import FAILS, IN_RECORD, NOT_CHECKED, Outcome

CHECKED_WITH = (
    "deep/check.py",
    "deep/conformance.py",
    "floats/kernels.py",
    "floats/machines.py",
)
"""Files of this room that a run depends on."""

PROOFS = Path(__file__).parents[1]
COQ, GAPPA, RECORD = PROOFS / "coq", PROOFS / "gappa", PROOFS / "record.json"

BOUNDS: Collection[str] = {path.stem for path in GAPPA.glob("*.g")}
"""The ids of the entries that Gappa proves."""


FORM = {
    "commit": str,
    "digest": str,
    "versions": {str: str},
    "seconds": {"all": float, str: float},
    "axioms": {str: [str]},
    "statements": {str: str},
}
"""What a record holds."""


def sources() -> list[Path]:
    """Return the sources that are checked."""
    return sorted([*COQ.rglob("*.v"), *GAPPA.glob("*.g")])


def digest() -> str:
    """Return a hash of the sources, and of what they are compared with and checked by."""
    checked = [*sources(), *(PROOFS / name for name in CHECKED_WITH)]
    content = b"".join(path.name.encode() + path.read_bytes() for path in checked)
    return hashlib.sha256(content).hexdigest()


def recorded() -> Mapping[str, Any]:
    """Return the record of the last run."""
    record: Mapping[str, Any] = read_json(RECORD, FORM)
    return record


def statements(entry: Entry) -> dict[str, str]:
    """Return what the deep tier has to prove of an entry: name → statement."""
    bound = {f"{entry.id}.g": entry.gappa} if entry.gappa else {}
    return {**(entry.coq.statements if entry.coq else {}), **bound}


def decide(entry: Entry) -> Outcome:
    """Say what the record says of an entry: it is not checked here."""
    record = recorded()
    if record["digest"] != digest():
        return Outcome(NOT_CHECKED, note="the sources have changed since the record")
    missing = statements(entry).items() - record["statements"].items()
    if missing:
        return Outcome(FAILS, note=f"the record has no {sorted(dict(missing))}")
    return Outcome(NOT_CHECKED, note=IN_RECORD)
