"""The form of a run's result in a file: `paper.training.Result.as_record`."""

from analysis.forms import Form

RESULT: dict[str, Form] = {
    "run": {
        **dict.fromkeys(("method", "task", "optimizer", "schedule"), str),
        **dict.fromkeys(("steps", "seed", "span"), int),
        "options": {"lr": float, str: object},
        "clip_norm": (float, None),
        "spike": float,
    },
    "steps": int,
    "exploded": bool,
    "train_loss": [float],
    **dict.fromkeys(("validation_loss", "validation_accuracy"), (float, None)),
    **dict.fromkeys(("largest_ratio", "saturated"), (float, None)),
}
