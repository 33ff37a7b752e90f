"""Every claim of every law, of Gravity and of the README: a property if it holds, else a witness.

Rounding: an excess is relative to its right side where that is above 1. A gain or speed is two to
four correctly rounded operations and a tanh of at most 2 ulp, and a property combines two of them:
16 units of 2⁻⁵³ cover it.
"""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from reference import GRAVITY_CLAIMS, LAW_PROPERTIES, LAWS, README_READINGS, Claim, Law
from reference.claims import claims_from
from tests import strategies

ROUNDING = 16 * 2.0**-53

PAIRS = [(law, claim) for law in LAWS for claim in LAW_PROPERTIES]
HOLDING = [(law, claim) for law, claim in PAIRS if LAWS[law].claims[claim].holds]
FAILING = [(law, claim) for law, claim in PAIRS if not LAWS[law].claims[claim].holds]

# Slopes grow without bound where a law's domain ends, and a slope is told from a kink or a jump at
# a finite resolution: those two claims are sampled to 0.9 of a bounded domain.
SMOOTHNESS = {"continuous", "differentiable"}


def _top(law: Law, claim: str) -> float:
    return 0.9 * law.domain if claim in SMOOTHNESS else law.domain


@pytest.mark.parametrize(("key", "claim"), HOLDING)
@given(data=st.data())
def test_claim_of_a_law_holds(key: str, claim: str, data: st.DataObject) -> None:
    law, statement = LAWS[key], LAWS[key].claims[claim].property
    top = _top(law, claim)
    if statement.arguments == "ratios":
        arguments: Any = data.draw(strategies.ratio_pairs(top))
    else:
        arguments = data.draw(strategies.ratios(min(top, 1e9) if claim in SMOOTHNESS else top))
    excess = statement.excess(law, arguments)
    assert excess <= ROUNDING, f"{key}: {statement.statement} fails at {arguments} by {excess}"


@pytest.mark.parametrize(("key", "claim"), HOLDING)
def test_claim_of_a_law_holds_at_the_extremes(key: str, claim: str) -> None:
    law, statement = LAWS[key], LAWS[key].claims[claim].property
    top = min(_top(law, claim), 1e9 if claim in SMOOTHNESS else math.inf)
    extremes: list[Any] = [r for r in strategies.EXTREME_RATIOS if r < top]
    if statement.arguments == "ratios":
        extremes = [(a, b) for a in extremes for b in extremes if a <= b]
    for arguments in extremes:
        excess = statement.excess(law, arguments)
        assert excess <= ROUNDING, f"{key}: {statement.statement} fails at {arguments} by {excess}"


@pytest.mark.parametrize(("key", "claim"), FAILING)
def test_claim_of_a_law_fails_at_its_witness(key: str, claim: str) -> None:
    record = LAWS[key].claims[claim]
    assert record.witness is not None
    assert record.property.excess(LAWS[key], *record.witness) > 1e-3


NAMED = dict(GRAVITY_CLAIMS)
for reading in README_READINGS.values():
    NAMED |= {f"{reading.key}-{name}": claim for name, claim in reading.claims.items()}


@pytest.mark.parametrize("name", [name for name, claim in NAMED.items() if claim.holds])
@given(gradient=strategies.gradients())
@example(gradient=np.full(3, 3**-0.25))
@example(gradient=np.array([1e154, 1.0]))
def test_claim_about_gradients_holds(name: str, gradient: strategies.Array) -> None:
    if NAMED[name].property.arguments == "update" and not gradient.any():
        gradient = np.ones(1)  # the zero update has no direction
    assert NAMED[name].property.excess(gradient) <= ROUNDING


@pytest.mark.parametrize("name", [name for name, claim in NAMED.items() if not claim.holds])
def test_claim_about_gradients_fails_at_its_witness(name: str) -> None:
    witness = NAMED[name].witness
    assert witness is not None
    assert NAMED[name].property.excess(*witness) > 1e-3


def test_every_law_takes_a_stand_on_every_property() -> None:
    assert all(set(law.claims) == set(LAW_PROPERTIES) for law in LAWS.values())


def test_false_claims_are_recorded_with_witnesses() -> None:
    claims: list[Claim] = [claim for law in LAWS.values() for claim in law.claims.values()]
    claims += NAMED.values()
    assert all(claim.holds == (claim.witness is None) for claim in claims)
    assert {key for key, law in LAWS.items() if not law.claims["bounded"].holds} == {
        "newtonian",
        "piecewise",
        "gamma",
    }
    assert {key for key, law in LAWS.items() if not law.claims["monotone"].holds} == {
        "published",
        "piecewise",
    }


def test_a_claim_about_an_unknown_property_is_refused() -> None:
    with pytest.raises(ValueError, match="quick"):
        claims_from(LAW_PROPERTIES, {"quick": (1.0,)})
