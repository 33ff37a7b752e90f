"""Random changes of bytes, of lines and of nested data: from a valid input to nearly valid ones."""

import copy
import math
from collections.abc import Callable, Sequence
from fractions import Fraction
from random import Random
from typing import Any

import torch

Strange = Callable[[Random], Any]
"""Draws something that does not belong where it is put."""

NUMBERS = (0, -1, 1, 2**31, 2**63, 10**400, 0.0, -0.5, 1e-300, 1e39, 1e308)
WORDS = ("", "auto", "smooth_sqrt", "params", "step", "tensor", "ß", "\0", "9" * 40)
NOT_FINITE = (math.nan, math.inf, -math.inf)

TOKENS = (b"", b"\0", b"\xff", b"{}", b"[]", b"null", b"NaN", b"1e999", b'"', b"\n", b"[[", b"= ")
"""What is put into bytes."""

TENSORS = (
    torch.zeros(()),
    torch.ones(3),
    torch.full((2, 2), math.nan),
    torch.full((3,), math.inf),
    torch.ones(2, 2, dtype=torch.float64),
    torch.ones(3, dtype=torch.int64),
    torch.ones(3, dtype=torch.bool),
    torch.ones(3, dtype=torch.complex64),
    torch.ones(3, dtype=torch.bfloat16),
    torch.ones(0),
    torch.ones(20, dtype=torch.float64),
    torch.eye(2).to_sparse(),
    torch.ones(3, device="meta"),
    torch.ones(3, requires_grad=True),
    torch.tensor(-7.0),
    torch.tensor(2**40),
)


def plain(random: Random) -> Any:
    """Draw something that JSON can say."""
    number = random.choice((*NUMBERS[:5], *NUMBERS[6:], *NOT_FINITE))
    return random.choice(
        (None, True, number, random.choice(WORDS), [], {}, [number], {"a": number})
    )


def anything(random: Random) -> Any:
    """Draw a tensor, a number that is none for torch, or what `plain` draws."""
    return random.choice(
        (
            random.choice(TENSORS),
            random.choice(NUMBERS),
            random.choice((Fraction(1, 3), 1j, b"bytes", object(), {1, 2}, (0.9, 0.999), range(3))),
            plain(random),
        )
    )


def nested(random: Random, strange: Strange, depth: int = 3) -> Any:
    """Draw data that has nothing to do with a valid input."""
    if depth == 0 or random.random() < 0.3:
        return strange(random)
    size = random.randrange(4)
    if random.random() < 0.5:
        return [nested(random, strange, depth - 1) for _ in range(size)]
    words = ("state", "param_groups", "params", "options", 0, 1, *WORDS)
    return {random.choice(words): nested(random, strange, depth - 1) for _ in range(size)}


def changed(random: Random, data: Any, strange: Strange) -> Any:
    """Return nested data with one change somewhere; what is given stays as it is."""
    if isinstance(data, dict) and data:
        return _changed_mapping(random, data, strange)
    if isinstance(data, (list, tuple)) and data:
        return _changed_sequence(random, data, strange)
    if isinstance(data, (int, float)) and random.random() < 0.3:
        return random.choice((-data, data + 1, data * 10**30, str(data), [data], bool(data)))
    return strange(random)


def _changed_mapping(random: Random, data: dict[Any, Any], strange: Strange) -> Any:
    keys = list(data)
    key, other, what = random.choice(keys), random.choice(keys), random.random()
    found = dict(data)
    if what < 0.75:
        found[key] = changed(random, found[key], strange)
    elif what < 0.82:
        del found[key]
    elif what < 0.87:
        found[random.choice((*WORDS, 0, 7, -1))] = strange(random)
    elif what < 0.92:
        found[key], found[other] = found[other], found[key]
    elif what < 0.96:
        found[f"{key}s"] = found.pop(key)
    else:
        return list(found.items())
    return found


def _changed_sequence(random: Random, data: Sequence[Any], strange: Strange) -> Any:
    found, what = list(data), random.random()
    place = random.randrange(len(found))
    if what < 0.75:
        found[place] = changed(random, found[place], strange)
    elif what < 0.82:
        del found[place]
    elif what < 0.87:
        found.insert(place, found[place])
    elif what < 0.92:
        found.insert(place, strange(random))
    elif what < 0.96:
        random.shuffle(found)
    else:
        return tuple(found) if isinstance(data, list) else {"0": found[0]}
    return tuple(found) if isinstance(data, tuple) else found


def changed_some(random: Random, data: Any, strange: Strange) -> Any:
    """Return data with one to three changes, or, once in twenty, other data."""
    if random.random() < 0.05:
        return nested(random, strange)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        data = changed(random, data, strange)
    return copy.copy(data)


def changed_bytes(random: Random, whole: bytes) -> bytes:
    """Return bytes with one to three of them, or a stretch of them, changed; or other bytes."""
    if random.random() < 0.05:
        return random.randbytes(random.randrange(200))
    found = bytearray(whole)
    for _ in range(random.choice((1, 1, 2, 3))):
        first, what = random.randrange(len(found) + 1), random.randrange(5)
        last = min(len(found), first + random.choice((1, 4, 30, 1000)))
        if what == 0 and first < len(found):
            found[first] ^= 1 << random.randrange(8)
        elif what == 1:
            del found[first:last]
        elif what == 2:
            found[first:first] = found[first:last]
        elif what == 3:
            found[first:last] = random.choice(TOKENS)
        else:
            found[first:last] = random.randbytes(last - first)
    return bytes(found)


def changed_lines(random: Random, text: str) -> str:
    """Return a text with one to three lines dropped, doubled, exchanged or changed."""
    lines = text.split("\n")
    for _ in range(random.choice((1, 1, 2, 3))):
        i, j, what = random.randrange(len(lines)), random.randrange(len(lines)), random.randrange(5)
        if what == 0 and len(lines) > 1:
            del lines[i]
        elif what == 1:
            lines.insert(i, lines[i])
        elif what == 2:
            lines[i], lines[j] = lines[j], lines[i]
        elif what == 3:
            key, equal, _ = lines[i].partition("=")
            lines[i] = key + equal + random.choice(("1", "''", "[]", "{}", "true", "[1]", "nan"))
        else:
            lines[i] = changed_bytes(random, lines[i].encode()).decode(errors="replace")
    return "\n".join(lines)
