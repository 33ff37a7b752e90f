"""Faults of a saved state: what is loaded is not what was saved, or not the optimizer's own."""

import copy
import tempfile
import warnings
from collections.abc import Callable, Mapping
from contextlib import chdir
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from ..registry import NotApplicable
from ..subject import Subject, normal
from .trial import BEFORE, Trial
from .verdict import SILENT_DAMAGE, SURVIVED, Verdict, of_error, words_of

State = dict[str, Any]

CONTINUED = 10
"""Steps after loading, in which an optimizer has to go on as its twin."""

TOLERANCE = 1e-3
"""Of a twin's way: without an option a step may be rounded otherwise; other moments show more."""

UNKNOWN_TO_THE_FIRST = (
    "capturable",
    "decoupled_weight_decay",
    "differentiable",
    "foreach",
    "fused",
)
"""Options of groups that torch.optim has got over the years."""


class Files(NamedTuple):
    """How a state gets to a file and back.

    Attributes
    ----------
    save
        Writes a state to a path.
    load
        Reads it.
    """

    save: Callable[[Any, Path], None]
    load: Callable[[Path], Any]


TORCH_FILES = Files(torch.save, lambda path: torch.load(path, weights_only=True))
"""Files as torch writes and reads them."""


class StateFault(NamedTuple):
    """Something that happens to a saved state.

    Attributes
    ----------
    happen
        Returns what is loaded in the place of a state dict, given a copy of it and how files are
        written and read.
    words
        A pattern of which a clear error has a match.
    """

    happen: Callable[[State, Files], State]
    words: str


def _buffers(state: State) -> list[str]:
    """Return the keys of tensors that have dimensions, the largest last."""
    sizes = {
        key: value.numel()
        for key, value in state.items()
        if isinstance(value, Tensor) and value.dim() > 0
    }
    return sorted(sizes, key=lambda key: (sizes[key], key))


def _buffer(state: State) -> tuple[State, str]:
    """Return the state of the first parameter, and the key of its largest tensor."""
    own = state["state"][0]
    return own, _buffers(own)[-1]


def _wrong_shape(state: State, _: Files) -> State:
    """As of a layer with one row more."""
    own, key = _buffer(state)
    own[key] = torch.cat([own[key], own[key][:1]])
    return state


def _wrong_count(state: State, _: Files) -> State:
    """As of a model with one parameter less."""
    group = state["param_groups"][0]
    del state["state"][group["params"].pop()]
    group["param_names"].pop()
    return state


def _wrong_dtype(state: State, _: Files) -> State:
    """As of an optimizer that keeps its moments in 8 bits."""
    own, key = _buffer(state)
    own[key] = (own[key] * 127).to(torch.uint8)
    return state


def _missing_key(state: State, _: Files) -> State:
    own, key = _buffer(state)
    del own[key]
    return state


def _extra_key(state: State, _: Files) -> State:
    own, key = _buffer(state)
    own["of_a_later_version"] = own[key].clone()
    return state


def _older_version(state: State, _: Files) -> State:
    """As of the first versions of torch.optim: few options, steps that are integers."""
    for group in state["param_groups"]:
        for name in UNKNOWN_TO_THE_FIRST:
            group.pop(name, None)
    for own in state["state"].values():
        if isinstance(own.get("step"), Tensor):
            own["step"] = int(own["step"])
    return state


def _reordered(state: State, _: Files) -> State:
    """As of a model that declares the same parameters in another order."""
    group = state["param_groups"][0]
    group["param_names"] = group["param_names"][::-1]
    order = list(state["state"])
    state["state"] = dict(zip(order, reversed(list(state["state"].values())), strict=True))
    return state


def _flipped_bit(state: State, files: Files) -> State:
    """Flip a bit of the exponent of one number in a file."""
    own, key = _buffer(state)
    written = own[key].flatten()[-4:].view(torch.uint8).numpy().tobytes()
    with tempfile.TemporaryDirectory() as folder, chdir(folder):  # which errors need not name
        path = Path("state.pt")
        files.save(state, path)
        content = bytearray(path.read_bytes())
        content[content.index(written) + len(written) - 1] ^= 1 << 2
        path.write_bytes(content)
        loaded: State = files.load(path)
    return loaded


STATE_FAULTS: Mapping[str, StateFault] = {
    "wrong shape": StateFault(_wrong_shape, "shape|size"),
    "wrong count": StateFault(_wrong_count, "number|size|count|length"),
    "wrong dtype": StateFault(_wrong_dtype, "dtype|uint8|type"),
    "missing key": StateFault(_missing_key, "key|missing|lacks"),
    "extra key": StateFault(_extra_key, "key"),
    "older version": StateFault(_older_version, "version|key|missing"),
    "reordered named parameters": StateFault(_reordered, "name|order"),
    "bit-flipped file": StateFault(_flipped_bit, "changed|corrupt|checksum|digest|SHA"),
}
"""The faults of a saved state, by name."""


def state_outcome(subject: Subject, fault: StateFault, files: Files = TORCH_FILES) -> Verdict:
    """Return what an optimizer makes of a fault of a saved state.

    If the state is taken, the optimizer has to go on as a twin that has loaded the state as it was
    saved; if it is refused, bit for bit as one that has loaded none.

    Raises
    ------
    NotApplicable
        If the optimizer keeps no tensors of its parameters.
    """
    donor = _begun(subject, BEFORE)
    if not any(_buffers(donor.optimizer.state.get(p, {})) for p in donor.params.values()):
        raise NotApplicable("keeps no tensors of its parameters in its state")
    saved = copy.deepcopy(donor.optimizer.state_dict())
    trial, twin = _begun(subject, 1), _begun(subject, 1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            trial.optimizer.load_state_dict(fault.happen(copy.deepcopy(saved), files))
        except Exception as error:
            return of_error(error, fault.words, _differs(trial, twin))
    twin.optimizer.load_state_dict(saved)
    for one in (trial, twin):
        _resume(one, donor)
    damage = _differs(trial, twin, TOLERANCE)
    return Verdict(SILENT_DAMAGE, f"taken; {damage}") if damage else Verdict(SURVIVED)


def _begun(subject: Subject, steps: int) -> Trial:
    params = {name: 0.01 * normal((3, 4), i).float() for i, name in enumerate(("one", "other"))}
    trial = Trial(subject, params, named=True)
    trial.step(steps)
    return trial


def _resume(trial: Trial, donor: Trial) -> None:
    """Put a trial where the one was whose state has been saved."""
    trial.taken = donor.taken
    with torch.no_grad():
        for name, param in trial.params.items():
            param.copy_(donor.params[name])


def _differs(trial: Trial, twin: Trial, tolerance: float = 0.0) -> str:
    """Return how a trial goes on otherwise than its twin; "" if it does not."""
    before = twin.values()
    try:
        trial.step(CONTINUED)
    except Exception as error:
        return f"in a later step {words_of(error)}"
    twin.step(CONTINUED)
    after = twin.values()
    for name, value in trial.values().items():
        farthest = tolerance * (after[name] - before[name]).abs()
        if not bool(((value - after[name]).abs() <= farthest).all()):
            return f"parameter {name!r} does not go on as before"
    return ""
