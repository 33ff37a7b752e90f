"""What is run: every experiment as a list of runs, in two sizes.

Seeds, grids and tasks are fixed here; what a run is judged by is in `paper.tasks`,
and what follows from all of them in `paper.questions`.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

from paper.tasks import TASKS
from paper.training import Run

from .methods import (
    ADAGC,
    ADAMW,
    BASELINES,
    CLIPPED,
    GRAVITY,
    SPAM,
    STABLE,
    UNDECAYED,
    VARIANTS,
    Method,
    Schedule,
    limited,
    on_another,
)

Value = TypeVar("Value")


@dataclass(frozen=True)
class Profile:
    """How much is run.

    Attributes
    ----------
    name
        What it is called.
    seeds
        How many of the seeds of an experiment.
    rates
        Every how many-th learning rate, or speed limit, of a grid.
    steps
        Share of a task's steps.
    """

    name: str
    seeds: int | None
    rates: int
    steps: float

    def few(self, values: Sequence[Value]) -> Sequence[Value]:
        """Return what a grid keeps of its values."""
        return values[:: self.rates]

    def cells(
        self,
        tasks: Iterable[str],
        methods: Iterable[Method],
        rates: Sequence[float],
        schedule: Schedule,
        seeds: Sequence[int],
    ) -> Iterator[Run]:
        """Yield the runs of every method on every task, at each learning rate and seed."""
        methods = tuple(methods)
        for task in tasks:
            steps = max(8, round(self.steps * TASKS[task].steps))
            for method in methods:
                for lr in self.few(rates):
                    for seed in seeds[: self.seeds]:
                        yield method.run(task, lr, seed, steps, schedule)


PROFILES = {
    profile.name: profile
    for profile in (Profile("quick", 1, 4, 0.05), Profile("full", None, 1, 1.0))
}

SEEDS = (0, 1, 2, 3, 4)
SEARCH_SEEDS = (100, 101, 102, 103, 104)
"""Of the search for one setting, which is confirmed on others."""

MANY_SEEDS = tuple(range(10))
"""Where small differences are looked for."""

NINE_RATES = (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1, 0.3, 1.0, 3.0)
SEVEN_RATES = NINE_RATES[1:8]
FIVE_RATES = (1e-3, 3e-3, 1e-2, 0.1, 1.0)
FOUR_RATES = (1e-3, 1e-2, 0.1, 1.0)

WHOLE_FACTORIAL = ("digits", "digits_cnn")
DEVELOPMENT = (
    "digits",
    "digits_cnn",
    "deep_tanh",
    "published_regression",
    "noisy_quadratic",
    "noisy_double_well",
)
"""Tasks of the search."""

CONFIRMATION = (
    "faces_cnn",
    "adding_100",
    "adding_200",
    "byte_lstm",
    "byte_gpt",
    "byte_gpt_small",
    "byte_gpt_bf16",
    "post_ln_gpt",
)
"""Tasks of the confirmation: none has the data of one that was searched on."""

TWINS = {"digits": "digits_bf16", "byte_gpt_small": "byte_gpt_bf16"}
"""Tasks in binary32, and the same under bfloat16 autocast."""

WHOLE = (*DEVELOPMENT, *CONFIRMATION, TWINS["digits"])
"""Tasks that the main methods and the chosen ones are run on."""

COSTLY = {*CONFIRMATION, *TWINS.values()} - {"faces_cnn"}
"""Tasks with five learning rates instead of seven."""


def rates_of(task: str) -> Sequence[float]:
    """Return the learning rates of the main methods on a task."""
    return FIVE_RATES if task in COSTLY else SEVEN_RATES


WIDTHS = ("digits_width_32", "digits_width_64", "digits", "digits_width_256", "digits_width_512")

LIMITS: Mapping[str, Sequence[float]] = {
    "norm": (0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    "rms": (1e-4, 3e-4, 1e-3, 3e-3, 1e-2),
    "relative": (3e-4, 1e-3, 3e-3, 1e-2, 3e-2, 0.1),
}
"""Speed limits that are tried, by unit."""

MAPPED: Mapping[str, Sequence[float]] = {
    "digits": SEVEN_RATES,
    "digits_cnn": SEVEN_RATES,
    "byte_gpt": FOUR_RATES,
}
"""Tasks with maps of rates by limits, and their rates."""

MAP_LIMITS = (1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2)

SPIKED = ("digits", "byte_gpt")
SPIKE = 1e4
SPIKE_POINTS = 60
SPIKE_METHODS = (
    ADAMW,
    CLIPPED,
    STABLE,
    ADAGC,
    SPAM,
    *(limited(1e-3, mode=mode) for mode in ("per_param", "per_component")),
    *(limited(1e-2, placement="gradient", mode=mode) for mode in ("per_param", "per_component")),
)

TRANSFER_RATE = 0.1
"""Where the limit and not the rate sets the step."""

SHAPED = ("digits", "digits_cnn", "deep_tanh", "byte_lstm")
SHAPES = tuple(
    limited(3e-3, law=law, decayed=True)
    for law in ("smooth_sqrt", "tanh", "hard_clip", "published")
)
SHAPE_RATES = (1e-3, 1e-2, 0.1)

MODED = ("digits", "digits_cnn", "deep_tanh")
MODES = ("per_component", "per_param", "global")
MODE_RATES = (1e-2, 0.1)

CONSTANT_C, DECAYED_C = limited(1e-3), limited(3e-3, decayed=True)
"""The two settings of earlier, smaller studies; the search may prefer others."""

EVERY_METHOD = (
    *BASELINES,
    *VARIANTS,
    on_another(BASELINES[0], 1e-3),
    on_another(ADAMW, 1e-3),
)
"""The methods of the whole factorial."""

MAIN = (ADAMW, CLIPPED, UNDECAYED, STABLE, CONSTANT_C, DECAYED_C, GRAVITY)
"""The methods that every task is given."""


def factorial(profile: Profile) -> Iterator[Run]:
    """Yield every method at nine constant learning rates, on two tasks."""
    return profile.cells(WHOLE_FACTORIAL, EVERY_METHOD, NINE_RATES, "constant", SEEDS)


def windows(profile: Profile) -> Iterator[Run]:
    """Yield the main methods on every task, with cosine."""
    for task in WHOLE:
        yield from profile.cells([task], MAIN, rates_of(task), "cosine", SEEDS)


def search(profile: Profile) -> Iterator[Run]:
    """Yield candidates for one fixed setting, on the development tasks."""
    for unit, mode in (("rms", "per_param"), ("relative", "per_param"), ("rms", "global")):
        for c in profile.few(LIMITS[unit]):
            for decayed in (False, True):
                method = limited(c, unit=unit, mode=mode, decayed=decayed)
                yield from profile.cells(DEVELOPMENT, [method], FOUR_RATES, "cosine", SEARCH_SEEDS)
    baselines = (CLIPPED, UNDECAYED)
    yield from profile.cells(DEVELOPMENT, baselines, SEVEN_RATES, "cosine", SEARCH_SEEDS)


def maps(profile: Profile) -> Iterator[Run]:
    """Yield learning rates by speed limits, both constant and both decayed."""
    for task, rates in MAPPED.items():
        for c in profile.few(MAP_LIMITS):
            yield from profile.cells([task], [limited(c)], rates, "constant", SEEDS)
            method = limited(c, decayed=True)
            yield from profile.cells([task], [method], rates, "cosine", SEEDS)


def spikes(profile: Profile) -> Iterator[Run]:
    """Yield runs with one gradient 10⁴ times as large, and the same without."""
    for run in profile.cells(SPIKED, SPIKE_METHODS, (1e-3,), "constant", SEEDS):
        for factor in (1.0, SPIKE):
            yield replace(run, spike=factor, span=max(1, run.steps // SPIKE_POINTS))


def transfer(profile: Profile) -> Iterator[Run]:
    """Yield every unit of c over widths."""
    for unit, limits in LIMITS.items():
        for c in profile.few(limits):
            method = limited(c, unit=unit)
            yield from profile.cells(
                profile.few(WIDTHS), [method], (TRANSFER_RATE,), "constant", SEEDS
            )


def shapes(profile: Profile) -> Iterator[Run]:
    """Yield four laws that differ in nothing else, with many seeds."""
    return profile.cells(SHAPED, SHAPES, SHAPE_RATES, "cosine", MANY_SEEDS)


def modes(profile: Profile) -> Iterator[Run]:
    """Yield the three modes at several limits and two rates."""
    for mode in MODES:
        for c in profile.few(LIMITS["rms"]):
            method = limited(c, mode=mode)
            yield from profile.cells(MODED, [method], MODE_RATES, "constant", SEEDS)


EXPERIMENTS: Mapping[str, Callable[[Profile], Iterator[Run]]] = {
    function.__name__: function
    for function in (factorial, search, windows, spikes, transfer, modes, maps, shapes)
}
"""Every experiment, in the order in which they are run."""
