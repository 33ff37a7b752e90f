"""Theorems are proved, refutations replayed, and neither is about nothing."""

import ast
import math
from collections import Counter
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import z3

import reference
from proofs import check as checking
from proofs import registry
from proofs.__main__ import main
from proofs.check import Verdict, check
from proofs.entry import Entry
from proofs.floats import bits, enumeration
from proofs.intervals import FACTS
from proofs.intervals import decide as decide_by_arb
from proofs.methods import DEFAULT, METHODS
from proofs.outcome import FAILS, IN_RECORD, NO_ANSWER, NOT_CHECKED, STANDS, Outcome
from proofs.reals import claims, laws, polynomials
from proofs.reals.formulas import Formula, is_met
from proofs.reals.solvers import by_cvc5, by_z3
from proofs.registry import read
from torch_impl import LAWS, Gravity

ROOT = Path(__file__).parents[1]
ENTRIES = read()
HERE = [e.id for e in ENTRIES.values() if any(METHODS[m].tier == DEFAULT for m in e.methods)]
ELSEWHERE = [name for name in ENTRIES if name not in HERE]


@pytest.mark.parametrize("name", HERE)
def test_an_entry_stands(name: str) -> None:
    """Every method that runs here says so; every mutant is false somewhere."""
    entry = ENTRIES[name]
    verdict = check(entry)
    assert not verdict.fails, verdict
    for method, outcome in verdict.outcomes.items():
        if METHODS[method].tier == DEFAULT:
            assert outcome.status == STANDS, method
        else:
            assert outcome.status == NOT_CHECKED, method
    found = [o.counterexamples for o in verdict.outcomes.values() if o.counterexamples]
    assert entry.kind == "refutation" or all(all(mutants.values()) for mutants in found)
    assert entry.kind == "refutation" or found


@pytest.mark.parametrize("name", ELSEWHERE)
def test_what_is_not_checked_here_is_said_to_be_so(name: str) -> None:
    """And it stands in its committed record, which is of these sources."""
    verdict = check(ENTRIES[name])
    assert verdict.status == NOT_CHECKED
    assert all(outcome.note == IN_RECORD for outcome in verdict.outcomes.values())


def test_every_claim_of_a_law_is_an_entry() -> None:
    claimed = {f"{law.key}.{name}" for law in reference.LAWS.values() for name in law.claims}
    assert claimed <= set(ENTRIES)
    kinds = Counter(ENTRIES[name].kind for name in claimed)
    false = sum(not c.holds for law in reference.LAWS.values() for c in law.claims.values())
    assert kinds == {"theorem": len(claimed) - false, "refutation": false}
    assert {f"gravity.{name}" for name in reference.GRAVITY_CLAIMS} <= set(ENTRIES)
    for name in claims.TANH_FACTS:
        assert ENTRIES[name].kind == "theorem"


class TorchLaw:
    """A law of torch_impl, as the properties of the reference ask for it."""

    def __init__(self, key: str) -> None:
        self._law = LAWS[key]

    def speed(self, ratio: Any) -> Any:
        update = torch.as_tensor(np.asarray(ratio, dtype=np.float64))
        return self._law.limit_entries(update, torch.ones((), dtype=torch.float64)).numpy()[()]

    def gain(self, ratio: Any) -> Any:
        return self.speed(ratio) / ratio


REFUTED = [
    (law.key, name)
    for law in reference.LAWS.values()
    for name, claim in law.claims.items()
    if not claim.holds and law.key in LAWS
]


@pytest.mark.parametrize(("key", "name"), REFUTED)
def test_a_refuted_claim_fails_in_torch_too(key: str, name: str) -> None:
    """At the witness of the reference, where tests/test_claims.py replays it in the reference."""
    claim = reference.LAWS[key].claims[name]
    assert claim.witness is not None
    if name in {"continuous", "differentiable"} and key == "hard_clip":
        assert claim.property.excess(TorchLaw(key), *claim.witness) > 0.9  # slopes 1 and 0
    else:
        assert claim.property.excess(TorchLaw(key), *claim.witness) > 1e-3


def zeta_by_torch(gradient: list[float], max_step_grad: Any = "inverse_max") -> torch.Tensor:
    """With t = 0 and V₀ = 0 the velocity is ζ/2."""
    param = torch.nn.Parameter(torch.zeros(len(gradient), dtype=torch.float64))
    param.grad = torch.tensor(gradient, dtype=torch.float64)
    optimizer = Gravity([param], alpha=0.0, initial_step=0, max_step_grad=max_step_grad)
    optimizer.step()
    velocity: torch.Tensor = optimizer.state[param]["v"]
    return 2 * velocity


def test_the_refuted_claims_about_gravity_fail_in_torch_too() -> None:
    witness = {
        name: list(claim.witness[0])
        for name, claim in reference.GRAVITY_CLAIMS.items()
        if claim.witness
    }
    g = witness.pop("zeta_below_half_inverse_m_as_coded")
    assert zeta_by_torch(g).max() > max(g) / 2
    g = witness.pop("zeta_below_half_inverse_m_as_maximum")
    assert zeta_by_torch(g, 1.0).max() > 1 / (2 * max(g))
    g = witness.pop("order_preserving")
    assert zeta_by_torch(g).argmax() != torch.tensor(g).argmax()
    g = witness.pop("scale_equivariant")
    assert not torch.allclose(zeta_by_torch([2 * x for x in g]), 2 * zeta_by_torch(g))
    assert not witness


def exact(value: Any) -> Fraction:
    return Fraction(float(value))


@pytest.mark.parametrize(
    ("name", "x", "c"),
    [
        ("naive-kernel-rounding", 16.99513, 2.1090214),
        ("kernel-rounding", 1.0030768, 0.0517722),
        ("zeta-rounding", 8.204111, 7.82122),
        ("average-rounding", 0.99856025, -0.9774944),
    ],
)
def test_half_of_a_bound_by_gappa_is_exceeded(name: str, x: float, c: float) -> None:
    """At numbers found by a search; the bound itself is kept. In exact fractions but for roots."""
    a, b, one = np.float32(x), np.float32(c), np.float32(1)
    interval = ENTRIES[name].gappa.replace(",", " ").replace("]", " ").split()
    bound = float(interval[interval.index("->") + 6])
    if name == "average-rounding":
        beta, weight = np.float32(0.9), np.float32(0.1)
        computed = exact(beta * a + weight * b)
        error = abs(computed - (exact(beta) * exact(a) + exact(weight) * exact(b)))
    elif name == "zeta-rounding":
        computed = exact(a / (one + (a * b) * (a * b)))
        meant = exact(a) / (1 + (exact(a) * exact(b)) ** 2)
        error = abs(computed / meant - 1)
    else:
        quotient = b if name == "kernel-rounding" else a / b
        square = exact(b) ** 2 if name == "kernel-rounding" else (exact(a) / exact(b)) ** 2
        computed = exact(a / np.sqrt(one + quotient * quotient))
        # The relative error e of s = a/√D is near that of s², (1 + e)² − 1, halved.
        error = abs(computed**2 * (1 + square) / exact(a) ** 2 - 1) / 2
    assert bound / 2 < error < bound


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_is_sampled_by_a_test_that_exists(entry: Entry) -> None:
    path, _, function = entry.test.partition("::")
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    assert function in {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}
    assert entry.statement.endswith(".")
    assert entry.latex
    assert (entry.kind == "refutation") == bool(entry.witness)
    mutants = [entry.mutant, entry.coq and entry.coq.mutant]
    here = set(entry.methods) - {"Coq", "Gappa"}
    assert entry.kind == "refutation" or here or any(mutants)


def stands(formula: Formula, context: pytest.MonkeyPatch) -> bool:
    context.setitem(polynomials.FORMULAS, "planted", formula)
    return polynomials.decide_by_z3("planted").status == STANDS


def test_a_planted_falsehood_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """A false theorem, one about nothing, one whose mutant is as true as it is."""
    x, y = z3.Reals("x y")
    planted = {
        "false": Formula([x > 0], x > 1, {"other": [x < 0]}),
        "empty": Formula([x > 0, x < 0], x > 1, {"other": [x < 0]}),
        "blunt": Formula([x > 1], x > 0, {"stronger": [x > 2]}),
        "sound": Formula([x > 1], x > 0, {"weaker": [x > -1]}),
    }
    found = {name: stands(formula, monkeypatch) for name, formula in planted.items()}
    assert found == {"false": False, "empty": False, "blunt": False, "sound": True}
    assert polynomials.decide_by_cvc5("planted").status == STANDS
    monkeypatch.setitem(polynomials.FORMULAS, "planted", planted["false"])
    assert polynomials.decide_by_cvc5("planted").status == FAILS
    assert by_z3([x * y == 2, x == y]).values["x"] ** 2 == pytest.approx(2)


def test_planted_falsehoods_about_tanh_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Next to 0, between, far off, and with a mutant that is true."""
    sound = FACTS["tanh-below-identity"]
    planted = {
        "near": replace(sound, margin=lambda r, t: 99 * r - 100 * t + r**4),
        "between": replace(sound, margin=lambda r, t: (r - t) * (r - 3)),
        "far": replace(sound, tail=lambda y, _e: y - 1),
        "another tail": replace(sound, margin=lambda r, t: (r - t) * (20 - r)),
        "blunt": replace(sound, mutants={"true": lambda r, t: 2 * r - t}),
    }
    for name, fact in planted.items():
        monkeypatch.setitem(FACTS, name, fact)
        assert decide_by_arb(name).status == FAILS, name


def test_planted_falsehoods_about_floats_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    sound = bits.THEOREMS["torch-kernel-at-limit-zero"]
    planted = {
        "false": replace(sound, kernel=sound.mutants["0/0 kept"]),
        "blunt": replace(sound, mutants={"none": sound.kernel}),
        "empty": replace(sound, domain=lambda x, _c: z3.And(z3.fpIsNaN(x), z3.fpIsInf(x))),
    }
    for name, theorem in planted.items():
        theorem = replace(theorem, modes=("up",))  # noqa: PLW2901
        monkeypatch.setitem(bits.THEOREMS, name, theorem)
        assert bits.decide(name).status == FAILS, name
    swept = enumeration.SWEEPS["tanh-plausible-in-16-bits"]
    for name, sweep in {
        "false": replace(swept, violations=swept.mutants["twice tanh"]),
        "blunt": replace(swept, mutants={"none": swept.violations}),
    }.items():
        monkeypatch.setitem(enumeration.SWEEPS, name, sweep)
        assert enumeration.decide(name).status == FAILS, name


def test_a_model_that_is_none_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """z3's numbers are not believed: binary64 and NumPy have to agree."""
    x = z3.Real("x")
    wrong = SimpleNamespace(status="sat", values={"x": -1.0})
    monkeypatch.setattr(polynomials, "by_z3", lambda _constraints: wrong)
    with pytest.raises(ArithmeticError, match="was said to meet x > 0"):
        stands(Formula([x > 0], x > -1, {"other": [x > -2]}), monkeypatch)
    theorem = bits.THEOREMS["naive-kernel-vanishes"]
    monkeypatch.setitem(bits.THEOREMS, "misread", replace(theorem, kernel=disagreeing))
    with pytest.raises(ArithmeticError, match="were said to violate a theorem"):
        bits.decide("misread")


def disagreeing(machine: Any, x: Any, c: Any) -> Any:
    """A kernel that is 0 for z3 and 1 for NumPy."""
    return machine.number(float(not hasattr(machine, "sort"))) if c is not None else x


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
    assert is_met(z3.Or(x < 0, y > 1), at)
    assert not is_met(z3.Or(x < 0, y > 2), at)
    assert is_met(z3.BoolVal(True), at)
    assert not is_met(z3.BoolVal(False), at)
    assert is_met((x > 2) == (y > 1), at)
    assert not is_met((x > 2) == (y > 2), at)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (('id = "smooth-sqrt-gap"', 'id = "smooth-sqrt-bounded"'), "has an id twice"),
        (('id = "smooth-sqrt-gap"', 'id = "unknown"'), "unknown: methods=.*expected \\[\\]"),
        (('kind = "theorem"', 'kind = "lemma"'), "kind='lemma': expected 'theorem' or 'ref"),
        (('domain = "reals"', 'domain = "wholes"'), "domain='wholes': expected 'reals' or 'fl"),
        (('domain = "reals"', 'domain = "floats"'), "formats='': expected for floats"),
        (('methods = ["z3", "cvc5"]', 'methods = ["z3"]'), "expected \\['cvc5', 'z3'\\]"),
        (('law = "smooth_sqrt"', 'law = "sqrt"'), "law='sqrt': expected a key of ref"),
        (("mutant = 'gamma_inverts", "mutan = 'gamma_inverts"), r"not \['mutan'\]"),
        (("[claim]", "[claim"), "theorems.toml is not TOML: "),
        (("bounded = ", "bound = "), "claim 'bounded': expected its formula"),
    ],
)
def test_a_registry_that_contradicts_itself_is_refused(
    change: tuple[str, str], message: str, tmp_path: Path
) -> None:
    text = registry.SOURCE.read_text(encoding="utf-8")
    assert change[0] in text
    source = tmp_path / "theorems.toml"
    source.write_text(text.replace(change[0], change[1], 1), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        read(source)


def test_a_theorem_in_coq_without_a_mutant_is_refused(tmp_path: Path) -> None:
    text = registry.SOURCE.read_text(encoding="utf-8")
    at = text.index(", mutant = '")
    source = tmp_path / "theorems.toml"
    source.write_text(text[:at] + " }" + text[text.index(" }\n", at) + 2 :], encoding="utf-8")
    with pytest.raises(ValueError, match="expected a mutant of its theorem in Coq"):
        read(source)


def test_what_a_method_knows_without_an_entry_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {*FACTS, "unlisted"}
    monkeypatch.setitem(METHODS, "Arb", replace(METHODS["Arb"], subjects=known))
    with pytest.raises(ValueError, match=r"Arb knows \['unlisted'\]: expected an entry"):
        read()


def test_the_command_prints_every_entry_and_counts_what_does_not_stand(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def quick(entry: Entry) -> Verdict:
        stands = entry.id != "running-coefficient"
        here = Outcome(STANDS if stands else FAILS, counterexamples={"mutant": {"x": 1.0}})
        elsewhere = Outcome(NOT_CHECKED, note=IN_RECORD)
        tiers = {name: METHODS[name].tier == DEFAULT for name in entry.methods}
        return Verdict(entry, {n: here if t else elsewhere for n, t in tiers.items()}, 0.0)

    monkeypatch.setattr("proofs.__main__.check", quick)
    assert main() == 1
    printed = capsys.readouterr().out
    assert printed.count("DOES NOT STAND") == 1
    assert all(name[:20] in printed for name in ENTRIES)
    assert f"{len(ENTRIES)} entries: " in printed
    assert all(f"{name}: " in printed for name in METHODS)


def test_nothing_that_is_not_checked_passes_for_proved() -> None:
    entry = ENTRIES["smooth-sqrt-bounded-in-n"]
    standing, silent = Outcome(STANDS), Outcome(NOT_CHECKED, note=IN_RECORD)
    verdict = Verdict(entry, {"z3": standing, "cvc5": standing, "Coq": silent}, 0.0)
    assert verdict.status == "proved by z3, cvc5"
    assert verdict.elsewhere == "Coq: not checked here, stands in the record"
    assert Verdict(entry, {"Coq": silent}, 0.0).status == NOT_CHECKED
    unanswered = {"z3": Outcome(NO_ANSWER), "cvc5": Outcome(NO_ANSWER)}
    assert Verdict(entry, {**unanswered, "Coq": silent}, 0.0).fails
    assert Verdict(entry, {"z3": standing, "Coq": Outcome(FAILS)}, 0.0).fails
    refuted = ENTRIES["published.monotone"]
    assert Verdict(refuted, {"z3": standing}, 0.0).status == "refuted by z3"
    assert checking.check(ENTRIES["smooth_sqrt.total"]).outcomes.keys() == {"Coq"}
