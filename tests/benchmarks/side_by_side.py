"""Ratios of times: contenders timed one right after the other, in a new random order every round.

A ratio is that of the medians over the rounds. The baseline takes part twice: where its time over
its own time is farther than `BAND` from 1, something else was measured too, and nothing is judged.
"""

import random
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

BAND = 0.05
ATTEMPTS = 3
MOST = 300
"""Rounds of one attempt."""


class Contender(NamedTuple):
    """What is timed.

    Attributes
    ----------
    prepare
        Called before every run, not timed.
    run
        What is timed.
    """

    prepare: Callable[[], None]
    run: Callable[[], None]


Repeat = Callable[[Callable[[], None], int], None]
"""Calls a function a number of times."""


def repeat(call: Callable[[], None], times: int) -> None:
    """Call a function a number of times."""
    for _ in range(times):
        call()


class SideBySide:
    """Contenders and their times.

    Parameters
    ----------
    contenders
        By name; "baseline", "again" (another one of the same) and "variant" are among them.
    synchronize
        Waits for what a run has started.
    seed
        Of the order within the rounds.
    """

    def __init__(
        self,
        contenders: Mapping[str, Contender],
        synchronize: Callable[[], None] = lambda: None,
        seed: int = 0,
    ) -> None:
        self.contenders = contenders
        self.synchronize = synchronize
        self.order = random.Random(seed)  # noqa: S311
        self.times: dict[str, list[float]] = {}
        self.forget()

    def forget(self) -> None:
        """Drop the times."""
        self.times = {name: [] for name in self.contenders}

    def round(self) -> None:
        """Time every contender once."""
        for name in self.order.sample(list(self.contenders), len(self.contenders)):
            contender = self.contenders[name]
            contender.prepare()
            self.synchronize()
            start = time.perf_counter()
            contender.run()
            self.synchronize()
            self.times[name].append(time.perf_counter() - start)

    @property
    def seconds(self) -> dict[str, float]:
        """The median time of each contender."""
        return {name: statistics.median(times) for name, times in self.times.items()}

    @property
    def ratio(self) -> float:
        """The variant's time over the baseline's."""
        return self.seconds["variant"] / self.seconds["baseline"]

    @property
    def control(self) -> float:
        """The baseline's time over its own."""
        return self.seconds["again"] / self.seconds["baseline"]


def judge(
    side: SideBySide,
    *,
    budget: float,
    fewest: int,
    timed: Repeat = repeat,
) -> dict[str, Any]:
    """Return the ratio of a variant to its baseline, measured until the control is in band.

    Parameters
    ----------
    side
        The contenders.
    budget
        Seconds that an attempt may take, as far as that leaves it the fewest rounds.
    fewest
        Rounds of an attempt, at least.
    timed
        Calls the rounds of an attempt.

    Returns
    -------
    dict
        "ratio", "control", whether it is "judged" (the control was in band within `ATTEMPTS`
        attempts), and how: "attempts", "rounds" of each, "seconds" by contender.
    """
    took = _seconds(side.round)  # which makes the state, and compiles
    if took < budget:
        took = _seconds(side.round)
    rounds = min(MOST, max(fewest, int(budget / took)))
    attempts, judged = 0, False
    while attempts < ATTEMPTS and not judged:
        side.forget()
        timed(side.round, rounds)
        attempts += 1
        judged = abs(side.control - 1) <= BAND
    return {
        "ratio": side.ratio,
        "control": side.control,
        "judged": judged,
        "attempts": attempts,
        "rounds": rounds,
        "seconds": side.seconds,
    }


def _seconds(call: Callable[[], None]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
