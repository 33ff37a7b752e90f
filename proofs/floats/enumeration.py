"""What NumPy's kernels make of every number of the 16-bit formats, under several limits.

Notation: x an entry of the proposed update, c the speed limit. The kernels are the reference's own;
tests/test_conformance.py has torch's agree with them, input by input.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import reference
from analysis.rounding import KERNELS, gain_of_block, rounded_limit

from ..outcome import FAILS, STANDS, Outcome
from .machines import FORMATS

LIMITS = (2.0**-14, 1e-3, 0.1, 1.0, 300.0)
"""Speed limits c, from binary16's smallest normal number up."""

Search = Callable[[], Iterator[Mapping[str, float]]]


@dataclass(frozen=True)
class Sweep:
    """A search through all inputs for one that violates a statement.

    Attributes
    ----------
    violations
        Yields what violates it.
    mutants
        By name, searches that must find something.
    holds
        Whether it must find nothing.
    """

    violations: Search
    mutants: Mapping[str, Search] = field(default_factory=dict)
    holds: bool = True


def every_number(format_name: str) -> NDArray[Any]:
    """Return all 65,536 numbers of a 16-bit format, ascending by their bits."""
    return np.arange(2**16, dtype=np.uint16).view(FORMATS[format_name][1])


def _finite(format_name: str) -> NDArray[Any]:
    numbers = every_number(format_name)
    return numbers[np.isfinite(numbers.astype(np.float64))]


def _cases() -> Iterator[tuple[str, Any, NDArray[Any]]]:
    """Yield every format with every limit, rounded toward zero, and the format's finite numbers."""
    for format_name in FORMATS:
        for limit in LIMITS:
            yield format_name, rounded_limit(limit, format_name), _finite(format_name)


def _where(violated: Any, x: NDArray[Any], c: Any, format_name: str) -> Iterator[dict[str, float]]:
    for entry in x[violated][:1]:
        yield {f"{format_name} x": float(entry), "c": float(c)}


def _unlimited(law: str, *, amplifies: bool = False) -> Search:
    """Search for a result that is no number, exceeds c or, unless it ``amplifies``, exceeds |x|."""

    def search() -> Iterator[dict[str, float]]:
        for format_name, c, x in _cases():
            size = np.abs(reference.LAWS[law].limit_entries(x, float(c)).astype(np.float64))
            beyond = (size > np.abs(x.astype(np.float64))) & (not amplifies)
            yield from _where(~(size <= float(c)) | beyond, x, c, format_name)

    return search


def _implausible(tanh: Callable[[Any], Any]) -> Search:
    """Search for r with tanh r outside [0, min(r, 1)], or no number: all r ≥ 0, ∞ included."""

    def search() -> Iterator[dict[str, float]]:
        for format_name in FORMATS:
            numbers = every_number(format_name)[: 2**15]
            r = numbers[~np.isnan(numbers.astype(np.float64))]
            result, exact = tanh(r).astype(np.float64), r.astype(np.float64)
            outside = ~((result >= 0) & (result <= np.minimum(exact, 1)))
            yield from _where(outside, r, np.nan, format_name)

    return search


def _falls(units: int) -> Search:
    """Search for an entry that is applied as more units less than a smaller one."""

    def search() -> Iterator[dict[str, float]]:
        for format_name, c, x in _cases():
            positive = x[: len(x) // 2]
            results = reference.LAWS["smooth_sqrt"].limit_entries(positive, float(c))
            bits = results.view(np.uint16).astype(np.int64)
            below = np.maximum.accumulate(bits) - bits
            yield from _where(below > units, positive, c, format_name)

    return search


def _vanishes(kernel: str) -> Search:
    """Search for x > 0 beyond the limit that is applied as 0."""

    def search() -> Iterator[dict[str, float]]:
        for format_name, c, x in _cases():
            results = KERNELS[kernel](x, c).astype(np.float64)
            gone = (results == 0) & (np.abs(x.astype(np.float64)) >= float(c))
            yield from _where(gone, x, c, format_name)

    return search


def _gain_vanishes() -> Iterator[dict[str, float]]:
    """Search for a block whose gain is 0 in binary32: 10⁶ entries of 10³⁸ at c = 10⁻⁶."""
    norm, limit = 1e38 * 1e3, 1e-6
    if gain_of_block(norm, limit, np.float32) == 0 and limit / norm > 0:
        yield {"norm": norm, "c": limit}


SWEEPS: Mapping[str, Sweep] = {
    "bounded-laws-in-16-bits": Sweep(
        lambda: (
            violation
            for law in ("smooth_sqrt", "tanh", "hard_clip", "published")
            for violation in _unlimited(law)()
        ),
        {"piecewise": _unlimited("piecewise"), "newtonian": _unlimited("newtonian")},
    ),
    "tanh-plausible-in-16-bits": Sweep(
        _implausible(np.tanh), {"twice tanh": _implausible(lambda r: 2 * np.tanh(r))}
    ),
    "kernel-monotone-up-to-a-unit": Sweep(_falls(1), {"up to none": _falls(0)}),
    "kernel-monotone": Sweep(_falls(0), holds=False),
    "hypot-kernel-vanishes": Sweep(_vanishes("hypot"), holds=False),
    "gain-in-binary32": Sweep(_gain_vanishes, holds=False),
}
"""Sweeps by the id of their entry."""


def decide(name: str) -> Outcome:
    """Decide an entry by looking at every input."""
    sweep = SWEEPS[name]
    with np.errstate(all="ignore"):
        found = next(sweep.violations(), {})
        counterexamples = {key: next(search(), {}) for key, search in sweep.mutants.items()}
    stands = (not found) == sweep.holds and all(counterexamples.values())
    return Outcome(STANDS if stands else FAILS, found, counterexamples)
