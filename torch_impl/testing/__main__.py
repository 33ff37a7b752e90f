"""``python -m subluminal.testing package.module:Class``: check an optimizer from a shell."""

import argparse
import ast
import importlib
import json
import os
import sys
from pathlib import Path
from typing import Any

from . import CHECKS, Report, Subject, run_checks
from .extras import need


def main(arguments: list[str] | None = None) -> int:
    """Run checks as the arguments say; return 1 if one fails, else 0.

    Raises
    ------
    SystemExit
        With status 2 if the arguments are not valid, and with 0 after ``--help``.
    """
    parser = _parser()
    given = parser.parse_args(arguments)
    if given.list:
        for check in CHECKS.values():
            notes = ", costly" * check.costly + ", strict" * bool(check.beyond_torch)
            print(f"{check.name} ({check.topic}{notes})")
        return 0
    need("tqdm")
    try:
        if given.json is not None and not given.json.absolute().parent.is_dir():
            raise ValueError(f"--json {given.json}: expected a folder that exists")
        subject = Subject(_found(given.optimizer), dict(map(_option, given.option)), given.strict)
        report = run_checks(
            subject, only=given.only, costly=not given.no_costly, progress=not given.quiet
        )
    except ValueError as error:
        parser.error(str(error))
    print(report)
    if given.json is not None:
        _write(given.json, report)
    return 1 if report.failures else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=f"python -m {__package__}", description="Check an optimizer of torch."
    )
    parser.add_argument(
        "optimizer", nargs="?", help="package.module:Class, or a function that makes an optimizer"
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an option it is made with, a Python literal: --option lr=0.1",
    )
    parser.add_argument("--only", action="append", metavar="CHECK", help="run this check")
    parser.add_argument("--no-costly", action="store_true", help="leave out checks that take long")
    parser.add_argument(
        "--strict", action="store_true", help="expect what torch.optim's own optimizers fail, too"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the report here, too")
    parser.add_argument("--quiet", action="store_true", help="show no progress bar")
    parser.add_argument("--list", action="store_true", help="list the checks and do nothing")
    return parser


def _found(name: str | None) -> Any:
    """Return what a name of the form package.module:Class stands for."""
    module, _, path = (name or "").partition(":")
    if not module or not path:
        raise ValueError(f"optimizer {name!r}: expected package.module:Class")
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except ImportError as error:
        raise ValueError(f"optimizer {name!r}: expected a module that imports, {error}") from error
    finally:
        sys.path.pop(0)
    for part in path.split("."):
        if not hasattr(found, part):
            raise ValueError(f"optimizer {name!r}: expected {part!r} to be in {module}")
        found = getattr(found, part)
    if not callable(found):
        raise ValueError(f"optimizer {name!r}: expected a class or function, got {found!r}")
    return found


def _option(text: str) -> tuple[str, Any]:
    """Return the name and value of an option given as NAME=VALUE."""
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise ValueError(f"option {text!r}: expected NAME=VALUE")
    try:
        return name, ast.literal_eval(value)
    except (ValueError, SyntaxError) as error:
        raise ValueError(
            f"option {text!r}: expected a Python literal as its value, such as 0.1 or 'word'"
        ) from error


def _write(path: Path, report: Report) -> None:
    """Write a report as JSON; the file is the old one or the new one at any time."""
    draft = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        draft.write_text(json.dumps(report.as_dict(), indent=1) + "\n", encoding="utf-8")
        os.replace(draft, path)
    finally:
        draft.unlink(missing_ok=True)


if __name__ == "__main__":  # pragma: no cover: in another process
    sys.exit(main())
