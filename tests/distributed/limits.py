"""Scheme ``limits`` of `tests.distributed.worker`: limit_speed, telemetry, skips, measured limits.

Each is run in one process and, fully sharded, in all of them.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh

from tests.distributed import worker
from torch_impl import RelativisticAdamW, limit_speed
from torch_impl.sharding import local

Check = Callable[[Any, slice, bool], dict[str, float]]
"""Trains a network, in many processes if told so, and returns numbers to compare besides."""


def checks() -> Iterator[tuple[str, Check]]:
    for mode in ("global", "per_param", "per_component"):
        options = {"mode": mode, "telemetry": True}
        for unit in ("norm", "rms", "relative"):
            yield f"{mode} {unit}", _limited(0.01, 3, {**options, "unit": unit})
        yield f"{mode} auto", _limited("auto", 23, options)
        yield f"{mode} gradient", _limited(1.0, 3, {**options, "placement": "gradient"})
    yield "own auto", _own_auto
    yield "skip", _skipping


def _limited(c: float | str, steps: int, options: dict[str, Any]) -> Check:
    def check(net: Any, share: slice, _: bool) -> dict[str, float]:
        optimizer = torch.optim.AdamW(net.parameters(), lr=0.1)
        handle = limit_speed(optimizer, c, **options)
        for first in range(0, steps, 3):
            worker.train(net, optimizer, torch.float64, share, first)
        return handle.speed_report().flat()

    return check


def _own_auto(net: Any, share: slice, _: bool) -> dict[str, float]:
    optimizer = RelativisticAdamW(net.parameters(), speed_limit="auto", telemetry=True)
    for first in range(0, 24, 3):
        worker.train(net, optimizer, torch.float64, share, first)
    return optimizer.speed_report().flat()


def _skipping(net: Any, share: slice, first_process: bool) -> dict[str, float]:
    """One entry, which one process holds, is not finite: no process takes the step."""
    optimizer = RelativisticAdamW(net.parameters(), on_nonfinite="skip", lr=0.1)
    worker.train(net, optimizer, torch.float64, share)
    x, y = next(worker.batches(torch.float64, 3))
    optimizer.zero_grad()
    (net(x[share]) - y[share]).square().mean().backward()
    if first_process:
        grad = next(net.parameters()).grad
        local(grad)[0, 0] = math.nan
    optimizer.step()
    steps = [float(state["step"]) for state in optimizer.state.values()]
    return {**optimizer.speed_report().flat(), "steps": max(steps), "least": min(steps)}


def limits(rank: int, world: int, _: Path) -> list[worker.Record]:
    """limit_speed in every mode, unit and placement; reports; measured limits; skipped steps."""
    mesh = init_device_mesh("cpu", (world,))
    records = []
    for name, check in checks():
        alone = worker.model(torch.float64)
        expected = check(alone, worker.ALL, True)
        net = worker.sharded(worker.model(torch.float64), mesh)
        found = check(net, worker.my_share(world, rank), rank == 0)
        assert found.keys() == expected.keys(), (found, expected)
        apart = [
            abs(found[key] - value) / max(1.0, abs(value))
            for key, value in expected.items()
            if math.isfinite(value)
        ]
        records.append(
            {
                "check": name,
                "dtype": "float64",
                "error": worker.difference(net, alone),
                "apart": max(apart),
                "skipped": found["speed/skipped_steps"],
            }
        )
    return records
