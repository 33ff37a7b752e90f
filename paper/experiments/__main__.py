"""Runs the experiments: ``python -m paper.experiments --profile quick|full``.

It says how much there is, goes on where it was cut off, and writes a file of records for each
experiment: the full profile to paper/results/experiments, the quick one to build.
"""

import argparse
import json
import sys
import threading
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytask
from distributed import Client, LocalCluster
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from analysis import origin
from analysis.files import write_atomically
from paper.training import Run

from . import graph, store
from .design import EXPERIMENTS, PROFILES
from .evidence import folder_of
from .plan import confirming, cost, planned

RESULTS = folder_of("full")
FOLDER = store.ROOT / "build" / "experiments"
PACKAGES = ("torch", "numpy", "numba", "pytorch-optimizer", "scikit-learn", "scikit-image")


@contextmanager
def progress(name: str, paths: Sequence[Path], console: Console) -> Iterator[None]:
    """Show how many files there are, and how long the rest will take."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    done = threading.Event()
    with Progress(*columns, console=console) as bar:
        shown = bar.add_task(name, total=len(paths))

        def watch() -> None:
            while not done.wait(2.0):
                bar.update(shown, completed=sum(path.exists() for path in paths))

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        try:
            yield
        finally:
            done.set()
            watcher.join()
            bar.update(shown, completed=sum(path.exists() for path in paths))


def build(
    experiments: Mapping[str, Sequence[Run]],
    folder: Path,
    results: Path,
    workers: int,
    *,
    dask: bool = False,
) -> bool:
    """Perform runs by pytask's workers and collect their records; return whether all is there."""
    tasks = [
        made
        for name, runs in experiments.items()
        for made in graph.tasks(runs, folder, store.collected(results, name))
    ]
    session = pytask.build(
        tasks=tasks,
        config=store.ROOT / "pyproject.toml",
        n_workers=workers,
        parallel_backend="dask" if dask else "loky",
        verbose=0,
    )
    return session.exit_code == pytask.ExitCode.OK


@contextmanager
def cluster(address: str | None, workers: int) -> Iterator[Client | None]:
    """Connect to a dask cluster: "local" for one of separate processes here, or its address."""
    if address is None:
        yield None
    elif address == "local":
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as here,  # type: ignore[no-untyped-call]
            Client(here) as client,  # type: ignore[no-untyped-call]
        ):
            yield client
            client.wait_for_workers(workers)  # one that is being restarted cannot be closed
    else:
        with Client(address) as client:  # type: ignore[no-untyped-call]
            yield client


def main(arguments: Sequence[str]) -> int:
    """Run the experiments; return 1 if something failed."""
    parser = argparse.ArgumentParser(prog="python -m paper.experiments", description=__doc__)
    parser.add_argument("--profile", choices=PROFILES, default="quick")
    parser.add_argument("--only", nargs="+", choices=[*EXPERIMENTS, "confirmation"], default=[])
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--cluster", help='address of a dask scheduler, or "local"')
    parser.add_argument("--afresh", action="store_true", help="run again what results tell already")
    parser.add_argument("--keep", action="store_true", help="only collect what has been run so far")
    given = parser.parse_args(arguments)
    profile = PROFILES[given.profile]
    folder = FOLDER / profile.name
    results = folder_of(profile.name)
    console = Console() if sys.stdout.isatty() else Console(width=120)
    before = sorted(RESULTS.glob(f"*{store.COLLECTED}"))
    kept = [record for path in before for record in store.read_collected(path)]
    if not given.afresh:
        restored = store.restore(kept, folder / "runs")
        console.print(f"{restored} runs are known from {RESULTS.relative_to(store.ROOT)}")
    with cluster(given.cluster, given.workers) as client:
        for phase in (planned, partial(confirming, results=results)):
            if phase is not planned and given.only and "confirmation" not in given.only:
                continue
            chosen = {
                name: runs
                for name, runs in phase(profile).items()
                if not given.only or name in given.only
            }
            files = {name: _files(runs, folder) for name, runs in chosen.items()}
            for name, runs in chosen.items():
                left = [r for r, f in zip(runs, files[name], strict=True) if not f.exists()]
                hours = cost(left, kept) / 3600
                console.print(f"{name}: {len(runs)} runs, {len(left)} to do, {hours:.2f} CPU-hours")
            if given.keep:
                keep(chosen, files, results)
                continue
            with progress(profile.name, [f for found in files.values() for f in found], console):
                well = build(chosen, folder, results, given.workers, dask=client is not None)
            if not well:
                return 1
    if profile.name == "full":
        write_environment(results)
    return 0


def write_environment(results: Path) -> None:
    """Write what the experiments were run on: environment.json."""
    found = {
        "processor": origin.processor(),
        "versions": origin.versions(PACKAGES),
        "commit": origin.commit(store.ROOT, store.OURS),
        "day": origin.day(),
    }
    write_atomically(results / "environment.json", json.dumps(found, indent=1) + "\n")


def keep(
    experiments: Mapping[str, Sequence[Run]], files: Mapping[str, Sequence[Path]], results: Path
) -> None:
    """Collect the records of runs that have been made, beside those that were kept before."""
    for name, runs in experiments.items():
        path = store.collected(results, name)
        told = {store.configuration(run) for run in runs}
        before = store.read_collected(path) if path.exists() else []
        records = {store.configuration(Run(**record["run"])): record for record in before}
        made = [store.load(file) for file in files[name] if file.exists()]
        records |= {store.configuration(Run(**record["run"])): record for record in made}
        if kept := [record for key, record in records.items() if key in told]:
            store.write_collected(path, kept)


def _files(runs: Iterable[Run], folder: Path) -> list[Path]:
    return [folder / "runs" / f"{store.key(run)}.json" for run in runs]


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
