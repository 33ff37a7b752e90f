"""What the experiments have answered, as the texts take it: experiments/answers.json.

It is computed from the runs; as long as it is not there the texts say so in its place.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.forms import read_json

COMMAND = "make experiments PROFILE=full"

NOT_YET = f"Not yet measured: `{COMMAND}` measures it."
ABSTRACT_NOT_YET = f"The experiments are not yet measured (`{COMMAND}`)."

QUESTIONS: Mapping[str, str] = {
    "windows": "How wide is the window of learning rates?",
    "tuned": "How good is the best result at tuned settings?",
    "moved": "Is the tuning merely moved from the learning rate to the limit?",
    "preset": "Does a decayed limit make the result flat, and is there one fixed setting?",
    "spikes": "What do spikes of the gradient cost?",
    "widths": "Does one limit transfer over widths?",
    "shape": "Does the shape of the law matter?",
    "gravity": "Where does Gravity work, and what do its parts do?",
    "modes": "Which block should be limited?",
    "precision": "Does the limit help in low precision?",
}
"""The ten questions, in the order of the text."""

FORM = {
    "environment": str,
    "abstract": str,
    "questions": {
        f"{key}?": {
            **dict.fromkeys(("asked", "statistic", "verdict", "answer"), str),
            **dict.fromkeys(("figure?", "caption?"), str),
            "table": [[str]],
        }
        for key in QUESTIONS
    },
    "factorial?": [[str]],
    "claims": {str: {"verdict": str, "because": str}},
}
"""What answers.json holds.

"environment" says what was run, on what and for how long; "abstract" is the abstract's sentence on
the experiments. Of each question whose runs are all there is what was "asked", the "statistic" that
decides it, the "verdict" in a few words, the numbers behind it as "answer", a
"table", head first, and a "figure" in the folder of the paper's figures with its "caption".
"factorial" has a row for each method that was run at nine learning rates.
"claims" has a verdict for each published sentence that only experiments can decide, by its id in
claims.toml.
"""


def read(folder: Path) -> dict[str, Any] | None:
    """Return the answers, None where there are none yet."""
    path = folder / "answers.json"
    return read_json(path, FORM) if path.exists() else None


def filled(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the answers as the text shows them, or what stands in their place."""
    unanswered = {"statistic": "", "verdict": "", "answer": NOT_YET, "table": []}
    answers = found or {
        "environment": NOT_YET,
        "abstract": ABSTRACT_NOT_YET,
        "questions": {},
        "claims": {},
    }
    answered = {**dict.fromkeys(QUESTIONS, unanswered), **answers["questions"]}
    return {
        **answers,
        "questions": {
            key: {"figure": "", "caption": "", **answered[key], "title": title}
            for key, title in QUESTIONS.items()
        },
    }
