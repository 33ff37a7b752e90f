"""What is fuzzed: every reader of files, and every loader of state, with inputs made from a seed.

A target takes an input to an end: it is taken, or refused with a clear error and nothing changed.
"""

import copy
import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch.optim import AdamW, Optimizer

from paper import demo, readme
from paper.tables import bench, contract, theorems
from proofs import exhaustive, registry
from proofs.deep import record
from tests.benchmarks import records
from tests.benchmarks.suite import Key
from tests.fuzz.changes import anything, changed_bytes, changed_lines, changed_some, plain
from torch_impl import (
    Gravity,
    RelativisticAdam,
    RelativisticAdamW,
    SpeedLimitHandle,
    limit_speed,
    load_checkpoint,
    save_checkpoint,
)

RESULTS = readme.RESULTS
ENTRIES = registry.read()

CLEAR = (ValueError, OSError)
"""Errors that say what is wrong with an input; another one is a finding."""

CONTRADICTION = RuntimeError
"""What options that contradict each other raise besides."""


class FindingError(AssertionError):
    """An input that was neither taken nor refused as it should be."""


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Attributes
    ----------
    make
        Takes a folder of its own and returns what takes one input, made from a `Random`, to its
        end: True if it was taken, False if it was refused.
    inputs
        How many a run of a million and more takes.
    """

    make: Callable[[Path], Callable[[Random], bool]]
    inputs: int


class Trained(NamedTuple):
    """Something whose state can be loaded, and what must not change when a state is refused."""

    optimizer: Optimizer
    handle: SpeedLimitHandle | None

    @property
    def loads(self) -> Any:
        return self.optimizer if self.handle is None else self.handle

    def parts(self) -> list[Any]:
        """Return every number that it holds, in an order."""
        optimizer = self.optimizer
        saved = [optimizer.state_dict(), optimizer.defaults]
        if self.handle is not None:
            saved.append(self.handle.state_dict())
        return [[p for group in optimizer.param_groups for p in group["params"]], *saved]


def trained(make: Callable[[Any], Any]) -> Trained:
    """Return what has taken two steps on three parameters in two groups."""
    generator = torch.Generator().manual_seed(0)
    leaves = [torch.randn(shape, generator=generator) for shape in ((3,), (2, 2), ())]
    params = [leaf.requires_grad_() for leaf in leaves]
    made = make([{"params": params[:2]}, {"params": params[2:], "lr": 0.01}])
    handle = made if isinstance(made, SpeedLimitHandle) else None
    optimizer = made if handle is None else handle._optimizer
    for _ in range(2):
        for param in params:
            param.grad = torch.ones_like(param)
        optimizer.step()
    return Trained(optimizer, handle)


def same(one: Any, other: Any) -> bool:
    """Whether nested data is the same, of tensors every bit."""
    if isinstance(one, torch.Tensor):
        return (
            isinstance(other, torch.Tensor)
            and one.dtype == other.dtype
            and one.shape == other.shape
            and one.detach().numpy().tobytes() == other.detach().numpy().tobytes()
        )
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and bool(one == other)


def loader(make: Callable[[Any], Any]) -> Callable[[Path], Callable[[Random], bool]]:
    """Return a target that loads changed state dicts, and takes a step after what was taken."""

    def prepared(_: Path) -> Callable[[Random], bool]:
        valid = copy.deepcopy(trained(make).loads.state_dict())
        held: list[tuple[Trained, list[Any]]] = []

        def take(random: Random) -> bool:
            if not held:
                subject = trained(make)
                held.append((subject, copy.deepcopy(subject.parts())))
            subject, before = held[0]
            try:
                subject.loads.load_state_dict(changed_some(random, valid, anything))
            except (*CLEAR, CONTRADICTION) as error:
                if not str(error):
                    raise FindingError("the error says nothing") from error
                if not same(before, subject.parts()):
                    raise FindingError(f"changed, though refused: {error}") from error
                return False
            held.clear()
            subject.optimizer.step()
            return True

        return take

    return prepared


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
        return _taken(lambda: load_checkpoint(file))

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
            return _taken(lambda: read(file))

        return take

    return prepared


def _taken(read: Callable[[], Any]) -> bool:
    try:
        read()
    except CLEAR as error:
        if not str(error):
            raise FindingError("the error says nothing") from error
        return False
    return True


def few(path: Path, rows: str | None = None, count: int = 6) -> Callable[[], str]:
    """Return a reader of a file of results with few of its rows, which is valid too, and short."""

    def text() -> str:
        data = json.loads(path.read_text(encoding="utf-8"))
        if rows is not None:
            data[rows] = data[rows][:: max(1, len(data[rows]) // count)]
        return json.dumps(data)

    return text


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
        mock.patch.object(records, "fingerprint", return_value="these"),
        mock.patch.object(records.Records, "_path", return_value=file),
    ):
        records.Records(file.parent, "cpu").get(Key("steps", "a", "b"))


def fill(file: Path) -> None:
    """Bring a text's blocks up to date."""
    readme.filled(file.read_text(encoding="utf-8"), {"one": "1", "two": "2"})


TEXT = "a\n<!-- one -->\n<!-- end one -->\nb\n<!-- two -->\nold\n<!-- end two -->\n"

TARGETS: Mapping[str, Target] = {
    "RelativisticAdam.load_state_dict": Target(loader(RelativisticAdam), 150_000),
    "RelativisticAdamW.load_state_dict": Target(
        loader(partial(RelativisticAdamW, on_nonfinite="skip", speed_limit="auto")), 80_000
    ),
    "Gravity.load_state_dict": Target(loader(partial(Gravity, alpha=0.0)), 200_000),
    "SpeedLimitHandle.load_state_dict": Target(
        loader(lambda params: limit_speed(AdamW(params), 0.1)), 120_000
    ),
    "SpeedLimitHandle.load_state_dict, gradients": Target(
        loader(lambda params: limit_speed(AdamW(params), "auto", placement="gradient")), 80_000
    ),
    "load_checkpoint": Target(checkpoint, 60_000),
    "paper.readme.filled": Target(text_of(lambda: TEXT, fill, lines=True), 80_000),
    "paper.tables.contract.read": Target(
        text_of(few(RESULTS / "contract.json"), read_counts, "contract.json"), 60_000
    ),
    "paper.demo.read": Target(
        text_of(few(RESULTS / "demo.json", "results"), lambda f: demo.read(f.parent), "demo.json"),
        60_000,
    ),
    "paper.tables.bench.read": Target(
        text_of(few(RESULTS / "bench-cpu.json", "entries"), bench.read), 60_000
    ),
    "tests.benchmarks.records": Target(
        text_of(lambda: '{"of": "these", "judged": true, "ratio": 1.0}', read_benchmark), 40_000
    ),
    "proofs.exhaustive.recorded": Target(text_of(few(exhaustive.REPORT), read_report), 60_000),
    "proofs.deep.record": Target(text_of(few(record.RECORD), read_record), 5_000),
    "proofs.registry.read": Target(
        text_of(lambda: registry.SOURCE.read_text("utf-8"), registry.read, lines=True), 1_000
    ),
}
"""What is fuzzed, by name."""
