"""State that is saved, loaded and copied continues."""

import copy
import io
import pickle
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..expect import (
    advance,
    buffers,
    expect,
    expect_all_same,
    expect_same,
    leaves_of,
    refusable,
    stepped,
)
from ..registry import check
from ..subject import Subject, normal

NARROW = "torch.optim keeps and loads the moments in the dtype of the parameter"
Run = tuple[Any, list[Tensor]]


def _interrupted(subject: Subject) -> Run:
    """Return an optimizer after three steps, in the last of which one parameter had no gradient."""
    leaves = leaves_of((3, 2), (4, 1))
    optimizer = subject.build([{"params": [leaf]} for leaf in leaves])
    for step in range(2):
        advance(optimizer, leaves, step)
    leaves[1].grad = None
    advance(optimizer, leaves[:1], 2)
    return optimizer, leaves


def _expect_to_continue(run: Run, other: Run, what: str) -> None:
    """Take the same steps with both optimizers; expect the same bits."""
    for step in range(3, 6):
        for optimizer, leaves in (run, other):
            torch.manual_seed(step)
            advance(optimizer, leaves, step)
        expect_all_same(other[1], run[1], f"{what} does not continue bit for bit")


def _copies(leaves: Sequence[Tensor]) -> list[Tensor]:
    return [leaf.detach().clone().requires_grad_() for leaf in leaves]


@check("state")
def a_saved_state_continues_bit_for_bit(subject: Subject) -> None:
    """Through torch.save and torch.load with weights_only, into one with other options."""
    optimizer, leaves = _interrupted(subject)
    file = io.BytesIO()
    torch.save(optimizer.state_dict(), file)
    file.seek(0)
    others = _copies(leaves)
    restored = subject.build([{"params": [leaf]} for leaf in others], **subject.having(lr=0.9))
    restored.load_state_dict(torch.load(file, weights_only=True))
    _expect_to_continue((optimizer, leaves), (restored, others), "a state saved and loaded")


@check("state")
def a_deep_copy_continues_bit_for_bit(subject: Subject) -> None:
    """With the parameters it was copied with."""
    optimizer, leaves = _interrupted(subject)
    copied = copy.deepcopy((optimizer, leaves))
    _expect_to_continue((optimizer, leaves), copied, "a deep copy")


@check("state")
def a_pickled_optimizer_continues_bit_for_bit(subject: Subject) -> None:
    """With the parameters it was pickled with."""
    optimizer, leaves = _interrupted(subject)
    unpickled = pickle.loads(pickle.dumps((optimizer, leaves)))  # noqa: S301
    _expect_to_continue((optimizer, leaves), unpickled, "a pickled optimizer")


@check("state")
def saving_changes_nothing(subject: Subject) -> None:
    """A run that saves after every step ends where one does that never saves."""
    ends = []
    for saves in (False, True):
        torch.manual_seed(0)
        leaves = leaves_of((3, 2))
        optimizer = subject.build(leaves)
        for step in range(3):
            advance(optimizer, leaves, step)
            if saves:
                optimizer.state_dict()
        ends.append(leaves)
    expect_all_same(ends[0], ends[1], "a run that saves is another one")


@check("state")
def a_parameter_saved_before_its_first_step_starts_anew(subject: Subject) -> None:
    """It takes the step that it would have taken without being saved."""
    leaves = leaves_of((3, 2), (4, 1))
    optimizer = stepped(subject, leaves[:1])
    optimizer.add_param_group({"params": leaves[1:]})
    others = _copies(leaves)
    restored = subject.build([{"params": [leaf]} for leaf in others])
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    _expect_to_continue((optimizer, leaves), (restored, others), "a state without a parameter's")


@check("state")
def loading_a_state_again_goes_back_to_it(subject: Subject) -> None:
    """As after a divergence: the optimizer that has gone on is where it was saved."""
    optimizer, leaves = _interrupted(subject)
    saved, values = copy.deepcopy(optimizer.state_dict()), _copies(leaves)
    ends = []
    for _ in range(2):
        for step in range(3, 6):
            torch.manual_seed(step)
            advance(optimizer, leaves, step)
        ends.append(_copies(leaves))
        optimizer.load_state_dict(copy.deepcopy(saved))
        with torch.no_grad():
            for leaf, value in zip(leaves, values, strict=True):
                leaf.copy_(value)
    expect_all_same(ends[0], ends[1], "a state that is loaded again is not gone back to")


@check("state")
def options_are_saved_and_loaded(subject: Subject) -> None:
    """Those of every group, over those of the constructor."""
    leaves = leaves_of((3, 2), (4, 1))
    optimizer = subject.build([{"params": [leaf]} for leaf in leaves])
    options = subject.having(lr=0.25)
    optimizer.param_groups[1].update(options)
    saved = copy.deepcopy(optimizer.state_dict())
    restored = subject.build([{"params": [leaf]} for leaf in leaves])
    restored.load_state_dict(saved)
    for kept, loaded in zip(saved["param_groups"], restored.param_groups, strict=True):
        for name in kept.keys() - {"params"}:
            same = repr(loaded.get(name)) == repr(kept[name])
            expect(same, f"{name}={kept[name]!r} is loaded as {loaded.get(name)!r}")


@check("state")
def hooks_around_saving_and_loading_are_called(subject: Subject) -> None:
    """One before loading may rewrite the state; one after it sees what was loaded."""
    leaves = leaves_of((3, 2))
    optimizer = stepped(subject, leaves)
    calls: list[str] = []
    optimizer.register_state_dict_pre_hook(lambda _: calls.append("before saving"))
    optimizer.register_state_dict_post_hook(lambda _, saved: {**saved, "author": "hook"})
    saved = optimizer.state_dict()
    expect(saved.pop("author", None) == "hook", "what a hook made of the saved state is lost")
    renamed = {**saved, "param_groups": [{**saved["param_groups"][0], "note": "theirs"}]}
    restored = subject.build(leaves)
    own = _loading_hooks(restored)
    restored.register_load_state_dict_pre_hook(
        lambda _, loaded: {
            **loaded,
            "param_groups": [{**group, "note": "ours"} for group in loaded["param_groups"]],
        }
    )
    restored.register_load_state_dict_post_hook(
        lambda loaded: calls.append(loaded.param_groups[0]["note"])
    )
    for _ in range(2):  # what loading registers for itself is gone after it
        restored.load_state_dict(renamed)
    expected = ["before saving", "ours", "ours"]
    expect(calls == expected, f"the hooks saw {calls}: expected {expected}")
    for kind, number in _loading_hooks(restored).items():
        left = number - own[kind]
        expect(left == 1, f"{left} {kind}-hooks are left of the 1 that was registered")


def _loading_hooks(optimizer: Optimizer) -> dict[str, int]:
    """Count the hooks of loading, by their kind."""
    return {
        kind: len(getattr(optimizer, f"_optimizer_load_state_dict_{kind}_hooks"))
        for kind in ("pre", "post")
    }


@check("state")
def named_parameters_keep_their_names(subject: Subject) -> None:
    """In the state dict, and when it is loaded."""
    names = [f"layer.{i}" for i in range(2)]
    leaves = leaves_of((3, 2), (4, 1))
    optimizer = stepped_by_name(subject, names, leaves)
    saved = optimizer.state_dict()
    found = saved["param_groups"][0].get("param_names")
    expect(found == names, f"the names saved are {found}: expected {names}")
    restored = subject.build(list(zip(names, leaves, strict=True)))
    restored.load_state_dict(saved)
    found = restored.param_groups[0].get("param_names")
    expect(found == names, f"the names loaded are {found}: expected {names}")


def stepped_by_name(subject: Subject, names: Sequence[str], leaves: Sequence[Tensor]) -> Any:
    """Return an optimizer of named parameters that has taken a step."""
    optimizer = subject.build(list(zip(names, leaves, strict=True)))
    advance(optimizer, leaves, 0)
    return optimizer


def _strided() -> Tensor:
    """Return a parameter in channels_last."""
    plain = normal((2, 3, 4, 5), 1)
    return plain.contiguous(memory_format=torch.channels_last).requires_grad_()


@check("state")
def buffers_lie_in_memory_as_their_parameter(subject: Subject) -> None:
    """Made in a step, and loaded."""
    leaf = _strided()
    leaf.grad = torch.ones_like(leaf)
    with refusable("2d"):
        optimizer = subject.build([leaf])
    optimizer.step()
    restored = subject.build([leaf])
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for one, how in ((optimizer, "made"), (restored, "loaded")):
        for key, value in buffers(one, leaf).items():
            expect(
                value.stride() == leaf.stride(),
                f"{key!r} is {how} with strides {value.stride()}: expected {leaf.stride()}",
            )


@check("state", beyond_torch="torch.optim keeps the layout that was saved")
def loaded_buffers_take_the_layout_of_their_parameter(subject: Subject) -> None:
    """Of a parameter that was contiguous when it was saved and is not now."""
    leaf = _strided()
    plain = leaf.detach().contiguous().requires_grad_()
    optimizer = stepped(subject, [plain])
    restored = subject.build([leaf])
    restored.load_state_dict(optimizer.state_dict())
    for key, value in buffers(restored, leaf).items():
        expect_same(value, optimizer.state[plain][key], f"{key!r} is loaded with other values")
        expect(value.stride() == leaf.stride(), f"{key!r} is loaded with strides {value.stride()}")


@check("state")
def a_loaded_state_follows_the_dtype_of_its_parameter(subject: Subject) -> None:
    """Between float32 and float64; the next step is finite."""
    kinds = (torch.float32, torch.float64)
    for saved, loaded in (kinds, kinds[::-1]):
        (leaf,) = leaves_of((3, 2), dtype=saved)
        optimizer = stepped(subject, [leaf])
        other = leaf.detach().to(loaded).requires_grad_()
        restored = subject.build([other])
        restored.load_state_dict(optimizer.state_dict())
        for key, value in buffers(restored, other).items():
            expect(value.dtype == loaded, f"{key!r} is {value.dtype}: expected {loaded}")
        advance(restored, [other], 1)
        expect(bool(other.isfinite().all()), f"a state in {saved} for {loaded} gives {other}")


@check("state", beyond_torch="torch.optim loads the very tensors, and steps in them")
def a_loaded_state_is_a_copy(subject: Subject) -> None:
    """Steps after loading do not write into what was loaded."""
    saved = stepped(subject, leaves_of((3, 2))).state_dict()
    before = copy.deepcopy(saved)
    others = leaves_of((3, 2))
    restored = subject.build(others)
    restored.load_state_dict(saved)
    advance(restored, others, 1)
    for key, value in before["state"][0].items():
        same = not isinstance(value, Tensor) or torch.equal(saved["state"][0][key], value)
        expect(same, f"a step after loading has written into the loaded {key!r}")


@check("state", beyond_torch=NARROW)
def the_state_of_narrow_parameters_stays_wide(subject: Subject) -> None:
    """A second moment of 1e-12 is 0 in binary16, and the step after it NaN."""
    for dtype in (torch.float16, torch.bfloat16):
        leaf = torch.ones(3, 2, dtype=dtype).requires_grad_()
        optimizer = subject.build([leaf])
        leaf.grad = torch.full_like(leaf, 1e-6)
        optimizer.step()
        (other,) = _copies([leaf])
        restored = subject.build([other])
        restored.load_state_dict(optimizer.state_dict())
        _expect_wide(restored, other)
        for _ in range(3):
            for one, its in ((optimizer, leaf), (restored, other)):
                its.grad = torch.full_like(its, 1e-6)
                one.step()
        expect_same(other, leaf, f"a state of {dtype} does not continue")
        expect(bool(leaf.isfinite().all()), f"gradients of 1e-6 in {dtype} lead to {leaf}")


def _expect_wide(optimizer: Any, leaf: Tensor) -> None:
    for key, value in buffers(optimizer, leaf).items():
        expect(value.dtype == torch.float32, f"{key!r} is {value.dtype}: expected torch.float32")


@check("state", beyond_torch=NARROW)
def a_state_that_was_saved_narrow_is_widened(subject: Subject) -> None:
    """As by an optimizer that keeps it in the dtype of the parameter; hooks see it wide."""
    leaves = leaves_of((3, 2), dtype=torch.bfloat16)
    saved = stepped(subject, leaves).state_dict()
    for key, value in saved["state"][0].items():
        if isinstance(value, Tensor):
            saved["state"][0][key] = value.to(torch.bfloat16)
    restored = subject.build(leaves)
    restored.register_load_state_dict_post_hook(lambda loaded: _expect_wide(loaded, leaves[0]))
    restored.load_state_dict(saved)
