"""What each process of a distributed training does; `test_ranks.py` runs it in processes."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import pandas as pd
import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh

import gradtrace

__all__ = ["STEPS", "batch", "net"]

STEPS = 3
GLOBAL_BATCH = 8


def net() -> nn.Sequential:
    """Return the same model in every process."""
    torch.manual_seed(4)
    return nn.Sequential(nn.Linear(5, 16), nn.Tanh(), nn.Linear(16, 12), nn.Linear(12, 3))


def batch(step: int, rank: int = 0, world: int = 1) -> tuple[Tensor, Tensor]:
    """Return the share of one process of the batch of a step."""
    generator = torch.Generator().manual_seed(step)
    x = torch.randn(GLOBAL_BATCH, 5, generator=generator)
    y = torch.randn(GLOBAL_BATCH, 3, generator=generator)
    share = slice(rank * GLOBAL_BATCH // world, (rank + 1) * GLOBAL_BATCH // world)
    return x[share], y[share]


def train(
    kind: str, directory: Path, rank: int, world: int, *, early: bool, slow: bool = False
) -> None:
    model: nn.Module = net()
    recorder = gradtrace.record(model, directory, snapshots_every=None) if early else None
    if kind == "ddp":
        wrapped: nn.Module = nn.parallel.DistributedDataParallel(model)
    else:
        from torch.distributed.fsdp import fully_shard

        shape = {"replicate": 2, "shard": world // 2} if kind == "hsdp" else {"shard": world}
        mesh = init_device_mesh("cpu", tuple(shape.values()), mesh_dim_names=tuple(shape))
        for layer in model:
            if isinstance(layer, nn.Linear):
                fully_shard(layer, mesh=mesh)
        wrapped = fully_shard(model, mesh=mesh)
    optimizer = torch.optim.SGD(wrapped.parameters(), lr=0.1)
    if recorder is None:
        recorder = gradtrace.record(wrapped, directory, optimizer=optimizer, snapshots_every=None)
    live = []
    with recorder:
        for step in range(STEPS):
            if slow and rank == 1:
                time.sleep(0.3)
            x, y = batch(step, rank, world)
            loss = nn.functional.mse_loss(wrapped(x), y)
            loss.backward()
            if kind == "ddp":
                nn.utils.clip_grad_norm_(wrapped.parameters(), 0.5)
            optimizer.step()
            optimizer.zero_grad()
            recorder.step(loss=loss)
            live.append(recorder.live("gradient").frame())
    pd.concat(live).to_csv(recorder.directory / f"live{rank}.csv")


def train_until_killed(directory: Path, rank: int) -> None:
    """Train on in each process by itself, as it does between two exchanges; the last is killed."""
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with gradtrace.record(model, directory, optimizer=optimizer, snapshots_every=None) as recorder:
        for step in range(2 * STEPS):
            if rank and step == STEPS:
                time.sleep(2.0)
                os.kill(os.getpid(), signal.SIGKILL)
            x, y = batch(step)
            nn.functional.mse_loss(model(x), y).backward()
            optimizer.step()
            optimizer.zero_grad()
            recorder.step()


def main() -> None:
    kind, directory, early = sys.argv[1], Path(sys.argv[2]), sys.argv[3] == "early"
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    if kind == "killed":
        train_until_killed(directory, rank)
        os._exit(0)  # the others are not waited for
    train(kind, directory, rank, world, early=early, slow=os.environ.get("SLOW") == "1")
    dist.barrier()
    dist.destroy_process_group()


if __name__ == "__main__":
    main()
