"""Every benchmark of the CPU, under pytest-benchmark: ``make bench``.

A timed call is a round: baseline, baseline again and variant, in random order.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from .records import Records
from .side_by_side import repeat
from .suite import Key, keys, measure


@pytest.fixture(scope="session")
def records(pytestconfig: pytest.Config) -> Records:
    return Records(Path(pytestconfig.rootpath, "build", "bench"), "cpu")


@pytest.mark.parametrize("key", keys("cpu"), ids=", ".join)
def test_ratio(key: Key, benchmark: Any, records: Records) -> None:
    if records.get(key):
        pytest.skip("measured before the run was interrupted")
    attempts = 0

    def timed(call: Callable[[], None], rounds: int) -> None:
        nonlocal attempts
        attempts += 1
        if attempts == 1:  # of a test, pytest-benchmark times one function once
            benchmark.pedantic(call, rounds=rounds)
        else:
            repeat(call, rounds)

    record = measure(key, "cpu", timed=timed)
    benchmark.extra_info.update(record)
    records.put(key, record)
    if not record["judged"]:
        pytest.skip(f"NOT JUDGED: the baseline over itself gave {record['control']:.2f}")
