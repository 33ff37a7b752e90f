"""What pages show where they say ``{{ name }}``: tables, sections and lists, each generated."""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import reference
from analysis.files import markdown
from analysis.tables import Table
from paper.figures.landscapes import RATES
from paper.manuscript import answers
from paper.manuscript.prose import TEXT
from paper.manuscript.values import EXPERIMENTS
from paper.questions import report
from paper.readme import blocks
from torch_impl.testing import CHECKS

from .figures import GALLERY, SHOWN, experiment_picture

SITUATIONS: Mapping[str, tuple[str, str]] = {
    "windows": (
        "A learning rate that trains is hard to find, or has to be high.",
        "a limit that follows the schedule (`speed_follows_lr=True`), at the setting of the search",
    ),
    "tuned": (
        "The best result is wanted, and there is time to tune.",
        "a limit beside AdamW with `clip_grad_norm_`, both tuned",
    ),
    "moved": (
        "There is no time to tune.",
        "a limit that stays constant, with whatever learning rate",
    ),
    "preset": (
        "One setting is to do for many tasks.",
        "learning rate and limit both decayed, at a fixed setting",
    ),
    "spikes": (
        "Single gradients are far too large.",
        '`placement="gradient"` beside a limit of the update, clipping and AdaGC',
    ),
    "widths": (
        "A setting found on a small model is to hold for a wide one.",
        '`speed_unit="rms"` or `"relative"`',
    ),
    "shape": ("A law has to be chosen.", "the default, `smooth_sqrt`"),
    "gravity": (
        "Gravity is considered.",
        "`Gravity(max_step_grad=1.0)` beside the published `Gravity()`",
    ),
    "modes": (
        "A block to be limited has to be chosen.",
        '`relativistic_mode="per_param"`, the default, beside the other two',
    ),
    "precision": (
        "Training is in bfloat16.",
        "the methods that every task was given, at the learning rates of binary32",
    ),
}
"""Question of the experiments → when it is asked, and what is tried then."""


def pieces(derived: Mapping[str, Table]) -> dict[str, Callable[[], str]]:
    """Return what makes each piece, by its name.

    Parameters
    ----------
    derived
        What `analysis` derives of each law: see `docs.derived`.
    """
    found = answers.filled(answers.read(EXPERIMENTS))
    return {
        **{name: partial(str, text) for name, text in blocks().items()},
        "advice": advice,
        "claims": claims,
        "checks": checks,
        "decisions": lambda: decisions(found),
        "gallery": gallery,
        "laws": lambda: laws(derived),
        "questions": lambda: questions(found),
    }


def decisions(found: Mapping[str, Any]) -> str:
    """Return the table of situations: what to try, and what the experiments say of it.

    Of what `paper.manuscript.answers.filled` returns.
    """
    body = []
    for name, (_, verdict, measured) in zip(
        found["questions"], report.rows(found)[1:], strict=True
    ):
        situation, tried = SITUATIONS[name]
        title = found["questions"][name]["title"]
        answer = verdict.strip("*–") or "open"
        body.append([situation, tried, f"**[{answer}](#{_anchor(title)})**", measured])
    return markdown([["situation", "what to try", "answer", "measured"], *body])


def questions(found: Mapping[str, Any]) -> str:
    """Return a section for each question: what decides it, the answer, table and figure."""
    parts = []
    for name, entry in found["questions"].items():
        parts.append(f"## {entry['title']}")
        if not entry["verdict"]:
            parts.append(entry["answer"])
            continue
        parts += [f"*{entry['statistic']}*", f"**{entry['verdict']}.** {entry['answer']}"]
        if entry["figure"]:
            picture = experiment_picture(entry["figure"])
            figure = f"```{{figure}} figures/{picture}\n{entry['caption']}\n```"
            parts.append(f":::{{div}} wide-figure\n{figure}\n:::")
        if entry["table"]:
            numbers = markdown(entry["table"])
            parts.append(f":::{{dropdown}} {name}: the numbers\n{numbers}\n:::")
    return "\n\n".join(parts)


def advice() -> str:
    """Return the paper's advice against, in Markdown.

    Raises
    ------
    ValueError
        If the text refers to something that is not a question.
    """
    text = (TEXT / "sections" / "advice.typ").read_text(encoding="utf-8")
    _, _, body = text.partition("<sec:advice>")
    body = re.sub(r"@question:(\w+)", _question, body)
    if "@" in body or "#v" in body:
        raise ValueError(f"advice.typ has {body!r}: expected references to questions alone")
    return body.strip()


def _question(reference: re.Match[str]) -> str:
    """Return a link to a question, from a reference to it in the paper."""
    title = answers.QUESTIONS[reference[1]]
    return f"[{title}](settings.md#{_anchor(title)})"


def _anchor(title: str) -> str:
    """Return the anchor of a title, as MyST makes it."""
    return re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-")


def claims() -> str:
    """Return the table of the properties of laws: what each says, and for whom it fails."""
    rows = [["property", "says", "fails for"]]
    for name, item in reference.LAW_PROPERTIES.items():
        failing = [f"`{law.key}`" for law in reference.LAWS.values() if not law.claims[name].holds]
        rows.append([f"`{name}`", item.statement, ", ".join(failing) or "none"])
    return markdown(rows)


def laws(derived: Mapping[str, Table]) -> str:
    """Return a section for each law: equation, source, witnesses of what fails, what follows."""
    parts = []
    for law in reference.LAWS.values():
        parts += [f"## {law.key}", f"**{law.equation}**", f"Source: {law.source}."]
        failing = {name: claim for name, claim in law.claims.items() if not claim.holds}
        if failing:
            rows = [["does not hold", "witness"]]
            for name, claim in failing.items():
                at = ", ".join(map(str, claim.witness or ()))
                rows.append([f"`{name}`", f"{claim.property.arguments} {at}"])
            parts.append(markdown(rows))
        else:
            parts.append("Every property holds.")
        cells = [[name, f"`{value}`"] for name, value in derived[law.key].items()]
        facts = markdown([["fact", "derived"], *cells])
        parts.append(f":::{{dropdown}} What follows for {law.key}, by sympy\n{facts}\n:::")
    return "\n\n".join(parts)


def checks() -> str:
    """Return the table of the checks of optimizers."""
    rows = [["check", "about", "", "beyond torch.optim"]]
    for check in CHECKS.values():
        cost = "takes long" if check.costly else ""
        rows.append([check.statement, check.topic, cost, check.beyond_torch])
    return markdown(rows)


def gallery() -> str:
    """Return a card for each optimizer of the gallery, with its settings."""
    cards = [
        f":::{{grid-item-card}} {title}\n![Paths of {title}](figures/{file})\n\n"
        f"{_settings(title)}\n:::"
        for title, file in GALLERY.items()
    ]
    return "::::{grid} 1 1 2 3\n:gutter: 3\n\n" + "\n\n".join(cards) + "\n\n::::"


def _settings(title: str) -> str:
    """Return the learning rates of an optimizer of the gallery, and its other options."""
    optimizer, given = SHOWN[title]
    options = {key: value for key, value in given.items() if key != "limit"}
    rates = " and ".join(f"{rates[optimizer]:g} ({where})" for where, rates in RATES.items())
    told = [f"`{key}={value!r}`" for key, value in (options | given.get("limit", {})).items()]
    return "; ".join([f"`lr` = {rates}", *told])
