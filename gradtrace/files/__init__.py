"""Keep a graph as one file.

The file is a safetensors file: arrays are its tensors, all the rest is JSON in its metadata.
Nothing in it is ever executed.
"""

from __future__ import annotations

import json
import secrets
from os import PathLike
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save as serialize

from gradtrace.errors import FileError, OptionError
from gradtrace.files.decode import decode
from gradtrace.files.encode import encode
from gradtrace.files.schema import MalformedError, require_records
from gradtrace.tape import EdgeRecord, NodeRecord

__all__ = ["FORMAT", "load", "save"]

FORMAT = 1
"""Version of the format; a file of a later one is refused."""

KEY = "gradtrace"
"""Where in the metadata the graph is."""

HEADER = 100_000_000
"""Bytes up to which safetensors reads a file's metadata."""

TENSOR = 150
"""Bytes that the name, type and shape of one tensor take in it at most, about."""

FORGED = (
    ArithmeticError,
    AttributeError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)
"""What decoding raises for content so wrong that no check of ours has words for it."""


def save(graph: nx.MultiDiGraph[str], path: str | PathLike[str]) -> Path:
    """Save `graph` as the file `path`, which is replaced at once and as a whole.

    Raises `FileError` where nothing can be written, `OptionError` for a graph with attributes
    that a file cannot keep.
    """
    target = Path(path)
    nodes: list[NodeRecord] = [(node, data) for node, data in graph.nodes(data=True)]
    edges: list[EdgeRecord] = list(graph.edges(keys=True, data=True))
    try:
        require_records(nodes, edges)
        document, arrays = encode(graph.graph, nodes, edges)
        text = json.dumps({"version": FORMAT} | document, separators=(",", ":"), allow_nan=False)
    except MalformedError as error:
        raise OptionError(f"the graph cannot be saved: {error}") from None
    if len(text) + text.count('"') + text.count("\\") + TENSOR * len(arrays) > HEADER:
        raise OptionError(
            f"the graph cannot be saved: the description of its {len(nodes):,} nodes is over the "
            f"{HEADER:,} bytes that safetensors reads; save graph.collapse(depth=...) instead"
        )
    _write(target, arrays, text)
    return target


def load(
    path: str | PathLike[str],
) -> tuple[dict[str, Any], list[NodeRecord], list[EdgeRecord]]:
    """Return attributes, nodes and edges of the graph saved in the file `path`.

    Raises `FileError` for a file that is not a whole graph of a known version.
    """
    source = Path(path)
    text, arrays = _read(source)
    try:
        document = json.loads(text)
        version = document["version"]
        if type(version) is int and version > FORMAT:
            raise FileError(
                f"{source} was saved by a newer gradtrace (format {version}, this one reads up to "
                f"{FORMAT}); upgrade with: pip install --upgrade gradtrace"
            )
        if type(version) is not int or version != FORMAT:
            raise MalformedError(f"its format is {version!r}, this gradtrace reads {FORMAT}")
        attributes, nodes, edges = decode(document, arrays)
        require_records(nodes, edges)
    except FileError:
        raise
    except MalformedError as error:
        raise FileError(f"{source} is damaged or forged: {error}") from None
    except FORGED as error:
        what = f"{type(error).__name__}: {error}"
        raise FileError(f"{source} is damaged or forged: {what:.200}") from error
    return attributes, nodes, edges


def _write(target: Path, arrays: dict[str, npt.NDArray[Any]], text: str) -> None:
    if target.is_dir():
        raise FileError(f"{target} is a folder; give the name of a file in it")
    if not target.parent.is_dir():
        raise FileError(f"{target} cannot be written: there is no folder {target.parent}")
    unfinished = target.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        unfinished.write_bytes(serialize(arrays, metadata={KEY: text}))
        unfinished.replace(target)
    except (OSError, SafetensorError) as error:
        raise FileError(f"{target} cannot be written: {error}") from error
    finally:
        unfinished.unlink(missing_ok=True)


def _read(source: Path) -> tuple[str, dict[str, npt.NDArray[np.generic]]]:
    """Return the text and the arrays of a safetensors file of ours."""
    if source.is_dir():
        raise FileError(f"{source} is a folder; give the name of a file saved by graph.save()")
    if not source.exists():
        raise FileError(f"there is no file {source}")
    try:
        with safe_open(source, framework="numpy") as file:
            text = (file.metadata() or {}).get(KEY)
            if text is None:
                raise FileError(
                    f"{source} is a safetensors file, but not a graph: its metadata has no entry "
                    f"{KEY!r}; gradtrace.load reads what graph.save() wrote"
                )
            names = file.keys()
            return text, {name: file.get_tensor(name) for name in names}
    except (OSError, SafetensorError, *FORGED) as error:
        if isinstance(error, FileError):
            raise
        raise FileError(
            f"{source} is not a whole safetensors file, so no graph of ours, or one that was cut "
            f"short ({error}); save the graph again"
        ) from error
