"""From a tensor to the statistics that are recorded of it, in one pass over its memory.

On a device the numbers stay there, and nothing waits for them.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gradtrace.recording.ledger import Page, Row, Table, rows_of, slots_of
from gradtrace.recording.observer import NEAR
from gradtrace.recording.sample import BINS, EDGES
from gradtrace_torch.compiled import moments_of
from gradtrace_torch.elements import (
    flat,
    is_odd,
    is_ordinary,
    is_readable,
    is_there,
    plain,
    stored,
)
from gradtrace_torch.recording.afar import exponents_of, row_afar

__all__ = [
    "Ends",
    "Histogram",
    "add_scaled",
    "binned",
    "histogram",
    "measure",
    "move_of",
    "rescale",
    "scaled",
    "unsaturated",
]

NAN = math.nan

Numbers = npt.NDArray[Any]

Histogram = npt.NDArray[np.uint32]

Ends = tuple[float, float] | None
"""The smallest and largest value that an operation can give, for those that have such ends."""

_BLOCK = 2**13
"""Elements that are looked at together: in double precision they stay in the cache, and in memory
that is used again from block to block."""

_COUNTED = 2**16
"""Elements whose exponents are counted together."""

_ROW = 2**10
"""Elements that are added up together in single precision."""

_LEAST_SQUARE = 1e-31
"""The mean square below which too many squares may have vanished in single precision."""


def measure(
    tensor: Tensor, *, extremes: bool = False, zeros: bool = False, ends: Ends = None
) -> Row | None:
    """Return the statistics of a tensor; None where its elements cannot be read.

    Args:
        tensor: Of any layout, type and device. Of a complex one the magnitudes are measured.
        extremes: Whether minimum and maximum are wanted, and on a device the sum: each costs a pass
            there.
        zeros: Whether elements that are 0 are counted on a device. On the host they are counted
            with the extremes, and these with them.
        ends: Where to count elements that are near an end.
    """
    if is_ordinary(tensor) and is_there(tensor):
        return _row_of(tensor, ends, whole=extremes or zeros)
    x = elements(tensor)
    if x is None:
        return None
    unstored = 0 if tensor.layout is torch.strided else tensor.numel() - x.numel()
    if x.is_cpu or x.numel() == 0:
        extremes |= zeros
        row = _row_of(x, ends, whole=extremes)
    else:
        row = row_afar(x, extremes=extremes, zeros=zeros, ends=ends)
    return _with_unstored(row, unstored, extremes=extremes) if unstored else row


def elements(tensor: Tensor) -> Tensor | None:
    """Return the elements that this process holds, as real floats without structure.

    None where there are none to read: on a meta tensor, in freed memory, or inside a transform.
    """
    try:
        local = plain(tensor)
        if local is None or not is_readable(local):
            return None
        local = local.detach()
        if local.layout is not torch.strided or is_odd(local):
            return flat(stored(local, dense=False).detach())
        if not local.is_cpu:
            return local
        return flat(local) if is_there(local) else None
    except (RuntimeError, TypeError):  # without storage, or of a class of the user's
        return None


def _row_of(tensor: Tensor, ends: Ends, *, whole: bool) -> Row:
    """Return the statistics of elements on the host; extremes and zeros only if `whole`."""
    low, high = unsaturated(ends)
    row = moments_of(tensor, low=low, high=high)
    if row is None and not whole and ends is None:
        row = _sums_of(flat(tensor.detach()))
    row = row or _row_of_blocks(tensor, ends)
    return row if whole else (*row[:3], NAN, NAN, NAN, *row[6:])


def _sums_of(x: Tensor) -> Row | None:
    """Return the sums that torch finds, quickly; None where they are not to be trusted."""
    size = x.numel()
    even = size - size % _ROW
    total = squares = 0.0
    for part in (x[:even].view(-1, _ROW), x[even:].view(1, -1)):
        if not part.numel():
            continue
        squares += torch.linalg.vector_norm(part, dim=1).double().square().sum().item()
        total += part.sum(1).double().sum().item()
    if not _LEAST_SQUARE * size < squares < math.inf:
        return None
    return (float(size), total, squares, NAN, NAN, NAN, 0.0, NAN, 0.0)


def unsaturated(ends: Ends) -> tuple[float, float]:
    """Return the range outside of which an element is saturated, an empty one where none is."""
    if ends is None:
        return 0.0, 0.0
    low, high = ends
    margin = (high - low) * NEAR
    return low + margin, high - margin


def move_of(now: Tensor, before: Tensor) -> Tensor:
    """Return what was added to `before`; half precision would round it.

    >>> move_of(torch.ones(1, dtype=torch.bfloat16), torch.full((1,), 0.001, dtype=torch.bfloat16))
    tensor([0.9990])
    """
    return (now.float() if now.dtype.itemsize == 2 else now).sub(before)


def _row_of_blocks(tensor: Tensor, ends: Ends) -> Row:
    """Return what NumPy finds, also where squares overflow or vanish or elements are not finite."""
    if tensor.numel() == 0:
        return (0.0, 0.0, 0.0, NAN, NAN, 0.0, 0.0, NAN if ends is None else 0.0, 0.0)
    with np.errstate(all="ignore"):
        rows = np.array([_careful_row(block, ends) for block in _copied(flat(tensor.detach()))])
        whole = rows.sum(axis=0)
        whole[3], whole[4] = np.fmin.reduce(rows[:, 3]), np.fmax.reduce(rows[:, 4])
    return tuple(whole.tolist())


def _copied(x: Tensor) -> Iterator[Numbers]:
    """Yield copies of blocks: memory that NumPy has seen cannot be resized any more."""
    room = torch.empty(min(_BLOCK, x.numel()), dtype=torch.float64)
    array = room.numpy()
    for block in x.split(_BLOCK):
        room[: block.numel()].copy_(block)
        yield array[: block.numel()]


def _careful_row(wide: Numbers, ends: Ends) -> Row:
    near = NAN if ends is None else _near_in(wide, ends)
    nan, size = 0, wide.size
    if not math.isfinite(wide.sum()):
        nan = int(np.count_nonzero(np.isnan(wide)))
        wide = wide[np.isfinite(wide)]
    low, high = (float(wide.min()), float(wide.max())) if wide.size else (NAN, NAN)
    zeros = wide.size - np.count_nonzero(wide)
    sums = float(wide.sum()), float(np.dot(wide, wide))
    return (size, *sums, low, high, zeros, size - wide.size, near, nan)


def _near_in(array: Numbers, ends: tuple[float, float]) -> int:
    low, high = unsaturated(ends)
    return int(np.count_nonzero(array < low) + np.count_nonzero(array > high))


def _with_unstored(row: Row, unstored: int, *, extremes: bool) -> Row:
    """Return the statistics of a sparse tensor, to whose zeros those belong that it leaves out."""
    size, total, sumsq, low, high, zeros, *rest = row
    if isinstance(low, Tensor):
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
    elif extremes:  # of none that is stored they are NaN
        low, high = min(0.0, low), max(0.0, high)
    return (size + unstored, total, sumsq, low, high, zeros + unstored, *rest)


def scaled(row: Row, factor: Any) -> Row:
    """Return the statistics of a tensor that is `factor` > 0 times the one that was measured."""
    size, total, sumsq, low, high, *rest = row
    sums = _times(total, factor), _times(sumsq, factor * factor)
    return (size, *sums, _times(low, factor), _times(high, factor), *rest)


def add_scaled(
    page: Page,
    rows: list[tuple[int, Row]],
    tables: list[Table],
    factor: Any,
    *,
    but: Collection[int] = (),
) -> None:
    """Add to a page what is `factor` times as much as these, `but` for these slots."""
    if isinstance(factor, float) and factor == 1:
        page.rows += rows
        page.tables += tables
        return
    rows = list(rows)
    for slots, numbers in tables:
        rows += zip(slots_of(slots).tolist(), rows_of(numbers).tolist(), strict=True)
    page.rows += [(slot, row if slot in but else scaled(row, factor)) for slot, row in rows]


def rescale(page: Page, factor: Any, *, but: Collection[int]) -> None:
    """Multiply rows and tables of a page by `factor`, `but` for these slots."""
    rows, tables, page.rows, page.tables = page.rows, page.tables, [], []
    add_scaled(page, rows, tables, factor, but=but)


def _times(cell: Any, factor: Any) -> Any:
    """Return what was measured times `factor`, which may be on a device; what was not, as it is."""
    return cell if isinstance(cell, float) and math.isnan(cell) else cell * factor


_EXPONENT = 127 + int(np.log2(EDGES[0]))
"""The biased exponent of a float32 that is as large as the first edge."""

_BIN = np.clip(np.arange(256) - _EXPONENT + 1, 0, BINS - 1)


def histogram(tensor: Tensor) -> Histogram | Tensor | None:
    """Return how many elements have a magnitude in each of the bins.

    Edges are powers of two, so that the bin of a float32 is its exponent. Of a tensor on a device
    that is what `binned` makes of the tensor that is returned.
    """
    x = elements(tensor)
    if x is None:
        return None
    unstored = 0 if tensor.layout is torch.strided else tensor.numel() - x.numel()
    if not x.is_cpu:
        counts = exponents_of(x)
        counts[0] += unstored
        return counts
    exponents = np.zeros(512, np.int64)
    for part in x.split(_COUNTED):
        bits = part.to(torch.float32, copy=True).numpy().view(np.uint32)
        exponents += np.bincount(bits >> 23, minlength=512)
    exponents = exponents[:256] + exponents[256:]
    if exponents[255]:
        exponents[255] -= int(torch.isnan(x).sum())
    exponents[0] += unstored
    return binned(exponents)


def binned(exponents: npt.ArrayLike) -> Histogram:
    """Return what each bin holds, from how many elements have each exponent."""
    return np.bincount(_BIN, weights=exponents, minlength=BINS).astype(np.uint32)
