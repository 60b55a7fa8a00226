"""Where in a file the steps are that are asked for, in which order."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gradtrace.recording.packing import Row, read_layouts, read_tail
from gradtrace.recording.sample import Series

__all__ = ["Index", "Part", "Span", "read_index"]


@dataclass(frozen=True, slots=True)
class Span:
    """The steps with numbers over `since` and below `end`."""

    since: int = -1
    end: int = 2**62


@dataclass(frozen=True, slots=True)
class Part:
    """Rows of a result that one pack fills."""

    rows: slice
    layout: int

    @property
    def steps(self) -> int:
        """How many rows they are."""
        return int(self.rows.stop - self.rows.start)


@dataclass(frozen=True)
class Index:
    """What a file holds of a span, with `order`: the rows that count, sorted by step."""

    layouts: dict[int, tuple[Series, ...]]
    packs: dict[int, Part]
    tail: list[Row]
    tail_start: int
    all_steps: npt.NDArray[np.int64]
    all_times: npt.NDArray[np.float64]
    order: npt.NDArray[np.int64] | slice

    @property
    def steps(self) -> npt.NDArray[np.int64]:
        """The numbers of the steps."""
        return self.all_steps[self.order]

    @property
    def times(self) -> npt.NDArray[np.float64]:
        """When they were, in seconds since 1970."""
        return self.all_times[self.order]


def read_index(connection: sqlite3.Connection, span: Span, *, histograms: bool = False) -> Index:
    """Return where the steps of `span` are.

    A session that goes on from an earlier step than the last one replaces what came after it.
    """
    query = (
        "SELECT id, session, layout, steps, times FROM pack WHERE last > ? AND first < ? "
        "ORDER BY id"
    )
    packs: dict[int, Part] = {}
    steps, times, sessions = [], [], []
    row = 0
    for number, session, layout, numbers, seconds in connection.execute(
        query, (span.since, span.end)
    ):
        steps.append(np.frombuffer(numbers, dtype="<i8"))
        times.append(np.frombuffer(seconds, dtype="<f8"))
        sessions.append(np.full(len(steps[-1]), session))
        packs[number] = Part(slice(row, row + len(steps[-1])), layout)
        row += len(steps[-1])
    tail = read_tail(connection, since=span.since, histograms=histograms)
    steps.append(np.array([each.step for each in tail], dtype=np.int64))
    times.append(np.array([each.time for each in tail], dtype=np.float64))
    sessions.append(np.array([each.session for each in tail], dtype=np.int64))
    every = np.concatenate(steps)
    return Index(
        layouts=read_layouts(connection),
        packs=packs,
        tail=tail,
        tail_start=row,
        all_steps=every,
        all_times=np.concatenate(times),
        order=_order(every, np.concatenate(sessions), _ends(connection), span),
    )


def _ends(connection: sqlite3.Connection) -> dict[int, int]:
    """Return for each session the step at which a later one begins again."""
    begins = (
        "SELECT session, min(step) FROM (SELECT session, step FROM tail UNION ALL "
        "SELECT session, first FROM pack) GROUP BY session ORDER BY session DESC"
    )
    ends: dict[int, int] = {}
    end = 2**62
    for session, first in connection.execute(begins):
        ends[session] = end
        end = min(end, first)
    return ends


def _order(
    steps: npt.NDArray[np.int64],
    sessions: npt.NDArray[np.int64],
    ends: dict[int, int],
    span: Span,
) -> npt.NDArray[np.int64] | slice:
    """Return the rows that count, by step; a slice of all where they are in order as they are."""
    inside = (steps > span.since) & (steps < span.end)
    for session, end in ends.items():
        inside &= (sessions != session) | (steps < end)
    if inside.all() and (np.diff(steps) > 0).all():
        return slice(None)
    rows = np.flatnonzero(inside)
    return rows[np.argsort(steps[rows], kind="stable")]
