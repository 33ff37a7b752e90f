"""What `analysis` derives from the laws: agrees with the reference, and follows from the law."""

import math

import numpy as np
import pytest
import sympy as sp

from analysis.calculus import limit_at, roots, sign_on, supremum
from analysis.facts import FACTS, VERDICTS, LawFacts, y
from analysis.laws import LAWS, SymbolicLaw, r
from reference import LAWS as REFERENCE_LAWS
from tests.strategies import EXTREME_RATIOS

RATIOS = [
    *EXTREME_RATIOS,
    *np.linspace(0.01, 3, 150),
    *np.geomspace(1e-12, 1e12, 150),
]


def test_the_registries_agree() -> None:
    assert list(LAWS) == list(REFERENCE_LAWS)


@pytest.mark.parametrize("key", LAWS)
def test_expressions_are_the_references_gains(key: str) -> None:
    """Evaluated from 800 digits and rounded once; the reference rounds up to eight times.

    Next to r = 1 the gains of `published`, `piecewise` and `gamma` amplify no rounding: 1 − r is
    exact there.
    """
    law, reference = LAWS[key], REFERENCE_LAWS[key]
    for ratio in RATIOS:
        gain = law.below if ratio < 1 else law.above
        if gain is None or ratio == 0:
            continue
        exact = float(sp.N(gain.subs(r, sp.Float(ratio, 800)), 40))
        assert reference.gain(ratio) == pytest.approx(exact, rel=8 * 2.0**-52, abs=2.0**-1074)


@pytest.mark.parametrize("claim", VERDICTS)
@pytest.mark.parametrize("key", LAWS)
def test_claims_of_the_reference_follow(key: str, claim: str) -> None:
    assert VERDICTS[claim](FACTS[key]) == REFERENCE_LAWS[key].claims[claim].holds


def test_claims_that_are_not_derived_are_those_of_sign_and_order() -> None:
    (law, *_) = REFERENCE_LAWS.values()
    assert set(law.claims) - set(VERDICTS) == {"direction_preserving", "identity_near_zero"}


def same(one: sp.Expr, other: sp.Expr) -> bool:
    return bool(sp.simplify(one - other) == 0)


def test_turning_point_of_the_published_law() -> None:
    assert FACTS["published"].peaks == [(sp.sqrt(2) / 2, sp.Rational(1, 2))]
    assert same(FACTS["published"].jump, sp.tanh(1))
    assert FACTS["published"].smoothness == -1


def test_piecewise_exceeds_the_limit_from_the_golden_ratio_on() -> None:
    assert same(FACTS["piecewise"].first_excess, (sp.sqrt(5) - 1) / 2)
    assert same(FACTS["gamma"].first_excess, 1 / sp.sqrt(2))


def test_momentum_rapidity_and_velocity() -> None:
    """`gamma` maps velocity to momentum, `smooth_sqrt` back, and `tanh` rapidity to velocity."""
    (gamma, *_), (smooth, *_) = FACTS["gamma"].speeds[0], FACTS["smooth_sqrt"].speeds[0]
    assert same(FACTS["smooth_sqrt"].inverse, gamma.subs(r, y))
    assert same(FACTS["gamma"].inverse, smooth.subs(r, y))
    assert FACTS["tanh"].inverse == sp.atanh(y)


def test_gamma_and_smooth_sqrt_are_gradients_of_conjugate_potentials() -> None:
    assert same(FACTS["smooth_sqrt"].conjugate, FACTS["gamma"].potential.subs(r, y))
    assert same(FACTS["gamma"].conjugate, FACTS["smooth_sqrt"].potential.subs(r, y))
    assert same(FACTS["smooth_sqrt"].potential, sp.sqrt(1 + r**2) - 1)


@pytest.mark.parametrize("key", [key for key, facts in FACTS.items() if facts.inverse is not None])
def test_potential_and_conjugate_meet_in_the_young_equality(key: str) -> None:
    """ψ(r) + ψ*(ρ(r)) = r·ρ(r)."""
    facts = FACTS[key]
    for ratio in (sp.Rational(1, 10), sp.Rational(1, 2), sp.Rational(9, 10)):
        speed = facts.speeds[0][0].subs(r, ratio)
        total = facts.potential.subs(r, ratio) + facts.conjugate.subs(y, speed)
        assert float(total - ratio * speed) == pytest.approx(0, abs=1e-14)


@pytest.mark.parametrize("key", LAWS)
def test_series_leaves_the_eighth_order(key: str) -> None:
    law, facts = LAWS[key], FACTS[key]
    for ratio in (sp.Rational(1, 10), sp.Rational(1, 20)):
        rest = sp.N((law.below - facts.series).subs(r, ratio), 30)
        assert abs(float(rest)) <= 1.1 * float(ratio) ** 8


def test_small_update_coefficients() -> None:
    """Sharper than the claims: the least k with |s − u| ≤ k·|u|·r²."""
    coefficients = {key: facts.identity_coefficient for key, facts in FACTS.items()}
    assert coefficients == {
        "newtonian": 0,
        "smooth_sqrt": sp.Rational(1, 2),
        "tanh": sp.Rational(1, 3),
        "hard_clip": sp.Rational(4, 27),
        "published": 1,
        "piecewise": sp.oo,
        "gamma": sp.oo,
    }


def test_facts_follow_from_the_law() -> None:
    """A law outside the registry gets its own answers."""
    gain = 1 / (1 + r)
    facts = LawFacts(SymbolicLaw("algebraic", gain, gain))
    assert facts.speed_supremum == 1
    assert facts.lipschitz == 1
    assert facts.identity_coefficient == sp.oo
    assert same(facts.inverse**2, (y / (1 - y)) ** 2)
    assert not VERDICTS["small_update_identity"](facts)
    kinked = LawFacts(SymbolicLaw("kinked", sp.Integer(1), 2 - r))
    assert (kinked.smoothness, kinked.monotone) == (0, False)
    smooth_twice = LawFacts(SymbolicLaw("matched", sp.Integer(1), 1 + (r - 1) ** 3))
    assert smooth_twice.smoothness == 2
    agreeing = LawFacts(SymbolicLaw("agreeing", sp.Integer(1), 1 + (r - 1) ** 9))
    assert agreeing.smoothness == 4


def test_zeros_that_sympy_does_not_solve_are_isolated() -> None:
    (zero,) = roots(sp.tanh(r) - r / 2, sp.Integer(0), sp.oo)
    assert math.tanh(zero) == pytest.approx(zero / 2, rel=1e-12)


def test_one_sided_limits_and_suprema() -> None:
    assert limit_at(1 / sp.sqrt(1 - r**2), 1, "-") == sp.oo
    assert supremum(r * (1 - r), sp.Integer(0), sp.Integer(1)) == sp.Rational(1, 4)
    assert sign_on(r - 2, sp.Integer(0), sp.Integer(1)) == -1
    with pytest.raises(ValueError, match="changes its sign between 0 and oo"):
        sign_on(r - 2, sp.Integer(0), sp.oo)
