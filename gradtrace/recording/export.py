"""Take a recording to files that other programs read."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from gradtrace.backends import plugins
from gradtrace.errors import FileError, GradtraceError, RecordingError, require_choice
from gradtrace.facts import plain
from gradtrace.recording.extras import require
from gradtrace.recording.reader import Recording
from gradtrace.recording.rows import COLUMNS, rows_of
from gradtrace.recording.sinks import GROUP, find_sink

__all__ = ["FORMATS", "export", "format_of"]

BATCH = 50_000
"""Rows that are written at a time, about."""

TEXTS = ("node", "quantity", "kind", "op", "scope")


def export(recording: Recording, target: str | None = None, *, to: str | None = None) -> str:
    """Write a recording to `target`, a path or an address such as `s3://…`; return where it is.

    `to` is one of `parquet`, `csv`, `jsonl`, or the name of a sink such as `tensorboard`, whose
    target is a folder. Unless told, the target is beside the run, and the format is the one that
    the target ends in, else parquet.
    """
    to = to or format_of(target)
    require_choice("to", to, [*FORMATS, *(plugin.name for plugin in plugins(GROUP))])
    place = target or f"{recording.directory}.{to}"
    if to in FORMATS:
        with _opened(place) as file:
            FORMATS[to](recording, file)
    else:
        _pour(recording, place, to)
    return place


def format_of(target: str | None) -> str:
    """Return the format that a path or address ends in, parquet if it ends in none.

    >>> format_of("runs/digits.csv"), format_of("s3://bucket/digits"), format_of(None)
    ('csv', 'parquet', 'parquet')
    """
    ending = (target or "").rpartition(".")[2]
    return ending if ending in FORMATS else "parquet"


def _pour(recording: Recording, place: str, to: str) -> None:
    sink = find_sink(to)
    try:
        sink.open(place, recording.facts)
        for step in recording.replay():
            sink.write(step)
        sink.close()
    except GradtraceError:
        raise
    except Exception as error:  # whatever a stranger's sink raises
        raise RecordingError(f"sink {to!r} failed at {place}: {error!r}") from error


@contextmanager
def _opened(place: str) -> Iterator[IO[bytes]]:
    """Open a path, or an address, to write it."""
    try:
        if "://" in place:
            with require("fsspec", purpose=f"writing to {place}").open(place, "wb") as file:
                yield file
        else:
            with Path(place).open("wb") as file:
                yield file
    except (OSError, ImportError) as error:
        raise FileError(f"{place} cannot be written: {error}") from error
    except ValueError as error:
        if isinstance(error, GradtraceError):
            raise
        raise FileError(f"{place} cannot be written: {error}") from error


def _batches(recording: Recording) -> Iterator[list[tuple[Any, ...]]]:
    waiting: list[tuple[Any, ...]] = []
    for rows in rows_of(recording):
        waiting += rows
        if len(waiting) >= BATCH:
            yield waiting
            waiting = []
    yield waiting


def _write_parquet(recording: Recording, file: IO[bytes]) -> None:
    arrow = require("pyarrow", purpose="parquet")
    parquet = require("pyarrow.parquet", purpose="parquet")
    types = {"step": arrow.int64()} | {
        name: arrow.dictionary(arrow.int32(), arrow.string()) for name in TEXTS
    }
    schema = arrow.schema([(name, types.get(name, arrow.float64())) for name in COLUMNS])
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        for rows in _batches(recording):
            columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
            arrays = [
                arrow.array(column, type=field.type)
                for column, field in zip(columns, schema, strict=True)
            ]
            writer.write_table(arrow.Table.from_arrays(arrays, schema=schema))


def _write_csv(recording: Recording, file: IO[bytes]) -> None:
    text = io.TextIOWrapper(file, encoding="utf-8", newline="", write_through=True)
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for rows in _batches(recording):
        writer.writerows([_plain(number) for number in row] for row in rows)
    text.detach()


def _write_jsonl(recording: Recording, file: IO[bytes]) -> None:
    for rows in _batches(recording):
        for row in rows:
            known = {
                name: each for name, each in zip(COLUMNS, row, strict=True) if each is not None
            }
            file.write(f"{json.dumps(plain(known), ensure_ascii=False)}\n".encode())


def _plain(value: Any) -> Any:
    return plain(value) if isinstance(value, float) and not math.isfinite(value) else value


FORMATS: Mapping[str, Callable[[Recording, IO[bytes]], None]] = MappingProxyType(
    {"parquet": _write_parquet, "csv": _write_csv, "jsonl": _write_jsonl}
)
"""The files that can be written, each with its function; sinks take a run as well."""
