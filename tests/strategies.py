"""Hypothesis strategies of the suite; `test_strategies` tests them."""

import math
import sys

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

Array = NDArray[np.float64]

LARGEST, SMALLEST, SUBNORMAL = sys.float_info.max, sys.float_info.min, 5e-324

EXTREME_RATIOS = (
    0.0,
    SUBNORMAL,
    SMALLEST,
    2.0**-27,  # whose square is half an ulp of 1
    0.5,
    math.nextafter(1, 0),
    1.0,
    math.nextafter(1, 2),
    2.0**27,
    math.sqrt(LARGEST),  # whose square is at the edge of overflow
    LARGEST,
)

KINDS = ("moderate", "tiny", "huge", "mixed", "zero")


def ratios(below: float = math.inf) -> st.SearchStrategy[float]:
    """Speed ratios from 0 to ``below``, over all magnitudes and dense around 1."""
    top = min(math.nextafter(below, 0), LARGEST)
    around = st.floats(0, min(4.0, top))
    magnitudes = st.floats(-300, 300).map(lambda e: min(10.0**e, top))
    return st.one_of(around, magnitudes, st.sampled_from([r for r in EXTREME_RATIOS if r <= top]))


def ratio_pairs(below: float = math.inf) -> st.SearchStrategy[tuple[float, float]]:
    """Two speed ratios in ascending order, often close to each other."""
    far = st.tuples(ratios(below), ratios(below))
    near = st.tuples(ratios(below), st.floats(1, 2)).map(
        lambda p: (p[0], min(p[0] * p[1], math.nextafter(min(below, LARGEST), 0)))
    )
    return st.one_of(far, near).map(lambda pair: (min(pair), max(pair)))


def shapes() -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of small tensors, 0-d and empty ones included."""
    return st.sampled_from([(), (1,), (5,), (0,), (3, 4), (2, 1, 3)])


def draw_values(
    rng: np.random.Generator, shape: tuple[int, ...], kind: str, tiny: float, huge: float
) -> Array:
    """Return random numbers of one of the `KINDS`, their sizes between ``tiny`` and ``huge``."""
    lowest, highest = {
        "moderate": (0.01, 10.0),
        "tiny": (tiny, tiny * 1e3),
        "huge": (huge / 1e3, huge),
        "mixed": (tiny, huge),
        "zero": (1.0, 1.0),
    }[kind]
    sizes = 10 ** rng.uniform(math.log10(lowest), math.log10(highest), shape)
    signs = rng.choice([-1.0, 1.0], shape)
    present = rng.random(shape) > (1.0 if kind == "zero" else 0.1)
    return np.where(present, signs * np.clip(sizes, tiny, huge), 0.0)


@st.composite
def values(
    draw: st.DrawFn,
    shape: st.SearchStrategy[tuple[int, ...]],
    tiny: float = 1e-300,
    huge: float = 1e300,
) -> Array:
    """Return an array of random numbers whose sizes are 0 or between ``tiny`` and ``huge``."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return draw_values(rng, draw(shape), draw(st.sampled_from(KINDS)), tiny, huge)


def updates(tiny: float = 1e-300, huge: float = 1e300) -> st.SearchStrategy[list[Array]]:
    """Return one to three arrays of proposed updates."""
    return st.lists(values(shapes(), tiny, huge), min_size=1, max_size=3)


def speed_limits(smallest: float = 1e-6, largest: float = 1e6) -> st.SearchStrategy[float]:
    """Return finite speed limits over all magnitudes between the two."""
    powers = st.floats(math.log10(smallest), math.log10(largest)).map(lambda e: 10.0**e)
    return st.one_of(powers, st.sampled_from([0.1, 1.0, smallest, largest]))


def gradients(tiny: float = 1e-140, huge: float = 1e140) -> st.SearchStrategy[Array]:
    """Return one gradient of one to nine entries."""
    return values(st.tuples(st.integers(1, 9)), tiny, huge)
