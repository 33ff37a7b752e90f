"""What the texts take from the experiments: ``python -m paper.questions.report``."""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from analysis.files import write_atomically
from analysis.forms import read_json
from paper.experiments.design import CONFIRMATION, CONSTANT_C, PROFILES, SEEDS, Profile
from paper.experiments.evidence import Evidence, folder_of, read
from paper.experiments.methods import ADAMW
from paper.manuscript.answers import ABSTRACT_NOT_YET
from paper.tasks import TASKS

from . import QUESTIONS
from .answer import Answer
from .windows import EVERY_TASK, of_main

FIGURES: Mapping[str, tuple[str, str]] = {
    "windows": (
        "windows.pdf",
        "Validation score by learning rate (cosine): median and 95 % interval, which of five seeds "
        "is their range. Dotted: the score from which a run counts as trained.",
    ),
    "preset": (
        "preset.pdf",
        "Regret against AdamW + clip_grad_norm_ at its best rate, a line for each task (* of the "
        "half on which the setting was confirmed). Grey: within noise.",
    ),
    "tuned": (
        "factorial.pdf",
        "Every method at nine constant learning rates: median validation error, × where it misses "
        "the goal, in brackets how many of the cell's runs exploded. Light: more learned.",
    ),
    "moved": (
        "maps.pdf",
        "Median score by learning rate and speed limit; × where it misses the goal. Light: more "
        "learned.",
    ),
    "spikes": (
        "spikes.pdf",
        "Training loss of runs with one gradient 10⁴ times as large, over that of the same runs "
        "without: median of the seeds.",
    ),
    "widths": (
        "widths.pdf",
        "Median validation error by speed limit, for five widths and three units.",
    ),
}
"""Figure and caption of a question."""

ASKED: Mapping[str, Sequence[str]] = {
    "high-learning-rates": EVERY_TASK,
    "deep-networks": ("deep_tanh", "post_ln_gpt"),
    "rnns": ("adding_100", "adding_200", "byte_lstm"),
    "transformers": ("byte_gpt", "post_ln_gpt", "byte_gpt_bf16"),
    "mixed-precision": ("digits_bf16", "byte_gpt_bf16"),
}
"""Sentences of the published README that experiments decide, and the tasks that they are about."""


def verdict(evidence: Evidence, tasks: Sequence[str]) -> dict[str, str]:
    """Return whether a constant limit makes more learning rates train than AdamW has, on tasks.

    The limit is the one that was fixed before the runs; that of the search is told beside it.
    """
    chosen = evidence.chosen["constant"]
    ours, theirs, searched = (
        [
            int((np.median(of_main(evidence, task, method), axis=1) <= TASKS[task].goal).sum())
            for task in tasks
        ]
        for method in (CONSTANT_C, ADAMW, chosen)
    )
    more = [one > other for one, other in zip(ours, theirs, strict=True)]
    fewer = [one < other for one, other in zip(ours, theirs, strict=True)]
    somewhere = any(more) or any(one > other for one, other in zip(searched, theirs, strict=True))
    word = "holds" if all(more) else "partly" if somewhere else "fails"
    return {
        "verdict": word,
        "because": f"Rates that train over {len(tasks)} tasks: {ADAMW.name} {sum(theirs)}; "
        f"{CONSTANT_C.name} {sum(ours)} (more on {sum(more)}, fewer on {sum(fewer)}); "
        f"{chosen.name}, of the search, {sum(searched)}.",
    }


MACHINE = {"versions": {str: str}, **dict.fromkeys(("processor", "commit", "day"), str)}
"""What environment.json holds: what the experiments were run on."""


def read_machine(folder: Path) -> dict[str, Any] | None:
    """Return what the experiments were run on, None where no file says it."""
    file = folder / "environment.json"
    return read_json(file, MACHINE) if file.exists() else None


def environment(evidence: Evidence, answered: int, machine: Mapping[str, Any] | None) -> str:
    """Say what was run, and on what."""
    ran = (
        f"{answered} of {len(QUESTIONS)} questions are answered; {evidence.runs:,} runs, "
        f"{len(SEEDS)} seeds a cell (10 for the shape of the law), "
        f"{evidence.hours:.1f} CPU-hours, {evidence.exploded:,} runs exploded"
    )
    if machine is None:
        return f"{ran}."
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    return (
        f"{ran}; one thread a run on {machine['processor']}, {versions}, at commit "
        f"{machine['commit']}, {machine['day']}."
    )


def report(evidence: Evidence, machine: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return what answers.json holds: the questions whose runs are all there.

    Parameters
    ----------
    evidence
        The runs.
    machine
        What environment.json holds, None where there is none.
    """
    found = {name: answer for name in QUESTIONS if (answer := _answered(name, evidence))}
    claims = {}
    for key, tasks in ASKED.items():
        with suppress(LookupError):
            claims[key] = verdict(evidence, tasks)
    return {
        "environment": environment(evidence, len(found), machine),
        "abstract": _abstract(evidence, found),
        "questions": {name: _entry(name, answer) for name, answer in found.items()},
        **({"factorial": found["tuned"].tables["factorial"]} if "tuned" in found else {}),
        "claims": claims,
    }


def _answered(name: str, evidence: Evidence) -> Answer | None:
    try:
        return QUESTIONS[name](evidence)
    except LookupError:
        return None


def _abstract(evidence: Evidence, found: Mapping[str, Answer]) -> str:
    """Return the abstract's sentences on the three questions that it tells of."""
    if not {"windows", "tuned", "preset"} <= found.keys():
        return ABSTRACT_NOT_YET
    compared = {
        "better": "better than",
        "worse": "worse than",
        "no difference shown": "not shown to differ from",
    }
    _, _, tuned = found["tuned"].verdict.rpartition(": ")
    flat, _, _ = found["preset"].finding.partition(";")
    return (
        f"In {evidence.runs:,} runs on {len(TASKS)} tasks, {len(CONFIRMATION)} of which confirm "
        f"what others have chosen, the window of learning rates is {found['windows'].verdict} with "
        "a limit that decays with the rate, and the result at tuned rates is "
        f"{compared[tuned]} that of AdamW with clipping. Is one fixed setting as good as that, at "
        f"any rate over three decades? {found['preset'].verdict.capitalize()}: {flat}."
    )


def _entry(name: str, answer: Answer) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "asked": answer.question,
        "statistic": answer.statistic,
        "verdict": answer.verdict,
        "answer": answer.finding,
        "table": [list(row) for row in answer.tables[name if name != "moved" else "maps"]],
    }
    if name in FIGURES:
        entry["figure"], entry["caption"] = FIGURES[name]
    return entry


def rows(found: Mapping[str, Any]) -> list[list[str]]:
    """Return the README's table: a question, its answer, and the numbers behind it.

    Of what `paper.manuscript.answers.filled` returns.
    """
    body = [
        [entry["title"], f"**{entry['verdict']}**" if entry["verdict"] else "–", entry["answer"]]
        for entry in found["questions"].values()
    ]
    return [["question", "answer", "measured"], *body]


def write(path: Path, found: Mapping[str, Any]) -> None:
    """Write answers.json."""
    write_atomically(path, json.dumps(found, indent=1, ensure_ascii=False) + "\n")


def main(arguments: Sequence[str]) -> None:
    """Answer the questions from the records of a profile."""
    parser = argparse.ArgumentParser(prog="python -m paper.questions.report", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="full")
    profile: str = parser.parse_args(arguments).profile
    folder = folder_of(profile)
    write(folder / "answers.json", made(PROFILES[profile], folder))


def made(profile: Profile, folder: Path) -> dict[str, Any]:
    """Return the report of the records in a folder."""
    return report(read(profile, folder), read_machine(folder))


if __name__ == "__main__":
    main(sys.argv[1:])
