"""One process of a distributed check: ``python -m tests.distributed.worker SCHEME RANK WORLD DIR``.

Every scheme trains a small model in WORLD processes and in this one alone, and compares. What it
found is written to DIR/SCHEME-RANK.json as a list of records.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.checkpoint.state_dict import (
    StateDictOptions,
    get_model_state_dict,
    get_optimizer_state_dict,
    set_model_state_dict,
    set_optimizer_state_dict,
)
from torch.distributed.checkpoint.state_dict_loader import load as load_checkpoint
from torch.distributed.checkpoint.state_dict_saver import save as save_checkpoint
from torch.distributed.device_mesh import DeviceMesh, init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.distributed.optim import ZeroRedundancyOptimizer
from torch.distributed.tensor import DTensor, Replicate, Shard, distribute_tensor
from torch.distributed.tensor.parallel import (
    ColwiseParallel,
    RowwiseParallel,
    parallelize_module,
)
from torch.nn.parallel import DistributedDataParallel

from torch_impl import Gravity, RelativisticAdam, RelativisticAdamW

Record = dict[str, Any]
Step = Callable[[], None]

SAMPLES, FEATURES = 12, 5
UNEVEN, EVEN = 7, 6
"""Rows of a layer that 2 and 3 processes do not, and do, share evenly."""


def settings() -> Iterator[tuple[Any, dict[str, Any], torch.dtype]]:
    """Yield every optimizer with the options and dtypes it is checked with; the limit binds."""
    modes, units = ("global", "per_param", "per_component"), ("norm", "rms", "relative")
    double, single = torch.float64, torch.float32
    for mode in modes:
        options: dict[str, Any] = {"relativistic_mode": mode, "weight_decay": 0.1, "lr": 0.1}
        for unit in units:
            yield RelativisticAdamW, {**options, "speed_limit": 0.05, "speed_unit": unit}, double
        yield RelativisticAdamW, {**options, "speed_limit": 0.05, "foreach": True}, single
        yield RelativisticAdam, {**options, "amsgrad": True, "maximize": True}, double
        yield RelativisticAdam, {**options, "law": "tanh", "foreach": True}, single
    for dtype in (double, single):
        yield Gravity, {"lr": 0.1, "alpha": 0.01}, dtype
        yield Gravity, {"lr": 0.1, "alpha": 0.0, "max_step_grad": 0.5}, dtype
        yield torch.optim.AdamW, {"lr": 0.1}, dtype


def model(dtype: torch.dtype, hidden: int = UNEVEN) -> nn.Sequential:
    """Make a network whose last layers have fewer rows than there may be processes."""
    torch.manual_seed(0)
    layers = (
        nn.Linear(FEATURES, hidden),
        nn.Tanh(),
        nn.Linear(hidden, 2),
        nn.Tanh(),
        nn.Linear(2, 1),
    )
    return nn.Sequential(*layers).to(dtype)


def batches(dtype: torch.dtype, first: int = 0, steps: int = 3) -> Iterator[tuple[Tensor, Tensor]]:
    for step in range(first, first + steps):
        generator = torch.Generator().manual_seed(step)
        x = torch.randn(SAMPLES, FEATURES, generator=generator, dtype=torch.float64)
        yield x.to(dtype), x.square().sum(1, keepdim=True).to(dtype)


def train(net: Any, optimizer: Any, dtype: torch.dtype, share: slice, first: int = 0) -> None:
    """Take three steps, each on this process's share of a batch."""
    for x, y in batches(dtype, first):
        optimizer.zero_grad()
        (net(x[share]) - y[share]).square().mean().backward()
        optimizer.step()


ALL = slice(None)


def my_share(world: int, rank: int) -> slice:
    size = SAMPLES // world
    return slice(rank * size, (rank + 1) * size)


def full(tensor: Tensor) -> Tensor:
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def difference(ours: nn.Module, alone: nn.Module) -> float:
    pairs = zip(ours.parameters(), alone.parameters(), strict=True)
    return max((full(p).detach() - q.detach()).abs().max().item() for p, q in pairs)


def record(cls: Any, options: dict[str, Any], dtype: torch.dtype, error: float) -> Record:
    kind = options.get("relativistic_mode", "per_param")
    return {
        "optimizer": cls.__name__,
        "mode": kind if "relativistic_mode" in options else "-",
        "options": {key: str(value) for key, value in options.items()},
        "dtype": str(dtype).removeprefix("torch."),
        "error": error,
    }


def compared(
    distribute: Callable[[Any, Any, dict[str, Any], torch.dtype], Any],
    skip: Callable[[Any, dict[str, Any]], bool] = lambda _cls, _options: False,
    hidden: int = UNEVEN,
) -> list[Record]:
    """Train every setting alone and as ``distribute`` does; it returns the trained network."""
    records = []
    for cls, options, dtype in settings():
        if skip(cls, options):
            continue
        alone = model(dtype, hidden)
        torch.manual_seed(7)  # for V₀: the same draw, whole, in every process
        train(alone, cls(alone.parameters(), **options), dtype, ALL)
        net = model(dtype, hidden)
        torch.manual_seed(7)
        ours = distribute(net, cls, options, dtype)
        records.append(record(cls, options, dtype, difference(ours, alone)))
    return records


def sharded(net: nn.Sequential, mesh: DeviceMesh) -> nn.Sequential:
    for layer in net:
        if isinstance(layer, nn.Linear):
            fully_shard(layer, mesh=mesh)
    fully_shard(net, mesh=mesh)
    return net


def fsdp2(rank: int, world: int, _: Path) -> list[Record]:
    """fully_shard, layer by layer: uneven parts and, for the small layers, empty ones."""
    mesh = init_device_mesh("cpu", (world,))

    def distribute(net: Any, cls: Any, options: dict[str, Any], dtype: torch.dtype) -> Any:
        net = sharded(net, mesh)
        train(net, cls(net.parameters(), **options), dtype, my_share(world, rank))
        sizes = [p.to_local().numel() for p in net.parameters()]
        assert (rank == 0) == all(sizes), sizes  # the other processes hold an empty part
        return net

    return compared(distribute)


def ddp(rank: int, world: int, _: Path) -> list[Record]:
    """DistributedDataParallel."""

    def distribute(net: Any, cls: Any, options: dict[str, Any], dtype: torch.dtype) -> Any:
        wrapped = DistributedDataParallel(net)
        train(wrapped, cls(net.parameters(), **options), dtype, my_share(world, rank))
        return net

    return compared(distribute)


def zero(rank: int, world: int, _folder: Path) -> list[Record]:
    """ZeroRedundancyOptimizer over DistributedDataParallel; "global" is refused."""

    def is_global(_: Any, options: dict[str, Any]) -> bool:
        return options.get("relativistic_mode") == "global"

    def cannot_be_equal(cls: Any, options: dict[str, Any]) -> bool:
        draws_its_part_alone = options.get("alpha", 0) > 0
        return is_global(cls, options) or draws_its_part_alone

    def distribute(net: Any, cls: Any, options: dict[str, Any], dtype: torch.dtype) -> Any:
        wrapped = DistributedDataParallel(net)
        optimizer = ZeroRedundancyOptimizer(net.parameters(), optimizer_class=cls, **options)
        train(wrapped, optimizer, dtype, my_share(world, rank))
        optimizer.consolidate_state_dict()
        if rank == 0:
            assert len(optimizer.state_dict()["state"]) == len(list(net.parameters()))
        return net

    records = compared(distribute, skip=cannot_be_equal)
    for cls, options, _ in settings():
        if not is_global(cls, options):
            continue
        try:
            ZeroRedundancyOptimizer(
                model(torch.float64).parameters(), optimizer_class=cls, **options
            )
        except ValueError as error:
            assert "ZeroRedundancyOptimizer" in str(error)  # noqa: PT017
            assert "'per_param'" in str(error)  # noqa: PT017
            refused = record(cls, options, torch.float64, 0.0)
            records.append(refused | {"dtype": "-", "refused": True})
        else:
            raise AssertionError(f"{cls.__name__} {options} was not refused")
    return records


def tensor_parallel(_rank: int, world: int, _: Path) -> list[Record]:
    """Column- and row-parallel layers, a replicated bias and a plain layer in one optimizer."""
    mesh = init_device_mesh("cpu", (world,))

    def distribute(net: Any, cls: Any, options: dict[str, Any], dtype: torch.dtype) -> Any:
        parallelize_module(net, mesh, {"0": ColwiseParallel(), "2": RowwiseParallel()})
        placements = [p.placements[0] if isinstance(p, DTensor) else None for p in net.parameters()]
        assert placements == [Shard(0), Shard(0), Shard(1), Replicate(), None, None]
        train(net, cls(net.parameters(), **options), dtype, ALL)
        return net

    return compared(distribute, hidden=EVEN)


def fully_sharded_and_tensor_parallel(rank: int, world: int, _: Path) -> list[Record]:
    """fully_shard over one dimension of a mesh, tensor parallelism over the other."""
    mesh = init_device_mesh("cpu", (2, world // 2), mesh_dim_names=("data", "model"))

    def distribute(net: Any, cls: Any, options: dict[str, Any], dtype: torch.dtype) -> Any:
        parallelize_module(net, mesh["model"], {"0": ColwiseParallel(), "2": RowwiseParallel()})
        net = sharded(net, mesh["data"])
        share = my_share(2, rank // (world // 2))
        train(net, cls(net.parameters(), **options), dtype, share)
        return net

    return compared(distribute, hidden=8)


def mixed(rank: int, world: int, _: Path) -> list[Record]:
    """Several groups, meshes, placements and dtypes; in one, only one process has a gradient."""
    line = init_device_mesh("cpu", (world,))
    plane = init_device_mesh("cpu", (1, world))
    kinds: list[tuple[tuple[int, ...], torch.dtype, Any, Any]] = [
        ((4, 3), torch.float64, line, [Shard(0)]),
        ((2, 5), torch.float32, line, [Shard(1)]),
        ((1,), torch.float64, line, [Shard(0)]),
        ((3, 3), torch.float64, line, [Replicate()]),
        ((6,), torch.float32, plane, [Replicate(), Shard(0)]),
        ((5,), torch.float64, None, None),
        ((0, 2), torch.float64, line, [Shard(0)]),
    ]

    def drawn(i: int, seed: int) -> Tensor:
        shape, dtype, _, _ = kinds[i]
        generator = torch.Generator().manual_seed(100 * seed + i)
        return torch.randn(shape, generator=generator, dtype=torch.float64).to(dtype)

    def placed(i: int, tensor: Tensor) -> Tensor:
        _, _, mesh, placements = kinds[i]
        return tensor if mesh is None else distribute_tensor(tensor, mesh, placements)

    records = []
    for cls, options, kind in settings():
        if kind != torch.float64:  # both are in the one model
            continue
        ends = []
        for spread in (False, True):
            torch.manual_seed(7)
            leaves = [drawn(i, 0) for i in range(len(kinds))]
            if spread:
                leaves = [placed(i, leaf) for i, leaf in enumerate(leaves)]
            groups = [
                {"params": [leaf.requires_grad_() for leaf in leaves[:3]]},
                {"params": [leaf.requires_grad_() for leaf in leaves[3:]], "lr": 0.3},
            ]
            optimizer = cls(groups, **options)
            for step in (1, 2, 3):
                for i, leaf in enumerate(leaves):
                    grad = drawn(i, step)
                    leaf.grad = placed(i, grad) if spread else grad
                optimizer.step()
            ends.append([full(leaf.detach()).clone() for leaf in leaves])
            if spread and cls is not torch.optim.AdamW:
                for leaf in leaves:  # whoever has no gradient joins the others all the same
                    if rank > 0:
                        leaf.grad = None
                optimizer.step()
        for dtype in (torch.float64, torch.float32):
            errors = [
                (a - b).abs().max().item()
                for a, b in zip(*ends, strict=True)
                if a.dtype == dtype and a.numel() > 0
            ]
            records.append(record(cls, options, dtype, max(errors)))
    return records


def checkpointed() -> Iterator[tuple[str, Any, dict[str, Any], torch.dtype]]:
    """Yield the settings that differ in state or in what a group is measured by."""
    for i, (cls, options, dtype) in enumerate(settings()):
        if options.get("speed_unit", "norm") == "norm" and dtype == torch.float64:
            yield f"{i}", cls, options, dtype


def save(rank: int, world: int, folder: Path) -> list[Record]:
    """torch.distributed.checkpoint: train, save sharded, and once more in full from rank 0."""
    mesh = init_device_mesh("cpu", (world,))
    for name, cls, options, dtype in checkpointed():
        net = sharded(model(dtype), mesh)
        torch.manual_seed(7)
        optimizer = cls(net.parameters(), **options)
        train(net, optimizer, dtype, my_share(world, rank))
        state = {
            "model": get_model_state_dict(net),
            "optimizer": get_optimizer_state_dict(net, optimizer),
        }
        save_checkpoint(state, checkpoint_id=folder / "sharded" / name)
        whole = StateDictOptions(full_state_dict=True, cpu_offload=True)
        complete = {
            "model": get_model_state_dict(net, options=whole),
            "optimizer": get_optimizer_state_dict(net, optimizer, options=whole),
        }
        if rank == 0:
            (folder / "full").mkdir(exist_ok=True)
            torch.save(complete, folder / "full" / f"{name}.pt")
    return []


def load(rank: int, world: int, folder: Path) -> list[Record]:
    """Load what other processes saved, re-sharded, into a fresh optimizer, and train on.

    One process of its own loads the full state. Either must end where six steps of one process
    that was never interrupted do.
    """
    mesh = init_device_mesh("cpu", (world,)) if world > 1 else None
    records = []
    for name, cls, options, dtype in checkpointed():
        alone = model(dtype)
        torch.manual_seed(7)
        optimizer = cls(alone.parameters(), **options)
        train(alone, optimizer, dtype, ALL)
        train(alone, optimizer, dtype, ALL, first=3)
        net: Any = model(dtype)
        if mesh is not None:
            net = sharded(net, mesh)
        torch.manual_seed(8)
        optimizer = cls(net.parameters(), **{**options, "lr": 9.0})
        if mesh is None:
            complete = torch.load(folder / "full" / f"{name}.pt", weights_only=True)
            set_model_state_dict(net, complete["model"])
            set_optimizer_state_dict(net, optimizer, complete["optimizer"])
        else:
            state: Any = {
                "model": get_model_state_dict(net),
                "optimizer": get_optimizer_state_dict(net, optimizer),
            }
            load_checkpoint(state, checkpoint_id=folder / "sharded" / name)
            set_model_state_dict(net, state["model"])
            set_optimizer_state_dict(net, optimizer, state["optimizer"])
        train(net, optimizer, dtype, my_share(world, rank), first=3)
        records.append(record(cls, options, dtype, difference(net, alone)))
    return records


SCHEMES: dict[str, Callable[[int, int, Path], list[Record]]] = {
    scheme.__name__: scheme
    for scheme in (
        fsdp2,
        ddp,
        zero,
        tensor_parallel,
        fully_sharded_and_tensor_parallel,
        mixed,
        save,
        load,
    )
}


def main(arguments: list[str]) -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("scheme", choices=[*SCHEMES, "limits"])
    parser.add_argument("rank", type=int)
    parser.add_argument("world", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    dist.init_process_group(
        "gloo",
        init_method=f"file://{given.folder}/{given.scheme}-{given.world}.store",
        rank=given.rank,
        world_size=given.world,
        timeout=timedelta(seconds=60),
    )
    from tests.distributed.limits import limits  # noqa: PLC0415  # which imports this module

    records = {**SCHEMES, "limits": limits}[given.scheme](given.rank, given.world, given.folder)
    (given.folder / f"{given.scheme}-{given.rank}.json").write_text(json.dumps(records))
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main(sys.argv[1:])
    sys.stdout.flush()
    os._exit(0)  # gloo's threads, destructed at an ordinary exit, abort the process now and then
