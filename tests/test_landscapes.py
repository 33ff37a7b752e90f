"""Paths over landscapes are what the optimizers do, and are drawn the same each time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from paper.figures.landscapes import LIMIT, RATES, SHOWN, draw_landscapes, main
from paper.landscapes import LANDSCAPES, heights, trajectory


@pytest.mark.parametrize("name", LANDSCAPES)
def test_a_landscape_is_zero_at_its_minimum_and_higher_elsewhere(name: str) -> None:
    landscape = LANDSCAPES[name]
    left, right, bottom, top = landscape.extent
    x, y = np.meshgrid(np.linspace(left, right, 101), np.linspace(bottom, top, 101))
    grid = np.stack([x, y], axis=-1)
    away = np.linalg.norm(grid - landscape.minimum, axis=-1) > 1e-9
    assert heights(name, np.array(landscape.minimum)) == 0
    assert (heights(name, grid)[away] > 0).all()


def test_heights_are_those_of_the_formulas() -> None:
    # 1.2² + 1 + 100·(1 − 1.44)², and 20 + Σ(x² − 10 cos 2πx) where the cosines are −1 and 1
    assert heights("Rosenbrock", np.array([-1.2, 1.0])) == pytest.approx(24.2, rel=1e-14)
    assert heights("Rastrigin", np.array([0.5, 2.0])) == pytest.approx(24.25, rel=1e-14)


def test_a_trajectory_is_gradient_descent_for_plain_sgd() -> None:
    found = trajectory("Rosenbrock", "SGD", {"lr": 1e-3}, steps=20, start=(0.5, -0.5))
    x, y = 0.5, -0.5
    for point in found:
        # Twenty steps of a contraction, in float64, with powers written in another way
        assert point.tolist() == pytest.approx([x, y], rel=1e-12)
        slope_x, slope_y = -2 * (1 - x) - 400 * x * (y - x * x), 200 * (y - x * x)
        x, y = x - 1e-3 * slope_x, y - 1e-3 * slope_y
    assert found.shape == (21, 2)


def test_a_trajectory_ends_before_it_is_not_finite() -> None:
    found = trajectory("Rosenbrock", "SGD", {"lr": 1.0}, steps=100)
    assert 1 < len(found) < 101
    assert np.isfinite(heights("Rosenbrock", found)).all()


def test_a_trajectory_is_a_function_of_its_seed() -> None:
    def path(seed: int) -> Any:
        return trajectory("Rastrigin", "Gravity", {"lr": 0.1}, steps=5, seed=seed).tolist()

    assert path(0) == path(0)
    assert path(0) != path(1)


@pytest.mark.parametrize("landscape", LANDSCAPES)
@pytest.mark.parametrize("name", ["RGD", "RelativisticAdam"])
def test_steps_that_are_limited_are_shorter_than_the_limit(landscape: str, name: str) -> None:
    optimizer, options = SHOWN[name]
    options = {**options, "lr": RATES[landscape][optimizer]}
    points = trajectory(landscape, optimizer, options, steps=200)
    lengths = np.linalg.norm(np.diff(points, axis=0), axis=1)
    assert 0.9 * LIMIT < lengths.max() <= LIMIT


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("Himmelblau", "SGD", 1),
            r"landscape='Himmelblau': expected one of Rosenbrock, Rastrigin",
        ),
        (("Rosenbrock", "Newton", 1), r"optimizer='Newton': expected one of SGD, Adam"),
        (("Rosenbrock", "SGD", -1), r"steps=-1: expected a whole number >= 0"),
    ],
)
def test_an_error_names_the_argument(arguments: tuple[str, str, int], message: str) -> None:
    landscape, optimizer, steps = arguments
    with pytest.raises(ValueError, match=message):
        trajectory(landscape, optimizer, {"lr": 0.1}, steps=steps)


def test_a_figure_is_written_whole_and_reproducibly(tmp_path: Path) -> None:
    paths = {"Rastrigin": {"SGD": trajectory("Rastrigin", "SGD", {"lr": 1e-3}, steps=5)}}
    pictures = []
    for copy in ("one.png", "two.png"):
        draw_landscapes(paths, tmp_path / copy)
        pictures.append((tmp_path / copy).read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_a_path_of_one_point_is_drawn(tmp_path: Path) -> None:
    start = trajectory("Rastrigin", "SGD", {"lr": 1.0}, steps=0)
    draw_landscapes({"Rastrigin": {"SGD": start}}, tmp_path / "start.png")
    assert (tmp_path / "start.png").stat().st_size > 0


def test_the_command_draws_every_optimizer_on_every_landscape(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: dict[str, list[str]] = {}

    def draw(paths: Any, _: Path) -> None:
        drawn.update({landscape: list(row) for landscape, row in paths.items()})

    monkeypatch.setattr("paper.figures.landscapes.draw_landscapes", draw)
    main(["--out", str(tmp_path / "paths.png")])
    assert drawn == {landscape: list(SHOWN) for landscape in LANDSCAPES}
    assert capsys.readouterr().out.strip() == str(tmp_path / "paths.png")
