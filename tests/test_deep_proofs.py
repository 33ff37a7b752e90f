"""The deep tier: its record is of these sources, and what is unproved is caught."""

import re
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from proofs import exhaustive
from proofs.deep import check, record
from proofs.entry import Coq, Entry
from proofs.outcome import FAILS, NOT_CHECKED
from proofs.registry import read

ENTRIES = read()
RECORD = record.recorded()


def test_the_record_is_of_these_sources_and_statements() -> None:
    assert RECORD["digest"] == record.digest(), "the sources have changed: run `make proofs`"
    stated = {k: v for entry in ENTRIES.values() for k, v in record.statements(entry).items()}
    assert RECORD["statements"] == stated, "the registry has changed: run `make proofs`"
    in_coq = {name for entry in ENTRIES.values() if entry.coq for name in entry.coq.statements}
    assert set(RECORD["axioms"]) == in_coq
    assert re.fullmatch(r"[0-9a-f]{12}", RECORD["commit"]), "run `make proofs` on a commit"
    assert set(RECORD["versions"]) == set(check.PACKAGES)
    assert RECORD["seconds"]["all"] < 600


def test_every_theorem_rests_on_allowed_axioms() -> None:
    for name, axioms in RECORD["axioms"].items():
        check.refuse_axioms(name, axioms)
    with pytest.raises(ValueError, match=r"planted rests on \['Planted.wrong'\]: expected axioms"):
        check.refuse_axioms("planted", ["Planted.wrong", *check.AXIOMS])


@pytest.mark.parametrize("path", record.sources(), ids=lambda path: path.name)
def test_no_source_leaves_anything_unproved(path: Path) -> None:
    check.refuse_unproved(path)


@pytest.mark.parametrize("word", check.FORBIDDEN)
def test_a_word_that_leaves_something_unproved_is_caught(word: str, tmp_path: Path) -> None:
    source = tmp_path / "Planted.v"
    source.write_text(f"(* {word} *) Theorem t : True.\n", encoding="utf-8")
    check.refuse_unproved(source)
    source.write_text(f"Theorem t : False.\nProof. {word}.\n", encoding="utf-8")
    with pytest.raises(ValueError, match=rf"Planted.v has \['{word}'\]: expected nothing"):
        check.refuse_unproved(source)


def test_what_changes_how_statements_are_read_is_caught(tmp_path: Path) -> None:
    source = tmp_path / "Planted.v"
    source.write_text("Local Notation u := 1.\n", encoding="utf-8")
    check.refuse_unproved(source)
    source.write_text('Notation "x < y" := (x <= y) : R_scope.\n', encoding="utf-8")
    with pytest.raises(ValueError, match=r"Planted.v has \['Notation'\]"):
        check.refuse_unproved(source)


def test_printed_axioms_are_read() -> None:
    printed = """Warning: something
Axioms:
ClassicalDedekindReals.sig_forall_dec
  : forall P : nat -> Prop, (forall n : nat, {P n} + {~ P n}) -> {n : nat | ~ P n}
Classical_Prop.classic : forall P : Prop, P \\/ ~ P
Closed under the global context
Axioms:
wrong is assumed to be guarded.
functional_extensionality_dep
  : forall f g
"""
    assert check.axioms_in(printed) == [
        ["ClassicalDedekindReals.sig_forall_dec", "Classical_Prop.classic"],
        [],
        ["wrong is assumed to be guarded.", "functional_extensionality_dep"],
    ]


def test_sources_that_have_changed_are_not_taken_for_checked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    entry = ENTRIES["smooth-torch-limited"]
    assert record.decide(entry).status == NOT_CHECKED
    assert entry.coq is not None
    other = replace(entry, coq=Coq("smooth_torch_limited", "True"))
    assert record.decide(other).status == FAILS
    monkeypatch.setattr(record, "digest", lambda: "another")
    assert record.decide(entry).note == "the sources have changed since the record"
    bound = ENTRIES["kernel-rounding"]
    assert record.statements(bound) == {"kernel-rounding.g": bound.gappa}


@pytest.mark.skipif(
    not all(map(shutil.which, ("coqc", "gappa"))),
    reason="NOT CHECKED: that Coq and Gappa refuse planted falsehoods, as they are not installed",
)
def test_planted_falsehoods_are_refused_by_coq_and_gappa(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A false theorem, another statement than the registered one, an axiom, a tighter bound."""
    monkeypatch.setattr(check, "BUILD", tmp_path)
    (tmp_path / "reals").mkdir()
    source = tmp_path / "reals" / "Planted.v"

    def coq(text: str) -> None:
        source.write_text(
            f"From Coq Require Import Reals Lra.\nOpen Scope R_scope.\n{text}", "utf-8"
        )
        check._coqc("reals/Planted.v")

    with pytest.raises(subprocess.CalledProcessError):
        coq("Theorem planted : forall x : R, x < x + 0.\nProof. intros; lra. Qed.")
    coq("Theorem planted : forall x : R, x < x + 1.\nProof. intros; lra. Qed.")
    entry = replace(ENTRIES["zeta-bound-attained"], coq=Coq("planted", "forall x : R, x < x + 1"))
    assert set(check._registered("reals", ["Planted"], [entry])) == {"planted"}
    other = replace(entry, coq=Coq("planted", "forall x : R, x < x + 2"))
    with pytest.raises(subprocess.CalledProcessError):
        check._registered("reals", ["Planted"], [other])
    coq("Axiom wrong : False.\nTheorem planted : forall x : R, x < x + 1.\nProof. case wrong. Qed.")
    with pytest.raises(ValueError, match="planted rests on"):
        check._registered("reals", ["Planted"], [entry])
    bound = ENTRIES["kernel-rounding"]
    with pytest.raises(ValueError, match=r"kernel-rounding\.g proves"):
        check._bound(replace(bound, gappa=bound.gappa.replace("1.639128e-7", "1.5e-7")))
    tight = (record.GAPPA / "kernel-rounding.g").read_text(encoding="utf-8")
    (tmp_path / "kernel-rounding.g").write_text(tight.replace("1.639128e-7", "1.5e-7"), "utf-8")
    monkeypatch.setattr(check, "GAPPA", tmp_path)
    with pytest.raises(subprocess.CalledProcessError):
        check._bound(replace(bound, gappa=bound.gappa.replace("1.639128e-7", "1.5e-7")))
    hint = re.sub(r"\(d0 - D\) / D -> .*\n.*\n", "s -> S { D <> 0, Q <> 0 };\n", tight)
    assert hint != tight
    (tmp_path / "kernel-rounding.g").write_text(hint, encoding="utf-8")
    with pytest.raises(subprocess.CalledProcessError):  # what Gappa is told has to be proved
        check._bound(bound)


def test_missing_packages_without_apt_are_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(FileNotFoundError, match="no apt-get: expected coq, gappa"):
        check.install()


REPORT = exhaustive.recorded()


def test_the_enumeration_is_of_these_kernels_and_of_every_number() -> None:
    assert REPORT is not None, "the kernels have changed: run `make enumerate`"
    assert exhaustive._is_whole(REPORT)
    for name, expectation in exhaustive.EXPECTATIONS.items():
        assert exhaustive.stands(expectation, REPORT), name


def test_an_enumeration_that_finds_something_else_does_not_stand(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A result beyond the limit, a mutant that is no worse, a witness that is gone."""
    assert REPORT is not None

    def with_counts(kernel: str, **counts: int) -> Mapping[str, Any]:
        rows = [{**r, **counts} if r["kernel"] == kernel else r for r in REPORT["sweeps"]]
        return {**REPORT, "sweeps": rows}

    limited = exhaustive.EXPECTATIONS["torch-kernel-in-binary32"]
    vanishing = exhaustive.EXPECTATIONS["naive-kernel-vanishes-in-binary32"]
    assert not exhaustive.stands(limited, with_counts("smooth", beyond_limit=1))
    assert not exhaustive.stands(limited, with_counts("naive", beyond_limit=0))
    assert not exhaustive.stands(vanishing, with_counts("naive", vanished=0))
    assert not exhaustive.stands(limited, with_counts("smooth", inputs=1))
    assert not exhaustive.stands(limited, {**REPORT, "sweeps": REPORT["sweeps"][1:]})
    monkeypatch.setattr(exhaustive, "recorded", lambda: with_counts("smooth", amplified=1))
    assert exhaustive.decide("torch-kernel-in-binary32").status == FAILS
    monkeypatch.setattr(exhaustive, "recorded", lambda: None)
    outcome = exhaustive.decide("torch-kernel-in-binary32")
    assert (outcome.status, outcome.note[:23]) == (NOT_CHECKED, "the kernels have change")


@pytest.mark.skipif(
    exhaustive.compiler() is None,
    reason="NOT CHECKED: a short enumeration in C, because there is no C compiler",
)
def test_a_short_enumeration_counts_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Around 2⁶⁴, where the naive kernel vanishes at c = 1 and the kernel does not."""
    first = 0x5F800000  # the bits of 2⁶⁴
    with exhaustive.compiled() as kernels:
        naive = kernels.sweep("naive", 1.0, first - 100, first + 100)
        safe = kernels.sweep("smooth", 1.0, first - 100, first + 100)
        halves = [kernels.sweep("naive", 1.0, a, a + 100).vanished for a in (first - 100, first)]
        beyond = kernels.sweep("smooth", 1.0, 0x7F7FFF00, 0x7F800100)
        assert (naive.inputs, safe.inputs, beyond.inputs) == (200, 200, 256)
        assert 0 < naive.vanished == sum(halves) < 200
        assert exhaustive._number(naive.first_vanished) == 2.0**64
        assert (safe.vanished, safe.beyond_limit, safe.not_finite, safe.falls) == (0, 0, 0, 0)
        monkeypatch.setattr(exhaustive, "CHUNK", 100)
        report = exhaustive.run(kernels, end=250)
    assert {row["kernel"] for row in report["sweeps"]} == set(exhaustive.KERNELS)
    assert all(row["inputs"] == 250 for row in report["sweeps"])
    assert report["flags"] == list(exhaustive.FLAGS)


def test_without_a_compiler_the_enumeration_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exhaustive, "compiler", lambda: None)
    with pytest.raises(FileNotFoundError, match="no C compiler"), exhaustive.compiled():
        pass


def test_an_entry_states_what_the_deep_tier_proves() -> None:
    entry: Entry = ENTRIES["bounded-law-vector"]
    assert entry.coq is not None
    assert set(record.statements(entry)) == {entry.coq.name, entry.coq.mutant}
    assert record.statements(ENTRIES["published-peak"]) == {}
