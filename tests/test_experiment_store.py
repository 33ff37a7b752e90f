"""A run's file is named by its configuration and its code, is whole, and is made once."""

import gzip
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from paper.experiments import methods, store
from paper.optimizers import OPTIMIZERS
from paper.tasks import TASKS
from paper.training import Run, train


def tiny(task: str = "noisy_quadratic", seed: int = 0, **changes: Any) -> Run:
    run = methods.ADAMW.run(task, 1e-2, seed, 8, "constant")
    return replace(run, **changes)


def of(optimizer: str, **options: Any) -> Run:
    return tiny(optimizer=optimizer, options={"lr": 1e-2, **options})


def test_a_run_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = store.perform(tiny(), tmp_path)
    record = store.load(path)
    assert store.result(record).run == tiny()
    assert record["seconds"] > 0
    monkeypatch.delattr(store, "train")
    assert store.perform(tiny(), tmp_path) == path
    assert [file.name for file in tmp_path.iterdir()] == [path.name]  # nothing half written


def test_a_diverged_run_is_a_result(tmp_path: Path) -> None:
    run = tiny("published_regression", options={"lr": 10.0})
    found = store.result(store.load(store.perform(run, tmp_path)))
    assert (found.exploded, found.score, found.trained) == (True, float("inf"), False)


def test_a_run_that_raises_is_a_result(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(_run: Run) -> None:
        raise ZeroDivisionError("no")

    monkeypatch.setattr(store, "train", fails)
    record = store.load(store.perform(tiny(), tmp_path))
    assert record["error"] == "ZeroDivisionError: no"
    assert store.result(record).score == float("inf")


def test_a_task_that_cannot_be_made_is_no_result(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(_seed: int) -> Any:
        raise FileNotFoundError("no data")

    monkeypatch.setitem(TASKS, "noisy_quadratic", replace(TASKS["noisy_quadratic"], make=missing))
    monkeypatch.setattr(store, "code", lambda _: "of today")
    with pytest.raises(FileNotFoundError, match="no data"):
        store.perform(tiny(), tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_a_run_shows_survives_its_file(tmp_path: Path) -> None:
    record = store.load(store.perform(tiny(), tmp_path))
    found = store.result(record)
    whole = train(tiny())
    assert found.validation_loss == pytest.approx(whole.validation_loss, rel=5e-5)  # five digits
    assert found.train_loss == pytest.approx(whole.train_loss, rel=5e-4)  # four of the curve
    assert store.line(record) == store.line(json.loads(store.line(record)))


@pytest.mark.parametrize(
    "change",
    [
        {"seed": 1},
        {"steps": 9},
        {"schedule": "cosine"},
        {"clip_norm": 1.0},
        {"spike": 2.0},
        {"span": 2},
        {"options": {"lr": 2e-2}},
        {"task": "noisy_double_well"},
        {"optimizer": "Adam"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_every_part_of_a_configuration_is_in_its_name(change: dict[str, Any]) -> None:
    assert store.key(tiny(**change)) != store.key(tiny())


def test_the_name_in_tables_is_not() -> None:
    assert store.key(tiny(method="another")) == store.key(tiny())


def sources(monkeypatch: pytest.MonkeyPatch, changed: str, change: Callable[[str], str]) -> None:
    """Let one source be read as if it had been changed."""
    path, read = store.ROOT / changed, Path.read_text

    def read_text(self: Path, *given: object, **named: object) -> str:
        text: str = read(self, *given, **named)  # type: ignore[arg-type]
        return change(text) if self == path else text

    monkeypatch.setattr(Path, "read_text", read_text)
    store._meaning.cache_clear()
    store._code.cache_clear()


@pytest.fixture(autouse=True)
def _no_code_is_remembered() -> None:
    store._meaning.cache_clear()
    store._code.cache_clear()


LIMITED = of("RelativisticAdam", fused=True)


@pytest.mark.parametrize(
    ("run", "file", "depends"),
    [
        (tiny(), "paper/training.py", True),
        (tiny(), "paper/tasks/landscapes.py", True),
        (tiny(), "paper/tasks/task.py", True),
        (tiny(), "paper/tasks/images.py", False),
        (tiny(), "torch_impl/laws.py", False),
        (LIMITED, "torch_impl/laws.py", True),
        (LIMITED, "torch_impl/fused/cpu/adam.py", True),
        (LIMITED, "torch_impl/handle.py", False),
        (of("RelativisticAdam"), "torch_impl/fused/cpu/adam.py", False),
        (of("limited AdamW"), "torch_impl/handle.py", True),
        (of("limited AdamW"), "paper/optimizers.py", True),
        (of("RAD"), "paper/baselines/rad.py", True),
        (of("RAD"), "paper/baselines/rgd.py", False),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
def test_a_run_depends_on_the_code_that_it_executes(
    run: Run, file: str, depends: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = store.code(run)
    sources(monkeypatch, file, lambda text: text + "\nADDED = 1\n")
    assert (store.code(run) != before) == depends


def test_comments_and_docstrings_are_no_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = store.code(tiny())
    sources(monkeypatch, "paper/training.py", lambda text: f'"""Other words."""\n# more\n{text}')
    assert store.code(tiny()) == before


def test_versions_of_what_runs_are_code(monkeypatch: pytest.MonkeyPatch) -> None:
    before = {name: store.code(of(name)) for name in ("AdamW", "AdaGC")}
    asked: list[str] = []

    def version(name: str) -> str:
        asked.append(name)
        return "2" if name == "pytorch_optimizer" else "2.13.0"

    store._code.cache_clear()
    monkeypatch.setattr("importlib.metadata.version", version)
    store._version.cache_clear()
    assert store.code(of("AdaGC")) != before["AdaGC"]
    assert set(asked) == {"torch", "pytorch_optimizer"}
    store._version.cache_clear()


def test_every_run_that_can_be_named_has_code() -> None:
    for task in TASKS:
        for optimizer in OPTIMIZERS:
            assert len(store.code(tiny(task, optimizer=optimizer))) == 12


def test_what_is_collected_is_read_again(tmp_path: Path) -> None:
    records = [store.load(store.perform(tiny(seed=seed), tmp_path)) for seed in (1, 0)]
    path, again = (store.collected(tmp_path, name) for name in ("once", "again"))
    store.write_collected(path, records)
    store.write_collected(again, reversed(records))
    assert path.read_bytes() == again.read_bytes()
    assert sorted(r["run"]["seed"] for r in store.read_collected(path)) == [0, 1]


@pytest.mark.parametrize("text", ["{", '{"run": {}}', "[]", "1"])
def test_a_line_that_is_no_record_is_named(text: str, tmp_path: Path) -> None:
    path = store.collected(tmp_path, "some")
    store.write_collected(path, [store.load(store.perform(tiny(), tmp_path))])
    with gzip.open(path, "at", encoding="utf-8") as file:
        file.write(text + "\n")
    with pytest.raises(ValueError, match=r"^some\.jsonl\.gz, line 2"):
        store.read_collected(path)


@pytest.mark.parametrize("change", [lambda b: b[:-9], lambda b: b[1:], lambda b: b[:40] + b[41:]])
def test_a_file_that_is_damaged_is_named(change: Any, tmp_path: Path) -> None:
    path = store.collected(tmp_path, "some")
    store.write_collected(path, [store.load(store.perform(tiny(), tmp_path))])
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(ValueError, match=r"^some\.jsonl\.gz: expected records, by gzip \("):
        store.read_collected(path)


def test_what_is_known_is_not_run_again(tmp_path: Path) -> None:
    records = [store.load(store.perform(tiny(), tmp_path / "first"))]
    assert store.restore(records, tmp_path / "second") == 1
    assert store.restore(records, tmp_path / "second") == 0
    (first,), (second,) = ((tmp_path / name).iterdir() for name in ("first", "second"))
    assert (first.name, first.read_bytes()) == (second.name, second.read_bytes())


def test_what_other_code_has_found_is_run_again(tmp_path: Path) -> None:
    record = store.load(store.perform(tiny(), tmp_path / "first"))
    assert store.restore([{**record, "code": "0" * 12}], tmp_path / "second") == 0
