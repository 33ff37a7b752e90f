"""Faults: each verdict on a planted optimizer, ours under all of them, states of older versions."""

import copy
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from paper.faults import GOLDEN, RESULTS, ROWS, golden_files, golden_outcome, verdict
from paper.tables import faults as tables
from tests.cases import CASES
from tests.steps import built, normal
from torch_impl import RelativisticAdam, RelativisticAdamW
from torch_impl.testing.expect import policy
from torch_impl.testing.faults import (
    CLEAR_ERROR,
    FAULTS,
    OTHER_ERROR,
    SILENT_DAMAGE,
    STATE_FAULTS,
    SURVIVED,
    outcome,
    state_outcome,
)
from torch_impl.testing.registry import CHECKS, NotApplicable
from torch_impl.testing.subject import Subject


class Momentum(torch.optim.SGD):
    """What is planted into: its state is a buffer per parameter."""

    def __init__(self, params: Any, on_nonfinite: str = "propagate") -> None:
        super().__init__(params, lr=1e-3, momentum=0.9)
        self.on_nonfinite = on_nonfinite

    def gradients(self) -> list[Tensor]:
        params = [param for group in self.param_groups for param in group["params"]]
        return [param.grad for param in params if param.grad is not None]


class Frozen(Momentum):
    """Never steps again once all gradients have been 0."""

    frozen = False

    def step(self, closure: Any = None) -> Any:
        self.frozen |= not any(bool(grad.any()) for grad in self.gradients())
        return None if self.frozen else super().step(closure)


class Restless(Momentum):
    """Steps parameters without a gradient."""

    def step(self, closure: Any = None) -> Any:
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is None:
                    param.grad = torch.ones_like(param)
        return super().step(closure)


class Deaf(Momentum):
    """Goes on after an exception in its closure."""

    def step(self, closure: Any = None) -> Any:
        try:
            return super().step(closure)
        except Exception:
            return None


class Hasty(Momentum):
    """Steps before it calls the closure."""

    def step(self, closure: Any = None) -> Any:
        super().step()
        return closure and closure()


class Strict(Momentum):
    """Raises what it is told to at a gradient that is not finite, and perhaps after it."""

    error: Exception = RuntimeError("a gradient is not finite: expected none " + "at all " * 30)
    counts = False
    lasting = False
    failed = False

    def step(self, closure: Any = None) -> Any:
        bad = not all(bool(grad.isfinite().all()) for grad in self.gradients())
        if bad or (self.failed and self.lasting):
            self.failed = True
            for group in self.param_groups if self.counts else ():
                group["lr"] /= 2
            raise self.error
        return super().step(closure)


class Unplanned(Strict):
    error = KeyError("not finite")


class Unclear(Strict):
    error = RuntimeError("something is wrong")


class Counting(Strict):
    counts = True


class Lasting(Strict):
    lasting = True


class Late(Momentum):
    """Leaves out a step with a gradient that is not finite, and raises in the next."""

    told = False

    def step(self, closure: Any = None) -> Any:
        if self.told:
            raise RuntimeError("the last gradient was not finite")
        if not all(bool(grad.isfinite().all()) for grad in self.gradients()):
            self.told = True
            return None
        return super().step(closure)


class Closed(Momentum):
    """Takes no group after the first."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        if self.param_groups:
            raise ValueError("another group: expected one only")
        super().add_param_group(param_group)


def real_only(params: Any) -> torch.optim.Optimizer:
    params = list(params)
    if any(param.is_complex() for param in params):
        raise ValueError("a complex parameter: expected real ones")
    return Momentum(params)


STEPS: list[tuple[str, Callable[..., Any], str, str]] = [
    ("NaN", Momentum, SILENT_DAMAGE, "1 of 5 entries of parameter 'second' are not finite"),
    ("1e38", torch.optim.Adam, SILENT_DAMAGE, "state 'exp_avg_sq' of 'second' are not finite"),
    ("1e38", Momentum, SILENT_DAMAGE, "1 of 5 entries of parameter 'second' have stopped"),
    ("1e20", torch.optim.Adam, SURVIVED, ""),
    ("float16 underflow", Momentum, SURVIVED, ""),
    ("float16 underflow", torch.optim.Adam, SILENT_DAMAGE, "are not finite"),
    ("all-zero gradient", Frozen, SILENT_DAMAGE, "12 of 12 entries of parameter 'first' have stop"),
    ("None", Restless, SILENT_DAMAGE, "a parameter without a gradient has been stepped"),
    ("exception inside the closure", Deaf, SILENT_DAMAGE, "has been swallowed"),
    ("exception inside the closure", Hasty, SILENT_DAMAGE, "parameter 'first' has changed"),
    ("exception inside the closure", Momentum, SURVIVED, ""),
    ("NaN", Strict, CLEAR_ERROR, "RuntimeError: a gradient is not finite: expected none at all"),
    ("NaN", Unplanned, OTHER_ERROR, "KeyError: 'not finite'"),
    ("NaN", Unclear, OTHER_ERROR, "something is wrong"),
    ("NaN", Counting, OTHER_ERROR, "some of the step had been taken"),
    ("NaN", Lasting, OTHER_ERROR, "in a later step RuntimeError"),
    ("NaN", Late, CLEAR_ERROR, "the last gradient was not finite"),
    ("complex", real_only, CLEAR_ERROR, "a complex parameter: expected real ones"),
    ("group added mid-run", Closed, CLEAR_ERROR, "another group: expected one only"),
    ("mixed devices", Momentum, SURVIVED, ""),
]


@pytest.mark.parametrize(("fault", "planted", "kind", "detail"), STEPS)
def test_a_fault_of_a_step_is_given_its_verdict(
    fault: str, planted: Any, kind: str, detail: str
) -> None:
    found = outcome(Subject(planted), FAULTS[fault])
    assert found.kind == kind, found.detail
    assert detail in found.detail
    assert len(found.detail) < 400


class Forgetful(RelativisticAdam):
    """Loads all but the first moment."""

    def load_state_dict(self, state_dict: Any) -> None:
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["exp_avg"].zero_()


class Sloppy(Momentum):
    """Takes the options of a state before it refuses the rest."""

    def load_state_dict(self, state_dict: Any) -> None:
        if len(state_dict["param_groups"][0]["params"]) != 2:
            self.param_groups[0]["lr"] /= 2
        super().load_state_dict(state_dict)


STATES: list[tuple[str, Callable[..., Any], str, str]] = [
    ("wrong shape", torch.optim.AdamW, SILENT_DAMAGE, "taken; in a later step RuntimeError"),
    ("missing key", Momentum, SILENT_DAMAGE, "taken; parameter 'one' does not go on as before"),
    ("missing key", RelativisticAdam, CLEAR_ERROR, "expected 'exp_avg_sq' too"),
    ("wrong count", Momentum, CLEAR_ERROR, "doesn't match the size of optimizer's group"),
    ("wrong count", Sloppy, OTHER_ERROR, "does not go on as before"),
    ("wrong dtype", torch.optim.AdamW, SILENT_DAMAGE, "does not go on as before"),
    ("extra key", Momentum, SURVIVED, ""),
    ("older version", torch.optim.AdamW, SURVIVED, ""),
    ("older version", Momentum, SURVIVED, ""),
    ("reordered named parameters", Momentum, SILENT_DAMAGE, "does not go on as before"),
    ("bit-flipped file", Momentum, SILENT_DAMAGE, "does not go on as before"),
]


@pytest.mark.parametrize(("fault", "planted", "kind", "detail"), STATES)
def test_a_fault_of_a_state_is_given_its_verdict(
    fault: str, planted: Any, kind: str, detail: str
) -> None:
    found = state_outcome(Subject(planted), STATE_FAULTS[fault])
    assert found.kind == kind, found.detail
    assert detail in found.detail


def test_faults_of_states_do_not_apply_without_a_state() -> None:
    with pytest.raises(NotApplicable, match="keeps no tensors"):
        state_outcome(Subject(torch.optim.SGD), STATE_FAULTS["missing key"])


def check(fault: str) -> Callable[[Subject], None]:
    return CHECKS[f"the_fault_{fault}_is_survived_or_refused"]


def test_a_check_fails_with_silent_damage_and_with_other_errors() -> None:
    check("missing_key")(Subject(RelativisticAdam, strict=True))
    with pytest.raises(AssertionError, match="missing key: silent damage: taken"):
        check("missing_key")(Subject(Momentum, strict=True))
    with pytest.raises(AssertionError, match=r"empty: other error: ZeroDivisionError"):
        check("empty")(Subject(torch.optim.Adafactor))
    with pytest.raises(AssertionError, match="NaN: silent damage: 1 of 5 entries"):
        check("NaN")(Subject(Momentum, {"on_nonfinite": "skip"}))


def test_checks_that_do_not_apply_say_why() -> None:
    for optimizer in (torch.optim.AdamW, Momentum):
        with pytest.raises(NotApplicable, match="has no policy"):
            check("NaN")(Subject(optimizer))
    with pytest.raises(NotApplicable, match="numbers of groups and parameters alone"):
        check("wrong_shape")(Subject(torch.optim.AdamW))


def test_the_policy_is_what_is_given_or_the_default() -> None:
    assert policy(Subject(Momentum, {"on_nonfinite": "skip"})) == "skip"
    assert policy(Subject(RelativisticAdam)) == "propagate"
    assert policy(Subject(torch.optim.Adam)) is None


SKIPPING = [f"{name}, skip" for name in (*CASES, "limit_speed on AdamW")]


@pytest.fixture(scope="module")
def table() -> Mapping[str, Mapping[str, list[str]]]:
    verdicts: Mapping[str, Mapping[str, list[str]]] = tables.read(RESULTS)["verdicts"]
    return verdicts


@pytest.mark.parametrize("name", SKIPPING)
def test_no_fault_does_silent_damage_where_steps_may_be_skipped(name: str, table: Any) -> None:
    """All 24, which are found again as they were committed."""
    for fault in (*FAULTS, *STATE_FAULTS):
        found = verdict(ROWS[name], fault)
        assert found.kind in {SURVIVED, CLEAR_ERROR}, (fault, found)
        assert found.kind == table[name][fault][0], fault


def test_the_committed_table_is_whole(table: Any) -> None:
    assert list(table) == list(ROWS)
    for found in table.values():
        assert list(found) == [*FAULTS, *STATE_FAULTS]
    assert [len(FAULTS), len(STATE_FAULTS)] == [16, 8]


def test_a_table_of_other_faults_for_one_optimizer_is_refused(tmp_path: Path) -> None:
    results = tables.read(RESULTS)
    del results["verdicts"]["Gravity"]["NaN"]
    (tmp_path / "faults.json").write_text(json.dumps(results))
    with pytest.raises(ValueError, match=r"^faults\.json: Gravity has met \["):
        tables.read(tmp_path)


def test_ours_are_damaged_only_as_they_are_asked_to(table: Any) -> None:
    for name in CASES:
        for row in (name, f"{name}, skip", f"{name}, raise"):
            kinds = Counter(kind for kind, _ in table[row].values())
            assert kinds[OTHER_ERROR] == 0
            assert kinds[SILENT_DAMAGE] == (2 if row == name else 0)
        for fault in ("NaN", "inf"):
            assert table[name][fault][1].endswith(tables.ASKED)


def test_what_spreads_where_it_is_asked_to_is_said_to_be_asked_for() -> None:
    assert verdict(ROWS["Gravity"], "NaN").detail.endswith(tables.ASKED)
    assert not verdict(ROWS["torch's SGD"], "NaN").detail.endswith(tables.ASKED)


def goldens() -> list[tuple[str, Path]]:
    return [(name, path) for name in CASES for path in golden_files(Subject(CASES[name].optimizer))]


def test_every_version_has_left_its_states() -> None:
    assert sorted(path for _, path in goldens()) == sorted(GOLDEN.glob("*.pt"))
    assert Counter(name for name, _ in goldens()) == {
        "RelativisticAdam": 2,
        "RelativisticAdamW": 2,
        "Gravity": 1,
    }


@pytest.mark.parametrize(("name", "path"), goldens(), ids=lambda value: getattr(value, "stem", ""))
def test_a_state_of_an_older_version_goes_on_as_its_numbers_do(name: str, path: Path) -> None:
    assert golden_outcome(Subject(CASES[name].optimizer), path).kind == SURVIVED


@pytest.mark.filterwarnings("ignore:law=")
@pytest.mark.parametrize(("name", "path"), goldens(), ids=lambda value: getattr(value, "stem", ""))
def test_a_state_of_an_older_version_goes_on_as_it_did_there(name: str, path: Path) -> None:
    """Up to rounding in another order, over three steps in float64."""
    golden = torch.load(path, weights_only=True)
    leaves = [param.requires_grad_() for param in golden["params"]]
    published = {"law": "published"} if "1.0.0" in path.name else {}
    optimizer = CASES[name].optimizer(leaves, **published)
    optimizer.load_state_dict(golden["state_dict"])
    for gradients in golden["gradients"]:
        for leaf, gradient in zip(leaves, gradients, strict=True):
            leaf.grad = gradient
        optimizer.step()
    for leaf, after in zip(leaves, golden["after"], strict=True):
        torch.testing.assert_close(leaf.detach(), after, rtol=1e-12, atol=1e-14)


def test_a_moment_that_is_lost_on_loading_is_found() -> None:
    path = GOLDEN / "RelativisticAdam-first.pt"
    assert golden_outcome(Subject(Forgetful), path).kind == SILENT_DAMAGE


def named(name: str, names: list[list[str]]) -> Any:
    """Return an optimizer that has taken a step, with groups of these names."""
    groups = [[(n, normal(3, len(n)).requires_grad_()) for n in group] for group in names]
    optimizer = built(CASES[name], [{"params": group} for group in groups])
    for group in groups:
        for _, leaf in group:
            leaf.grad = torch.ones_like(leaf)
    optimizer.step()
    return optimizer


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("names", [[["a", "cc", "bb"]], [["a", "cc"], ["bb"]]])
def test_named_parameters_in_another_order_are_refused(name: str, names: list[list[str]]) -> None:
    optimizer = named(name, [["a", "bb", "cc"]] if len(names) == 1 else [["a", "bb"], ["cc"]])
    before = copy.deepcopy(optimizer.state_dict())
    message = "param_names has 'cc' as parameter 1, which is 'bb' here: expected the order"
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(named(name, names).state_dict())
    after = optimizer.state_dict()
    assert after["param_groups"] == before["param_groups"]
    for i, state in before["state"].items():
        assert all(torch.equal(after["state"][i][key], value) for key, value in state.items())


@pytest.mark.parametrize("name", CASES)
def test_parameters_of_other_names_are_loaded_by_position(name: str) -> None:
    """As of a model that a wrapper has renamed."""
    optimizer = named(name, [["a", "bb"]])
    optimizer.load_state_dict(named(name, [["module.a", "module.bb"]]).state_dict())
    assert optimizer.param_groups[0]["param_names"] == ["module.a", "module.bb"]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.int64, torch.bool], ids=str)
def test_a_state_of_integers_is_refused(dtype: torch.dtype) -> None:
    optimizer = named("RelativisticAdamW", [["a"]])
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][0]["exp_avg"] = torch.ones(3, dtype=dtype)
    with pytest.raises(ValueError, match=f"has dtype {dtype}: expected one that goes with"):
        RelativisticAdamW([normal(3, 1)]).load_state_dict(saved)
