"""`torch_impl.testing`: the sound pass, each planted bug is found by name, reports say how."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import relativistic_adam
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.optim import SGD, Adam, AdamW

from tests import planted
from torch_impl.invariants import Invariants
from torch_impl.testing import (
    CHECKS,
    Check,
    CheckFailure,
    NotApplicable,
    Subject,
    check,
    check_optimizer,
    run_check,
    run_checks,
)
from torch_impl.testing.expect import expect, expect_error
from torch_impl.testing.extras import need
from torch_impl.testing.invariants.examples import for_all
from torch_impl.testing.pytest import parametrize_with_checks
from torch_impl.testing.report import Report

CONTRACT = [
    name
    for name, one in CHECKS.items()
    if one.run.__module__.startswith("torch_impl.testing.checks.")
]


@pytest.fixture
def only_these() -> Iterator[dict[str, Check]]:
    """No checks but those a test adds."""
    checks = dict(CHECKS)
    CHECKS.clear()
    yield CHECKS
    CHECKS.clear()
    CHECKS.update(checks)


@pytest.mark.parametrize("cls", [AdamW, Adam, SGD])
def test_torchs_own_optimizers_pass_every_check_that_applies(cls: Any) -> None:
    report = run_checks(Subject(cls), costly=False)
    assert not report.failures, str(report)
    assert report.counts["passed"] > 40
    assert all(result.reason for result in report.results if result.outcome != "passed")


FAILURES_OF_SGD: list[tuple[dict[str, Any], set[str]]] = [
    ({"maximize": True}, set()),
    ({"foreach": True}, set()),
    ({"lr": 0.5}, set()),
    # It overwrites the momentum that autograd goes back through.
    ({"momentum": 0.9}, {"a_learning_rate_can_be_learned"}),
    # On the CPU it reads parameters as if they lay like their gradients, and loses 16-bit steps.
    (
        {"fused": True},
        {
            "norms_of_narrow_parameters_neither_overflow_nor_stick",
            "the_layout_of_a_parameter_does_not_matter",
        },
    ),
]


@pytest.mark.parametrize(("options", "failing"), FAILURES_OF_SGD, ids=str)
def test_options_that_are_given_are_kept_to(options: dict[str, Any], failing: set[str]) -> None:
    report = run_checks(Subject(SGD, options), only=CONTRACT, costly=False)
    assert {result.check for result in report.failures} == failing, str(report)


def matrices_alone(params: Any, lr: float = 0.1) -> SGD:
    optimizer = SGD(params, lr)
    if any(p.dim() != 2 for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("expected 2D parameters")
    return optimizer


def reals_alone(params: Any, lr: float = 0.1) -> SGD:
    optimizer = SGD(params, lr)
    if any(p.is_complex() for group in optimizer.param_groups for p in group["params"]):
        raise ValueError("expected no Complex parameters")
    return optimizer


def numbers_alone(params: Any, lr: float = 0.1) -> SGD:
    if isinstance(lr, torch.Tensor):
        raise TypeError("expected a number")
    return SGD(params, lr)


def without_a_rate(params: Any) -> SGD:
    return SGD(params, 0.1)


class Drawn(SGD):
    """Adds noise."""

    def step(self, closure: Any = None) -> Any:
        loss = super().step(closure)
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    param.data.add_(torch.randn_like(param), alpha=group["lr"])
        return loss


class RefusingInBackward(SGD):
    """Does not step inside a backward pass."""

    def step(self, closure: Any = None) -> Any:
        if torch._C._current_graph_task_id() != -1:
            raise RuntimeError("a step inside a backward pass")
        return super().step(closure)


def drawn(params: Any, lr: float = 0.1) -> SGD:
    return Drawn(params, lr)


def refusing_in_backward(params: Any, lr: float = 0.1) -> SGD:
    return RefusingInBackward(params, lr)


FACTORIES: list[Any] = [
    matrices_alone,
    reals_alone,
    numbers_alone,
    without_a_rate,
    drawn,
    refusing_in_backward,
]


@pytest.mark.parametrize("make", FACTORIES)
def test_what_takes_less_passes_what_applies_to_it(make: Any) -> None:
    report = run_checks(Subject(make), only=CONTRACT, costly=False)
    assert not report.failures, str(report)


@pytest.mark.parametrize(
    ("make", "spared", "reason"),
    [
        (matrices_alone, "a_tensor_without_dimensions_steps_as_one_of_one_entry", "2D"),
        (reals_alone, "complex_parameters_step_as_pairs_of_reals", "no Complex parameters"),
        (numbers_alone, "a_learning_rate_in_a_tensor_is_followed", "takes no tensor as lr"),
        (without_a_rate, "schedulers_drive_the_learning_rate", "has no option lr"),
        (drawn, "the_layout_of_a_parameter_does_not_matter", "draws random numbers"),
        (SGD, "a_state_of_another_shape_is_never_used", "keeps no state in the shape"),
        (SGD, "a_loaded_state_is_a_copy", "is for strict subjects: torch.optim loads"),
        (
            refusing_in_backward,
            "one_optimizer_per_parameter_can_step_inside_backward",
            "refuses it: a step inside a backward pass",
        ),
    ],
)
def test_a_check_that_does_not_apply_says_why(make: Any, spared: str, reason: str) -> None:
    (result,) = run_checks(Subject(make), only=[spared]).results
    assert result.outcome == "not applicable"
    assert reason in result.reason


def test_an_option_that_contradicts_those_given_does_not_apply() -> None:
    with pytest.raises(NotApplicable, match=r"does not take foreach=True: `fused` and `foreach`"):
        run_check("foreach_issues_foreach_operations", SGD, fused=True)


PLANTED = {
    planted.StaleGradients: "a_gradient_in_another_tensor_is_followed",
    planted.InPlaceMaximize: "gradients_are_only_read",
    planted.ClosureWithoutGradients: "a_closure_is_run_once_with_gradients_enabled",
    planted.StateNotRestored: "a_saved_state_continues_bit_for_bit",
    planted.ForeachUnlikeSingle: "foreach_takes_the_steps_of_single_tensors",
    planted.WrongShapesAccepted: "a_state_of_another_shape_is_never_used",
    planted.RateUnchecked: "a_negative_learning_rate_is_refused",
    planted.DecayUnchecked: "other_values_that_an_option_cannot_have_are_refused",
    planted.RateRemembered: "a_learning_rate_changed_between_steps_is_followed",
    planted.LayoutMatters: "the_layout_of_a_parameter_does_not_matter",
}


@pytest.mark.parametrize("cls", [planted.Sound, planted.Counting])
def test_without_a_bug_nothing_is_found(cls: Any) -> None:
    report = run_checks(Subject(cls), only=CONTRACT, costly=False)
    assert not report.failures, str(report)


@pytest.mark.parametrize("cls", PLANTED, ids=lambda cls: cls.__name__)
def test_a_planted_bug_is_found_by_name(cls: Any) -> None:
    report = run_checks(Subject(cls), only=CONTRACT, costly=False)
    assert PLANTED[cls] in {result.check for result in report.failures}


def test_a_failure_is_raised_with_a_report_that_can_be_run(only_these: dict[str, Check]) -> None:
    run = only_these_of(CONTRACT_CHECKS, "foreach_takes_the_steps_of_single_tensors", only_these)
    with pytest.raises(CheckFailure) as caught:
        check_optimizer(planted.ForeachUnlikeSingle, lr=0.25)
    report = caught.value.report
    text = str(caught.value)
    assert text == str(report)
    assert "ForeachUnlikeSingle: 0 passed, 1 failed, 0 not applicable" in text
    assert "foreach=True and foreach=False differ" in text
    assert "shapes=[(1, 1)]" in text  # the smallest example: one tensor of one entry
    lines = report.reproduction(run.name)
    with pytest.raises(AssertionError, match="foreach=True and foreach=False differ"):
        exec(lines, {})  # noqa: S102


@pytest.fixture
def drawing(only_these: dict[str, Check]) -> list[int]:
    """What a check named "it_draws", which fails, has drawn since."""
    seen: list[int] = []

    def it_draws(_: Subject) -> None:
        @for_all(number=st.integers(0, 10**9))
        def holds(number: int) -> None:
            seen.append(number)
            expect(number < 10**6, f"{number} is large")

    check("trial")(it_draws)
    assert [*only_these] == ["it_draws"]
    return seen


def claims(_: torch.optim.Optimizer) -> Invariants:
    return Invariants(deterministic=True)


def test_the_lines_of_a_report_draw_the_same_examples(drawing: list[int]) -> None:
    def after(run: Callable[[], object]) -> list[int]:
        drawing.clear()
        with suppress(AssertionError):
            run()
        return [*drawing]

    options = {"lr": torch.tensor(0.1), "weight_decay": 0.25}
    subject = Subject(SGD, options, strict=True, invariants=claims)
    report = run_checks(subject)
    found = [*drawing]
    lines = report.reproduction("it_draws")
    assert "'weight_decay': 0.25}, strict=True, invariants=claims, seed=" in lines
    assert after(lambda: exec(lines, {})) == found  # noqa: S102
    assert after(lambda: run_check("it_draws", SGD)) != found
    assert after(lambda: run_check("it_draws", Subject(SGD, seed=3))) == after(
        lambda: run_checks(Subject(SGD, seed=3))
    )


CONTRACT_CHECKS = {name: CHECKS[name] for name in CONTRACT}


def only_these_of(checks: dict[str, Check], name: str, registry: dict[str, Check]) -> Check:
    registry[name] = checks[name]
    return checks[name]


def reported(run: Callable[[Subject], None], subject: Subject | None = None) -> Report:
    """Report what a check made of a function finds."""
    check("trial")(run)
    return run_checks(subject or Subject(SGD))


def test_an_error_in_a_check_is_a_failure_and_its_place_is_named(
    only_these: dict[str, Check],
) -> None:
    def it_breaks(_: Subject) -> None:
        raise KeyError("planned")

    (result,) = reported(it_breaks).failures
    assert only_these.keys() == {"it_breaks"}
    assert result.reason.startswith("KeyError: 'planned'\nin it_breaks, ")
    assert f"{Path(__file__).name}:" in result.reason


@pytest.mark.usefixtures("only_these")
def test_a_report_counts_and_is_what_json_holds() -> None:
    @check("trial")
    def it_passes(_: Subject) -> None:
        pass

    @check("trial")
    def it_is_spared(_: Subject) -> None:
        raise NotApplicable("it has its reasons")

    @settings(database=None, derandomize=True)
    @given(st.integers(0, 100))
    def small(number: int) -> None:
        expect(number < 7, f"{number} is not small")

    report = reported(lambda _: small(), Subject(SGD, {"lr": 0.5}, strict=True))
    assert report.counts == {"passed": 1, "failed": 1, "not applicable": 1}
    found = report.as_dict()
    assert found["optimizer"] == "SGD"
    assert found["options"] == {"lr": "0.5"}
    assert found["counts"] == report.counts
    assert [r["outcome"] for r in found["results"]] == ["passed", "not applicable", "failed"]
    assert found["results"][2]["reason"] == "7 is not small"
    assert "number=7" in found["results"][2]["example"]
    text = str(report)
    assert "it_is_spared: it has its reasons" in text
    assert "Subject(SGD, {'lr': 0.5}, strict=True, seed=" in text


def test_what_cannot_be_imported_by_name_is_named_all_the_same() -> None:
    report = Report(Subject(partial(SGD, lr=0.1)), [])
    lines = report.reproduction("x").splitlines()
    assert lines[1].startswith("it = ...  # functools.partial(<class 'torch.optim")
    assert lines[1].endswith(", which cannot be imported")
    assert lines[2] == "run_check('x', Subject(it, {}))"

    class Local(SGD):
        pass

    assert Report(Subject(Local), []).reproduction("x").splitlines()[1].startswith("Local = ...  #")


@pytest.mark.usefixtures("only_these")
def test_a_check_has_a_name_of_its_own() -> None:
    def twice(_: Subject) -> None:
        pass

    check("trial")(twice)
    assert CHECKS["twice"].statement == "twice"
    with pytest.raises(ValueError, match=r"check 'twice': expected a name that is not taken"):
        check("trial")(twice)


def test_a_report_is_returned_if_nothing_fails(only_these: dict[str, Check]) -> None:
    only_these_of(CONTRACT_CHECKS, "maximize_ascends", only_these)
    assert check_optimizer(SGD, lr=0.5).counts == {"passed": 1, "failed": 0, "not applicable": 0}


def test_costly_checks_can_be_left_out() -> None:
    costly = [name for name, one in CHECKS.items() if one.costly]
    assert not run_checks(Subject(SGD), only=costly, costly=False).results


def test_a_subject_takes_more_options() -> None:
    with pytest.raises(NotApplicable, match="is for strict subjects"):
        run_check("a_loaded_state_is_a_copy", Subject(SGD, {"lr": 0.1}), momentum=0.9)


def test_what_does_not_exist_is_refused() -> None:
    with pytest.raises(ValueError, match=r"check 'no such': expected one of a_"):
        run_checks(Subject(SGD), only=["no such"])
    with pytest.raises(ValueError, match=r"SGD with \{'lr': -1\}: expected an optimizer, got Val"):
        check_optimizer(SGD, lr=-1)


def test_the_wrong_error_and_none_are_told_apart() -> None:
    accepted = expect_error(ValueError, message="it is accepted")
    with pytest.raises(AssertionError, match=r"^KeyError is raised: expected Val"), accepted:
        raise KeyError
    accepted = expect_error(ValueError, message="it is accepted")
    with pytest.raises(AssertionError, match=r"^it is accepted: expected ValueError$"), accepted:
        pass


def test_what_is_missing_is_said() -> None:
    need("torch")
    with pytest.raises(ImportError, match=r"needs no_such_module.*pip install 'subluminal\[test"):
        need("no_such_module")


def test_without_hypothesis_the_package_imports_and_its_checks_say_what_to_install() -> None:
    code = (
        "import sys; sys.modules['hypothesis'] = None\n"
        "import torch_impl\n"
        "try: import torch_impl.testing\n"
        "except ImportError as error: print(error)\n"
    )
    root = Path(__file__).parents[1]
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True
    )
    assert "pip install 'subluminal[testing]'" in done.stdout


@parametrize_with_checks([SGD], only=["saving_changes_nothing", "maximize_ascends"])
def test_each_check_is_a_test(check: Callable[[], None]) -> None:
    check()


def test_a_check_that_does_not_apply_is_skipped() -> None:
    params = parametrize_with_checks([Subject(SGD)]).mark.args[1]
    (run,) = [param.values[0] for param in params if "a_loaded_state_is_a_copy" in param.id]
    with pytest.raises(pytest.skip.Exception, match="does not apply: is for strict subjects"):
        run()


def test_the_tests_of_checks_have_readable_names() -> None:
    params = parametrize_with_checks([SGD, AdamW], costly=False).mark.args[1]
    assert params[-1].id == f"AdamW-{list(CHECKS)[-1]}"
    assert len(params) == 2 * sum(not one.costly for one in CHECKS.values())


@pytest.mark.parametrize("message", ["not linked with support for cuda devices", "out of cookies"])
def test_what_fake_tensors_cannot_show_does_not_apply(message: str) -> None:
    """Of other errors it is a failure."""

    class Asking(AdamW):
        def step(self, closure: Any = None) -> Any:  # noqa: ARG002
            raise RuntimeError(message)

    expected = NotApplicable if "cuda" in message else RuntimeError
    with pytest.raises(expected, match="CUDA" if "cuda" in message else "cookies"):
        run_check("a_capturable_step_never_waits_for_the_device", Asking)


def test_a_state_with_numbers_in_it_is_looked_at_too() -> None:
    """As that of relativistic-adam 1.0.0, whose step is one; its moments are narrow."""
    subject = Subject(relativistic_adam.RelativisticAdam, strict=True)
    with pytest.raises(AssertionError, match="bfloat16: expected"):
        run_check("a_state_that_was_saved_narrow_is_widened", subject)
