"""What the processes of one training hold: replicas of a tensor, or parts of it.

Nothing here but `gather` talks to another process: a collective in a hook waits for ranks that may
never come.
"""

from __future__ import annotations

import gc
import sys
from typing import Any

import torch
from torch import Tensor, nn

from gradtrace_torch.elements import CLASSES

__all__ = [
    "averaged_by",
    "counted",
    "gather",
    "local_of",
    "place_in_world",
    "spread_of",
    "unwrapped",
]

_WRAPPERS = ("module", "_orig_mod", "_checkpoint_wrapped_module", "_fsdp_wrapped_module")
"""Where those who wrap a module hold it; no part of the names of what is inside."""


def unwrapped(name: str) -> str:
    """Return a dotted name without what wrappers add to it.

    >>> unwrapped("_orig_mod.encoder._checkpoint_wrapped_module.fc.weight")
    'encoder.fc.weight'
    """
    return ".".join(part for part in name.split(".") if part not in _WRAPPERS[1:])


def place_in_world() -> tuple[int, int]:
    """Return rank and number of the processes that train together."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return 0, 1


def gather(data: bytes) -> list[bytes]:
    """Return what each process gives, by rank; it waits for all of them, so no hook calls it."""
    world = place_in_world()[1]
    if world == 1:
        return [data]
    distributed = torch.distributed
    on_cuda = distributed.get_backend() == "nccl"
    device = torch.device("cuda", torch.cuda.current_device()) if on_cuda else torch.device("cpu")
    own = torch.tensor([len(data)], device=device)
    lengths = [torch.empty_like(own) for _ in range(world)]
    distributed.all_gather(lengths, own)
    sizes = [int(length) for length in lengths]
    padded = torch.frombuffer(bytearray(data.ljust(max(sizes))), dtype=torch.uint8).to(device)
    found = [torch.empty_like(padded) for _ in range(world)]
    distributed.all_gather(found, padded)
    return [f.cpu().numpy().tobytes()[:size] for f, size in zip(found, sizes, strict=True)]


def averaged_by(model: nn.Module) -> int:
    """Return by how many processes gradients are averaged, 1 where they are not.

    What wraps the model may not be at hand: it is looked for among all living objects.
    """
    world = place_in_world()[1]
    if world == 1:
        return 1
    sharded = any(hasattr(module, "_get_fsdp_state") for module in model.modules())
    return world if sharded or _is_replicated(model) else 1


def _is_replicated(model: nn.Module) -> bool:
    from torch.nn.parallel import DistributedDataParallel

    wrappers = [
        each for each in gc.get_objects() if issubclass(type(each), DistributedDataParallel)
    ]
    return any(model is each for wrapper in wrappers for each in wrapper.modules())


def local_of(tensor: Tensor) -> Tensor:
    """Return what this process holds of a tensor."""
    if type(tensor) in CLASSES or not hasattr(tensor, "to_local"):
        return tensor
    with torch.no_grad():
        local: Tensor = tensor.to_local()
    return local


def spread_of(tensor: Tensor) -> str:
    """Tell whether processes hold `replicas` or `parts` of a tensor."""
    sharded = any(not placement.is_replicate() for placement in _placements(tensor))
    return "parts" if sharded else "replicas"


def counted(tensor: Tensor) -> bool:
    """Tell whether this process holds a part of the tensor that is no replica of another's.

    A tensor may be sharded over some processes and replicated over others; of those that hold
    the same part, the first is read. With few rows there are processes that hold none.
    """
    placements = _placements(tensor)
    if all(placement.is_replicate() for placement in placements):
        return True
    if tensor.numel() and not local_of(tensor).numel():
        return False
    coordinate = tensor.device_mesh.get_coordinate()  # type: ignore[attr-defined]
    if coordinate is None:
        return False
    return all(
        place == 0
        for place, placement in zip(coordinate, placements, strict=True)
        if placement.is_replicate()
    )


def _placements(tensor: Tensor) -> tuple[Any, ...]:
    if "torch.distributed.tensor" not in sys.modules:
        return ()
    return getattr(tensor, "placements", ())
