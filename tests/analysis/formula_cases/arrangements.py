"""Calls for the formulas of operations that arrange elements anew."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import CASES, Array, Case, M, N, random


def _arranged(op: str, call: Callable[..., Any], operand: Array = M, **names: Any) -> None:
    CASES[op] = Case(call, {"x": operand}, names)


CUBE = random(2, 3, 4)
for op, call in {
    "view": lambda x: x.view(2, 6),
    "reshape": lambda x: x.reshape(2, 6),
    "flatten": lambda x: x.flatten(),
    "unflatten": lambda x: x.unflatten(1, (2, 2)),
    "squeeze": lambda x: x.squeeze(0),
    "unsqueeze": lambda x: x.unsqueeze(1),
    "atleast_1d": lambda x: torch.atleast_3d(x),
}.items():
    source = M[None] if op == "squeeze" else M
    result = call(torch.tensor(source)).shape
    _arranged(
        op,
        call,
        source,
        reshape=lambda a, to=(source.shape, tuple(result)): a.reshape(to[a.shape == to[0]]),
    )
_arranged("contiguous", lambda x: x.contiguous(), CUBE[0].T)
_arranged("clone", torch.clone)
CASES["to"] = Case(lambda x: x.to(torch.float32), {"x": M}, {"convert": lambda a: a, "loose": True})
_arranged("T", lambda x: x.T)
_arranged("transpose", lambda x: x.transpose(0, 2), CUBE, swap=lambda a: np.swapaxes(a, 0, 2))
_arranged(
    "permute",
    lambda x: x.permute(2, 0, 1),
    CUBE,
    permute=lambda a: np.transpose(a, (2, 0, 1)),
    permute_back=lambda a: np.transpose(a, (1, 2, 0)),
)
_arranged(
    "movedim",
    lambda x: x.movedim(0, 2),
    CUBE,
    permute=lambda a: np.moveaxis(a, 0, 2),
    permute_back=lambda a: np.moveaxis(a, 2, 0),
)
_arranged("flip", lambda x: x.flip(0, 1), flip=lambda a: a[::-1, ::-1])
_arranged(
    "roll",
    lambda x: x.roll(1, 1),
    roll=lambda a: np.roll(a, 1, 1),
    roll_back=lambda a: np.roll(a, -1, 1),
)
_arranged("rot90", torch.rot90, rotate=np.rot90, rotate_back=lambda a: np.rot90(a, -1))


def _shuffled(op: str, call: Callable[..., Any], operand: Array) -> None:
    """Check that the way back brings every element home: a permutation of positions."""
    positions = call(torch.arange(operand.size).reshape(operand.shape).double()).numpy().astype(int)

    def back(d: Array) -> Array:
        found = np.zeros(operand.size)
        found[positions.ravel()] = d.ravel()
        return found.reshape(operand.shape)

    _arranged(op, call, operand, shuffle=lambda a: a.ravel()[positions], shuffle_back=back)


_shuffled("channel_shuffle", lambda x: F.channel_shuffle(x, 2), random(1, 4, 2, 2))
_shuffled("pixel_shuffle", lambda x: F.pixel_shuffle(x, 2), random(1, 4, 2, 3))
_shuffled("pixel_unshuffle", lambda x: F.pixel_unshuffle(x, 2), random(1, 1, 4, 6))

for op in ("cat", "stack", "hstack", "vstack"):
    other = torch.tensor(N)
    _arranged(
        op,
        lambda x, op=op, other=other: getattr(torch, op)([x, other]),
        part=lambda d, op=op: {"cat": d[:3], "vstack": d[:3], "hstack": d[:, :4]}.get(op, d[0]),
        joined=lambda x, op=op: getattr(np, {"cat": "concatenate"}.get(op, op))([x, N]),
    )
for op, call in {
    "split": lambda x: x.split([1, 2]),
    "chunk": lambda x: x.chunk(2),
    "tensor_split": lambda x: torch.tensor_split(x, 2),
    "unbind": lambda x: x.unbind(),
}.items():
    _arranged(op, call, value=None, joined=lambda d: d.reshape(M.shape))
_arranged(
    "expand",
    lambda x: x.expand(2, 3, 4),
    spread=lambda x: np.broadcast_to(x, (2, 3, 4)),
    sum=lambda d: d.sum(0),
)
_arranged(
    "repeat",
    lambda x: x.repeat(2, 3),
    tile=lambda x: np.tile(x, (2, 3)),
    sum_of_tiles=lambda d: d.reshape(2, 3, 3, 4).sum((0, 2)),
)
_arranged(
    "repeat_interleave",
    lambda x: x.repeat_interleave(2, 1),
    repeat=lambda x: np.repeat(x, 2, 1),
    sum_of_copies=lambda d: d.reshape(3, 4, 2).sum(2),
)
_arranged(
    "pad",
    lambda x: F.pad(x, (1, 2)),
    pad=lambda x: np.pad(x, ((0, 0), (1, 2))),
    crop=lambda d: d[:, 1:-2],
)


def _sum_of_windows(d: Array, size: int, total: int) -> Array:
    found = np.zeros((len(d), total))
    for start in range(d.shape[1]):
        found[:, start : start + size] += d[:, start]
    return found


_arranged(
    "unfold",
    lambda x: x.unfold(1, 2, 1),
    windows=lambda x: sliding_window_view(x, 2, axis=1),
    sum_of_windows=lambda d: _sum_of_windows(d, 2, 4),
)
_arranged(
    "fold",
    lambda x: F.fold(x, (1, 5), (1, 2)),
    random(1, 2, 4),
    windows=lambda d: sliding_window_view(d[0, 0], 2, axis=1)[0].T[None],
    sum_of_windows=lambda x: _sum_of_windows(x.transpose(0, 2, 1), 2, 5)[None, None],
)
