"""Takes over runs of earlier code: ``python -m paper.experiments.carry``.

A change of code that changes no result need not cost every run again. Of the runs that have the
same code behind them some are made again by today's. Where all of these come out as they are
recorded, in every digit, the records of the others get today's code too, and keep whose made them.
Where one does not, its group stays as it is: the experiments make it again. On another processor
sums are rounded otherwise, and a run that is unstable ends elsewhere: beside a tree of the earlier
code ("--earlier") one is also confirmed if that comes out alike here.
"""

import argparse
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import torch

from paper.optimizers import OPTIMIZERS
from paper.tasks import TASKS
from paper.training import Run

from . import store
from .__main__ import FOLDER, RESULTS

Record = dict[str, Any]
Group = tuple[str, str]
"""The code that a record has, and today's."""

AGAIN = ("code", "made", "seconds")
"""What may differ of a run that is made again."""

Found = Literal["as recorded", "as the earlier code here", "otherwise"]
"""What becomes of a run that is made again."""

EARLIER = """
import json, sys
from pathlib import Path
import torch
from paper.experiments import store
from paper.training import Run
torch.set_num_threads(1)
print(store.perform(Run(**json.loads(sys.argv[1])), Path(sys.argv[2])))
"""
"""Makes a run by the code of the tree that it is started in."""

SHARE, LEAST = 0.03, 3
"""What is made again of a group: a share, and a number at least."""


def outdated(records: Iterable[Record]) -> Mapping[Group, list[Record]]:
    """Return the records of earlier code whose task and optimizer there still are, by group."""
    groups: dict[Group, list[Record]] = {}
    for record in records:
        run = Run(**record["run"])
        if run.task in TASKS and run.optimizer in OPTIMIZERS:
            today = store.code(run)
            if record["code"] != today:
                groups.setdefault((record["code"], today), []).append(record)
    return groups


def sample(group: Sequence[Record], share: float, least: int) -> list[Record]:
    """Return the records that are made again, the same ones in every call."""
    count = min(len(group), max(least, round(share * len(group))))
    return random.Random(0).sample(group, count)  # noqa: S311


def compare(record: Record, folder: Path, earlier: Path | None = None) -> Found:
    """Return what becomes of a record's run now; what is made of it is kept in a folder."""
    again = store.load(store.perform(Run(**record["run"]), folder))
    if _told(again) == _told(record):
        return "as recorded"
    if earlier is None:
        return "otherwise"
    made = subprocess.run(
        [sys.executable, "-c", EARLIER, json.dumps(record["run"]), folder.resolve() / "earlier"],
        cwd=earlier,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"},
        check=True,
        capture_output=True,
        text=True,
    )
    before = store.load(Path(made.stdout.splitlines()[-1]))
    if before["code"] != record["code"]:
        raise ValueError(
            f"--earlier {earlier} has code {before['code']}: expected {record['code']}, of a record"
        )
    return "as the earlier code here" if _told(again) == _told(before) else "otherwise"


def _told(record: Record) -> str:
    return store.line({name: value for name, value in record.items() if name not in AGAIN})


def carry(
    records: Sequence[Record],
    compared: Callable[[Sequence[Record]], Iterable[Found]],
    share: float = SHARE,
    least: int = LEAST,
) -> tuple[int, list[str]]:
    """Take over what is confirmed, in the records themselves.

    Parameters
    ----------
    records
        Of all experiments.
    compared
        Says of some what `compare` does.
    share, least
        What is made again of each group.

    Returns
    -------
    How many were taken over, and what was found of each group, in words.
    """
    taken, words = 0, []
    for (old, today), group in outdated(records).items():
        found = Counter(compared(sample(group, share, least)))
        counts = ", ".join(f"{found[each]} {each}" for each in get_args(Found))
        words.append(f"{old} → {today}: of {found.total()} of {len(group)} {counts}")
        if not found["otherwise"]:
            for record in group:
                record["made"] = record.get("made", old)
                record["code"] = today
            taken += len(group)
    return taken, words


def main(arguments: Sequence[str]) -> int:
    """Take over what is confirmed; return 1 if something is not."""
    parser = argparse.ArgumentParser(prog="python -m paper.experiments.carry", description=__doc__)
    parser.add_argument("--share", type=float, default=SHARE, help="of a group, that is made again")
    parser.add_argument("--earlier", type=Path, help="tree of the code that made the records")
    parser.add_argument("--workers", type=int, default=2, help="processes of one thread each")
    parser.add_argument("--results", type=Path, default=RESULTS, help="folder of the records")
    given = parser.parse_args(arguments)
    paths = sorted(given.results.glob(f"*{store.COLLECTED}"))
    files = {path: store.read_collected(path) for path in paths}
    records = [record for kept in files.values() for record in kept]
    with ProcessPoolExecutor(given.workers, initializer=partial(torch.set_num_threads, 1)) as pool:
        one = partial(compare, folder=FOLDER / "carried", earlier=given.earlier)
        taken, words = carry(records, lambda some: pool.map(one, some), given.share)
    for text in words:
        print(text)
    for path, kept in files.items():
        store.write_collected(path, kept)
    left = sum(map(len, outdated(records).values()))
    print(f"{taken} runs were taken over, {left} are left to be made again")
    return int(bool(left))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
