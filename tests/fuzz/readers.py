"""Readers of files, each with what makes tables of what it has read."""

import gzip
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any
from unittest import mock

import torch

from analysis.files import markdown
from docs import derived, pieces
from paper import readme
from paper.experiments import store
from paper.experiments.design import PROFILES
from paper.experiments.evidence import Evidence
from paper.manuscript import answers, claims, published
from paper.questions import report
from paper.tables import (
    contract,
    faults,
    fuzz,
    mutants,
    scores,
    theorems,
    thorough,
)
from paper.training import Result, Run
from proofs import exhaustive, registry
from proofs.deep import record
from tests.benchmarks import records as benchmarks
from tests.benchmarks.suite import Key
from tests.fuzz.changes import changed_bytes, changed_lines, changed_some, plain
from tests.fuzz.outcomes import is_taken
from tests.mutants import read_reasons as read_reasons_of_mutants
from tests.mutants import reason_for
from torch_impl import load_checkpoint, save_checkpoint

ENTRIES = registry.read()

VALUES = {path: "1" for claim in claims.read() for path in claims.paths(claim["because"])}
"""Values for what the published sentences ask for."""


def checkpoint(folder: Path) -> Callable[[Random], bool]:
    """Return a target that reads changed files: one in two says the right digest all the same."""
    file = folder / "whole.pt"
    save_checkpoint({"weight": torch.arange(6.0), "names": ["a"], "nested": {"lr": 0.1}}, file)
    whole = file.read_bytes()
    end = whole[-24:]
    body = whole[: -24 - hashlib.sha256().digest_size]

    def take(random: Random) -> bool:
        forged = random.random() < 0.5
        found = changed_bytes(random, body if forged else whole)
        if forged:
            found += hashlib.sha256(found).digest() + end
        file.write_bytes(found)
        return is_taken(lambda: load_checkpoint(file))

    return take


def text_of(
    text: Callable[[], str],
    read: Callable[[Path], Any],
    name: str = "input.txt",
    *,
    lines: bool = False,
) -> Callable[[Path], Callable[[Random], bool]]:
    """Return a target that reads a changed text: its bytes, and its lines or its data as JSON."""

    def prepared(folder: Path) -> Callable[[Random], bool]:
        valid, file = text(), folder / name
        data = None if lines else json.loads(valid)

        def take(random: Random) -> bool:
            if random.random() < 0.3:
                file.write_bytes(changed_bytes(random, valid.encode()))
            elif lines:
                file.write_text(changed_lines(random, valid), encoding="utf-8")
            else:
                file.write_text(json.dumps(changed_some(random, data, plain)), encoding="utf-8")
            return is_taken(lambda: read(file))

        return take

    return prepared


def few(path: Path, rows: str | None = None, count: int = 6) -> Callable[[], str]:
    """Return a reader of a file of results with few of its rows, which is valid too, and short."""

    def text() -> str:
        data = json.loads(path.read_text(encoding="utf-8"))
        if rows is not None:
            data[rows] = data[rows][:: max(1, len(data[rows]) // count)]
        return json.dumps(data)

    return text


def short(path: Path) -> str:
    """Return a file of results with the first three of every list and the first dozen of all keys.

    It is valid where what belongs together has the same keys.
    """
    return json.dumps(_shortened(json.loads(path.read_text(encoding="utf-8"))))


def _shortened(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _shortened(data[key]) for key in sorted(data)[:12]}
    return [_shortened(item) for item in data[:3]] if isinstance(data, list) else data


def runs(folder: Path) -> Callable[[Random], bool]:
    """Return a target that reads changed records of runs: their bytes, or lines packed again."""
    file = folder / f"runs{store.COLLECTED}"
    kept = [experiment(clip_norm=clip, error=error) for clip, error in ((None, ""), (1.0, "NaN"))]
    store.write_collected(file, kept)
    whole = file.read_bytes()

    def take(random: Random) -> bool:
        if random.random() < 0.3:
            file.write_bytes(changed_bytes(random, whole))
        else:
            lines = [json.dumps(changed_some(random, run, plain)) for run in kept]
            if random.random() < 0.3:
                lines = changed_lines(random, "\n".join(lines)).split("\n")
            text = "\n".join(random.choices([*lines, *map(json.dumps, kept)], k=2))
            file.write_bytes(gzip.compress(text.encode()))
        return is_taken(lambda: restore(store.read_collected(file), folder))

    return take


def experiment(clip_norm: float | None = None, error: str = "") -> dict[str, Any]:
    """Return what is kept of a run that has not been made."""
    run = Run("AdamW", "digits", "AdamW", {"lr": 0.001}, 300, 0, clip_norm=clip_norm)
    record = Result(run, 300, train_loss=[2.0, 1.5], validation_loss=0.5).as_record()
    record.update(code=store.code(run), seconds=1.5)
    return {**record, "error": error} if error else record


def restore(runs: Sequence[dict[str, Any]], folder: Path) -> None:
    """Take records for results, write them again, and put them back where they were made."""
    for run in runs:
        store.configuration(store.result(run).run)
        store.line(run)
    with TemporaryDirectory(dir=folder) as restored:
        store.restore(runs, Path(restored))


def read_answers(file: Path) -> None:
    """Read the answers of the experiments, and make the tables of texts and site."""
    found = answers.filled(answers.read(file.parent))
    markdown(report.rows(found))
    pieces.decisions(found)
    pieces.questions(found)
    claims.judged(claims.read(), VALUES, found["claims"])
    markdown(found.get("factorial") or [["no", "rows"]])


def read_claims(file: Path) -> None:
    """Read the published sentences, and fill in values."""
    claims.judged(claims.read(file), VALUES, {})


def read_published(file: Path) -> None:
    """Read the published numbers, and make their table."""
    found = published.read(file.parent)
    markdown(published.rows(found))
    published.wins(found)


def read_machine(file: Path) -> None:
    """Read what the experiments were run on, and say it."""
    report.environment(Evidence(PROFILES["full"], {}), 0, report.read_machine(file.parent))


def read_faults(file: Path) -> None:
    """Read what faults have done, and make its tables."""
    faults.blocks(file.parent)


def read_scores(file: Path) -> None:
    """Read the scores, and make their tables."""
    scores.blocks(file.parent)


def read_fuzz(file: Path) -> None:
    """Read what fuzzing has found, and make its table."""
    found = fuzz.read(file.parent)
    markdown(fuzz.rows(found))
    fuzz.environment(found)


def read_mutants(file: Path) -> None:
    """Read what has become of mutants, and make its tables."""
    found = mutants.read(file.parent)
    markdown(mutants.rows(found))
    markdown(mutants.survivors(found))


def read_thorough(file: Path) -> None:
    """Read what the thorough run has found, and make its table."""
    found = thorough.read(file.parent)
    markdown(thorough.rows(found))
    thorough.environment(found)


def read_facts(file: Path) -> None:
    """Read what follows from the laws, and make its sections."""
    pieces.laws(derived.read(file))


def read_reasons(file: Path) -> None:
    """Read why mutants are left, and look for one's reason."""
    reason_for(read_reasons_of_mutants(file), "torch_impl/laws.py", "f", ["- a", "+ b"])


def read_record(file: Path) -> None:
    """Read a record of the deep tier, decide what rests on it, and say what it was."""
    digest = record.recorded()["digest"]
    with mock.patch.multiple(record, RECORD=file, digest=lambda: digest):
        for entry in ENTRIES.values():
            if "Coq" in entry.methods:
                record.decide(entry)
        theorems.axioms()
        theorems.deep_run()


def read_report(file: Path) -> None:
    """Read a report of the enumeration, decide what rests on it, and say what it was."""
    with mock.patch.object(exhaustive, "REPORT", file):
        for name in exhaustive.EXPECTATIONS:
            exhaustive.decide(name)
        theorems.enumeration()


def read_counts(file: Path) -> None:
    """Read the counts of the contract tests, and make their tables."""
    found = contract.read(file.parent)
    contract.works_with_rows(found)
    contract.distributed_rows(found)
    contract.environment(found)


def read_benchmark(file: Path) -> None:
    """Read the record of one benchmark."""
    with (
        mock.patch.object(benchmarks, "fingerprint", return_value="these"),
        mock.patch.object(benchmarks.Records, "_path", return_value=file),
    ):
        benchmarks.Records(file.parent, "cpu").get(Key("steps", "a", "b"))


def fill(file: Path) -> None:
    """Bring a text's blocks up to date."""
    readme.filled(file.read_text(encoding="utf-8"), {"one": "1", "two": "2"})
