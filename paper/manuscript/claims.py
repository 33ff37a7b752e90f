"""The sentences of the two published READMEs: the verdict on each, and what shows it."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.forms import read_toml

SOURCE = Path(__file__).with_name("claims.toml")

VERDICTS = ("holds", "fails", "partly", "measured")

ASKS = "asks"
"""The verdict of a sentence that only experiments can decide."""

FORM = {
    "claim": [
        {**dict.fromkeys(("id", "source", "quote", "verdict", "because"), str), "by": [str]},
    ]
}
"""What claims.toml holds."""

KINDS = ("theorem", "test", "figure", "table", "question")
"""What can show a claim: "kind:name"."""


def read(source: Path = SOURCE) -> list[dict[str, Any]]:
    """Return the sentences.

    Raises
    ------
    ValueError
        If the file has another form, an id stands twice, or a verdict or kind is unknown.
    """
    claims: list[dict[str, Any]] = read_toml(source, FORM)["claim"]
    if len({claim["id"] for claim in claims}) < len(claims):
        raise ValueError(f"{source.name} has an id twice: expected {len(claims)} different ones")
    for claim in claims:
        if claim["verdict"] not in {*VERDICTS, ASKS}:
            raise ValueError(
                f"{claim['id']}: verdict={claim['verdict']!r}: expected {(*VERDICTS, ASKS)}"
            )
        kinds = {shown.partition(":")[0] for shown in claim["by"]}
        if not kinds or not kinds <= set(KINDS):
            raise ValueError(f"{claim['id']}: by={claim['by']}: expected some of {KINDS}")
    return claims


def judged(
    claims: list[dict[str, Any]], values: Mapping[str, str], found: Mapping[str, Any]
) -> list[dict[str, Any]]:
    """Return the sentences with the verdicts of the experiments and with their values filled in.

    Parameters
    ----------
    claims
        As `read` returns them.
    values
        Path → value.
    found
        Verdict and reason of sentences that experiments decide, by id.

    Raises
    ------
    ValueError
        If a reason has a value that does not exist, or a verdict is on no sentence.
    """
    unknown = found.keys() - {claim["id"] for claim in claims}
    if unknown:
        raise ValueError(f"verdicts on {sorted(unknown)}: expected ids of published sentences")
    return [_judged(claim, values, found.get(claim["id"])) for claim in claims]


def _judged(
    claim: Mapping[str, Any], values: Mapping[str, str], answer: Mapping[str, str] | None
) -> dict[str, Any]:
    because = claim["because"]
    for path in paths(because):
        if path not in values:
            raise ValueError(f"{claim['id']} asks for {path!r}: expected one of the paper's values")
        because = because.replace(f"{{{path}}}", values[path])
    verdict = claim["verdict"]
    if verdict == ASKS:
        verdict = answer["verdict"] if answer else "not yet measured"
    if answer:
        because = f"{because} {answer['because']}".strip()
    return {**claim, "verdict": verdict, "because": because}


def paths(words: str) -> list[str]:
    """Return what stands between braces."""
    return [part.partition("}")[0] for part in words.split("{")[1:]]
