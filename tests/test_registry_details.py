"""What the registry makes of theorems.toml and of the reference's claims, entry by entry."""

import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import reference
from proofs import registry
from proofs.check import check
from proofs.deep import record
from proofs.entry import Coq, Entry
from proofs.intervals import FACTS
from proofs.methods import METHODS
from proofs.outcome import STANDS, Outcome
from proofs.registry import read

HOLDS = "tests/test_claims.py::test_claim_of_a_law_holds"
FAILS = "tests/test_claims.py::test_claim_of_a_law_fails_at_its_witness"
ABOUT_GRADIENTS = "tests/test_claims.py::test_claim_about_gradients_"

EXPECTED = (
    Entry(
        id="smooth_sqrt.bounded",
        statement="ρ(r) ≤ 1: the applied update never exceeds the speed limit.",
        latex=r"r\,\varphi(r) \le 1",
        kind="theorem",
        domain="reals",
        methods=("z3", "cvc5", "Coq"),
        test=HOLDS,
        law="smooth_sqrt",
        coq=Coq(
            "smooth_sqrt_bounded", "bounded smooth_sqrt", "newtonian_bounded", "~ bounded newtonian"
        ),
    ),
    Entry(
        id="tanh.continuous",
        statement="ρ has no jump.",
        latex=r"\rho \in C^0",
        kind="theorem",
        domain="reals",
        methods=("Coq",),
        test=HOLDS,
        law="tanh",
        coq=Coq(
            "tanh_law_continuous",
            "continuous_law tanh_law",
            "published_continuous",
            "~ continuous_law published",
        ),
    ),
    Entry(
        id="published.monotone",
        statement="ρ is nondecreasing: a larger proposed update is never applied as a smaller one.",
        latex=r"a \le b \Rightarrow \rho(a) \le \rho(b)",
        kind="refutation",
        domain="reals",
        methods=("z3", "cvc5", "Coq"),
        test=FAILS,
        law="published",
        witness="ratios ((0.75, 0.95),)",
        coq=Coq("published_monotone", "~ monotone published"),
    ),
    Entry(
        id="gravity.order_preserving",
        statement="the steepest entry keeps the largest |ζ|.",
        latex=r"|g_i| = G \Rightarrow |\zeta_i| = \max|\zeta|",
        kind="refutation",
        domain="reals",
        methods=("z3", "cvc5"),
        test=f"{ABOUT_GRADIENTS}fails_at_its_witness",
        witness="gradient ((3.0, 1.0),)",
    ),
    Entry(
        id="smooth-sqrt-bounded",
        statement="No update is applied beyond the limit, nor at it.",
        latex="|s| < c",
        kind="theorem",
        domain="reals",
        methods=("z3", "cvc5"),
        test="tests/test_limit.py::test_norm_never_exceeds_speed_limit",
        law="smooth_sqrt",
    ),
)


@pytest.mark.parametrize("entry", EXPECTED, ids=lambda entry: entry.id)
def test_an_entry_is_what_its_claim_or_its_row_says(entry: Entry) -> None:
    assert read()[entry.id] == entry


def test_the_entries_state_what_the_record_has() -> None:
    """Of every theorem in Coq its name, statement and mutant, and of every bound its formula."""
    stated = {k: v for entry in read().values() for k, v in record.statements(entry).items()}
    assert stated == record.recorded()["statements"]


def test_every_claim_comes_first_in_its_order() -> None:
    claims = [f"{law.key}.{name}" for law in reference.LAWS.values() for name in law.claims]
    claims += [f"gravity.{name}" for name in reference.GRAVITY_CLAIMS]
    found = read()
    assert list(found)[: len(claims)] == claims
    for name in claims:
        entry = found[name]
        holds = entry.kind == "theorem"
        assert entry.test.endswith("_holds" if holds else "_fails_at_its_witness")
        assert entry.test.startswith(ABOUT_GRADIENTS if not entry.law else HOLDS[:-5])
        assert entry.statement.endswith(".")
        assert bool(entry.witness) is not holds
        assert entry.domain == "reals"
        assert ("Coq" in entry.methods) is (entry.coq is not None)
    for entry in list(found.values())[len(claims) :]:
        assert isinstance(entry.methods, tuple)


def test_every_entry_in_coq_is_checked_by_it_and_has_its_mutant() -> None:
    for entry in read().values():
        known = {name for name, method in METHODS.items() if entry.id in (method.subjects or ())}
        assert set(entry.methods) - {"Coq"} == known
        if entry.coq and entry.kind == "theorem":
            assert entry.coq.mutant_type.startswith("~ ")


CHANGES: list[tuple[str, str, str]] = [
    (
        'id = "smooth-sqrt-gap"',
        'id = "smooth-sqrt-bounded"',
        "theorems.toml has an id twice: expected 207 different ones",
    ),
    (
        'kind = "theorem"',
        'kind = "lemma"',
        "smooth-sqrt-bounded: kind='lemma': expected 'theorem' or 'refutation'",
    ),
    (
        'domain = "reals"',
        'domain = "wholes"',
        "smooth-sqrt-bounded: domain='wholes': expected 'reals' or 'floats'",
    ),
    (
        'domain = "reals"',
        'domain = "floats"',
        "smooth-sqrt-bounded: formats='': expected for floats, and only so",
    ),
    (
        'domain = "reals"',
        'domain = "reals"\nformats = "binary32"',
        "smooth-sqrt-bounded: formats='binary32': expected for floats, and only so",
    ),
    (
        'methods = ["z3", "cvc5"]',
        'methods = ["z3"]',
        "smooth-sqrt-bounded: methods=('z3',): expected ['cvc5', 'z3']",
    ),
    (
        'law = "smooth_sqrt"',
        'law = "sqrt"',
        "smooth-sqrt-bounded: law='sqrt': expected a key of reference.LAWS",
    ),
    ("bounded = ", "bound = ", "claim 'bounded': expected its formula under [claim]"),
    (
        "mutant = 'gamma_inverts_smooth_sqrt_mutant'",
        "mutant = ''",
        "smooth-sqrt-inverse-of-gamma: expected a mutant of its theorem in Coq",
    ),
]


@pytest.mark.parametrize(("before", "after", "message"), CHANGES)
def test_a_refusal_says_what_was_expected(
    before: str, after: str, message: str, tmp_path: Path
) -> None:
    text = registry.SOURCE.read_text(encoding="utf-8")
    assert before in text
    source = tmp_path / "theorems.toml"
    source.write_text(text.replace(before, after, 1), encoding="utf-8")
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        read(source)


def test_an_entry_that_no_method_knows_is_refused(tmp_path: Path) -> None:
    text = registry.SOURCE.read_text(encoding="utf-8")
    row = "".join(f"{key} = 'x'\n" for key in ("id", "statement", "latex", "test"))
    row += "kind = 'refutation'\ndomain = 'reals'\nmethods = []\n"
    source = tmp_path / "theorems.toml"
    source.write_text(f"{text}\n[[entry]]\n{row}", encoding="utf-8")
    with pytest.raises(ValueError, match=r"^x: methods=\(\): expected \[\]$"):
        read(source)


def test_what_a_method_knows_besides_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {*FACTS, "b", "a"}
    monkeypatch.setitem(METHODS, "Arb", replace(METHODS["Arb"], subjects=known))
    message = r"^Arb knows \['a', 'b'\]: expected an entry for each$"
    with pytest.raises(ValueError, match=message):
        read()


def test_an_entry_is_decided_by_each_of_its_methods(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def decide(entry: Entry) -> Outcome:
        asked.append(entry)
        return Outcome(STANDS)

    entry = EXPECTED[-1]
    for name in entry.methods:
        monkeypatch.setitem(METHODS, name, replace(METHODS[name], decide=decide))
    times: Any = iter((10.0, 12.5))
    monkeypatch.setattr("proofs.check.time", SimpleNamespace(perf_counter=lambda: next(times)))
    verdict = check(entry)
    assert (verdict.entry, verdict.seconds) == (entry, 2.5)
    assert verdict.outcomes == dict.fromkeys(entry.methods, Outcome(STANDS))
    assert asked == [entry, entry]


def test_a_method_by_id_is_asked_for_the_id() -> None:
    assert METHODS["Arb"].decide(read()[next(iter(FACTS))]).status == STANDS
