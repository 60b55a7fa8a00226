"""The statistics of many tensors in one call, which costs small ones less than a call each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gradtrace.recording.ledger import Page, Row, Table
from gradtrace.recording.sample import FIELDS
from gradtrace_torch.elements import is_ordinary, is_there
from gradtrace_torch.moments import moments_of_many, moments_of_moves
from gradtrace_torch.recording.reductions import measure, move_of, row_of_blocks

__all__ = ["SMALL", "is_small", "measure_all", "measure_moves", "measure_together", "table_of"]

Moved = tuple[Row | None, Row | None]
"""The statistics of a tensor, and those of what was added to it."""

SMALL = 4096
"""Elements up to which a tensor is kept, to be measured with others."""

_BYTES = 8 * SMALL
"""Bytes of memory up to which a tensor is kept: a small view may hold a large one."""

_NONFINITE = FIELDS.index("nonfinite")


def is_small(tensor: Tensor) -> bool:
    """Tell whether a tensor is small and plain, and has elements at all."""
    return (
        0 < tensor.numel() <= SMALL
        and type(tensor) is Tensor
        and tensor.dtype is torch.float32
        and tensor.is_cpu
        and tensor.layout is torch.strided
        and not tensor._is_zerotensor()
        and not tensor.is_inference()
        and (not tensor._is_view() or _keeps_little(tensor))
    )


def _keeps_little(view: Tensor) -> bool:
    return not view.is_neg() and view.untyped_storage().nbytes() <= _BYTES


def measure_together(small: Sequence[tuple[int, Tensor]]) -> Page:
    """Return the statistics of small tensors, each with its slot; see `measure`.

    >>> measure_together([(7, torch.tensor([3.0, -4.0]))]).tables[0][1][0, :5]
    array([ 2., -1., 25., -4.,  3.])
    """
    if not small:
        return Page()
    slots, tensors = [slot for slot, _ in small], [tensor for _, tensor in small]
    if not all(map(Tensor.data_ptr, tensors)):  # one was freed
        rows = zip(slots, map(measure, tensors), strict=True)
        return Page([(slot, row) for slot, row in rows if row is not None])
    table = table_of([each if each.is_contiguous() else each.contiguous() for each in tensors])
    return Page(tables=[(slots, table)])


def measure_all(tensors: Sequence[Tensor]) -> list[Row | None]:
    """Return the statistics of tensors of any kind, on a device with sum and extremes.

    >>> [row[1] for row in measure_all([torch.ones(2), torch.ones(3).double(), torch.ones(4)])]
    [2.0, 3.0, 4.0]
    """
    rows: list[Row | None] = [None] * len(tensors)
    for dtype, places in _by_type(tensors).items():
        group = [tensors[place] for place in places]
        found: Sequence[Row | None]
        if dtype is None:
            found = [measure(tensor, extremes=True) for tensor in group]
        else:
            found = [tuple(row) for row in table_of(group).tolist()]
        for place, row in zip(places, found, strict=True):
            rows[place] = row
    return rows


def measure_moves(now: Sequence[Tensor], before: Sequence[Tensor]) -> list[Moved]:
    """Return the statistics of tensors, each with those of what was added to it `before`.

    What is now and what was before are of one shape and type.

    >>> measure_moves([torch.tensor([3.0, 4.0])], [torch.ones(2)])[0][1][1:5]
    (5.0, 13.0, 2.0, 3.0)
    """
    rows: list[Moved] = [(None, None)] * len(now)
    for dtype, places in _by_type(now, before).items():
        pairs = [(now[place], before[place]) for place in places]
        found = None if dtype is None else moments_of_moves(*zip(*pairs, strict=True))
        moved = [_moved(*pair) for pair in pairs] if found is None else _halved(*found, pairs)
        for place, each in zip(places, moved, strict=True):
            rows[place] = each
    return rows


def table_of(tensors: Sequence[Tensor]) -> Table:
    """Return the statistics of tensors, contiguous and of one type, a row each."""
    found = moments_of_many(tensors)
    if found is None:
        return np.array([row_of_blocks(tensor, None) for tensor in tensors])
    table, right = found
    for place in [] if right else _wrong(table):
        table[place] = row_of_blocks(tensors[place], None)
    return table


def _halved(table: Table, right: bool, pairs: list[tuple[Tensor, Tensor]]) -> list[Moved]:
    rows = [tuple(row) for row in table.tolist()]
    moved: list[Moved] = list(zip(rows[::2], rows[1::2], strict=True))
    for place in [] if right else _wrong(table):
        moved[place // 2] = _moved(*pairs[place // 2])
    return moved


def _wrong(table: Table) -> list[int]:
    places: list[int] = np.flatnonzero(np.isnan(table[:, _NONFINITE])).tolist()
    return places


def _moved(now: Tensor, before: Tensor) -> Moved:
    if now.is_cpu and not is_there(now):
        return None, None
    return measure(now, extremes=True), measure(move_of(now, before), extremes=True)


def _by_type(*tensors: Sequence[Tensor]) -> dict[torch.dtype | None, list[int]]:
    """Return the places of the tensors of which all elements lie in memory in order, by type.

    Those of the others are under None; those of several sequences have to be so in each.
    """
    places: dict[torch.dtype | None, list[int]] = {}
    for place, each in enumerate(zip(*tensors, strict=True)):
        whole = all(map(_lies_whole, each))
        places.setdefault(each[0].dtype if whole else None, []).append(place)
    return places


def _lies_whole(tensor: Tensor) -> bool:
    return is_ordinary(tensor) and tensor.is_contiguous() and is_there(tensor)
