"""Every script of examples/ runs as a user runs it, and what it shows is so.

``make examples`` runs the heavy ones too, and prints what each shows.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))

heavy = pytest.mark.skipif(
    "EXAMPLES" not in os.environ, reason="NOT CHECKED: longer than 20 s; make examples runs it"
)

NO_NETWORK = """
import socket, sys

def getaddrinfo(host, *_, **__):
    print(f"asked for the address of {host!r}", file=sys.stderr)
    raise OSError("a script asked the network")

socket.getaddrinfo = getaddrinfo
"""

Run = Callable[[str], list[str]]


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, and without a network; test_wheel.py has the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "torch_impl", folder / "subluminal", ignore=ignored)
    shutil.copytree(ROOT / "reference", folder / "subluminal" / "reference", ignore=ignored)
    (folder / "sitecustomize.py").write_text(NO_NETWORK)
    return folder


@pytest.fixture
def run(installed: Path, tmp_path: Path) -> Run:
    """Run a script elsewhere; return the lines that it prints."""

    def lines(name: str) -> list[str]:
        own = {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, ROOT / "examples" / f"{name}.py"],
            cwd=tmp_path,
            env={**os.environ, **own},
            check=False,
            capture_output=True,
            text=True,
        )
        sys.stdout.write(done.stdout)
        assert done.returncode == 0, done.stderr
        assert "asked for the address" not in done.stderr
        assert not list(tmp_path.iterdir()), "the script left files where it ran"
        return done.stdout.splitlines()

    return lines


def numbers(line: str) -> list[float]:
    return [float(number) for number in re.findall(r"(?<![\w.])\d+(?:\.\d+)?(?:e[+-]\d+)?", line)]


def test_with_a_cosine_on_both_the_learning_rate_hardly_matters(run: Run) -> None:
    _, *rows, _, first, middle, last, faster = run("pytorch_cosine")
    adamw, limited = zip(*(numbers(row)[1:] for row in rows), strict=True)
    assert min(limited) > 0.93
    assert max(adamw) > 0.93
    assert min(adamw) < 0.3
    for line, share in ((first, 1.0), (middle, 0.5), (last, 0.0)):
        _, limit, applied = numbers(line)
        assert limit == pytest.approx(0.01 * share, abs=1e-4)
        assert applied <= limit
    assert re.fullmatch(r"steps faster than their limit: 0 of \d+", faster)


def test_lightnings_schedule_moves_the_limit_and_its_checkpoint_goes_on(run: Run) -> None:
    speeds, ratios, resumed = run("lightning_trainer")
    each = numbers(speeds.partition(":")[2])
    assert len(each) == 6
    assert each == sorted(each, reverse=True)
    assert each[-1] < 1e-4
    assert min(numbers(ratios.partition(":")[2])) > 1
    assert resumed == "resumed after 3 of 6 epochs: 0.0 from the run that never stopped"


def test_the_trainer_overrides_the_optimizers_weight_decay(run: Run) -> None:
    asked, first, second, *losses = run("transformers_trainer")
    assert asked.endswith("weight_decay of the optimizer's arguments: 0.5")
    assert first.endswith("weight_decay 0.1, first lr 0.01")
    assert second.endswith("weight_decay 0.0, first lr 0.01")
    steps, values, speeds, ratios = zip(*map(numbers, losses), strict=True)
    assert steps == (20, 40, 60)
    assert values[0] > values[1] > values[2]
    assert 0.003 > speeds[0] > speeds[1] > speeds[2]
    assert min(ratios) > 1


def test_accelerate_steps_within_the_limit_and_its_state_goes_on(run: Run) -> None:
    steps, loaded = run("accelerate_loop")
    assert steps.startswith("16 batches, 8 steps")
    assert 0.99 < numbers(steps)[-1] <= 1.0
    assert loaded == "loaded and trained on: 0.0 from the run that never stopped"


def test_fsdp2_ends_where_one_process_does(run: Run) -> None:
    *processes, shards, loaded = run("fsdp2_checkpoint")
    assert processes == [
        "process 0 of 2 holds [17, 17, 1, 1] rows",
        "process 1 of 2 holds [16, 16, 0, 0] rows",
    ]
    assert shards == "saved: 2 shards"
    assert numbers(loaded)[-1] < 1e-5  # sums in another order, over 20 steps of at most 0.01


@heavy
def test_a_compiled_step_is_one_graph(run: Run) -> None:
    graphs, difference = run("compiled_step")
    assert graphs.endswith("in each: 1 graph compiled")
    assert numbers(difference)[-1] < 1e-6  # some roundings of weights of size 1, over 20 steps


def test_a_checkpoint_of_relativistic_adam_goes_on(run: Run) -> None:
    moved, published, default = run("from_relativistic_adam")
    assert numbers(moved)[-1] > 0.1
    assert published.startswith("subluminal, law='published'")
    assert numbers(published.partition(": ")[2])[1] < 1e-5
    assert default.startswith("subluminal, law='smooth_sqrt'")
    assert numbers(default.partition(": ")[2])[1] > 1e-3


def test_the_published_gravity_is_the_same_constructor_and_its_checkpoint_goes_on(run: Run) -> None:
    constructor, moved, after = run("from_published_gravity")
    assert constructor == "Gravity(params, lr=0.1, alpha=0.01, beta=0.9)"
    assert numbers(moved)[-1] > 0.1
    assert numbers(after)[-1] < 1e-5


def test_keras_learns_the_digits_with_gravity(run: Run) -> None:
    backend, accuracy, loaded, clock = run("keras_digits")
    assert backend == f"backend {os.environ['KERAS_BACKEND']}, 240 steps"
    assert numbers(accuracy)[-1] > 0.85
    assert loaded == "loaded: Gravity, the same configuration: True"
    assert clock == "and the same clock: 240"


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.stem)
def test_every_script_has_a_test_and_is_in_the_index(script: Path) -> None:
    assert f'run("{script.stem}")' in Path(__file__).read_text(encoding="utf-8")
    index = (ROOT / "examples" / "README.md").read_text(encoding="utf-8")
    assert f"[{script.name}]({script.name})" in index
