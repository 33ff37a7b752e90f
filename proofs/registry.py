"""The one list of theorems and refutations: the claims of the reference, and those listed by hand.

Every claim in `reference.LAWS` and `reference.GRAVITY_CLAIMS` is an entry "law.claim" by itself;
all others are in theorems.toml.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import reference
from analysis.forms import read_toml
from reference import Claim

from .entry import Coq, Entry
from .methods import METHODS

SOURCE = Path(__file__).with_name("theorems.toml")

_COQ = {"name": str, "type": str, "mutant?": str, "mutant_type?": str}

FORM = {
    "claim": {str: str},
    "coq": {str: _COQ},
    "entry": [
        {
            **dict.fromkeys(("id", "statement", "latex", "kind", "domain", "test"), str),
            **dict.fromkeys(("formats?", "law?", "assumes?", "witness?", "mutant?", "gappa?"), str),
            "methods": [str],
            "coq?": _COQ,
        }
    ],
}
"""What theorems.toml holds."""

CLAIMS: Mapping[str, Mapping[str, Claim]] = {
    **{law.key: law.claims for law in reference.LAWS.values()},
    "gravity": reference.GRAVITY_CLAIMS,
}
"""The claims that are entries: subject → name → claim."""


def read(source: Path = SOURCE) -> dict[str, Entry]:
    """Return the entries by id: the claims first, then those listed by hand.

    Raises
    ------
    ValueError
        If the file is not TOML, an id stands twice, an entry lacks something, its methods do not
        know it, or a method knows what is no entry.
    """
    table = read_toml(source, FORM)
    in_coq = {key: Coq(**value) for key, value in table["coq"].items()}
    entries = [*_claims(table["claim"], in_coq), *map(_listed, table["entry"])]
    by_id = {entry.id: entry for entry in entries}
    if len(by_id) < len(entries):
        raise ValueError(f"{source.name} has an id twice: expected {len(entries)} different ones")
    for entry in entries:
        _check(entry)
    for name, method in METHODS.items():
        unlisted = set(method.subjects or ()) - {e.id for e in entries if name in e.methods}
        if unlisted:
            raise ValueError(f"{name} knows {sorted(unlisted)}: expected an entry for each")
    return by_id


def _listed(row: dict[str, Any]) -> Entry:
    coq = Coq(**row["coq"]) if "coq" in row else None
    return Entry(**{**row, "methods": tuple(row["methods"]), "coq": coq})


def _claims(formulas: Mapping[str, str], in_coq: Mapping[str, Coq]) -> Iterator[Entry]:
    """Yield an entry for every claim.

    Parameters
    ----------
    formulas
        Each property in LaTeX.
    in_coq
        What Coq has of claims that are not of laws, by id; of laws it has all.
    """
    for subject, claims in CLAIMS.items():
        is_law = subject in reference.LAWS
        for name, claim in claims.items():
            if name not in formulas:
                raise ValueError(f"claim {name!r}: expected its formula under [claim]")
            about = "of_a_law" if is_law else "about_gradients"
            key = f"{subject}.{name}"
            coq = _coq(subject, name, claim) if is_law else in_coq.get(key)
            yield Entry(
                id=key,
                statement=f"{claim.property.statement}.",
                latex=formulas[name],
                kind="theorem" if claim.holds else "refutation",
                domain="reals",
                methods=(*_knowing(key), *(["Coq"] if coq else [])),
                test=f"tests/test_claims.py::test_claim_{about}_"
                + ("holds" if claim.holds else "fails_at_its_witness"),
                law=subject if is_law else "",
                witness="" if claim.holds else f"{claim.property.arguments} {claim.witness}",
                coq=coq,
            )


def _coq(law: str, name: str, claim: Claim) -> Coq:
    """Return a claim in proofs/coq/Laws.v's words; its mutant is a law that fails it."""
    law, failing = _NAMES.get(law, law), _failing(name)
    stated = _NAMES.get(name, name)
    if not claim.holds:
        return Coq(f"{law}_{name}", f"~ {stated} {law}")
    return Coq(f"{law}_{name}", f"{stated} {law}", f"{failing}_{name}", f"~ {stated} {failing}")


_NAMES = {"tanh": "tanh_law", "continuous": "continuous_law"}
"""What Coq calls otherwise, since it has these names itself."""


def _failing(name: str) -> str:
    """Return a law that fails a property: one of the reference's, or one that is made to."""
    made = {"direction_preserving": "reversed", "identity_near_zero": "halved"}
    laws = [law.key for law in reference.LAWS.values() if not law.claims[name].holds]
    return made[name] if name in made else laws[0]


def _knowing(key: str) -> tuple[str, ...]:
    """Return the methods that know an entry by its id."""
    return tuple(name for name, method in METHODS.items() if key in (method.subjects or ()))


def _check(entry: Entry) -> None:
    if entry.kind not in {"theorem", "refutation"}:
        raise ValueError(f"{entry.id}: kind={entry.kind!r}: expected 'theorem' or 'refutation'")
    if entry.domain not in {"reals", "floats"}:
        raise ValueError(f"{entry.id}: domain={entry.domain!r}: expected 'reals' or 'floats'")
    if (entry.domain == "floats") != bool(entry.formats):
        raise ValueError(f"{entry.id}: formats={entry.formats!r}: expected for floats, and only so")
    known = {*_knowing(entry.id), *(["Coq"] if entry.coq else [])}
    if set(entry.methods) != known or not known:
        raise ValueError(f"{entry.id}: methods={entry.methods}: expected {sorted(known)}")
    if entry.kind == "theorem" and entry.coq and not entry.coq.mutant:
        raise ValueError(f"{entry.id}: expected a mutant of its theorem in Coq")
    if entry.law and entry.law not in reference.LAWS:
        raise ValueError(f"{entry.id}: law={entry.law!r}: expected a key of reference.LAWS")
