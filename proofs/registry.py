"""The one list of theorems and refutations, and the formulas that go with it."""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import reference

from . import adam, gravity, laws
from .formulas import Formula

SOURCE = Path(__file__).with_name("theorems.toml")

FORMULAS: Mapping[str, Mapping[str, Formula]] = {
    "laws": laws.FORMULAS,
    "gravity": gravity.FORMULAS,
    "adam": adam.FORMULAS,
}
"""Formulas by subject and id."""


@dataclass(frozen=True)
class Entry:
    """A theorem, or a refutation of what has been claimed.

    Attributes
    ----------
    id
        Its name everywhere: in tests, tables and the formulas.
    statement, latex
        What is stated, in words and as a formula.
    kind
        "theorem" or "refutation".
    domain
        What the numbers are: "reals".
    subject
        A key of `FORMULAS`.
    test
        The test that samples it, as pytest names it.
    law
        Key of the law it is about, empty for none.
    claims
        The claims of that law in `reference.LAWS` that it decides.
    """

    id: str
    statement: str
    latex: str
    kind: str
    domain: str
    subject: str
    test: str
    law: str = ""
    claims: tuple[str, ...] = ()

    @property
    def formula(self) -> Formula:
        """The statement as a formula."""
        return FORMULAS[self.subject][self.id]


def read(source: Path = SOURCE) -> dict[str, Entry]:
    """Return the entries by id.

    Raises
    ------
    ValueError
        If an id stands twice, or an entry and the formulas or the law's claims contradict each
        other.
    """
    rows = tomllib.loads(source.read_text(encoding="utf-8"))["entry"]
    entries = [Entry(**{**row, "claims": tuple(row.get("claims", ()))}) for row in rows]
    by_id = {entry.id: entry for entry in entries}
    if len(by_id) < len(entries):
        raise ValueError(f"{source.name} has an id twice: expected {len(entries)} different ones")
    for entry in entries:
        _check(entry)
    unlisted = {name for some in FORMULAS.values() for name in some} - set(by_id)
    if unlisted:
        raise ValueError(f"formulas {sorted(unlisted)}: expected an entry in {source.name} each")
    return by_id


def _check(entry: Entry) -> None:
    if entry.kind not in {"theorem", "refutation"}:
        raise ValueError(f"{entry.id}: kind={entry.kind!r}: expected 'theorem' or 'refutation'")
    if entry.id not in FORMULAS.get(entry.subject, {}):
        raise ValueError(f"{entry.id}: expected a formula in proofs/{entry.subject}.py")
    if entry.kind == "theorem" and not entry.formula.mutants:
        raise ValueError(f"{entry.id}: expected a mutant of its formula that is false")
    for claim in entry.claims:
        verdict = reference.LAWS[entry.law].claims[claim]
        if verdict.holds != (entry.kind == "theorem"):
            raise ValueError(
                f"{entry.id} is a {entry.kind}, and reference.LAWS[{entry.law!r}] says that "
                f"{claim!r} {'holds' if verdict.holds else 'fails'}: expected the same"
            )
