"""What the experiments have answered, as the texts take it: results/answers.json.

It is computed from the runs; as long as it is not there the texts say so in its place.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from analysis.forms import read_json

COMMAND = "make experiments PROFILE=full"

NOT_YET = f"Not yet measured: `{COMMAND}` measures it."

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
        key: {
            "answer": str,
            "figures?": [{"file": str, "caption": str}],
            "tables?": [{"rows": [[str]], "caption": str}],
        }
        for key in QUESTIONS
    },
    "claims": {str: {"verdict": str, "because": str}},
}
"""What answers.json holds.

"environment" says what was run, on what and for how long; "abstract" is the abstract's sentence on
the experiments. Each question has its "answer" in a sentence or more, with its numbers;
"figures", whose files are in the folder of the paper's figures; and "tables", head first.
"claims" has a verdict for each published sentence that only experiments can decide, by its id in
claims.toml.
"""


def read(folder: Path) -> dict[str, Any] | None:
    """Return the answers, None where there are none yet."""
    path = folder / "answers.json"
    return read_json(path, FORM) if path.exists() else None


def filled(found: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return the answers as the text shows them, or what stands in their place."""
    answers = found or {
        "environment": NOT_YET,
        "abstract": f"The experiments are not yet measured (`{COMMAND}`).",
        "questions": {key: {"answer": NOT_YET} for key in QUESTIONS},
        "claims": {},
    }
    empty: dict[str, list[object]] = {"figures": [], "tables": []}
    return {
        **answers,
        "questions": {
            key: {"title": title, **empty, **answers["questions"][key]}
            for key, title in QUESTIONS.items()
        },
    }
