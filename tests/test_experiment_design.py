"""What is run: unique, whole, small where it is to be quick, of other seeds than the pilot."""

import itertools
from dataclasses import replace

import pytest

from paper.experiments import store
from paper.experiments.design import (
    CONFIRMATION,
    DEVELOPMENT,
    EXPERIMENTS,
    MAIN,
    MANY_SEEDS,
    NINE_RATES,
    PROFILES,
    SEARCH_SEEDS,
    SEEDS,
    WHOLE,
    WHOLE_FACTORIAL,
    WIDTHS,
)
from paper.experiments.methods import BASELINES, VARIANTS, limited
from paper.experiments.plan import planned, unique
from paper.optimizers import OPTIMIZERS
from paper.tasks import TASKS
from paper.training import train

FULL, QUICK = PROFILES["full"], PROFILES["quick"]
PLAN = planned(FULL)
RUNS = [run for runs in PLAN.values() for run in runs]


def test_no_run_is_planned_twice() -> None:
    told = [store.configuration(run) for run in RUNS]
    assert len(set(told)) == len(told)
    assert unique(RUNS, set(told)) == []


def test_every_task_and_optimizer_is_used() -> None:
    assert {run.task for run in RUNS} == set(TASKS)
    assert {run.optimizer for run in RUNS} == set(OPTIMIZERS)


def test_the_tasks_are_halved() -> None:
    assert not set(DEVELOPMENT) & set(CONFIRMATION)
    assert {*WHOLE, *WIDTHS} == set(TASKS)


def test_names_of_methods_are_theirs_alone() -> None:
    told: dict[str, set[tuple[str, str, float | None]]] = {}
    for run in RUNS:
        options = {k: v for k, v in run.options.items() if k not in ("lr", "max_iter")}
        told.setdefault(run.method, set()).add((run.optimizer, repr(options), run.clip_norm))
    assert all(len(found) == 1 for found in told.values())


@pytest.mark.parametrize("task", WHOLE_FACTORIAL)
def test_the_factorial_is_whole(task: str) -> None:
    runs = [run for run in EXPERIMENTS["factorial"](FULL) if run.task == task]
    cells = {(run.method, run.options["lr"], run.seed) for run in runs}
    methods = {run.method for run in runs}
    assert cells == set(itertools.product(methods, NINE_RATES, SEEDS))
    assert {method.name for method in (*BASELINES, *VARIANTS)} < methods


def test_every_task_is_given_the_main_methods_over_three_decades() -> None:
    for task in WHOLE:
        runs = [run for run in EXPERIMENTS["windows"](FULL) if run.task == task]
        rates = sorted({run.options["lr"] for run in runs})
        assert (rates[0], rates[-1]) == (1e-3, 1.0)
        assert 5 <= len(rates) <= 7
        assert {run.method for run in runs} == {method.name for method in MAIN}
        assert {run.seed for run in runs} == set(SEEDS)


def test_the_search_uses_seeds_and_tasks_of_its_own() -> None:
    assert not set(SEARCH_SEEDS) & set(MANY_SEEDS)
    assert {run.task for run in EXPERIMENTS["search"](FULL)} == set(DEVELOPMENT)
    assert {run.seed for run in EXPERIMENTS["search"](FULL)} == set(SEARCH_SEEDS)


def test_a_quick_profile_has_every_experiment_and_method() -> None:
    quick = planned(QUICK)
    assert all(quick.values())
    assert {run.method for runs in quick.values() for run in runs if run.task == "digits"} >= {
        method.name for method in (*BASELINES, *VARIANTS, *MAIN)
    }
    steps = sum(run.steps for runs in quick.values() for run in runs)
    assert steps < sum(run.steps for run in RUNS) / 100


def test_a_method_says_what_is_not_usual_of_its_limit() -> None:
    assert limited(1e-3).name == "limited, rms c = 0.001"
    found = limited(0.1, law="tanh", unit="norm", mode="global", placement="gradient", decayed=True)
    assert found.name == "limited, norm c = 0.1, tanh, global, gradient, decayed"


def test_a_method_that_is_told_its_horizon_is_told_it() -> None:
    rad = next(method for method in BASELINES if method.name == "RAD")
    assert rad.run("digits", 1e-3, 0, 123, "constant").options == {"lr": 1e-3, "max_iter": 123}


@pytest.mark.parametrize("method", dict.fromkeys(run.method for run in RUNS))
def test_every_method_can_be_run(method: str) -> None:
    planned_run = next(run for run in RUNS if run.method == method)
    result = train(replace(planned_run, task="noisy_quadratic", steps=2))
    assert (result.steps, result.exploded) == (2, False)
