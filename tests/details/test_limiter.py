"""Who is limited with whom, at once or when all are there."""

import math
from typing import Any

import pytest
import torch

from tests.details.few import (
    TWICE,
    Noted,
    leaf,
    lists,
    proposal,
    tensors,
)
from torch_impl.limit import (
    Proposal,
)
from torch_impl.limiter import Limiter, Scope


def limited(scopes: list[Scope], proposals: list[Proposal]) -> tuple[list[bool], list[Any]]:
    limiter = Limiter(scopes)
    done = [limiter.limit(one) for one in proposals]
    assert limiter.finish() == []
    return done, [lists(one.updates) for one in proposals]


def scope(mode: str, unit: str = "norm", *, limits: bool = True) -> Scope:
    return Scope([torch.zeros(1)], mode, unit, limits)


def test_what_is_limited_alone_is_limited_at_once() -> None:
    for mode, expected in (("per_param", [3.0, 4.0]), ("per_component", [5.0, 5.0])):
        one = proposal([30.0, 40.0], limit=5.0, mode=mode)
        assert limited([scope(mode)], [one]) == ([True], [[expected]])
    one = proposal([30.0, 40.0], limit=5.0, unit="rms")
    _, found = limited([scope("per_param", "rms")], [one])
    assert found == [[pytest.approx([3.0 * math.sqrt(2), 4.0 * math.sqrt(2)])]]


def test_what_is_limited_together_waits() -> None:
    one, two = (proposal([x], limit=5.0, mode="global") for x in (30.0, 40.0))
    assert limited([scope("global")], [one, two]) == ([False, False], [[[3.0]], [[4.0]]])


def test_what_has_no_limit_does_not_wait() -> None:
    for mode in ("global", "per_param", "per_component"):
        one = proposal([30.0, math.inf], limit=math.inf, mode=mode)
        kept = one.updates[0]
        assert limited([scope(mode, limits=False)], [one])[0] == [True]
        assert one.updates[0] is kept


def test_one_group_with_a_limit_has_all_of_its_mode_wait() -> None:
    one = proposal([30.0], limit=math.inf, mode="global")
    two = proposal([40.0], limit=5.0, mode="global")
    three, four = proposal([9.0], limit=1.0), proposal([9.0], limit=math.inf)
    five = proposal([9.0], limit=2.0, mode="per_component")
    scopes = [scope("global", limits=False), scope("global"), scope("per_param")]
    done, found = limited([*scopes, scope("per_component")], [one, two, three, four, five])
    assert done == [False, False, True, True, True]
    assert found == [[[30.0]], [[4.0]], [[1.0]], [[9.0]], [[2.0]]]


@pytest.fixture
def divided(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every parameter is divided among two processes that hold the same."""

    def all_of_them(params: Any) -> Any:
        params = list(params)
        return {TWICE: params} if params else {}

    monkeypatch.setattr("torch_impl.limiter.parameters_by_sharding", all_of_them)


@pytest.mark.usefixtures("divided")
def test_tensors_that_are_divided_wait_for_the_other_processes() -> None:
    root = math.sqrt(2)
    for mode, unit, length in (
        ("per_param", "norm", 5.0),
        ("per_param", "relative", 5.0 * 2),
        ("global", "norm", 5.0),
        ("global", "rms", 5.0 * 2),
    ):
        params = tensors([1.0, 1.0])
        one = proposal([30.0, 40.0], limit=5.0, mode=mode, unit=unit, params=params)
        done, found = limited([Scope(params, mode, unit, True)], [one])
        assert done == [False]
        assert found == [[pytest.approx([0.6 * length / root, 0.8 * length / root])]]
    entry = proposal([30.0], limit=5.0, mode="per_component")
    assert limited([Scope(entry.params, "per_component", "norm", True)], [entry])[0] == [True]
    free = proposal([30.0], limit=math.inf)
    assert limited([Scope(free.params, "per_param", "norm", False)], [free])[0] == [True]


@pytest.mark.usefixtures("divided")
def test_what_is_observed_is_measured_over_processes() -> None:
    for mode in ("per_param", "global"):
        one = proposal([30.0, 40.0], limit=5.0, mode=mode)
        limiter = Limiter([Scope(one.params, mode, "norm", True)], observed=True)
        assert not limiter.limit(one)
        (row,) = limiter.finish()
        assert row.size.item() == pytest.approx(50 * math.sqrt(2))
        assert row.speed[2].item() == pytest.approx(5.0)


def test_processes_meet_for_the_modes_that_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    def noted(params: Any) -> Any:
        params = list(params)
        return {Noted(None, (0,)): params} if params else {}

    monkeypatch.setattr("torch_impl.limiter.parameters_by_sharding", noted)
    for mode, limits, times in (
        ("per_param", True, 2),
        ("global", True, 2),
        ("per_component", True, 0),
        ("per_param", False, 0),
        ("global", False, 0),
    ):
        Noted.asked.clear()
        Limiter([Scope([leaf(1.0)], mode, "norm", limits)]).finish()
        assert len(Noted.asked) == times, (mode, limits)


def test_what_is_observed_is_measured_before_and_after() -> None:
    for mode in ("per_param", "global", "per_component"):
        limiter = Limiter([scope(mode)], observed=True)
        one, two = (proposal(row, limit=5.0, mode=mode) for row in ([30.0, 40.0], [0.0, 1.0]))
        for each in (one, two):
            limiter.limit(each)
        rows = limiter.finish()
        assert [row.owner for row in rows] == [one.owners[0], two.owners[0]]
        norms = [row.speed[0].item() for row in rows]
        assert norms == [50.0, 1.0]
        applied = [row.speed[2].item() for row in rows]
        assert applied == [
            pytest.approx(torch.stack(each.updates).norm().item()) for each in (one, two)
        ]
        whole = math.hypot(50, 1)
        sizes = {"per_param": [50.0, 1.0], "global": [whole] * 2}
        if mode in sizes:
            assert [row.size.item() for row in rows] == pytest.approx(sizes[mode])
