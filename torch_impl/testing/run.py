"""Running checks of an optimizer, and reporting what they found."""

import random
import time
import traceback
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch

from .draws import drawing_by
from .registry import CHECKS, Check, NotApplicable
from .report import Outcome, Report, Result
from .subject import Make, Subject


def check_optimizer(optimizer: Make | Subject, /, **options: Any) -> Report:
    """Run all checks of an optimizer; raise if one fails.

    Parameters
    ----------
    optimizer
        A torch.optim.Optimizer class, a function that makes one, or a `Subject`.
    options
        Options of the optimizer: all keyword arguments are.

    Returns
    -------
    What was found, with the reason wherever a check does not apply.

    Raises
    ------
    CheckFailure
        If a check fails: an AssertionError whose message is the report.
    ValueError
        If the optimizer cannot be made with these options.

    See Also
    --------
    run_checks : Some checks only, without raising.

    Examples
    --------
    >>> check_optimizer(torch.optim.SGD, lr=0.1).counts["failed"]  # doctest: +SKIP
    0
    """
    report = run_checks(as_subject(optimizer, options))
    report.raise_failures()
    return report


def run_checks(
    subject: Subject,
    *,
    only: Iterable[str] | None = None,
    costly: bool = True,
    progress: bool = False,
) -> Report:
    """Run checks of a subject and report what they found.

    Parameters
    ----------
    subject
        The optimizer, with its options.
    only
        The names of the checks to run; all by default.
    costly
        Whether to run those that take long, of `only` or of all.
    progress
        Whether to show a progress bar.

    Raises
    ------
    ValueError
        If a check does not exist, or the optimizer cannot be made.
    """
    checks = chosen(only, costly)
    try:
        subject.build([torch.zeros(2, 2, requires_grad=True)])
    except Exception as error:
        raise ValueError(
            f"{subject.name} with {dict(subject.options)!r}: expected an optimizer, got "
            f"{type(error).__name__}: {error}"
        ) from error
    shown: Iterable[Check] = checks
    if progress:
        from tqdm import tqdm  # noqa: PLC0415

        shown = tqdm(checks, desc=subject.name, unit="check")
    return Report(subject, [_result(check, subject) for check in shown])


def run_check(name: str, optimizer: Make | Subject, /, **options: Any) -> None:
    """Run one check of an optimizer, which raises what it raises.

    Parameters
    ----------
    name
        The check's.
    optimizer, options
        As for `check_optimizer`.

    Raises
    ------
    AssertionError
        If what it states is false.
    NotApplicable
        If it says nothing of this optimizer.
    ValueError
        If there is no check of this name.
    """
    (check,) = chosen([name])
    subject = as_subject(optimizer, options)
    with torch.random.fork_rng(devices=[]), drawing_by(_seed_of(subject)):
        torch.manual_seed(0)
        check(subject)


def as_subject(optimizer: Make | Subject, options: dict[str, Any]) -> Subject:
    """Return a subject, with more options if it is one already."""
    if isinstance(optimizer, Subject):
        return replace(optimizer, options={**optimizer.options, **options})
    return Subject(optimizer, options)


def chosen(only: Iterable[str] | None, costly: bool = True) -> list[Check]:
    """Return the checks that `run_checks` runs."""
    names = list(CHECKS) if only is None else list(only)
    for name in names:
        if name not in CHECKS:
            raise ValueError(f"check {name!r}: expected one of {', '.join(CHECKS)}")
    return [CHECKS[name] for name in names if costly or not CHECKS[name].costly]


def _result(check: Check, subject: Subject) -> Result:
    """Run a check and say what it found."""
    start = time.perf_counter()
    outcome: Outcome = "passed"
    reason = example = ""
    seed = _seed_of(subject)
    try:
        run_check(check.name, replace(subject, seed=seed))
    except NotApplicable as error:
        outcome, reason = "not applicable", str(error)
    except AssertionError as error:
        outcome, reason, example = "failed", str(error), _notes(error)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        outcome, example = "failed", _notes(error)
        reason = f"{type(error).__name__}: {error}\nin {last.name}, {last.filename}:{last.lineno}"
    seconds = time.perf_counter() - start
    return Result(check.name, check.topic, outcome, reason, example, seed, seconds)


def _seed_of(subject: Subject) -> int:
    """Return what is drawn by: the subject's own seed, or any."""
    return random.getrandbits(32) if subject.seed is None else subject.seed


def _notes(error: Exception) -> str:
    """Return what Hypothesis has added to an error: the shrunk example."""
    return "\n".join(getattr(error, "__notes__", []))
