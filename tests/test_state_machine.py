"""Sequences of events that an optimizer goes through, against a replay of its steps."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from hypothesis import settings

from tests.cases import SUBJECTS, Options
from torch_impl.testing import Subject, run_check

EVENTS = "a_sequence_of_events_ends_where_its_steps_alone_lead"


@pytest.mark.property(2)  # of which the check takes half
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((name, {}) for name in SUBJECTS),
        ("RelativisticAdam", {"on_nonfinite": "raise", "relativistic_mode": "global"}),
        ("RelativisticAdamW", {"on_nonfinite": "skip", "speed_limit": "auto"}),
        ("RelativisticAdamW", {"speed_follows_lr": True, "adaptive_speed": True, "lr": 0.1}),
        ("Gravity", {"on_nonfinite": "skip", "alpha": 0.1, "max_step_grad": 2.0}),
    ],
)
def test_what_comes_between_steps_leaves_no_trace(name: str, options: Options) -> None:
    run_check(EVENTS, SUBJECTS[name].subject(options))


class Momentum(torch.optim.SGD):
    """SGD with momentum, which a subclass breaks."""

    def __init__(self, params: Any, lr: float = 0.1) -> None:
        super().__init__(params, lr=lr, momentum=0.9)


class Forgetful(Momentum):
    """Saves no momentum."""

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "state": {}}


class Counting(Momentum):
    """Counts an interrupted step."""

    def step(self, closure: Any = None) -> Any:
        for state in self.state.values():
            state["steps"] = state.get("steps", 0) + 1
        return super().step(closure)


class Deaf(Momentum):
    """Carries on after an interruption."""

    def step(self, closure: Any = None) -> Any:
        try:
            return super().step(closure)
        except KeyboardInterrupt:
            return None


class Shallow(Momentum):
    """Shares its momentum with its copies."""

    def __deepcopy__(self, memo: dict[int, Any]) -> "Shallow":
        params = [param for group in self.param_groups for param in group["params"]]
        copied = Shallow([{"params": [memo[id(param)]]} for param in params])
        for param in params:
            copied.state[memo[id(param)]] = self.state[param]
        return copied


@pytest.fixture
def sought() -> Iterator[None]:
    """Ten times the usual examples, all of which are drawn only if nothing is found."""
    usual = settings.get_current_profile_name()
    settings.register_profile("sought", max_examples=10 * settings().max_examples)
    settings.load_profile("sought")
    yield
    settings.load_profile(usual)


@pytest.mark.usefixtures("sought")
@pytest.mark.parametrize(
    ("cls", "event"),
    [
        (Forgetful, "save_and_load"),
        (Counting, "interrupt"),
        (Deaf, "interrupt"),
        (Shallow, "copy_deeply"),
    ],
)
def test_an_event_that_leaves_a_trace_is_found(cls: Any, event: str) -> None:
    with pytest.raises(BaseException, match=r"replayed|closure") as found:
        run_check(EVENTS, Subject(cls))
    assert f"state.{event}(" in "".join(found.value.__notes__)
