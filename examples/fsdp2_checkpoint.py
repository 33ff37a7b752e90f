"""FSDP2 with torch.distributed.checkpoint: a limit on whole tensors that no process holds whole.

Two processes train a model that `fully_shard` has divided among them, and save it sharded. One
process loads the checkpoint, re-sharded to itself, and trains on. It ends where one process ends
that was never interrupted: the norm that is limited is that of the whole tensor, whoever holds it.
The processes are started here, on the CPU; torchrun would do it as well.
"""

import os
import sys
import tempfile
import warnings
from pathlib import Path

import torch
import torch.distributed as dist
from torch.distributed import checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard

from subluminal import RelativisticAdamW

STEPS, PROCESSES = 10, 2


def made():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(8, 33), torch.nn.Tanh(), torch.nn.Linear(33, 1))


def optimizer_of(model):
    return RelativisticAdamW(model.parameters(), lr=0.1, speed_limit=0.01, speed_unit="rms")


def train(model, optimizer, first, part=slice(None)):
    """Take ten steps, on a part of every batch."""
    for step in range(first, first + STEPS):
        inputs = torch.randn(32, 8, generator=torch.Generator().manual_seed(step))[part]
        optimizer.zero_grad()
        targets = inputs.square().sum(dim=1, keepdim=True)
        torch.nn.functional.mse_loss(model(inputs), targets).backward()
        optimizer.step()


def state_of(model, optimizer):
    model_state, optimizer_state = get_state_dict(model, optimizer)
    return {"model": model_state, "optimizer": optimizer_state}


def work(rank, folder):
    """Train as one of the processes, and save."""
    dist.init_process_group(
        "gloo", init_method=f"file://{folder}/store", rank=rank, world_size=PROCESSES
    )
    model = made()
    mesh = init_device_mesh("cpu", (PROCESSES,))
    for part in (model[0], model[2], model):
        fully_shard(part, mesh=mesh)
    optimizer = optimizer_of(model)
    train(model, optimizer, 0, slice(rank, None, PROCESSES))
    rows = [parameter.to_local().shape[0] for parameter in model.parameters()]
    everyones = [None] * PROCESSES
    dist.all_gather_object(everyones, rows)
    if rank == 0:  # of two that print at once lines can mix
        for other, held in enumerate(everyones):
            print(f"process {other} of {PROCESSES} holds {held} rows")
    checkpoint.save(state_of(model, optimizer), checkpoint_id=f"{folder}/checkpoint")
    dist.barrier()
    dist.destroy_process_group()
    sys.stdout.flush()
    os._exit(0)  # gloo's threads abort a process now and then that ends in the ordinary way


if __name__ == "__main__":
    alone = made()
    never_stopped = optimizer_of(alone)
    train(alone, never_stopped, 0)
    train(alone, never_stopped, STEPS)

    with tempfile.TemporaryDirectory() as temporary:
        torch.multiprocessing.spawn(work, (temporary,), nprocs=PROCESSES)
        print(f"saved: {len(list(Path(temporary, 'checkpoint').glob('*.distcp')))} shards")
        model = made()
        optimizer = optimizer_of(model)
        state = state_of(model, optimizer)
        warnings.filterwarnings("ignore", message="torch.distributed is disabled")  # it is meant
        checkpoint.load(state, checkpoint_id=f"{temporary}/checkpoint")
    set_state_dict(
        model,
        optimizer,
        model_state_dict=state["model"],
        optim_state_dict=state["optimizer"],
    )
    train(model, optimizer, STEPS)
    apart = max(
        (one - two).abs().max().item()
        for one, two in zip(model.parameters(), alone.parameters(), strict=True)
    )
    print(f"loaded by one process and trained on: {apart:.1e} from one that never stopped")
