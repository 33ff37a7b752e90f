"""Where results are kept: a file per run, named by its configuration and the code behind it.

A file is written whole or not at all, so that whatever is killed loses only what was in flight.
"""

import ast
import functools
import gzip
import hashlib
import importlib.metadata
import json
import sys
import time
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from analysis.files import write_atomically
from analysis.forms import check_form, read_json
from paper.forms import RESULT
from paper.optimizers import OPTIMIZERS
from paper.tasks import TASKS
from paper.training import Result, Run, train

ROOT = Path(__file__).parents[2]
OURS = ("paper", "reference", "torch_impl")
KERNELS = ("torch_impl.fused.cpu.steps",)
REGISTRIES = ("paper.tasks", "paper.optimizers", "torch_impl")
"""What knows of all tasks and optimizers, of which a run needs one each."""

COLLECTED = ".jsonl.gz"
"""How the files of records end."""

BESIDE = ("error", "code", "made", "seconds")
"""What a record holds beside the result: the code it stands for, and which made it if another."""

FORM = {**RESULT, "error?": str, "code": str, "made?": str, "seconds": float}
"""What the file of a run holds."""


def perform(run: Run, folder: Path) -> Path:
    """Train unless it is done; return the file with the result.

    A run that raises has exploded, and its record says with what "error"; but an error in the
    making of its task is raised.
    """
    path = folder / f"{key(run)}.json"
    if not path.exists():
        started = time.process_time()
        try:
            record = train(run).as_record()
        except Exception as error:  # whatever an optimizer makes of its gradients is what it shows
            TASKS[run.task].make(run.seed)  # a task that cannot be made is no result
            record = Result(run, exploded=True).as_record()
            record["error"] = f"{type(error).__name__}: {error}"
        record.update(code=code(run), seconds=round(time.process_time() - started, 3))
        write_atomically(path, line(record) + "\n")
    return path


def load(path: Path) -> dict[str, Any]:
    """Return the record in a run's file.

    Raises
    ------
    ValueError
        If it is not one.
    """
    record: dict[str, Any] = read_json(path, FORM)
    return record


def result(record: dict[str, Any]) -> Result:
    """Return the result that a record holds."""
    return Result.from_record({k: v for k, v in record.items() if k not in BESIDE})


def line(record: dict[str, Any]) -> str:
    """Return a record as one line of JSON, with five digits of what was measured."""
    short = {k: _rounded(v) for k, v in record.items() if k != "run"}
    return json.dumps({"run": record["run"], **short}, allow_nan=False, ensure_ascii=False)


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    return [float(f"{item:.4g}") for item in value] if isinstance(value, list) else value


def key(run: Run) -> str:
    """Return the name of a run's file: a digest of its configuration and of the code behind it."""
    return hashlib.sha256(f"{configuration(run)} {code(run)}".encode()).hexdigest()[:24]


def configuration(run: Run) -> str:
    """Return what a run is told, but for the name that tables call it by."""
    told = {name: value for name, value in vars(run).items() if name != "method"}
    return json.dumps(told, sort_keys=True)


def code(run: Run) -> str:
    """Return a digest of what a run executes, but for comments and docstrings.

    The training loop, the task's module and arguments, and the optimizer's module, with its kernels
    if it is fused, each with all of ours that they import; and the versions of the packages that
    any of these import.
    """
    make = TASKS[run.task].make
    inner = make.func if isinstance(make, functools.partial) else make
    told = sorted(make.keywords.items()) if isinstance(make, functools.partial) else []
    kernels = KERNELS if run.options.get("fused") else ()
    return _code(inner.__module__, repr(told), OPTIMIZERS[run.optimizer].__module__, kernels)


@functools.cache
def _code(task: str, arguments: str, optimizer: str, kernels: tuple[str, ...]) -> str:
    modules = _imported(["paper.training", task], skipped=REGISTRIES)
    package = optimizer.partition(".")[0]
    if package in OURS:
        modules |= _imported([optimizer, *kernels])
    packages = {package, *(name for path in modules for name in _packages(path))} - {*OURS}
    told = [arguments, *(f"{name} {_version(name)}" for name in sorted(packages))]
    digest = hashlib.sha256("\n".join(told).encode())
    for path in sorted(modules):
        digest.update(_meaning(path).encode())
    return digest.hexdigest()[:12]


@functools.cache
def _version(package: str) -> str:
    """Return the version of an installed package, without that of its build."""
    (distribution, *_) = _distributions()[package]
    return importlib.metadata.version(distribution).partition("+")[0]


_distributions = functools.cache(importlib.metadata.packages_distributions)


@functools.cache
def _packages(path: Path) -> set[str]:
    """Return the packages of others that a file imports at its top level."""
    names = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names.add((node.module or "").partition(".")[0])
    return names - sys.stdlib_module_names


def _imported(roots: Iterable[str], skipped: Iterable[str] = ()) -> set[Path]:
    """Return the files of modules, and of all of ours that they import when they are imported."""
    found: set[Path] = set()
    waiting = list(roots)
    seen = set(skipped)
    while waiting:
        module = waiting.pop()
        path = _file(module)
        if module in seen or path is None:
            continue
        seen.add(module)
        found.add(path)
        waiting += _imports(
            path, module if path.name == "__init__.py" else module.rpartition(".")[0]
        )
    return found


def _file(module: str) -> Path | None:
    """Return the file of a module of ours."""
    base = ROOT.joinpath(*module.split("."))
    if module.partition(".")[0] not in OURS:
        return None
    return next((p for p in (base.with_suffix(".py"), base / "__init__.py") if p.is_file()), None)


@functools.cache
def _imports(path: Path, package: str) -> tuple[str, ...]:
    """Return the modules that a file imports at its top level."""
    return tuple(_imports_of(ast.parse(path.read_text(encoding="utf-8")), package))


def _imports_of(tree: ast.Module, package: str) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".")[: 1 - node.level or None] if node.level else []
            base = ".".join([*parts, *([node.module] if node.module else [])])
            if node.module:  # what is imported from "." are the modules beside this one
                yield base
            yield from (f"{base}.{alias.name}" for alias in node.names)


@functools.cache
def _meaning(path: Path) -> str:
    """Return a source without comments and docstrings."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [item for item in body if not _is_text(item)]  # type: ignore[attr-defined]
    return ast.dump(tree)


def _is_text(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


def collected(folder: Path, name: str) -> Path:
    """Return the file of an experiment's records."""
    return folder / f"{name}{COLLECTED}"


def write_collected(path: Path, records: Iterable[dict[str, Any]]) -> None:
    """Write records into one file, a line each, in an order that is theirs; compressed by gzip."""
    lines = sorted(line(record) for record in records)
    text = "".join(f"{text}\n" for text in lines)
    write_atomically(path, gzip.compress(text.encode("utf-8"), mtime=0))


def read_collected(path: Path) -> list[dict[str, Any]]:
    """Return the records that `write_collected` wrote.

    Raises
    ------
    ValueError
        If it is not compressed, or a line is no record; it says which and what was expected.
    """
    try:
        lines = gzip.decompress(path.read_bytes()).decode("utf-8").splitlines()
    except (gzip.BadGzipFile, EOFError, UnicodeDecodeError, zlib.error) as error:
        raise ValueError(f"{path.name}: expected records, by gzip ({error})") from error
    records = []
    for number, text in enumerate(lines, start=1):
        place = f"{path.name}, line {number}"
        try:
            record = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise ValueError(f"{place} is not JSON: {error}") from error
        check_form(record, FORM, place)
        records.append(record)
    return records


def restore(records: Iterable[dict[str, Any]], folder: Path) -> int:
    """Put back the files of runs that records know, if the code behind them is today's."""
    restored = 0
    for record in records:
        run = Run(**record["run"])
        if run.task in TASKS and run.optimizer in OPTIMIZERS and record["code"] == code(run):
            path = folder / f"{key(run)}.json"
            if not path.exists():
                write_atomically(path, line(record) + "\n")
                restored += 1
    return restored
