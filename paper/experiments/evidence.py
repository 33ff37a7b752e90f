"""What was measured, looked up by what was run."""

import functools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from paper.statistics import capped
from paper.tasks import TASKS
from paper.training import Result, Run

from . import store
from .confirmation import chosen
from .design import EXPERIMENTS, Profile
from .methods import Method, Schedule

Scores = npt.NDArray[np.float64]
CONFIRMATION = "confirmation"


class Evidence:
    """The results of a profile.

    Parameters
    ----------
    profile
        What was planned.
    records
        What was kept, by experiment.
    """

    def __init__(
        self, profile: Profile, records: Mapping[str, Iterable[Mapping[str, Any]]]
    ) -> None:
        self.profile = profile
        self._searched = list(records.get("search", ()))
        self._records = [dict(record) for kept in records.values() for record in kept]
        self._results = {}
        for record in self._records:
            result = store.result(record)
            self._results[store.configuration(result.run)] = result

    @property
    def runs(self) -> int:
        """How many runs there are."""
        return len(self._results)

    @property
    def hours(self) -> float:
        """CPU-hours of all runs."""
        return sum(float(record["seconds"]) for record in self._records) / 3600

    @property
    def exploded(self) -> int:
        """How many runs exploded."""
        return sum(result.exploded for result in self._results.values())

    @functools.cached_property
    def chosen(self) -> dict[str, Method]:
        """The settings that the search has chosen.

        Raises
        ------
        LookupError
            If a run of it is not there.
        """
        for run in EXPERIMENTS["search"](self.profile):
            self.result(run)
        return chosen(self._searched)

    def result(self, run: Run) -> Result:
        """Return the result of a run.

        Raises
        ------
        LookupError
            If there is none.
        """
        found = self._results.get(store.configuration(run))
        if found is None:
            raise LookupError(
                f"no result of {run.method} on {run.task}, lr = {run.options['lr']:g}, seed "
                f"{run.seed}, {run.schedule}: expected one; run `make experiments`"
            )
        return found

    def scores(
        self,
        task: str,
        method: Method,
        rates: Sequence[float],
        schedule: Schedule,
        seeds: Sequence[int],
    ) -> Scores:
        """Return scores of shape (rates, seeds), none worse than the trivial one."""
        runs = list(self.profile.cells([task], [method], rates, schedule, seeds))
        found = [self.result(run).score for run in runs]
        shape = (len(self.profile.few(rates)), len(seeds[: self.profile.seeds]))
        return np.asarray(capped(found, TASKS[task].trivial)).reshape(shape)


def folder_of(profile: str) -> Path:
    """Return where the records of a profile are kept: what is committed is that of "full"."""
    if profile == "full":
        return store.ROOT / "paper" / "results" / "experiments"
    return store.ROOT / "build" / "experiments" / profile


def read(profile: Profile, folder: Path) -> Evidence:
    """Return the evidence in a folder of collected records, of the experiments that are there.

    Raises
    ------
    ValueError
        If a file is not of records.
    """
    files = {name: store.collected(folder, name) for name in (*EXPERIMENTS, CONFIRMATION)}
    kept = {name: store.read_collected(file) for name, file in files.items() if file.exists()}
    return Evidence(profile, kept)
