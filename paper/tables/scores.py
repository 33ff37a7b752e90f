"""Tables of what ``make scores`` has found."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.files import markdown
from analysis.forms import read_json

OUTCOMES = ("passed", "failed", "not applicable")

FORM = {
    "environment": dict.fromkeys(
        ("python", "torch", "relativistic-adam", "pytorch-optimizer", "hypothesis"), str
    ),
    "checks": {str: {"topic": str, "beyond torch": bool}},
    "outcomes": {str: {str: [set(OUTCOMES), str]}},
}
"""What the scores hold: of every optimizer the outcome of every check, and details."""


def read(folder: Path) -> dict[str, Any]:
    """Return what ``make scores`` has found.

    Raises
    ------
    ValueError
        If the file has another form, or the checks of an optimizer are not those that it lists.
    """
    results: dict[str, Any] = read_json(folder / "scores.json", FORM)
    for name, found in results["outcomes"].items():
        if found.keys() != results["checks"].keys():
            raise ValueError(
                f"scores.json: {name} has outcomes of {sorted(found)}: expected those of "
                f"{sorted(results['checks'])}"
            )
    return results


def scores(results: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return a row per optimizer: its checks by outcome, then those that go beyond torch.optim."""
    rows: list[Sequence[str]] = [
        ("optimizer", *OUTCOMES, *(f"beyond torch: {name}" for name in OUTCOMES))
    ]
    for name, found in results["outcomes"].items():
        counts = Counter(
            (results["checks"][check]["beyond torch"], outcome)
            for check, (outcome, _) in found.items()
        )
        cells = [str(counts[beyond, one]) for beyond in (False, True) for one in OUTCOMES]
        rows.append((name, *cells))
    return rows


def failures(results: Mapping[str, Any], *, beyond: bool) -> list[Sequence[str]]:
    """Return a row per check that somebody fails, and who does."""
    rows: list[Sequence[str]] = [("check", "about", "fails with")]
    for check, about in results["checks"].items():
        found = results["outcomes"].items()
        whose = [name for name, outcomes in found if outcomes[check][0] == "failed"]
        if whose and about["beyond torch"] is beyond:
            rows.append((check.replace("_", " "), about["topic"], "; ".join(whose)))
    return rows


def environment(results: Mapping[str, Any]) -> str:
    """Return how many checks and optimizers there are, and of which versions, in words."""
    where = results["environment"]
    beyond = sum(check["beyond torch"] for check in results["checks"].values())
    return (
        f"{len(results['outcomes'])} optimizers, {len(results['checks'])} checks, {beyond} of "
        f"which go beyond torch.optim; torch {where['torch']}, relativistic-adam "
        f"{where['relativistic-adam']}, pytorch-optimizer {where['pytorch-optimizer']}, Hypothesis "
        f"{where['hypothesis']}, Python {where['python']}."
    )


def blocks(folder: Path) -> dict[str, str]:
    """Return what stands between the markers of the text, by marker."""
    results = read(folder)
    return {
        "scores-environment": environment(results),
        "scores-counts": markdown(scores(results)),
        "scores-failures": markdown(failures(results, beyond=False)),
        "scores-beyond": markdown(failures(results, beyond=True)),
    }
