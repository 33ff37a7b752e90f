"""Mutation testing: ``python -m tests.mutants [target …]``.

mutmut changes one thing at a time in a copy of the tree, build/mutants/<target>, and runs the tests
that reach it. It goes on where it was cut off, and with what has changed since. What survives, or
is run by no test but when its module is imported, is tried again in a process of its own, where the
change is there from the start, unless there is a reason for it. Results go to
paper/results/mutants.json.
"""

import argparse
import contextlib
import json
import os
import platform
import re
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatch
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import hypothesis.extra.numpy  # noqa: F401  # as torch: that the processes need not import them
import pytest
import torch  # noqa: F401
from mutmut.mutation.diff_apply import get_diff_for_mutant

from analysis.files import write_atomically
from analysis.forms import read_json, read_toml
from paper.tables.mutants import FORM

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "build" / "mutants"
RESULTS = ROOT / "paper" / "results" / "mutants.json"
REASONS = Path(__file__).with_name("mutants.toml")
COPIED = ("reference", "torch_impl", "analysis", "proofs", "paper", "tests", "docs")
FILES = ("README.md", "Makefile", "constraints.txt", "requirements.lock", "pyproject.toml")

REASONS_FORM = {"survivor": [dict.fromkeys(("in", "change", "reason"), str)]}
"""What the file of reasons holds: patterns of places and changes, and what is said of them."""

KILLED, TIMEOUT = (1, 3), (24, -24, 152, 255, 36)
"""Exit codes of mutmut's workers."""


@dataclass(frozen=True)
class Target:
    """What is mutated.

    Attributes
    ----------
    files
        The sources, as patterns.
    tests
        The tests that are run, fast ones.
    anew
        Those of them that are run in a process of its own for what survives.
    """

    files: Sequence[str]
    tests: Sequence[str]
    anew: Sequence[str]


def _named(*names: str) -> list[str]:
    return [f"tests/test_{name}.py" for name in names]


def _detailed(*names: str) -> list[str]:
    return [f"tests/details/test_{name}.py" for name in names]


_OF_NORMS = _detailed("operations", "batches", "measures", "limits", "limiter")

_OF_OPTIMIZERS = [
    *_detailed("steps", "kernels", "options", "messages", "schedules", "judged", "stepping"),
    *_detailed("velocities", "states"),
    "tests/contract/test_arguments.py::test_invalid_options_are_named",
]

TARGETS: Mapping[str, Target] = {
    "reference": Target(
        ["reference/*"],
        [
            "reference",
            *_named("reference_details", "laws", "claims", "limit", "reference_steps"),
            *_named("published", "regime"),
        ],
        _named("reference_details"),
    ),
    "proofs": Target(
        [f"proofs/{name}.py" for name in ("registry", "entry", "methods", "outcome", "check")],
        _named("registry_details"),
        _named("registry_details"),
    ),
    "laws": Target(
        ["torch_impl/laws.py"],
        _named("torch_laws", "torch_laws_details"),
        _named("torch_laws_details"),
    ),
    "norms": Target(
        [
            f"torch_impl/{name}.py"
            for name in ("arithmetic", "batches", "measures", "limit", "limiter")
        ],
        _OF_NORMS,
        _OF_NORMS,
    ),
    "optimizers": Target(
        [f"torch_impl/{name}.py" for name in ("adam", "gravity", "relativistic")],
        _OF_OPTIMIZERS,
        _OF_OPTIMIZERS,
    ),
    "base": Target(
        [f"torch_impl/{name}.py" for name in ("base", "schedules")],
        _OF_OPTIMIZERS,
        _OF_OPTIMIZERS,
    ),
}
"""What is mutated, by name."""


def copied(name: str) -> Path:
    """Return a copy of the tree for a target, brought up to date."""
    target, folder = TARGETS[name], FOLDER / name
    for room in COPIED:
        shutil.rmtree(folder / room, ignore_errors=True)
        if (ROOT / room).is_dir():
            ignored = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / room, folder / room, ignore=ignored)
    for file in FILES:
        shutil.copy2(ROOT / file, folder / file)
    for file, path, _ in list(_records(folder)):
        if not any(fnmatch(file, pattern) for pattern in target.files):
            path.unlink()  # of when the target was another
    rooms = list(dict.fromkeys(pattern.partition("/")[0] for pattern in target.files))
    settings = {
        "source_paths": rooms,
        "only_mutate": list(target.files),
        "also_copy": [*(room for room in COPIED if room not in rooms), *FILES],
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-n", "0", "--no-header"],
        "pytest_add_cli_args_test_selection": list(target.tests),
        "use_git_change_detection": False,
        "track_dependencies": False,
    }
    lines = [f"{key} = {json.dumps(value)}" for key, value in settings.items()]
    with (folder / "pyproject.toml").open("a", encoding="utf-8") as project:
        project.write("\n".join(["", "[tool.mutmut]", *lines, ""]))
    return folder


def mutated(name: str) -> Path:
    """Run mutmut on a target; return the folder with what it knows."""
    folder = copied(name)
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", "2"]
    subprocess.run(command, cwd=folder, check=True, env=_environment())
    retry(name, folder)
    return folder


def retry(name: str, folder: Path) -> None:
    """Run tests in processes of their own on what survives without a reason, and record deaths."""
    survivors = [row["mutant"] for row in survived(folder) if not row["reason"]]
    tasks = [(folder, name, mutant) for mutant in survivors]
    with get_context("fork").Pool(2, maxtasksperchild=1) as pool:
        if pool.apply(_dies_anew, [(folder, name, "")]):
            raise RuntimeError(f"{TARGETS[name].anew} fail on what has not been changed")
        for mutant, dies in zip(survivors, pool.imap(_dies_anew, tasks), strict=True):
            if dies:
                _record(folder, mutant, KILLED[0])


def _environment(**more: str) -> dict[str, str]:
    return {**os.environ, "HYPOTHESIS_PROFILE": "ci", **more}


def _dies_anew(task: tuple[Path, str, str]) -> bool:
    """Return whether a mutant fails tests in this process, which imports the sources for them."""
    folder, name, mutant = task
    os.chdir(folder / "mutants")
    os.environ.update(_environment(MUTANT_UNDER_TEST=mutant))
    sys.path[:] = [str(folder / "mutants"), *(p for p in sys.path if Path(p).resolve() != ROOT)]
    for module in list(sys.modules):
        if module.partition(".")[0] in COPIED:
            del sys.modules[module]
    early = "ignore::pytest.PytestAssertRewriteWarning"  # of what is imported already
    options = ["-x", "-q", "-p", "no:cacheprovider", "-W", early]
    with open(os.devnull, "w", encoding="utf-8") as nothing, contextlib.redirect_stdout(nothing):
        return pytest.main([*options, *TARGETS[name].anew]) != 0


def _records(folder: Path) -> Iterator[tuple[str, Path, dict[str, Any]]]:
    """Yield each mutated file, where mutmut keeps what it knows of it, and what that is."""
    for path in sorted((folder / "mutants").rglob("*.py.meta")):
        file = path.relative_to(folder / "mutants").as_posix().removesuffix(".meta")
        yield file, path, json.loads(path.read_text(encoding="utf-8"))


def codes(folder: Path) -> Iterator[tuple[str, str, int | None]]:
    """Yield file, mutant and exit code (None for one that was not run)."""
    for file, _, record in _records(folder):
        for mutant, code in record["exit_code_by_key"].items():
            yield file, mutant, code


def _record(folder: Path, mutant: str, code: int) -> None:
    for _, path, record in _records(folder):
        if mutant in record["exit_code_by_key"]:
            record["exit_code_by_key"][mutant] = code
            write_atomically(path, json.dumps(record))


def change(folder: Path, file: str, mutant: str) -> list[str]:
    """Return the lines that a mutant takes away and puts there."""
    with contextlib.chdir(folder):
        lines = get_diff_for_mutant(mutant, path=file).splitlines()[2:]
    changed = [re.sub(r"\s+", " ", line) for line in lines if re.match(r"[+-]", line)]
    return [line for line in changed if "__mutmut_" not in line] or changed


def report(name: str, folder: Path) -> dict[str, Any]:
    """Return the counts of a target by file, and its survivors with the reasons for each."""
    files: dict[str, Counter[str]] = {}
    for file, _, code in codes(folder):
        files.setdefault(file, Counter())[outcome_of(code)] += 1
    survivors = [
        {key: value for key, value in row.items() if key not in {"mutant", "code"}}
        for row in survived(folder)
        if outcome_of(row["code"]) == "survived"
    ]
    return {"tests": list(TARGETS[name].tests), "files": files, "survivors": survivors}


def outcome_of(code: int | None) -> str:
    """Return what an exit code says has become of a mutant."""
    if code is None:
        return "not run"
    return "killed" if code in KILLED else "timeouts" if code in TIMEOUT else "survived"


def survived(folder: Path) -> list[dict[str, Any]]:
    """Return the mutants that no test kills, or none was run on, and why they are left."""
    reasons = read_reasons(REASONS)
    rows = []
    for file, mutant, code in codes(folder):
        if outcome_of(code) in {"killed", "timeouts"}:
            continue
        function = re.sub(r"^x_|^xǁ|__mutmut_\d+$", "", mutant.rpartition(".")[2])
        function, lines = function.replace("ǁ", "."), change(folder, file, mutant)
        reason = reason_for(reasons, file, function, lines)
        row = {"file": file, "function": function, "change": lines, "reason": reason}
        rows.append({"mutant": mutant, "code": code, **row})
    return rows


def read_reasons(path: Path) -> list[dict[str, str]]:
    """Return why mutants are left.

    Raises
    ------
    ValueError
        If the file has another form, or a pattern is none.
    """
    reasons: list[dict[str, str]] = read_toml(path, REASONS_FORM)["survivor"]
    for entry in reasons:
        for key in ("in", "change"):
            try:
                re.compile(entry[key])
            except (re.error, RecursionError, OverflowError) as error:
                raise ValueError(
                    f"{path.name} has {key} = {entry[key]!r}: expected a pattern ({error})"
                ) from error
    return reasons


def reason_for(
    reasons: Sequence[Mapping[str, str]], file: str, function: str, lines: Sequence[str]
) -> str:
    """Return why a survivor is left: of the first entry that knows it; empty for none."""
    for entry in reasons:
        known = re.fullmatch(entry["in"], f"{file}:{function}")
        if known and re.search(entry["change"], "\n".join(lines)):
            return entry["reason"]
    return ""


def main(arguments: Sequence[str]) -> int:
    """Mutate targets and write the results; return how many survivors have no reason."""
    parser = argparse.ArgumentParser(prog="python -m tests.mutants", description=__doc__)
    parser.add_argument("target", nargs="*", choices=[*TARGETS, []], help="all by default")
    parser.add_argument("--report", action="store_true", help="only write what there is")
    given = parser.parse_args(arguments)
    found = {}
    if RESULTS.exists():
        found = read_json(RESULTS, FORM)["targets"]
    for name in given.target or TARGETS:
        folder = FOLDER / name if given.report else mutated(name)
        found[name] = report(name, folder)
    versions = {"python": platform.python_version(), "mutmut": version("mutmut")}
    record = {"versions": versions, "targets": found}
    write_atomically(RESULTS, json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    left = [row for target in found.values() for row in target["survivors"] if not row["reason"]]
    sys.stdout.write(f"{len(left)} survivors without a reason; written: {RESULTS}\n")
    return len(left)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
