"""What the experiments would answer if they had shown this or that."""

import math
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paper.experiments.confirmation import chosen, confirmation
from paper.experiments.design import (
    CONFIRMATION,
    DECAYED_C,
    DEVELOPMENT,
    EVERY_METHOD,
    PROFILES,
    SHAPES,
    SPIKED,
    Profile,
)
from paper.experiments.evidence import Evidence, folder_of
from paper.experiments.methods import ADAMW, GRAVITY, limited
from paper.experiments.plan import planned
from paper.figures.experiments import FIGURES as DRAWN
from paper.manuscript import answers
from paper.questions import QUESTIONS, report
from paper.questions.answer import number
from paper.questions.limits import steps_until_back
from paper.questions.others import reversal
from paper.questions.windows import EVERY_TASK, MARGIN
from paper.tasks import TASKS
from paper.training import Result, Run

FULL = Profile("three seeds", 3, 1, 1.0)
PLAN = planned(FULL)

Level = Callable[[Run], float]
"""A run's score over the trivial one: 0 at the best, 1 where nothing is learned."""


def record(run: Run, level: float) -> dict[str, Any]:
    """Return what is kept of a run with such a score; ∞ for an explosion."""
    problem = TASKS[run.task]
    score = level * problem.trivial
    result = Result(run, steps=run.steps, exploded=math.isinf(level))
    if not result.exploded:
        result.validation_loss = score
        result.validation_accuracy = 1 - score
        if run.task in SPIKED:
            result.train_loss = curve(run, lasting=level if run.spike != 1 else 0.0)
    return {**result.as_record(), "code": "0" * 12, "seconds": 1.0}


def curve(run: Run, lasting: float) -> list[float]:
    """Return a loss of 1 that is 9 for a share of what follows the spike."""
    losses = [1.0] * (run.steps // run.span)
    half = run.steps // 2 // run.span
    until = half + round(lasting * (len(losses) - half))
    return [9.0 if half <= i < until else loss for i, loss in enumerate(losses)]


def noise(run: Run) -> float:
    """Return a little that depends on the task, the seed and the rate alone."""
    drawn = np.random.default_rng([run.seed, len(run.task), round(1e6 * run.options["lr"])])
    return 0.01 * float(drawn.random())


def evidence(level: Level, *, without: str = "") -> Evidence:
    """Return the evidence of all runs, each as far as it is said to have got."""
    kept = {
        name: [record(run, level(run) + noise(run)) for run in runs]
        for name, runs in PLAN.items()
        if name != without
    }
    if "search" in kept:
        kept["confirmation"] = [
            record(run, level(run) + noise(run)) for run in confirmation(FULL, kept["search"])
        ]
    return Evidence(FULL, kept)


def limited_helps(run: Run) -> float:
    """Adam trains up to 1e-2 and explodes beyond; what is limited and decayed trains anywhere."""
    if run.options.get("speed_follows_lr"):
        return 0.02
    if run.optimizer == "RelativisticAdam":
        return 0.02 if run.options["speed_limit"] == 1e-3 else 0.5
    if run.optimizer == "Gravity":
        return 0.9
    return 0.02 if run.options["lr"] <= 1e-2 else math.inf


def nothing_helps(run: Run) -> float:
    """Whatever the method, what is faster than 1e-2 has learned nothing."""
    return 0.02 if run.options["lr"] <= 1e-2 else 1.0


NAMES = [method.name for method in EVERY_METHOD]
HELPED, NOT_HELPED = evidence(limited_helps), evidence(nothing_helps)


@pytest.mark.parametrize(
    ("question", "helped", "not_helped"),
    [("windows", "wider", "not shown to be wider"), ("preset", "yes", "no")],
)
def test_an_answer_follows_from_what_is_shown(question: str, helped: str, not_helped: str) -> None:
    assert QUESTIONS[question](HELPED).verdict == helped
    assert QUESTIONS[question](NOT_HELPED).verdict == not_helped


def test_tuning_is_moved_where_few_limits_train() -> None:
    assert QUESTIONS["moved"](HELPED).verdict == "moved, with constant c"
    every = evidence(lambda _: 0.02)
    assert QUESTIONS["moved"](every).verdict == "not merely moved, with constant c"


def test_the_best_is_compared_at_equal_budgets() -> None:
    def worse(run: Run) -> float:
        return 0.3 if run.optimizer == "RelativisticAdam" else 0.1

    assert "no difference" in QUESTIONS["tuned"](NOT_HELPED).verdict
    assert QUESTIONS["tuned"](evidence(worse)).verdict.endswith("worse")
    assert QUESTIONS["tuned"](evidence(lambda run: 0.4 - worse(run))).verdict.endswith("better")


def test_every_method_is_shown_with_its_failures() -> None:
    head, *rows = QUESTIONS["tuned"](HELPED).tables["factorial"]
    assert [row[0] for row in rows] == NAMES
    assert len(head) == 7
    adamw, limited_one = (rows[NAMES.index(each.name)] for each in (ADAMW, limited(1e-3)))
    assert adamw[2:4] == ["4 of 9", "15 of 27"]
    assert limited_one[2:4] == ["9 of 9", "0 of 27"]


def test_a_setting_that_fails_on_two_tasks_is_not_confirmed() -> None:
    def fails_on(*tasks: str) -> Level:
        return lambda run: 0.3 if run.task in tasks and _is_decayed(run) else limited_helps(run)

    one, two = CONFIRMATION[:1], CONFIRMATION[:2]
    assert QUESTIONS["preset"](evidence(fails_on(*one))).verdict == "yes"
    assert QUESTIONS["preset"](evidence(fails_on(*two))).verdict == "no"
    assert QUESTIONS["preset"](evidence(fails_on(*DEVELOPMENT))).verdict == "yes"


def _is_decayed(run: Run) -> bool:
    return bool(run.options.get("speed_follows_lr"))


def test_what_stops_a_setting_is_told() -> None:
    """It is too slow below the best rate of what it is held against, or fails above."""

    def tuned_at(rate: float) -> Level:
        def level(run: Run) -> float:
            if _is_decayed(run):
                return 0.5 if run.options["lr"] == 1e-3 else 0.02
            return 0.02 if run.options["lr"] == rate else 0.6

        return level

    above = QUESTIONS["preset"](evidence(tuned_at(1e-3)))
    assert "0 at rates below the baseline's best, 8 at it or above" in above.finding
    assert above.finding.endswith("within noise on 8 of 8.")  # at the highest rate
    below = QUESTIONS["preset"](evidence(tuned_at(1e-2)))
    assert "8 at rates below the baseline's best, 0 at it or above" in below.finding


def test_what_is_worse_by_less_than_the_margin_is_within_noise() -> None:
    def worse_by(margin: float) -> Level:
        return lambda run: 0.02 + margin * 0.98 if _is_decayed(run) else limited_helps(run)

    assert QUESTIONS["preset"](evidence(worse_by(0.5 * MARGIN))).verdict == "yes"
    assert QUESTIONS["preset"](evidence(worse_by(1.5 * MARGIN))).verdict == "no"


def test_the_setting_with_the_least_regret_is_chosen() -> None:
    best = limited(1e-2, unit="relative", decayed=True)

    def level(run: Run) -> float:
        return 0.01 if run.method == best.name else 0.1

    found = evidence(level).chosen
    assert found["decayed"].name == best.name
    assert found["decayed"].options == best.options
    assert not found["constant"].options["speed_follows_lr"]


def test_a_search_that_explodes_is_chosen_last() -> None:
    def level(run: Run) -> float:
        steady = run.options.get("relativistic_mode") == "global"
        return 0.5 if steady or run.optimizer == "AdamW" else math.inf

    records = [record(run, level(run)) for run in PLAN["search"]]
    assert chosen(records)["decayed"].options["relativistic_mode"] == "global"


def test_spikes_are_told_by_how_long_they_last() -> None:
    def level(run: Run) -> float:
        return 0.0 if run.options.get("placement") == "gradient" else 0.5

    found = QUESTIONS["spikes"](evidence(level))
    assert found.verdict == "back sooner with limited gradients than with limited updates"
    undisturbed = "limited, rms c = 0.01, gradient; limited, rms c = 0.01, per_component, gradient."
    assert found.finding.endswith(f"Undisturbed on every task (median): {undisturbed}")
    other = QUESTIONS["spikes"](evidence(lambda run: 0.5 - level(run)))
    assert other.verdict == "back sooner with limited updates than with limited gradients"
    assert QUESTIONS["spikes"](evidence(lambda _: 0.2)).verdict == "no difference shown"


@pytest.mark.parametrize(
    ("after", "steps"),
    [
        ([1.0] * 10, 0.0),
        ([2.0, 1.0, *[1.0] * 8], 5.0),
        ([1.0, 2.0, 2.0, 1.05, *[1.0] * 6], 15.0),
        ([2.0] * 10, 50.0),
        ([1.1] * 10, 0.0),
        ([1.2] * 10, 50.0),
    ],
)
def test_a_loss_is_back_where_it_is_near_again(after: list[float], steps: float) -> None:
    """A hundred steps in spans of five; the spike is in the step after the fiftieth."""
    run = replace(limited(1e-3).run("digits", 1e-3, 0, 100, "constant"), span=5)
    plain, hit = Result(run, train_loss=[1.0] * 20), Result(run, train_loss=[*[1.0] * 10, *after])
    assert steps_until_back(plain, hit) == steps


def test_a_run_that_ends_is_not_back() -> None:
    run = replace(limited(1e-3).run("digits", 1e-3, 0, 100, "constant"), span=5)
    plain, hit = Result(run, train_loss=[1.0] * 20), Result(run, train_loss=[1.0] * 12)
    assert steps_until_back(plain, hit) == 50.0
    assert steps_until_back(Result(run), Result(run)) == 0.0  # neither was disturbed by the spike
    assert steps_until_back(Result(run), hit) == 50.0


def test_a_limit_transfers_if_its_best_does_not_move() -> None:
    def level(run: Run) -> float:
        c, width = run.options.get("speed_limit", 1.0), re.search(r"\d+$", run.task)
        small = width is not None and int(width[0]) < 100
        best = {"norm": 0.03 if small else 0.3, "rms": 1e-3, "relative": 3e-4}
        return 0.05 if c == best.get(str(run.options.get("speed_unit"))) else 0.2

    verdict = QUESTIONS["widths"](evidence(level)).verdict
    assert (
        verdict == "the best limit in norm: moves; rms: transfers; relative: at the end of the grid"
    )


def test_a_difference_between_laws_is_found() -> None:
    def level(run: Run) -> float:
        return 0.11 if run.options.get("law") == "tanh" else 0.1

    assert QUESTIONS["shape"](evidence(level)).verdict == "a difference is shown for tanh"
    found = QUESTIONS["shape"](evidence(lambda _: 0.1))
    assert found.verdict == "a difference is shown for no law"
    assert len(found.tables["shape"]) == len(SHAPES)


def test_modes_are_compared_at_their_best() -> None:
    def level(run: Run) -> float:
        mode, c = run.options.get("relativistic_mode"), run.options.get("speed_limit")
        return {"global": 0.2, "per_component": 0.05 if c == 1e-2 else 0.9}.get(str(mode), 0.1)

    verdict = QUESTIONS["modes"](evidence(level)).verdict
    assert verdict == "against per_param, per_component: better; global: worse"


def test_gravity_is_told_where_it_works() -> None:
    def level(run: Run) -> float:
        return 0.0 if run.optimizer == "Gravity" and run.task == "digits" else 0.95

    assert QUESTIONS["gravity"](evidence(level)).verdict == "it reaches the goal on 1 of 14 tasks"


def test_the_order_of_gradients_is_reversed_where_they_are_steep() -> None:
    """The first gradients of these networks are below 1, where Gravity's term keeps their order."""
    found = reversal("digits", 0)
    assert found["published"] > 0.99
    assert -1 <= found["peak"] <= 1


def test_low_precision_is_compared_at_the_same_rates() -> None:
    def level(run: Run) -> float:
        narrow = run.task.endswith("bf16") and run.options["lr"] > 1e-2
        gained = run.task == "byte_gpt_small" and run.options["lr"] > 1e-2
        lost = (narrow and run.task == "digits_bf16") or gained
        return 0.9 if lost and run.method == ADAMW.name else 0.02

    fewer = "in bfloat16 fewer rates train with"
    assert QUESTIONS["precision"](evidence(level)).verdict == f"{fewer} AdamW"
    assert QUESTIONS["precision"](HELPED).verdict == f"{fewer} no method"


def test_questions_without_their_runs_are_not_answered() -> None:
    found = report.report(evidence(limited_helps, without="search"))
    assert set(QUESTIONS) - set(found["questions"]) == {
        "windows",
        "tuned",
        "preset",
        "precision",
    }
    assert found["abstract"] == answers.ABSTRACT_NOT_YET


def test_a_run_that_is_not_there_is_named() -> None:
    with pytest.raises(LookupError, match=r"no result of Gravity on digits, lr = 0\.1, seed 3"):
        Evidence(FULL, {}).result(GRAVITY.run("digits", 0.1, 3, 300, "constant"))


def test_the_report_has_the_form_that_the_texts_take(tmp_path: Path) -> None:
    found = report.report(HELPED)
    report.write(tmp_path / "answers.json", found)
    assert answers.read(tmp_path) == found
    assert set(found["questions"]) == set(answers.QUESTIONS)
    assert "at tuned rates is not shown to differ from that of" in found["abstract"]
    assert "Yes: " in found["abstract"]
    assert found["claims"]["high-learning-rates"]["verdict"] == "holds"
    assert report.report(NOT_HELPED)["claims"]["rnns"]["verdict"] == "fails"
    rows = report.rows(answers.filled(found))
    assert len(rows) == 1 + len(QUESTIONS)
    assert all(len(row) == len(rows[0]) for row in rows)
    for entry in found["questions"].values():
        assert len({len(row) for row in entry["table"]}) == 1


def test_what_is_committed_follows_from_the_committed_records() -> None:
    folder = folder_of("full")
    assert answers.read(folder) == report.made(PROFILES["full"], folder)


def test_every_figure_of_a_question_is_drawn(tmp_path: Path) -> None:
    files = {file for file, _ in report.FIGURES.values()}
    assert {f"{name}.pdf" for name in DRAWN} == files
    for name, draw in DRAWN.items():
        draw(HELPED, tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_an_exploded_run_counts_as_one_that_has_learned_nothing() -> None:
    found = evidence(lambda _: math.inf)
    scores = found.scores("digits", DECAYED_C, (1e-3,), "cosine", (0, 1))
    assert scores.tolist() == [[0.9, 0.9]]
    assert found.exploded == found.runs
    assert QUESTIONS["windows"](found).verdict == "not shown to be wider"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.05, "0.05"),
        (-1.25, "−1.2"),
        (math.inf, "∞"),
        (math.nan, "–"),
        (123456.0, "1.2e+05"),
        (137.0, "140"),
    ],
)
def test_numbers_are_short(value: float, text: str) -> None:
    assert number(value) == text


def test_every_task_is_in_one_half() -> None:
    assert sorted(EVERY_TASK) == sorted({*DEVELOPMENT, *CONFIRMATION})
