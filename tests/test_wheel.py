"""The wheel, as a user meets it: built, installed into a clean environment, used from elsewhere."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

USE = """
import importlib, sys
import numpy, torch
import subluminal
from subluminal import RelativisticAdam
from subluminal.reference import relativistic_adam_step

weight = torch.nn.Parameter(torch.ones(3, dtype=torch.float64))
weight.grad = torch.tensor([3e9, -4e9, 0.0], dtype=torch.float64)
RelativisticAdam([weight], lr=1.0).step()
(theta,), _ = relativistic_adam_step([numpy.ones(3)], [[3e9, -4e9, 0.0]], lr=1.0)
numpy.testing.assert_allclose(weight.detach().numpy(), theta, rtol=1e-14)
assert sys.prefix in subluminal.__file__, subluminal.__file__
assert not {"reference", "torch_impl"} & set(sys.modules)
for extra in ("keras", "testing"):
    try:
        importlib.import_module(f"subluminal.{extra}")
    except ImportError as error:
        assert f"pip install 'subluminal[{extra}]'" in str(error), error
    else:
        raise AssertionError(f"subluminal.{extra} imports without what it needs")
print(subluminal.__version__)
"""

TYPED = """
import torch

from subluminal import RelativisticAdamW, SpeedReport, limit_speed
from subluminal.reference import LAWS, Law, Regime, regime

model = torch.nn.Linear(2, 1)
optimizer = RelativisticAdamW(model.parameters(), lr=1e-3, speed_limit=1e-3, speed_unit="rms")
report: SpeedReport = limit_speed(torch.optim.SGD(model.parameters(), 0.1), 1e-3).speed_report()
law: Law = LAWS["smooth_sqrt"]
gain: float = law.gain(1.0)
said: Regime = regime(lr=1e-3, speed_limit=0.1, numel=100)
RelativisticAdamW(model.parameters(), relativistic_mode=0.5)  # wrong
"""
"""What a strict reader of types finds one fault in."""


def run(*command: str | Path, cwd: Path) -> str:
    """Run a command without the variables that would let it see this tree."""
    done = subprocess.run(
        [str(part) for part in command], cwd=cwd, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, f"{command} failed:\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", out, cwd=ROOT)
    (built,) = out.glob("*.whl")
    return built


def test_the_wheel_holds_the_package_and_its_reference_alone(wheel: Path) -> None:
    names = {Path(name) for name in zipfile.ZipFile(wheel).namelist()}
    tops = {name.parts[0] for name in names}
    assert {top.partition("-")[0] for top in tops} == {"subluminal"}
    expected = {
        Path("subluminal", *((room,) if room == "reference" else ()), path.relative_to(ROOT / room))
        for room in ("reference", "torch_impl")
        for path in (ROOT / room).rglob("*")
        if path.suffix == ".py" or path.name == "py.typed"
    }
    assert {name for name in names if name.parts[0] == "subluminal"} == expected


@pytest.fixture(scope="module")
def python(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The interpreter of a clean environment with the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    run(sys.executable, "-m", "venv", folder / "environment", cwd=folder)
    python = folder / "environment" / "bin" / "python"
    constraints = ROOT / "constraints.txt"
    run(python, "-m", "pip", "install", "--quiet", "--constraint", constraints, wheel, cwd=folder)
    return python


def test_the_installed_wheel_trains(python: Path, wheel: Path, tmp_path: Path) -> None:
    printed = run(python, "-W", "error", "-c", USE, cwd=tmp_path)
    assert printed.strip() == wheel.name.split("-")[1]


def test_its_types_are_seen_from_outside(python: Path, tmp_path: Path) -> None:
    """By mypy, strict, in a folder that knows the environment alone."""
    script = tmp_path / "typed.py"
    script.write_text(TYPED, encoding="utf-8")
    checked = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--python-executable", python, script],
        cwd=tmp_path,
        check=False,
        capture_output=True,
        text=True,
    )
    *found, last = checked.stdout.splitlines()
    wrong = next(i for i, line in enumerate(TYPED.splitlines(), 1) if line.endswith("# wrong"))
    assert [line.split(":")[1:3] for line in found if ": error:" in line] == [
        [str(wrong), " error"]
    ]
    assert "[arg-type]" in checked.stdout, checked.stdout
    assert last.startswith("Found 1 error in 1 file"), checked.stdout + checked.stderr
