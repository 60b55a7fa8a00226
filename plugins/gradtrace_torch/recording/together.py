"""The statistics of many tensors in one call, which costs small ones less than a call each."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, float32, strided

from gradtrace.recording.ledger import Page, Row, Table
from gradtrace.recording.sample import FIELDS
from gradtrace_torch.elements import fits, is_ordinary, is_there
from gradtrace_torch.moments import TYPES, moments_of_many, moments_of_moves
from gradtrace_torch.recording.reductions import measure, move_of

__all__ = [
    "SMALL",
    "Pair",
    "is_small",
    "measure_all",
    "measure_moves",
    "measure_together",
    "table_of",
]

Pair = tuple[Tensor, Tensor]
"""What a tensor is now, and what it was before."""

Moved = tuple[Row | None, Row | None]
"""The statistics of a tensor, and those of what was added to it."""

SMALL = 4096
"""Elements up to which a tensor is kept, to be measured with others."""

_BYTES = 8 * SMALL
"""Bytes of memory up to which a tensor is kept: a small view may hold a large one."""

_UNKNOWN = (math.nan,) * len(FIELDS)


def is_small(tensor: Tensor) -> bool:
    """Tell whether a tensor is small and plain."""
    return (
        tensor.numel() <= SMALL
        and type(tensor) is Tensor
        and tensor.dtype is float32
        and tensor.is_cpu
        and tensor.layout is strided
        and not (
            tensor._is_view() and (tensor.is_neg() or tensor.untyped_storage().nbytes() > _BYTES)
        )
    )


def measure_together(small: Sequence[tuple[int, Tensor]]) -> Page:
    """Return the statistics of small tensors, each with its slot; see `measure`.

    >>> measure_together([(7, torch.tensor([3.0, -4.0]))]).tables[0][1][0, :5]
    array([ 2., -1., 25., -4.,  3.])
    """
    if not small:
        return Page()
    slots, tensors = zip(*small, strict=True)
    if not all(map(Tensor.is_contiguous, tensors)):
        tensors = tuple(map(_in_order, tensors))
    return Page(tables=[(list(slots), table_of(tensors))])


def _in_order(tensor: Tensor) -> Tensor:
    return tensor if tensor.is_contiguous() or not tensor.data_ptr() else tensor.contiguous()


def measure_all(tensors: Sequence[Tensor]) -> list[Row | None]:
    """Return the statistics of tensors of any kind, on a device with sum and extremes.

    >>> [row[1] for row in measure_all([torch.ones(2), torch.ones(3).double(), torch.ones(4)])]
    [2.0, 3.0, 4.0]
    """
    return _by_group(_rows_of, tensors, _by_type(tensors))


def _rows_of(tensors: Sequence[Tensor], dtype: torch.dtype | None) -> list[Row | None]:
    found = moments_of_many(tensors) if dtype else None
    if found is None or not found[1]:
        return [measure(tensor, extremes=True) for tensor in tensors]
    return list(map(tuple, found[0].tolist()))


def measure_moves(pairs: Sequence[Pair]) -> list[Moved]:
    """Return for each tensor the statistics of what it is now, and of what was added to it.

    A pair is what it is now, and what it was before, of the same shape and type.

    >>> measure_moves([(torch.tensor([3.0, 4.0]), torch.ones(2))])[0][1][1:5]
    (5.0, 13.0, 2.0, 3.0)
    """
    return _by_group(_moves_of, pairs, _by_type([now for now, _ in pairs]))


def _moves_of(pairs: Sequence[Pair], dtype: torch.dtype | None) -> list[Moved]:
    now, before = zip(*pairs, strict=True)
    together = dtype and all(map(Tensor.is_contiguous, before))
    found = moments_of_moves(now, before) if together else None
    if found is None or not found[1]:
        return [_moved(*pair) for pair in pairs]
    rows = list(map(tuple, found[0].tolist()))
    return list(zip(rows[::2], rows[1::2], strict=True))


def table_of(tensors: Sequence[Tensor]) -> Table:
    """Return the statistics of tensors, contiguous and of one type, a row each.

    A row of NaN is that of a tensor whose memory was freed.
    """
    found = moments_of_many(tensors)
    if found is None:
        return np.array([measure(tensor) or _UNKNOWN for tensor in tensors])
    table, read = found
    for place in [] if read else np.flatnonzero(np.isnan(table[:, 0])).tolist():
        table[place] = measure(tensors[place]) or _UNKNOWN  # its zeros may need no memory
    return table


def _moved(now: Tensor, before: Tensor) -> Moved:
    if now.is_cpu and not is_there(now):
        return None, None
    return measure(now, extremes=True), measure(move_of(now, before), extremes=True)


def _by_group(
    find: Callable[[Sequence[Any], torch.dtype | None], list[Any]],
    each: Sequence[Any],
    groups: dict[torch.dtype | None, list[int]],
) -> list[Any]:
    """Return what `find` finds in each group, in the order of all."""
    if len(groups) == 1:
        return find(each, *groups)
    found = {
        place: one
        for dtype, places in groups.items()
        for place, one in zip(places, find([each[p] for p in places], dtype), strict=True)
    }
    return [found[place] for place in range(len(each))]


def _by_type(tensors: Sequence[Tensor]) -> dict[torch.dtype | None, list[int]]:
    """Return the places of the tensors of which all elements lie in memory in order, by type.

    Those of the others are under None.
    """
    places: dict[torch.dtype | None, list[int]] = {}
    for place, tensor in enumerate(tensors):
        places.setdefault(tensor.dtype if _lies_whole(tensor) else None, []).append(place)
    return places


def _lies_whole(tensor: Tensor) -> bool:
    try:
        return (
            tensor.dtype in TYPES
            and is_ordinary(tensor)
            and tensor.is_contiguous()
            and (fits(tensor) or is_there(tensor))
        )
    except RuntimeError:  # what a transform has wrapped has no memory of its own
        return False
