"""The form of what is read from a file: checked once, where it is read."""

import json
import math
import tomllib
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

POSITIVE = "a finite number > 0"

Form = Any
"""What a value has to be: a type (`float` takes whole numbers too, `object` anything), `POSITIVE`,
None, a set of the words that it may be, a tuple of alternatives, ``[form]`` for a list of such,
``[form, form]`` for a list of as many, or a dict of forms by key. There a key that ends in "?" may
be missing, and `str` stands for all keys that are not named."""


def read_json(path: Path, form: Form) -> Any:
    """Return what a JSON file holds.

    Raises
    ------
    ValueError
        If it is not JSON or has another form; it names the file, the place and what was expected.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not JSON: {error}") from error
    check_form(found, form, path.name)
    return found


def read_toml(path: Path, form: Form) -> Any:
    """Return what a TOML file holds, as `read_json`."""
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path.name} is not TOML: {error}") from error
    check_form(found, form, path.name)
    return found


def check_form(value: object, form: Form, place: str) -> None:
    """Raise ValueError unless a value has a form; ``place`` is what the error calls it.

    Examples
    --------
    >>> check_form({"seconds": [1.5, "2"]}, {"seconds": [float]}, "run.json")
    Traceback (most recent call last):
    ValueError: run.json['seconds'][1] is '2': expected float
    """
    if isinstance(form, tuple):
        if not any(_fits(value, alternative) for alternative in form):
            raise ValueError(f"{place} is {value!r}: expected {_words(form)}")
    elif isinstance(form, list) and isinstance(value, list):
        if len(form) > 1 and len(value) != len(form):
            raise ValueError(f"{place} is {value!r}: expected {len(form)} entries")
        for i, item in enumerate(value):
            check_form(item, form[i % len(form)], f"{place}[{i}]")
    elif isinstance(form, dict) and isinstance(value, dict):
        _check_keys(value, form, place)
    elif not _is_plain(value, form):
        raise ValueError(f"{place} is {value!r}: expected {_words(form)}")


def _check_keys(value: dict[str, Any], form: dict[Any, Form], place: str) -> None:
    named = {key.rstrip("?"): inner for key, inner in form.items() if key is not str}
    missing = [key for key in form if key is not str and not key.endswith("?") and key not in value]
    unknown = [] if str in form else sorted(value.keys() - named.keys())
    if missing or unknown:
        raise ValueError(
            f"{place} has keys {sorted(value)}: expected {missing or 'no'} more"
            + (f", and not {unknown}" if unknown else "")
        )
    for key, item in value.items():
        check_form(item, named.get(key, form.get(str)), f"{place}[{key!r}]")


def _fits(value: object, form: Form) -> bool:
    try:
        check_form(value, form, "")
    except ValueError:
        return False
    return True


def _is_plain(value: object, form: Form) -> bool:
    """Whether a value is what a form without parts says."""
    if form is None or isinstance(value, bool):
        return value is form or form is bool or form is object
    if isinstance(form, AbstractSet):
        return isinstance(value, str) and value in form
    if form in (POSITIVE, float, int):
        least = math.ulp(0.0) if form == POSITIVE else -math.inf
        return _is_number(value, least) and (form is not int or isinstance(value, int))
    return isinstance(form, type) and isinstance(value, form)


def _is_number(value: object, least: float) -> bool:
    try:
        return isinstance(value, (int, float)) and least <= float(value) < math.inf
    except OverflowError:
        return False


def _words(form: Form) -> str:
    if isinstance(form, tuple):
        return " or ".join(map(_words, form))
    if isinstance(form, AbstractSet):
        return f"one of {sorted(form)}"
    if isinstance(form, (list, dict)):
        return type(form).__name__
    return form.__name__ if isinstance(form, type) else str(form)
