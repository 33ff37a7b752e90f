"""The form of saved state: checked before anything is read from it."""

from collections.abc import Mapping, Sequence
from numbers import Real
from typing import Any

from torch import Tensor


def check_form(state_dict: object) -> None:
    """Raise ValueError unless a state dict has the form of torch.optim's."""
    saved = as_dict("state_dict", state_dict)
    if not {"state", "param_groups"} <= saved.keys():
        raise ValueError(
            f"state_dict has keys {keys_of(saved)}: expected 'state' and 'param_groups'"
        )
    for key, state in as_dict("state", saved["state"]).items():
        for name, value in as_dict(f"state {key!r}", state).items():
            if not isinstance(name, str) or not isinstance(value, (Tensor, Real, str, type(None))):
                raise ValueError(
                    f"state {key!r} has {name!r}: {value!r}: expected names of tensors and numbers"
                )
    for i, item in enumerate(as_list("param_groups", saved["param_groups"])):
        group = as_dict(f"param_groups[{i}]", item)
        for name, default in (("params", None), ("param_names", [])):
            keys = as_list(f"{name} of param_groups[{i}]", group.get(name, default))
            if not all(isinstance(key, (int, str)) for key in keys):
                raise ValueError(
                    f"{name} of param_groups[{i}] is {keys!r}: expected numbers or names"
                )


def as_dict(name: str, value: object) -> dict[Any, Any]:
    """Return a value that is a dict; raise ValueError if it is none."""
    if not isinstance(value, dict):
        raise ValueError(f"{name} is {value!r}: expected a dict")
    return value


def as_list(name: str, value: object) -> Sequence[Any]:
    """Return a value that is a list or tuple; raise ValueError if it is none."""
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{name} is {value!r}: expected a list")
    return value


def keys_of(mapping: Mapping[Any, Any]) -> list[str]:
    """Return the keys of a mapping in an order, whatever they are."""
    return sorted(map(str, mapping))
