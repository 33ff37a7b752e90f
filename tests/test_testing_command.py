"""``python -m subluminal.testing``: what it prints, writes and returns."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from torch_impl.testing import CHECKS
from torch_impl.testing.__main__ import main

PASSING = ["torch.optim:SGD", "--only", "maximize_ascends", "--quiet"]
FAILING = ["tests.planted:RateUnchecked", "--only", "a_negative_learning_rate_is_refused"]


def test_the_status_is_0_if_all_checks_pass(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(PASSING) == 0
    assert capsys.readouterr().out == "SGD: 1 passed, 0 failed, 0 not applicable\n"


def test_the_status_is_1_if_one_fails_and_a_bar_shows_how_far_it_is(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(FAILING) == 1
    seen = capsys.readouterr()
    assert "FAILED a_negative_learning_rate_is_refused" in seen.out
    assert "1/1" in seen.err


def test_options_are_literals() -> None:
    option = ["--option", "momentum=0.9", "--option", "nesterov=True"]
    assert main([*PASSING, *option, "--no-costly", "--strict"]) == 0


def test_the_report_is_written_whole(tmp_path: Path) -> None:
    path = tmp_path / "report.json"
    path.write_text("old")
    assert main([*PASSING, "--json", str(path)]) == 0
    assert json.loads(path.read_text(encoding="utf-8"))["counts"]["passed"] == 1
    assert list(tmp_path.iterdir()) == [path]


def test_the_checks_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == list(CHECKS)
    assert "a_step_is_compiled_once_and_whole (torch.compile, costly)" in lines
    assert "a_loaded_state_is_a_copy (state, strict)" in lines


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "optimizer None: expected package.module:Class"),
        (["torch.optim.SGD"], "optimizer 'torch.optim.SGD': expected package.module:Class"),
        (["no_such_module:SGD"], "expected a module that imports, No module named"),
        (["torch.optim:NoSuch"], "expected 'NoSuch' to be in torch.optim"),
        (["torch:__version__"], "expected a class or function, got"),
        (["torch.optim:SGD", "--option", "lr"], "option 'lr': expected NAME=VALUE"),
        (["torch.optim:SGD", "--option", "lr=print(1)"], "expected a Python literal as its value"),
        (["torch.optim:SGD", "--option", "lr=-1"], "expected an optimizer, got ValueError"),
        (["torch.optim:SGD", "--only", "nothing"], "check 'nothing': expected one of"),
        (["torch.optim:SGD", "--json", "no/such/folder/x"], "expected a folder that exists"),
    ],
)
def test_bad_arguments_are_said_and_the_status_is_2(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert message in capsys.readouterr().err


def test_it_runs_as_a_module() -> None:
    root = Path(__file__).parents[1]
    command = [sys.executable, "-m", "torch_impl.testing", *FAILING, "--quiet"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    assert done.returncode == 1, done.stderr
    assert "run_check('a_negative_learning_rate_is_refused'" in done.stdout
