"""Launches and tables on CUDA: addresses that change, graphs that read them."""

from typing import Any

import numpy as np
import pytest
import torch

from tests.cases import CASES
from tests.cuda.common import (
    BLOCKS,
    DEVICE,
    close,
    everything,
    make,
    parameters,
    same,
    stepped,
)
from tests.steps import built, normal
from tests.variants import MODES
from torch_impl import RelativisticAdam
from torch_impl.fused.cuda import adam, buckets, steps


@pytest.mark.parametrize(("count", "size"), [(3, 2), (40, 2), (3, 2 * BLOCKS + 1)])
def test_launches_do_not_depend_on_the_number_of_tensors(
    count: int, size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    launched = []
    kind = type(adam.measure)
    run = kind.run

    def counted(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        launched.append(kernel.fn.__name__)
        return run(kernel, *args, **kwargs)

    monkeypatch.setattr(kind, "run", counted)
    params = parameters([(size,)] * count)
    for mode, expected in {
        "per_component": ["begin", "limit_entries"],
        "per_param": ["begin", "measure", "find_factors", "finish"],
        "global": ["begin", "measure", "add_up", "find_factors", "finish"],
        "gravity": ["begin", "find_peaks", "find_factors", "advance"],
    }.items():
        launched.clear()
        stepped(make(mode, params), params, 1)
        assert launched == expected


@pytest.mark.parametrize(
    ("name", "options"),
    [
        *(("RelativisticAdamW", {"relativistic_mode": mode}) for mode in MODES),
        ("RelativisticAdam", {"speed_unit": "relative", "amsgrad": True}),
        ("Gravity", {}),
    ],
)
def test_a_step_has_the_same_bits_wherever_it_lies(name: str, options: dict[str, Any]) -> None:
    """With gradients at addresses that are no multiples of 16, too."""
    results = []
    for shift in (0, 1):
        params = parameters()
        optimizer = built(CASES[name], params, **options, fused=True)
        for step in range(2):
            for i, param in enumerate(params):
                room = torch.empty(param.numel() + shift, device=DEVICE)
                param.grad = room[shift:].reshape(param.shape)
                param.grad.copy_(normal(param.shape, 100 * step + i, torch.float32))
            optimizer.step()
        results.append(everything(optimizer, params))
    assert same(*results)


@pytest.mark.parametrize("mode", [*MODES, "gravity"])
def test_kernels_are_told_in_every_step_which_gradients_are_aligned(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of parameters that nothing else is new of: to a wrong hint a device answers with a fault."""
    told: list[bool] = []
    kind = type(adam.measure)
    run = kind.run

    def telling(kernel: Any, *args: Any, **kwargs: Any) -> Any:
        if "how" in kwargs:
            told.append(kwargs["how"].aligned)
        return run(kernel, *args, **kwargs)

    monkeypatch.setattr(kind, "run", telling)
    params = parameters([(8,), (8,)])
    optimizer = make(mode, params)
    for shifts, expected in {(0, 0): {True}, (0, 1): {True, False}, (1, 1): {False}}.items():
        for again in (shifts, (0, 0)):
            for param, shift in zip(params, again, strict=True):
                param.grad = torch.ones(8 + shift, device=DEVICE)[shift:]
            told.clear()
            optimizer.step()
            assert set(told) == (expected if again == shifts else {True})
    assert optimizer._known


def test_gradients_that_are_replaced_freed_or_missing() -> None:
    """No address is kept from a gradient that is gone."""
    results = []
    for fused in (None, True):
        params = parameters([(64, 64), (100,)])
        optimizer = RelativisticAdam(params, fused=fused)
        for step in range(6):
            for i, param in enumerate(params):
                param.grad = None
                if step % 3 != i:
                    param.grad = normal(param.shape, 10 * step + i, torch.float32).to(DEVICE)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            normal((64, 64), 5).to(DEVICE)
        results.append([param.detach() for param in params])
    close(*results)


def test_a_captured_table_is_written_again_in_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a graph copies from is kept, and what it wrote is not taken for what was written."""
    bucket = buckets.Bucket(torch.device("cpu"), [5], 9)
    one, other = np.full((7, 1), 10), np.full((7, 1), 20)
    bucket.point_to(one)
    written = bucket.table.clone()
    monkeypatch.setattr(buckets, "is_capturing", lambda _table: True)
    bucket.point_to(other)
    bucket.point_to(other)
    assert bucket.captured
    assert len(bucket._captured) == 2
    assert bucket._captured[0] is not bucket._captured[1]
    monkeypatch.setattr(buckets, "is_capturing", lambda _table: False)
    bucket.point_to(one)
    bucket.table.copy_(bucket._captured[0])  # which a replay does
    bucket.point_to(one)
    assert torch.equal(bucket.table, written)
    assert len(bucket._captured) == 2


def test_buckets_that_a_graph_reads_are_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    params = parameters([(5,), (6,)])
    optimizer = RelativisticAdam(params, fused=True)
    stepped(optimizer, params[:1], 1)
    kernels: Any = optimizer._kernels
    (first,) = kernels._buckets.values()
    monkeypatch.setattr(buckets.Bucket, "captured", property(lambda _self: True))
    stepped(optimizer, params, 1)
    assert kernels._captured == [first]
    assert list(kernels._buckets.values()) != [first]


def test_a_capture_of_a_first_step_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a bucket is made from would be gone when the graph is replayed."""
    params = parameters([(5,)])
    optimizer = make("per_param", params)
    monkeypatch.setattr(steps, "is_capturing", lambda _tensor: True)
    with pytest.raises(RuntimeError, match="expected steps before"):
        stepped(optimizer, params, 1)
