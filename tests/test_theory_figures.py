"""Every figure of the theory is drawn from data, and looks the same each time."""

from pathlib import Path

import pytest

from paper.theory import FIGURES, main


@pytest.mark.parametrize("name", FIGURES)
def test_a_figure_is_written_whole_and_reproducibly(name: str, tmp_path: Path) -> None:
    pictures = []
    for copy in ("one.png", "two.png"):
        FIGURES[name](tmp_path / copy)
        pictures.append((tmp_path / copy).read_bytes())
    assert pictures[0].startswith(b"\x89PNG")
    assert pictures[0] == pictures[1]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "two.png"]


def test_the_command_writes_them_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    drawn: list[Path] = []
    monkeypatch.setattr("paper.theory.FIGURES", dict.fromkeys(FIGURES, drawn.append))
    main(["--out", str(tmp_path)])
    assert [path.stem for path in drawn] == list(FIGURES)
    assert capsys.readouterr().out.count(".png") == len(FIGURES)
