"""The README's code runs as it stands, and so do the quick starts that were published."""

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import torch

from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


@pytest.mark.parametrize("block", blocks("python"))
def test_python_block_of_the_readme_runs(block: str, capsys: pytest.CaptureFixture[str]) -> None:
    exec(compile(block, "README.md", "exec"), {})  # noqa: S102
    printed = capsys.readouterr().out
    assert ("print(" in block) == bool(printed)


def test_commands_of_the_readme_exist() -> None:
    lines = [
        line.partition("#")[0].split() for block in blocks("sh") for line in block.splitlines()
    ]
    assert ["make", "paper"] in lines
    assert ["make", "test"] in lines
    for line in lines:
        done = subprocess.run([*line, "--dry-run"], cwd=ROOT, check=False, capture_output=True)
        assert done.returncode == 0, done.stderr.decode()


def test_links_of_the_readme_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#]+)\)", README)
    assert targets
    for target in targets:
        assert target.startswith("https://") or (ROOT / target).exists(), target


PUBLISHED_QUICK_STARTS: list[tuple[Any, dict[str, Any]]] = [
    (RelativisticAdam, {"lr": 0.001, "speed_limit": 0.1, "relativistic_mode": "per_param"}),
    (
        RelativisticAdam,
        {"lr": 0.001, "speed_limit": 0.1, "adaptive_speed": True, "speed_warmup_steps": 1000},
    ),
    (RelativisticAdamW, {"lr": 0.001, "weight_decay": 0.01, "speed_limit": 0.1}),
    (RelativisticAdam, {"lr": 0.001, "speed_limit": 0.01, "relativistic_mode": "per_component"}),
    (Gravity, {"lr": 0.1, "alpha": 0.01, "beta": 0.9}),
]


@pytest.mark.parametrize(("cls", "options"), PUBLISHED_QUICK_STARTS)
def test_published_quick_start_trains(cls: Any, options: dict[str, Any]) -> None:
    torch.manual_seed(0)
    model = torch.nn.Linear(10, 1)
    inputs = torch.randn(64, 10)
    targets = inputs.sum(dim=1, keepdim=True)
    optimizer = cls(model.parameters(), **options)
    losses = []
    for _ in range(100):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(model(inputs), targets)
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
