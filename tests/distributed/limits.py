"""Scheme ``limits`` of `tests.distributed.worker`: limit_speed, telemetry, skips, measured limits.

Each is run in one process and, fully sharded, in all of them.
"""

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import Replicate, Shard, distribute_tensor

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
    yield "disagreeing", _disagreeing


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


def _disagreeing(net: Any, share: slice, first_process: bool) -> dict[str, float]:
    """A bad gradient that only one process has, of a divided and of a plain parameter.

    Alone, there is one process, which has it.
    """
    found = {}
    for kind in ("divided", "plain"):
        plain = torch.zeros(3, dtype=torch.float64, requires_grad=True)
        params = [*net.parameters(), plain]
        for name, optimizer, reporter in _skippers(params):
            worker.train(net, optimizer, torch.float64, share)
            for param in params:
                param.grad = torch.ones_like(param)
            if first_process:
                bad: Any = plain if kind == "plain" else params[0]
                local(bad.grad)[0] = math.nan
            else:
                plain.grad = params[0].grad = None
            optimizer.step()
            found[f"{kind} {name}"] = float(reporter.speed_report().skipped_steps)
            found[f"{kind} {name} plain"] = float(plain.detach().sum())
    return {**found, "speed/skipped_steps": sum(found.values())}


def _skippers(params: list[Any]) -> Iterator[tuple[str, Any, Any]]:
    own = RelativisticAdamW(params, on_nonfinite="skip", lr=0.1)
    yield "own", own, own
    other = torch.optim.AdamW(params, lr=0.1)
    yield "attached", other, limit_speed(other, 0.01, on_nonfinite="skip")


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
    records.append(_replicated_gradients(mesh))
    return records


def _replicated_gradients(mesh: Any) -> worker.Record:
    """Gradients that every process holds whole, of a parameter that is divided."""
    start = torch.arange(8, dtype=torch.float64).reshape(4, 2)
    grad = start.flip(0) + 1
    alone = start.clone().requires_grad_()
    divided: Any = distribute_tensor(start, mesh, [Shard(0)]).requires_grad_()
    for param, given in ((alone, grad), (divided, distribute_tensor(grad, mesh, [Replicate()]))):
        optimizer = torch.optim.SGD([param], lr=1.0)
        limit_speed(optimizer, 0.5, placement="gradient")
        param.grad = given.clone()
        optimizer.step()
    error = (divided.full_tensor() - alone).abs().max().item()
    return {
        "check": "replicated gradients",
        "dtype": "float64",
        "error": error,
        "apart": 0.0,
        "skipped": 0.0,
    }
