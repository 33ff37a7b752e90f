"""Theorems are proved, refutations replayed, and neither is about nothing."""

import ast
import math
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import torch
import z3
from proofs.formulas import Formula, is_met
from proofs.solvers import by_cvc5, by_z3

import reference
from proofs import laws, registry
from proofs.__main__ import main
from proofs.check import Verdict, check
from proofs.registry import Entry, read
from torch_impl import LAWS

ROOT = Path(__file__).parents[1]
ENTRIES = read()

ONLY_Z3 = {"smooth-sqrt-nonexpansive-in-n"}
"""What cvc5 does not decide in eight seconds."""


@pytest.fixture(scope="module")
def verdicts() -> Callable[[str], Verdict]:
    known: dict[str, Verdict] = {}

    def verdict(name: str) -> Verdict:
        if name not in known:
            known[name] = check(ENTRIES[name])
        return known[name]

    return verdict


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_stands(name: str, verdicts: Callable[[str], Verdict]) -> None:
    """z3 and cvc5 agree; hypotheses can be met; every mutant has a counterexample in numbers."""
    verdict = verdicts(name)
    assert verdict.stands
    assert set(verdict.decided_by) >= {"z3", "cvc5"} - ({"cvc5"} if name in ONLY_Z3 else set())
    assert set(verdict.counterexamples) == set(ENTRIES[name].formula.mutants)
    assert all(verdict.counterexamples.values())


def applied(law: str, update: float, limit: float) -> tuple[float, float]:
    """Return what the reference and torch make of an entry."""
    (by_reference,) = reference.limit([[update]], limit, law=law, mode="per_component")
    by_torch = LAWS[law].limit_entries(
        torch.tensor([update], dtype=torch.float64), torch.tensor(limit, dtype=torch.float64)
    )
    return float(by_reference[0]), by_torch.item()


def gamma_exceeds(at: Mapping[str, float]) -> bool:
    (s,) = reference.limit([[at["x"]]], at["c"], law="gamma", mode="per_component")
    return bool(s[0] > at["c"])  # torch has no gamma


def piecewise_exceeds(at: Mapping[str, float]) -> bool:
    return all(s > 100 * at["c"] for s in applied("piecewise", at["x"], at["c"]))


def published_falls(at: Mapping[str, float]) -> bool:
    pairs = zip(*(applied("published", at[u], at["c"]) for u in ("u1", "u2")), strict=True)
    return at["u1"] < at["u2"] and all(one > other for one, other in pairs)


def zeta_falls(at: Mapping[str, float]) -> bool:
    one, other, _ = reference.zeta([at["g1"], at["g2"], at["G"]])
    return bool(at["g1"] < at["g2"] and one > other)


def published_bound_is_exceeded(at: Mapping[str, float]) -> bool:
    term, _ = reference.zeta([at["g"], at["G"]])
    return bool(term > 1 / (2 * at["m"]))


REPLAYS: Mapping[str, Callable[[Mapping[str, float]], bool]] = {
    "gamma-exceeds": gamma_exceeds,
    "piecewise-exceeds": piecewise_exceeds,
    "published-monotone": published_falls,
    "zeta-monotone": zeta_falls,
    "zeta-published-bound": published_bound_is_exceeded,
}


def test_every_refutation_is_replayed() -> None:
    assert set(REPLAYS) == {name for name, entry in ENTRIES.items() if entry.kind == "refutation"}


@pytest.mark.parametrize("name", REPLAYS)
def test_a_refutations_witness_fails_in_the_code_too(
    name: str, verdicts: Callable[[str], Verdict]
) -> None:
    assert REPLAYS[name](verdicts(name).witness)


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_is_sampled_by_a_test_that_exists(entry: Entry) -> None:
    path, _, function = entry.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert entry.statement.endswith(".")
    assert entry.latex


def test_a_planted_falsehood_is_caught() -> None:
    """A false theorem, one about nothing, one whose mutant is as true as it is."""
    x, y = z3.Reals("x y")
    planted = {
        "false": Formula([x > 0], x > 1, {"other": [x < 0]}),
        "empty": Formula([x > 0, x < 0], x > 1, {"other": [x < 0]}),
        "blunt": Formula([x > 1], x > 0, {"stronger": [x > 2]}),
        "sound": Formula([x > 1], x > 0, {"weaker": [x > -1]}),
    }
    stands = {}
    with pytest.MonkeyPatch.context() as context:
        context.setitem(registry.FORMULAS, "planted", planted)
        for name in planted:
            entry = Entry(name, "It is so.", "x", "theorem", "reals", "planted", "")
            stands[name] = check(entry).stands
    assert stands == {"false": False, "empty": False, "blunt": False, "sound": True}
    assert by_z3([x * y == 2, x == y]).values["x"] ** 2 == pytest.approx(2)


def test_a_solver_that_does_not_return_is_stopped() -> None:
    formula = laws.FORMULAS["smooth-sqrt-nonexpansive-in-n"]
    assert by_cvc5([*formula.hypotheses, z3.Not(formula.goal)], seconds=0.5) == "unknown"


def test_constraints_are_evaluated_apart_from_the_solver() -> None:
    x, y = z3.Reals("x y")
    at = {"x": 3.0, "y": math.sqrt(2)}
    assert is_met(z3.And(y * y == 2, x - y > 1, -x / 2 <= y, x >= 3, x < 4), at)
    assert not is_met(z3.Not(y * y == 2), at)
    assert is_met(x > 3, at)
    assert not is_met(x > 3, at, tolerance=0)
    assert is_met(z3.Not(x > 3), at)
    assert is_met((x > 2) == (y > 1), at)
    assert not is_met((x > 2) == (y > 2), at)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "smooth-sqrt-gap"', 'id = "smooth-sqrt-bounded"'), "has an id twice"),
        (
            ('id = "smooth-sqrt-gap"', 'id = "unknown"'),
            "unknown: expected a formula",
        ),
        (('kind = "theorem"', 'kind = "lemma"'), "kind='lemma': expected 'theorem' or 'ref"),
        (
            ('claims = ["monotone"]', 'claims = ["bounded"]'),
            "published-monotone is a refut",
        ),
        (('kind = "refutation"', 'kind = "theorem"'), "gamma-exceeds: expected a mutant"),
    ],
)
def test_a_registry_that_contradicts_itself_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    text = registry.SOURCE.read_text(encoding="utf-8")
    where = text.rfind(change[0]) if "claims" in change[0] else text.find(change[0])
    source = tmp_path / "theorems.toml"
    source.write_text(text[:where] + change[1] + text[where + len(change[0]) :], encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(source)


def test_a_formula_without_an_entry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    more = {**registry.FORMULAS, "more": {"unlisted": Formula([], z3.BoolVal(True))}}
    monkeypatch.setattr(registry, "FORMULAS", more)
    with pytest.raises(ValueError, match=r"formulas \['unlisted'\]: expected an entry"):
        read()


def test_the_readme_counts_what_is_here() -> None:
    kinds = [entry.kind for entry in ENTRIES.values()]
    text = " ".join((ROOT / "README.md").read_text(encoding="utf-8").split())
    assert f"{kinds.count('theorem')} theorems about the laws" in text
    assert f"{kinds.count('refutation')} published claims refuted" in text


def test_the_command_prints_every_entry_and_counts_what_does_not_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def quick(entry: Entry) -> Verdict:
        stands = entry.id != "running-coefficient"
        return Verdict(entry, ("z3",) if stands else (), {}, {}, 0.0)

    monkeypatch.setattr("proofs.__main__.check", quick)
    assert main() == 1
    printed = capsys.readouterr().out
    assert printed.count("DOES NOT STAND") == 1
    assert all(name in printed for name in ENTRIES)
