"""What is read has the form that is expected, or an error says where it has not."""

import copy
import hashlib
import math
import re
from pathlib import Path
from typing import Any

import pytest
import torch

from analysis.forms import POSITIVE, check_form, read_json, read_toml
from tests.fuzz.loaders import same, trained
from torch_impl import (
    CheckpointError,
    Gravity,
    RelativisticAdam,
    limit_speed,
    load_checkpoint,
    save_checkpoint,
)

FITTING: list[tuple[Any, Any]] = [
    (1, int),
    (1, float),
    (1.5, float),
    (5e-324, POSITIVE),
    (True, bool),
    (None, None),
    ("a", (None, str)),
    ([], [int]),
    ([1, 2], [int]),
    ([1, "a"], [int, str]),
    ("a", {"a", "b"}),
    ({"a": 1, "b": "x"}, {"a": int, "b?": str}),
    ({"a": 1}, {"a": int, "b?": str}),
    ({"a": 1, "c": None}, {"a": int, str: object}),
    ({"a": [{"b": 1}]}, {str: [{"b": (None, int)}]}),
]

NOT_FITTING: list[tuple[Any, Any, str]] = [
    (1.0, int, "file is 1.0: expected int"),
    (True, int, "file is True: expected int"),
    (True, float, "file is True: expected float"),
    (True, [int], "file is True: expected list"),
    (1, bool, "file is 1: expected bool"),
    (math.nan, float, "file is nan: expected float"),
    (math.inf, float, "file is inf: expected float"),
    (10**400, float, "expected float"),
    (10**400, int, "expected int"),
    (0, POSITIVE, "file is 0: expected a finite number > 0"),
    ("1", POSITIVE, "file is '1': expected a finite number > 0"),
    (0, None, "file is 0: expected None"),
    (1, (None, str), "file is 1: expected None or str"),
    ({}, [int], "file is {}: expected list"),
    ([], {"a": int}, "file is []: expected dict"),
    ([1, "2"], [int], "file[1] is '2': expected int"),
    ([1, 2], [int, str], "file[1] is 2: expected str"),
    ([1], [int, str], "file is [1]: expected 2 entries"),
    ([1, "a", 1], [int, str], "file is [1, 'a', 1]: expected 2 entries"),
    ("c", {"b", "a"}, "file is 'c': expected one of ['a', 'b']"),
    ([], {"a"}, "file is []: expected one of ['a']"),
    (1, ({"a"}, None), "file is 1: expected one of ['a'] or None"),
    ({"a": {"b": 1.5}}, {"a": {"b": int}}, "file['a']['b'] is 1.5: expected int"),
    ({"b": 1}, {"a": int, "b": int}, "file has keys ['b']: expected ['a'] more"),
    ({"a": 1, "c": 1}, {"a": int}, "file has keys ['a', 'c']: expected no more, and not ['c']"),
    ({"a": 1, "b": 1}, {"a": int, "b?": str}, "file['b'] is 1: expected str"),
    ({"a": 1, "b": "x"}, {str: int}, "file['b'] is 'x': expected int"),
]


@pytest.mark.parametrize(("value", "form"), FITTING)
def test_what_has_the_form_is_let_pass(value: Any, form: Any) -> None:
    check_form(value, form, "file")


@pytest.mark.parametrize(("value", "form", "message"), NOT_FITTING)
def test_what_has_not_is_refused_where_it_differs(value: Any, form: Any, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        check_form(value, form, "file")


@pytest.mark.parametrize("content", [b"", b"[1,", b"\xff", b"[" * 100_000, b"9" * 5_000])
def test_what_is_no_json_is_refused_with_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.json").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a\.json is not JSON: "):
        read_json(tmp_path / "a.json", object)
    (tmp_path / "a.json").write_text('{"a": 1}')
    assert read_json(tmp_path / "a.json", {"a": int}) == {"a": 1}


@pytest.mark.parametrize("content", [b"a", b"\xff", b"a = " + b"[" * 100_000])
def test_what_is_no_toml_is_refused_with_its_name(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_bytes(content)
    with pytest.raises(ValueError, match=r"^a\.toml is not TOML: "):
        read_toml(tmp_path / "a.toml", object)
    (tmp_path / "a.toml").write_text("a = 1")
    assert read_toml(tmp_path / "a.toml", {"a": int}) == {"a": 1}


def replaced(data: Any, path: tuple[Any, ...], value: Any) -> Any:
    """Return nested data with another value at a path."""
    if not path:
        return value
    found = copy.copy(data)
    found[path[0]] = replaced(found[path[0]], path[1:], value) if path[1:] else value
    return found


STATES: list[tuple[tuple[Any, ...], Any, str]] = [
    ((), [], "state_dict is []: expected a dict"),
    ((), {"state": {}}, "state_dict has keys ['state']: expected 'state' and 'param_groups'"),
    (("state",), [], "state is []: expected a dict"),
    (("state", 0), 1, "state 0 is 1: expected a dict"),
    (("state", 0), {1: 0}, "state 0 has 1: 0: expected names of tensors and numbers"),
    (("state", 0, "more"), [1], "state 0 has 'more': [1]: expected names of tensors and numbers"),
    (("state", 0, "step"), 10**400, "expected a finite number >= 0"),
    (("state", 0, "step"), 1e39, "state 'step' of parameter 0 in group 0 is 1e+39: expected a fin"),
    (("state", 0, "proposed_sizes"), None, "is None: expected 20 numbers"),
    (("state", 0, "proposed_sizes"), torch.ones(20, device="meta"), "expected 20 numbers"),
    (("state", 0, "max_exp_avg_sq"), torch.ones(3).to_sparse(), "expected a dense tensor"),
    (("param_groups",), {}, "param_groups is {}: expected a list"),
    (("param_groups", 1), "a", "param_groups[1] is 'a': expected a dict"),
    (("param_groups", 1), {}, "params of param_groups[1] is None: expected a list"),
    (("param_groups", 0, "params"), [{}, 1], "params of param_groups[0] is [{}, 1]: expected numb"),
    (("param_groups", 0, "param_names"), True, "param_names of param_groups[0] is True: expected"),
]

HANDLES: list[tuple[tuple[Any, ...], Any, str]] = [
    ((), None, "state_dict is None: expected a dict"),
    (("options",), 0.5, "options is 0.5: expected a dict"),
    (("options",), {1: 0, "law": 0}, "options has keys ['1', 'law']: expected"),
    (("groups",), 1, "groups is 1: expected a list"),
    (("groups", 0), [], "a group is []: expected a dict"),
    (("state",), [], "state is []: expected a dict"),
    (("state", 0), 1.5, "state 0 is 1.5: expected a dict"),
    (("state", 0, "step"), None, "state 0 has step=None: expected 1 numbers"),
]


def refused(make: Any, path: tuple[Any, ...], value: Any, message: str) -> None:
    subject = trained(make)
    before = copy.deepcopy(subject.parts())
    saved = subject.loads.state_dict()
    with pytest.raises(ValueError, match=re.escape(message)):
        subject.loads.load_state_dict(replaced(saved, path, value))
    assert same(before, subject.parts())


@pytest.mark.parametrize(("path", "value", "message"), STATES, ids=str)
def test_a_state_dict_of_another_form_changes_nothing(
    path: tuple[Any, ...], value: Any, message: str
) -> None:
    refused(RelativisticAdam, path, value, message)


@pytest.mark.parametrize(("path", "value", "message"), HANDLES, ids=str)
def test_a_handles_state_of_another_form_changes_nothing(
    path: tuple[Any, ...], value: Any, message: str
) -> None:
    refused(lambda params: limit_speed(torch.optim.AdamW(params), 0.1), path, value, message)


def test_a_whole_file_that_torch_does_not_read_is_no_checkpoint(tmp_path: Path) -> None:
    """A digest says that a file is whole, not who wrote it."""
    file = tmp_path / "a.pt"
    save_checkpoint({"a": 1}, file)
    content = b"not what torch.save writes"
    end = file.read_bytes()[-24:]
    file.write_bytes(content + hashlib.sha256(content).digest() + end)
    with pytest.raises(CheckpointError, match=r"a\.pt is whole, but torch\.load does not read it"):
        load_checkpoint(file)


@pytest.mark.parametrize("foreach", [False, True])
@pytest.mark.parametrize(
    ("cls", "names"),
    [
        (RelativisticAdam, ("lr", "eps", "speed_limit", "weight_decay")),
        (Gravity, ("lr", "weight_decay")),
    ],
)
def test_whole_numbers_of_more_than_64_bits_are_numbers(
    cls: Any, names: tuple[str, ...], foreach: bool
) -> None:
    for name in names:
        steps = []
        for value in (2**65, 2.0**65):
            leaf = torch.nn.Parameter(torch.ones(3))
            leaf.grad = torch.ones(3)
            options = {"alpha": 0.0} if cls is Gravity else {}
            cls([leaf], foreach=foreach, **{**options, name: value}).step()
            steps.append(leaf.detach())
        assert torch.equal(*steps)
