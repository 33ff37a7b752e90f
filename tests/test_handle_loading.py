"""An optimizer with a speed limit refuses a state that is not its own before anything changes."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch.optim import Optimizer

from tests.steps import normal
from torch_impl import limit_speed
from torch_impl.foreign import BUFFERS
from torch_impl.testing import Subject, run_checks

NAMES = ("one", "other")


def began(cls: Any = torch.optim.AdamW, steps: int = 2, **options: Any) -> Any:
    """Return an optimizer of named parameters that has taken steps."""
    params = [normal((3, 4), i, torch.float32).requires_grad_() for i in range(2)]
    optimizer = cls(zip(NAMES, params, strict=True), **options)
    for step in range(steps):
        for param in params:
            param.grad = normal(param.shape, step + 5, torch.float32)
        optimizer.step()
    return optimizer


def held(optimizer: Any) -> list[torch.Tensor]:
    """Return copies of what an optimizer's state holds, in order."""
    return [
        torch.as_tensor(value).clone() for own in optimizer.state.values() for value in own.values()
    ]


def refuses(optimizer: Any, change: Callable[[Any], None], message: str) -> None:
    """Assert that an optimizer does not take a changed state of its own, and changes nothing."""
    saved = copy.deepcopy(optimizer.state_dict())
    before = held(optimizer)
    change(saved)
    with pytest.raises(ValueError, match=message):
        optimizer.load_state_dict(saved)
    assert all(map(torch.equal, before, held(optimizer)))


def longer(state: Any) -> None:
    first = state["state"][0]
    first["exp_avg"] = torch.cat([first["exp_avg"], first["exp_avg"][:1]])


def in_8_bits(state: Any) -> None:
    state["state"][1]["exp_avg_sq"] = torch.zeros(3, 4, dtype=torch.uint8)


def complex_numbers(state: Any) -> None:
    state["state"][1]["exp_avg_sq"] = torch.zeros(3, 4, dtype=torch.complex64)


def without_a_buffer(state: Any) -> None:
    del state["state"][0]["exp_avg_sq"]


def without_a_step(state: Any) -> None:
    del state["state"][0]["step"]


def with_none(state: Any) -> None:
    state["state"][1]["exp_avg"] = None


def reordered(state: Any) -> None:
    state["param_groups"][0]["param_names"] = ["other", "one"]


def of_no_form(state: Any) -> None:
    state["state"][0] = [1.0]


def of_a_whole_training(state: Any) -> None:
    """Put the state where scripts do that save a model beside its optimizer."""
    own = dict(state)
    state.clear()
    state.update(model={}, optimizer=own)


def with_a_limit_below_zero(state: Any) -> None:
    state["param_groups"][0]["speed_limit"] = -1.0


def with_limits_by_parameter(state: Any) -> None:
    state["param_groups"][0]["speed_limit"] = torch.ones(3)


def with_a_gradient_limit_in_words(state: Any) -> None:
    state["param_groups"][0]["gradient_speed_limit"] = "x"


WRONG: list[tuple[Callable[[Any], None], str]] = [
    (longer, r"^state 'exp_avg' of parameter one in group 0 has shape \(4, 4\): expected the par"),
    (in_8_bits, "^state 'exp_avg_sq' of parameter other in group 0 has dtype torch.uint8: expect"),
    (complex_numbers, "^state 'exp_avg_sq' of parameter other in group 0 has dtype torch.complex"),
    (without_a_buffer, r"^state of parameter one in group 0 has keys .*expected 'exp_avg_sq' too"),
    (without_a_step, r"^state of parameter one in group 0 has keys .*expected 'step' too, for A"),
    (with_none, "^state 'exp_avg' of parameter other in group 0 is None: expected a dense tensor"),
    (reordered, "^param_names has 'other' as parameter 0, which is 'one' here: expected the order"),
    (of_a_whole_training, r"^state_dict has keys \['model', 'optimizer'\]: expected 'state' and"),
    (of_no_form, r"^state 0 is \[1.0\]: expected a dict"),
]


@pytest.mark.parametrize("placement", ["update", "gradient"])
@pytest.mark.parametrize(("change", "message"), WRONG)
def test_a_state_that_is_not_its_own_is_refused(change: Any, message: str, placement: Any) -> None:
    optimizer = began()
    limit_speed(optimizer, 1.0, placement=placement)
    refuses(optimizer, change, message)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_a_limit_below_zero, "^speed_limit=-1.0: expected a number >= 0"),
        (with_limits_by_parameter, "^Tensor speed_limit must be 1-element$"),
        (with_a_gradient_limit_in_words, "^speed_limit='x': expected a number >= 0"),
    ],
)
def test_groups_with_what_is_no_limit_are_refused_whichever_handle_is_last(
    change: Any, message: str
) -> None:
    for placements in (("update", "gradient"), ("gradient", "update")):
        optimizer = began()
        for placement in placements:
            limit_speed(optimizer, 1.0, placement=placement)
        refuses(optimizer, change, message)
        assert optimizer.param_groups[0]["speed_limit"] == 1.0


def test_groups_of_another_number_are_for_torch_to_report() -> None:
    optimizer = began()
    limit_speed(optimizer, 1.0)
    saved = copy.deepcopy(optimizer.state_dict())
    saved["param_groups"].append(dict(saved["param_groups"][0], params=[]))
    with pytest.raises(ValueError, match="different number of parameter groups"):
        optimizer.load_state_dict(saved)


@pytest.mark.parametrize("change", [longer, in_8_bits, without_a_buffer, reordered])
def test_a_limit_that_is_removed_leaves_no_check(change: Any) -> None:
    optimizer = began()
    handles = [limit_speed(optimizer, 1.0), limit_speed(optimizer, 1.0, placement="gradient")]
    saved = copy.deepcopy(optimizer.state_dict())
    change(saved)
    with pytest.raises(ValueError, match="expected"):
        optimizer.load_state_dict(saved)
    handles.pop().remove()
    with pytest.raises(ValueError, match="expected"):
        optimizer.load_state_dict(saved)
    handles.pop().remove()
    assert not optimizer._optimizer_load_state_dict_pre_hooks
    optimizer.load_state_dict(saved)


@pytest.mark.parametrize("cls", BUFFERS, ids=lambda cls: cls.__name__)
def test_what_an_optimizer_of_torch_has_saved_is_taken(cls: Any) -> None:
    """Its buffers are those that it is said to have, and without one it is refused."""
    optimizer = began(cls)
    saved = copy.deepcopy(optimizer.state_dict())
    limited, twin = began(cls, 0), began(cls, 0)
    limit_speed(limited, float("inf"))
    for other in (limited, twin):
        other.load_state_dict(copy.deepcopy(saved))
    assert all(map(torch.equal, held(twin), held(limited)))
    for state in saved["state"].values():
        kept = {key for key, value in state.items() if value.shape == (3, 4)}
        assert kept == set(BUFFERS[cls])
    del saved["state"][1][BUFFERS[cls][-1]]
    with pytest.raises(ValueError, match=f"expected '{BUFFERS[cls][-1]}' too"):
        limited.load_state_dict(saved)


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (torch.optim.SGD, {"momentum": 0.9}),
        (torch.optim.SGD, {}),
        (torch.optim.Adafactor, {}),
        (torch.optim.ASGD, {}),
        (torch.optim.AdamW, {"amsgrad": True}),
    ],
)
def test_other_optimizers_take_what_they_have_saved(cls: Any, options: Any) -> None:
    optimizer = began(cls, **options)
    limited = began(cls, 0, **options)
    limit_speed(limited, 1.0)
    limited.load_state_dict(optimizer.state_dict())
    assert all(map(torch.equal, held(optimizer), held(limited)))


def as_of_old(state: Any) -> None:
    for own in state["state"].values():
        own["step"] = int(own["step"])


def without_one_parameter(state: Any) -> None:
    del state["state"][1]


def in_64_bits(state: Any) -> None:
    state["state"][0]["exp_avg"] = state["state"][0]["exp_avg"].double()


def in_16_bits(state: Any) -> None:
    state["state"][0]["exp_avg"] = state["state"][0]["exp_avg"].bfloat16()


def with_more(state: Any) -> None:
    state["state"][0] |= {"seen": torch.zeros(7, dtype=torch.int64), "note": "of a hook"}


def with_other_names(state: Any) -> None:
    state["param_groups"][0]["param_names"] = ["module.one", "module.other"]


def without_names(state: Any) -> None:
    del state["param_groups"][0]["param_names"]


@pytest.mark.parametrize(
    "change",
    [
        *(as_of_old, without_one_parameter, in_64_bits, in_16_bits),
        *(with_more, with_other_names, without_names),
    ],
)
def test_what_torch_makes_its_own_is_taken(change: Any) -> None:
    limited, twin = began(), began()
    saved = copy.deepcopy(limited.state_dict())
    change(saved)
    limit_speed(limited, 1.0)
    for optimizer in (limited, twin):
        optimizer.load_state_dict(copy.deepcopy(saved))
    assert [list(own) for own in limited.state.values()] == [
        list(own) for own in twin.state.values()
    ]
    for one, other in zip(limited.state.values(), twin.state.values(), strict=True):
        assert all(
            torch.equal(torch.as_tensor(one[k]), torch.as_tensor(other[k]))
            for k in one
            if k != "note"
        )


def test_a_later_hook_may_put_a_state_in_order() -> None:
    optimizer = began()
    limit_speed(optimizer, 1.0)
    saved = copy.deepcopy(optimizer.state_dict())
    reordered(saved)

    def in_order(_: Any, state: Any) -> Any:
        group = {**state["param_groups"][0], "param_names": list(NAMES)}
        swapped = {0: state["state"][1], 1: state["state"][0]}
        return {"state": swapped, "param_groups": [group]}

    hook = optimizer.register_load_state_dict_pre_hook(in_order)
    optimizer.load_state_dict(copy.deepcopy(saved))
    first = next(iter(optimizer.state.values()))
    assert torch.equal(first["exp_avg"], saved["state"][1]["exp_avg"])
    hook.remove()
    with pytest.raises(ValueError, match=r"^param_names has 'other' as parameter 0"):
        optimizer.load_state_dict(saved)


def test_its_own_hook_is_not_taken_for_one_that_loading_left() -> None:
    def limited_adamw(params: Any, **options: Any) -> Optimizer:
        optimizer = torch.optim.AdamW(params, **options)
        limit_speed(optimizer, 0.1)
        return optimizer

    report = run_checks(Subject(limited_adamw), only=["hooks_around_saving_and_loading_are_called"])
    assert report.counts["passed"] == 1


@pytest.mark.parametrize("name", ["capturable", "fused"])
def test_a_flag_that_is_several_is_refused_before_torch_asks_it(name: str) -> None:
    param = torch.ones(2, requires_grad=True)
    optimizer = torch.optim.AdamW([param])
    limit_speed(optimizer, 0.1)
    saved = optimizer.state_dict()
    saved["param_groups"][0][name] = torch.zeros(2)
    with pytest.raises(ValueError, match=rf"{name} of param_groups\[0\] is tensor.*a flag"):
        optimizer.load_state_dict(saved)
