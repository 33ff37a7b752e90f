"""What is fuzzed: every reader of files, and every loader of state, with inputs made from a seed.

A target takes an input to an end: it is taken, or refused with a clear error and nothing changed.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

from torch.optim import AdamW, Optimizer

from analysis.facts import FACTS
from paper import demo
from paper.experiments import store
from paper.manuscript import claims, prose
from paper.manuscript.values import EXPERIMENTS
from paper.readme import RESULTS
from paper.tables import bench
from proofs import exhaustive, registry
from proofs.deep import record
from tests import mutants
from tests.fuzz import readers
from tests.fuzz.loaders import loader
from tests.fuzz.readers import few, short, text_of
from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW, limit_speed


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


TEXT = "a\n<!-- one -->\n<!-- end one -->\nb\n<!-- two -->\nold\n<!-- end two -->\n"


def limited(params: Any) -> Optimizer:
    """Return torch's AdamW with a speed limit, which a hook keeps from loading what it cannot."""
    optimizer = AdamW(params)
    limit_speed(optimizer, 0.1)
    return optimizer


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
    "AdamW.load_state_dict, limited": Target(loader(limited, by_torch=True), 10_000),
    "load_checkpoint": Target(readers.checkpoint, 60_000),
    "paper.readme.filled": Target(text_of(lambda: TEXT, readers.fill, lines=True), 80_000),
    "paper.tables.contract.read": Target(
        text_of(few(RESULTS / "contract.json"), readers.read_counts, "contract.json"), 60_000
    ),
    "paper.demo.read": Target(
        text_of(few(RESULTS / "demo.json", "results"), lambda f: demo.read(f.parent), "demo.json"),
        60_000,
    ),
    "paper.tables.bench.read": Target(
        text_of(few(RESULTS / "bench-cpu.json", "entries"), bench.read), 60_000
    ),
    "tests.benchmarks.records": Target(
        text_of(lambda: '{"of": "these", "judged": true, "ratio": 1.0}', readers.read_benchmark),
        40_000,
    ),
    "proofs.exhaustive.recorded": Target(
        text_of(few(exhaustive.REPORT), readers.read_report), 60_000
    ),
    "proofs.deep.record": Target(text_of(few(record.RECORD), readers.read_record), 5_000),
    "proofs.registry.read": Target(
        text_of(lambda: registry.SOURCE.read_text("utf-8"), registry.read, lines=True), 1_000
    ),
    "paper.experiments.store.load": Target(
        text_of(
            lambda: store.line(readers.experiment(1.0)),
            lambda file: readers.restore([store.load(file)], file.parent),
        ),
        10_000,
    ),
    "paper.experiments.store.read_collected": Target(readers.runs, 10_000),
    "paper.manuscript.answers.read": Target(
        text_of(partial(short, EXPERIMENTS / "answers.json"), readers.read_answers, "answers.json"),
        10_000,
    ),
    "paper.manuscript.claims.read": Target(
        text_of(lambda: claims.SOURCE.read_text("utf-8"), readers.read_claims, lines=True), 5_000
    ),
    "paper.manuscript.prose.constants": Target(
        text_of(
            lambda: (prose.TEXT / "constants.toml").read_text("utf-8"), prose.constants, lines=True
        ),
        10_000,
    ),
    "paper.manuscript.published.read": Target(
        text_of(
            partial(short, RESULTS / "gravity-published.json"),
            readers.read_published,
            "gravity-published.json",
        ),
        10_000,
    ),
    "paper.questions.report.read_machine": Target(
        text_of(
            partial(short, EXPERIMENTS / "environment.json"),
            readers.read_machine,
            "environment.json",
        ),
        10_000,
    ),
    **{
        f"paper.tables.{name}.read": Target(
            text_of(partial(short, RESULTS / f"{name}.json"), read, f"{name}.json"), inputs
        )
        for name, read, inputs in (
            ("faults", readers.read_faults, 10_000),
            ("fuzz", readers.read_fuzz, 10_000),
            ("mutants", readers.read_mutants, 10_000),
            ("scores", readers.read_scores, 10_000),
            ("thorough", readers.read_thorough, 10_000),
        )
    },
    "docs.derived.read": Target(
        text_of(
            lambda: json.dumps({law: {"sup ρ": "1", "sup φ": "1"} for law in FACTS}),
            readers.read_facts,
        ),
        10_000,
    ),
    "tests.mutants.read_reasons": Target(
        text_of(lambda: mutants.REASONS.read_text("utf-8"), readers.read_reasons, lines=True),
        5_000,
    ),
}
"""What is fuzzed, by name."""
