"""The demo: its runs are pure, its output is whole and the README shows what was measured."""

import json
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from paper import demo, readme
from paper.tasks import TASKS, Problem, Task
from paper.training import Result, Run, SpeedMeter, train
from torch_impl import RelativisticAdam

TINY = demo.Size(seeds=(42,), regression_steps=3, digits_steps=12, learning_rates=(1e-3, 10.0))


def run(task: str = "published_regression", **changes: Any) -> Run:
    options = {"lr": 1.0, "relativistic_mode": "per_param"}
    values = {"method": "m", "optimizer": "RelativisticAdam", "options": options, "steps": 3}
    return Run(**{**values, "task": task, "seed": 42, **changes})


def same(one: Result, other: Result) -> bool:
    return one.as_record() == other.as_record()


@pytest.mark.parametrize("optimizer", ["RelativisticAdam", "Gravity"])
@pytest.mark.parametrize("task", TASKS)
def test_a_run_is_determined_by_its_configuration(task: str, optimizer: str) -> None:
    options = {"lr": 1e-2}
    first = train(run(task, optimizer=optimizer, options=options))
    torch.rand(7)  # the global generator is none of a run's business
    assert same(first, train(run(task, optimizer=optimizer, options=options)))
    assert not same(first, train(run(task, optimizer=optimizer, options=options, seed=43)))


def test_an_explosion_is_a_result() -> None:
    result = train(run(optimizer="Adam", options={"lr": 1.0}))
    assert (result.exploded, result.steps, len(result.train_loss)) == (True, 1, 1)
    assert math.isnan(result.validation_loss)
    assert same(Result.from_record(json.loads(json.dumps(result.as_record()))), result)


def test_a_finite_gradient_norm_above_the_threshold_is_an_explosion(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def steep(_seed: int) -> Task:
        model = torch.nn.Linear(1, 1)
        torch.nn.init.ones_(model.weight)
        data = (torch.full((2, 1), 1e7), torch.zeros(2, 1))
        return Task(model, data, data, torch.nn.functional.mse_loss, 2)

    monkeypatch.setitem(TASKS, "steep", Problem(steep, 3, "loss", 1.0, 2.0))
    result = train(run("steep"))
    assert (result.exploded, result.steps) == (True, 0)


def test_the_published_task_has_the_published_facts() -> None:
    task = TASKS["published_regression"].make(42)
    assert [tuple(part[0].shape) for part in (task.train, task.validation)] == [(150, 10), (50, 10)]
    everything = torch.cat([task.train[1], task.validation[1]])
    assert abs(float(everything.mean())) < 1e-6
    assert float(everything.std()) == pytest.approx(1)
    linear = [layer for layer in task.model.modules() if isinstance(layer, torch.nn.Linear)]
    assert [layer.in_features for layer in linear] == [10] + [128] * 7
    assert all(bool((layer.bias == 0.01).all()) for layer in linear)


@pytest.mark.parametrize("unit", ["norm", "rms"])
@pytest.mark.parametrize("mode", ["per_param", "per_component"])
def test_the_speed_meter_reads_the_ratio_that_was_limited(mode: str, unit: str) -> None:
    """On a first step u = lr in every entry; `hard_clip` applies min(1, 1/r) of it."""
    leaf = torch.zeros(4).requires_grad_()
    leaf.grad = torch.ones(4)
    optimizer = RelativisticAdam(
        [leaf],
        lr=0.2,
        eps=0.0,
        speed_limit=0.1,
        speed_unit=unit,
        relativistic_mode=mode,
        law="hard_clip",
    )
    meter = SpeedMeter(optimizer)
    optimizer.step()
    ratio = float(meter.largest)
    assert ratio == pytest.approx(4.0 if mode == "per_param" and unit == "norm" else 2.0)
    assert leaf.detach().tolist() == pytest.approx([-0.2 / ratio] * 4)
    assert int(meter.saturated) == meter.blocks == (1 if mode == "per_param" else 4)


def test_the_demo_writes_and_prints_everything(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    demo.main(["--out", str(tmp_path)], TINY, workers=1)
    assert {path.name for path in tmp_path.iterdir()} == {"demo.json", "demo.png"}
    assert (tmp_path / "demo.png").read_bytes().startswith(b"\x89PNG")
    results = demo.read(tmp_path)
    assert [result.run for result in results] == [
        *demo.regression_runs(TINY),
        *demo.digits_runs(TINY),
    ]
    printed = capsys.readouterr().out
    assert "Adam + clip_grad_norm_" in printed
    assert "1 of 1, after 1 steps" in printed


@pytest.mark.parametrize("name", readme.TEXTS)
def test_the_texts_show_the_committed_results(name: str) -> None:
    text = (readme.ROOT / name).read_text(encoding="utf-8")
    assert readme.filled(text, readme.TEXTS[name]()) == text, "run `make readme`"


@pytest.mark.parametrize("name", readme.TEXTS)
def test_every_row_of_a_table_has_the_cells_of_its_head(name: str) -> None:
    for block in readme.TEXTS[name]().values():
        rows = [re.sub(r"\\\|", "", line).count("|") for line in block.splitlines()]
        assert len(set(rows)) <= 1


def test_the_committed_results_are_of_the_whole_demo() -> None:
    runs = [result.run for result in demo.read(readme.RESULTS)]
    whole = demo.Size()
    assert runs == [*demo.regression_runs(whole), *demo.digits_runs(whole)]


def test_a_missing_marker_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"has 0 markers '[a-z-]+'"):
        readme.filled("no marker", readme.blocks())
