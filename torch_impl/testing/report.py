"""What checks have found, for people and for programs."""

import textwrap
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from torch import Tensor

from .subject import Subject

Outcome = Literal["passed", "failed", "not applicable"]


@dataclass(frozen=True)
class Result:
    """What one check has found.

    Attributes
    ----------
    check
        Its name.
    topic
        What it is about.
    outcome
        Whether it passed, failed, or does not apply.
    reason
        Why it failed or does not apply.
    example
        The smallest example that Hypothesis has found for a failure, if there is one.
    seed
        What it has drawn its examples by.
    seconds
        How long it took.
    """

    check: str
    topic: str
    outcome: Outcome
    reason: str = ""
    example: str = ""
    seed: int | None = None
    seconds: float = 0.0


@dataclass(frozen=True)
class Report:
    """What all checks have found of a subject; as text, what failed and how to reproduce it."""

    subject: Subject
    results: Sequence[Result]

    @property
    def failures(self) -> list[Result]:
        """The results of the checks that failed."""
        return [result for result in self.results if result.outcome == "failed"]

    @property
    def counts(self) -> dict[Outcome, int]:
        """How many checks passed, failed, and do not apply."""
        found = Counter(result.outcome for result in self.results)
        outcomes: tuple[Outcome, ...] = ("passed", "failed", "not applicable")
        return {outcome: found[outcome] for outcome in outcomes}

    def raise_failures(self) -> None:
        """Raise CheckFailure, with the report as its message, if a check has failed."""
        if self.failures:
            raise CheckFailure(self)

    def reproduction(self, check: str) -> str:
        """Return a few lines of Python that run a check again, on the same examples."""
        subject = self.subject
        names = {"optimizer": subject.make, "invariants": subject.invariants}
        written = {what: _written(value) for what, value in names.items() if value is not None}
        lines = [f"from {__package__} import Subject, run_check"]
        lines += [line for line, _ in written.values()]
        if any(isinstance(value, Tensor) for value in subject.options.values()):
            lines.append("import torch")
        options = ", ".join(f"{key!r}: {_value(x)}" for key, x in subject.options.items())
        told = [written["optimizer"][1], f"{{{options}}}"]
        told += ["strict=True"] if subject.strict else []
        told += [f"invariants={written['invariants'][1]}"] if "invariants" in written else []
        seeds = [result.seed for result in self.results if result.check == check]
        told += [f"seed={seed}" for seed in seeds if seed is not None]
        return "\n".join([*lines, f"run_check({check!r}, Subject({', '.join(told)}))"])

    def as_dict(self) -> dict[str, Any]:
        """Return everything as what JSON can hold."""
        return {
            "optimizer": self.subject.name,
            "module": getattr(self.subject.make, "__module__", None),
            "options": {name: repr(value) for name, value in self.subject.options.items()},
            "strict": self.subject.strict,
            "counts": self.counts,
            "results": [asdict(result) for result in self.results],
        }

    def __str__(self) -> str:
        counted = ", ".join(f"{number} {outcome}" for outcome, number in self.counts.items())
        lines = [f"{self.subject.name}: {counted}"]
        for result in self.failures:
            lines += ["", f"FAILED {result.check} ({result.topic})", _indented(result.reason)]
            if result.example:
                lines.append(_indented(result.example))
            lines += ["  to reproduce:", _indented(self.reproduction(result.check), 4)]
        spared = [result for result in self.results if result.outcome == "not applicable"]
        if spared:
            lines += ["", "not applicable:"]
            lines += [f"  {result.check}: {result.reason}" for result in spared]
        return "\n".join(lines)


def _written(function: Any) -> tuple[str, str]:
    """Return the line that imports a function, or says that none can, and its name."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "")
    if module in {None, "__main__"} or not name.isidentifier():
        name = name.rpartition(".")[2]
        name = name if name.isidentifier() else "it"
        return f"{name} = ...  # {function!r}, which cannot be imported", name
    return f"from {module} import {name}", name


def _value(option: Any) -> str:
    """Return an option as Python writes it."""
    if isinstance(option, Tensor):
        return f"torch.tensor({option.tolist()!r}, dtype={option.dtype})"
    return repr(option)


def _indented(text: str, by: int = 2) -> str:
    return textwrap.indent(text, " " * by)


class CheckFailure(AssertionError):  # noqa: N818
    """A check has failed; ``report`` says which, and the message is its text."""

    def __init__(self, report: Report) -> None:
        super().__init__(str(report))
        self.report = report
