"""Sequences of events, compared with a fresh replay of the steps among them.

What is saved, loaded, copied, interrupted or refused on the way leaves no trace: an optimizer that
has only taken the steps is, bit for bit, where one is that has been through it all.
"""

import copy
import io
import math
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
    run_state_machine_as_test,
)
from torch import Tensor

from .draws import drawn
from .expect import expect, policy
from .registry import check
from .subject import Subject, normal
from .walk import Walk, seeded

SHAPES = ((2, 3), (), (4,))
RATES = (0.0, 1e-3, 0.5)
SEEDS = st.integers(0, 99)
EVENTS = 12
"""How many events a sequence has at most."""


class History:
    """An optimizer whose groups have a parameter each, and what has happened to it.

    Attributes
    ----------
    walk
        The optimizer on its way.
    frozen
        The indices of parameters that get no gradient.
    """

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self.walk = Walk(subject, [normal(SHAPES[0], 0, torch.float32)])
        self.frozen: set[int] = set()

    def add_group(self) -> None:
        """Add a group with a parameter of the next shape."""
        count = len(self.walk.params)
        shape = SHAPES[count % len(SHAPES)]
        self.walk.params.append(normal(shape, count, torch.float32).requires_grad_())
        self.walk.optimizer.add_param_group({"params": [self.walk.params[-1]]})

    def freeze_or_thaw(self, index: int) -> None:
        """Freeze a parameter, or let it learn again."""
        self.frozen ^= {index}
        self.walk.params[index].requires_grad_(index not in self.frozen)

    def step(self, seed: int, hit: float | None = None) -> None:
        """Take a step of random gradients, an entry of the first of them replaced."""
        gradients: list[Tensor | None] = [
            None if index in self.frozen else normal(param.shape, seed + index, torch.float32)
            for index, param in enumerate(self.walk.params)
        ]
        if hit is not None:
            next(g for g in gradients if g is not None).view(-1)[0] = hit
        self.walk.step(gradients, seed)

    def save_and_load(self) -> None:
        """Go on with a new optimizer of equal parameters, which loads what was saved."""
        file = io.BytesIO()
        torch.save(self.walk.optimizer.state_dict(), file)
        file.seek(0)
        old, fresh = self.walk, History(self._subject)
        for _ in old.params[1:]:
            fresh.add_group()
        fresh.walk.move_to(old.values())
        fresh.walk.optimizer.load_state_dict(torch.load(file, weights_only=True))
        for index in self.frozen:
            fresh.freeze_or_thaw(index)
        self.walk = fresh.walk

    def copy_deeply(self) -> None:
        """Go on with a copy of parameters and optimizer."""
        self.walk = copy.deepcopy(self.walk)

    def refuse(self, seed: int, hit: float) -> None:
        """Take a step with a gradient that is not finite, which is none or an error."""
        with suppress(RuntimeError):
            self.step(seed, hit)

    def interrupt(self) -> None:
        """Have the closure of a step raise."""

        def closure() -> float:
            raise KeyboardInterrupt

        try:
            with seeded(0):
                self.walk.optimizer.step(closure)
        except KeyboardInterrupt:
            return
        raise AssertionError("the exception of a closure does not come out of a step")


def _expect_same(actual: Any, expected: Any, what: str) -> None:
    """Raise AssertionError unless two values are the same, containers and tensors throughout."""
    if isinstance(expected, dict):
        expect(actual.keys() == expected.keys(), f"{what}: {[*actual]}, replayed {[*expected]}")
        for key, value in expected.items():
            _expect_same(actual[key], value, f"{what}[{key!r}]")
    elif isinstance(expected, list):
        for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
            _expect_same(one, other, f"{what}[{index}]")
    else:
        one, other = torch.as_tensor(actual), torch.as_tensor(expected)
        same = (one == other) | (one.isnan() & other.isnan())
        expect(bool(same.all()), f"{what} is {one.tolist()}, replayed {other.tolist()}")


def machine_of(subject: Subject) -> type[RuleBasedStateMachine]:
    """Return the state machine that takes a subject through sequences of events."""
    declared = Walk(subject, [torch.ones(2)]).promised().guarded
    guarded = declared or policy(subject) in {"skip", "raise"}

    class Events(RuleBasedStateMachine):
        @initialize()
        def start(self) -> None:
            self.history = History(subject)
            self.steps: list[Callable[[History], None]] = []

        def _do(self, event: Callable[[History], None]) -> None:
            """Do what counts, and compare with a replay of what has counted so far."""
            self.steps.append(event)
            event(self.history)
            replayed = History(subject)
            for step in self.steps:
                step(replayed)
            one, other = self.history.walk, replayed.walk
            _expect_same(one.values(), other.values(), "parameters")
            state, model = (walk.optimizer.state_dict()["state"] for walk in (one, other))
            _expect_same(state, model, "state")

        def _pass(self, event: Callable[[History], None], seed: int) -> None:
            """Do what does not count, and take the step that would show its trace."""
            event(self.history)
            self.step(seed)

        @rule(seed=SEEDS)
        def step(self, seed: int) -> None:
            self._do(lambda history: history.step(seed))

        @rule(rate=st.sampled_from(RATES))
        def change_the_rate(self, rate: float) -> None:
            self._do(lambda history: history.walk.set_rate(rate))

        @precondition(lambda self: len(self.history.walk.params) < len(SHAPES))
        @rule()
        def add_a_group(self) -> None:
            self._do(History.add_group)

        @rule(number=st.integers(0, len(SHAPES) - 1))
        def freeze_or_thaw(self, number: int) -> None:
            index = number % len(self.history.walk.params)
            self._do(lambda history: history.freeze_or_thaw(index))

        @rule(seed=SEEDS)
        def save_and_load(self, seed: int) -> None:
            self._pass(History.save_and_load, seed)

        @rule(seed=SEEDS)
        def copy_deeply(self, seed: int) -> None:
            self._pass(History.copy_deeply, seed)

        @rule(seed=SEEDS)
        def interrupt(self, seed: int) -> None:
            self._pass(History.interrupt, seed)

        @precondition(
            lambda self: guarded and len(self.history.frozen) < len(self.history.walk.params)
        )
        @rule(seed=SEEDS, hit=st.sampled_from([math.nan, math.inf, -math.inf]))
        def meet_what_is_not_finite(self, seed: int, hit: float) -> None:
            self._pass(lambda history: history.refuse(seed, hit), seed)

    return Events


@check("events")
def a_sequence_of_events_ends_where_its_steps_alone_lead(subject: Subject) -> None:
    """However often it is saved, loaded, copied or interrupted between them."""
    run_state_machine_as_test(
        drawn(machine_of(subject)),
        settings=settings(
            max_examples=max(1, settings().max_examples // 2),
            stateful_step_count=EVENTS,
            deadline=None,
            database=None,
            suppress_health_check=list(HealthCheck),
            phases=(Phase.generate, Phase.shrink),
        ),
    )
