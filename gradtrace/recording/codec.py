"""Turn blocks of recorded numbers into few bytes, then back."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from gradtrace.recording.sample import BINS, FIELDS

__all__ = [
    "is_single",
    "join_counts",
    "kept",
    "narrow",
    "only_number",
    "pack",
    "pack_counts",
    "read_row",
    "split_counts",
    "unpack",
    "unpack_counts",
]

Numbers = npt.NDArray[np.floating[Any]]

SUMSQ = FIELDS.index("sumsq")
FIRST = 8
"""Of the fields, those that the first version of the format had."""
SINGLE = np.finfo(np.float32)
LEVEL = 1
"""Of zlib: the mantissas are noise, on which a higher level spends time to no effect."""


def kept(statistics: npt.NDArray[np.float64]) -> Numbers:
    """Return the statistics of one step as they are kept: with the root of the sum of squares.

    Single precision has room for a norm where it has none for its square.

    >>> kept(np.array([[2, 3e-30, 9e-60, 0, 3e-30, 1, 0, np.nan, 0]]))[0, 2]
    np.float32(3e-30)
    """
    rooted = np.array(statistics, dtype=np.float64)
    rooted[:, SUMSQ] = np.sqrt(rooted[:, SUMSQ])
    return narrow(rooted)


def narrow(numbers: Numbers) -> Numbers:
    """Return `numbers` in single precision, unless one is too large or too small for it.

    >>> narrow(np.array([1.0, np.nan])).dtype, narrow(np.array([1e-50, 1.0])).dtype
    (dtype('float32'), dtype('float64'))
    """
    if numbers.dtype == np.float32:
        return numbers
    sizes = np.abs(numbers[np.isfinite(numbers) & (numbers != 0)])
    if sizes.size and (sizes.min() < SINGLE.tiny or sizes.max() > SINGLE.max):
        return numbers.astype("<f8")
    return numbers.astype("<f4")


def read_row(data: bytes, series: int) -> Numbers:
    """Return the statistics of one step from the bytes of what `kept` returned.

    Of a field that they have not, because an earlier version kept them, all is NaN.
    """
    if series == 0:
        return np.empty((0, len(FIELDS)), dtype="<f4")
    fields = FIRST if len(data) // series in (4 * FIRST, 8 * FIRST) else len(FIELDS)
    width = len(data) // (series * fields)
    numbers = np.frombuffer(data, dtype=f"<f{width}").reshape(series, fields)
    missing = len(FIELDS) - fields
    return np.pad(numbers, ((0, 0), (0, missing)), constant_values=np.nan) if missing else numbers


def pack(block: Numbers, *, exact: bool = False) -> bytes:
    """Return a block as bytes: one number where all are the same, else their bytes compressed.

    Bytes of the same significance are put side by side first: exponents change little. Where
    `exact`, double precision stays.

    >>> len(pack(np.zeros((100, 200)))), len(pack(np.full((100, 200), np.nan)))
    (6, 6)
    """
    numbers = block.astype("<f8") if exact else narrow(block)
    raw, width = numbers.tobytes(), numbers.itemsize
    head = str(width).encode()
    if raw[:width] * numbers.size == raw:
        return b"=" + head + raw[:width]
    planes = np.frombuffer(raw, dtype=np.uint8).reshape(-1, width).T
    return b"z" + head + zlib.compress(planes.tobytes(), LEVEL)


def unpack(data: bytes, shape: tuple[int, int]) -> Numbers:
    """Return the block of `shape` that `pack` made into `data`; raise `ValueError` if it is none.

    >>> unpack(pack(np.array([[1.5, 2.5]])), (1, 2))
    array([[1.5, 2.5]], dtype=float32)
    """
    if data[:1] not in (b"=", b"z") or data[1:2] not in (b"4", b"8"):
        raise ValueError(f"its numbers begin with {data[:2]!r}, which means nothing here")
    width = int(data[1:2])
    dtype = np.dtype(f"<f{width}")
    if data[:1] == b"=":
        return np.broadcast_to(np.frombuffer(data[2:], dtype=dtype), shape)
    planes = _inflate(data[2:], shape[0] * shape[1] * width)
    numbers = np.frombuffer(planes, dtype=np.uint8).reshape(width, -1).T.copy()
    return numbers.view(dtype).reshape(shape)


def is_single(data: bytes) -> bool:
    """Tell whether a packed block has single precision."""
    return data[1:2] == b"4"


def only_number(blocks: Iterable[bytes]) -> np.floating[Any] | None:
    """Return the one number that all of some packed blocks hold, as counts often do; else None.

    >>> only_number([pack(np.full((2, 3), 7.0)), pack(np.full((9, 3), 7.0))])
    np.float32(7.0)
    """
    kinds = set(blocks)
    if len(kinds) != 1:
        return None
    data = kinds.pop()
    return unpack(data, (1, 1))[0, 0] if data[:1] == b"=" else None


def pack_counts(counts: npt.NDArray[np.uint32]) -> bytes:
    """Return histograms, a row each, as bytes."""
    return zlib.compress(np.ascontiguousarray(counts, dtype="<u4").tobytes(), LEVEL)


def unpack_counts(data: bytes, shape: tuple[int, int]) -> npt.NDArray[np.uint32]:
    """Return the histograms that `pack_counts` made into `data`.

    >>> unpack_counts(pack_counts(np.array([[1, 2]], dtype=np.uint32)), (1, 2))
    array([[1, 2]], dtype=uint32)
    """
    return np.frombuffer(_inflate(data, shape[0] * shape[1] * 4), dtype="<u4").reshape(shape)


def join_counts(histograms: Mapping[int, npt.NDArray[np.uint32]]) -> bytes:
    """Return the histograms of one step, with the positions of their series, as bytes.

    >>> positions, counts = split_counts(join_counts({3: np.arange(BINS, dtype=np.uint32)}))
    >>> positions, counts[0, :4]
    (array([3], dtype=uint32), array([0, 1, 2, 3], dtype=uint32))
    """
    positions = np.array([len(histograms), *histograms], dtype="<u4")
    return positions.tobytes() + pack_counts(np.array([*histograms.values()], dtype="<u4"))


def split_counts(data: bytes) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]:
    """Return the positions and the histograms that `join_counts` made into `data`."""
    size = int(np.frombuffer(data[:4], dtype="<u4")[0])
    positions = np.frombuffer(data[4 : 4 + 4 * size], dtype="<u4")
    return positions, unpack_counts(data[4 + 4 * size :], (size, BINS))


def _inflate(data: bytes, size: int) -> bytes:
    """Return `size` bytes from `data`, and never more: what is read may be forged."""
    stream = zlib.decompressobj()
    try:
        raw = stream.decompress(data, size + 1)
    except zlib.error as error:
        raise ValueError(f"its numbers cannot be unpacked ({error})") from None
    if len(raw) != size or not stream.eof:
        raise ValueError(f"its numbers do not take {size} bytes, or were cut short")
    return raw
