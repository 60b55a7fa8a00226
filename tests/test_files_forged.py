"""A file that is damaged or forged is refused with a clear error, and never anything else."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from gradtrace.errors import FileError
from gradtrace.graph import load
from tests.tapes import example


def rewrite(path: Path, change: Callable[[Any], None]) -> None:
    """Change the document of a saved graph."""
    with safe_open(path, framework="numpy") as file:
        document = json.loads(file.metadata()["gradtrace"])
    arrays = load_file(path)
    change(document)
    save_file(arrays, path, metadata={"gradtrace": json.dumps(document)})


def _set(*path: Any) -> Callable[[Any], None]:
    """Return what sets the place `path[:-1]` of a document to `path[-1]`."""
    *way, last, value = path

    def change(document: Any) -> None:
        for step in way:
            document = document[step]
        document[last] = value

    return change


def _append(table: str, row: Any) -> Callable[[Any], None]:
    return lambda document: document[table].append(row)


def _delete(key: str) -> Callable[[Any], None]:
    return lambda document: document.pop(key)


def _twice(table: str) -> Callable[[Any], None]:
    return lambda document: document[table].append(document[table][0])


def _backward(document: Any) -> None:
    document["edges"].append([*reversed(document["edges"][-1][:2]), *document["edges"][-1][2:]])


FORGERIES: dict[str, tuple[Callable[[Any], None], str]] = {
    "newer": (_set("version", 2), "newer gradtrace .format 2, this one reads up to 1.; upgrade"),
    "older": (_set("version", 0), "its format is 0"),
    "no version": (_delete("version"), "KeyError: 'version'"),
    "no nodes": (_delete("nodes"), "KeyError: 'nodes'"),
    "nodes of another type": (_set("nodes", {"a": 1}), "its nodes are not a table"),
    "a node of another type": (_set("nodes", 0, 3), "its nodes are not a table"),
    "an id that is no text": (_set("nodes", 0, 0, 5), "a node id is 5, not text"),
    "the same id twice": (_twice("nodes"), "two nodes have the id 'x'"),
    "the same operand twice": (_twice("edges"), "operand 0 is there twice"),
    "an unknown node": (_set("edges", 0, 0, 99), "there is no node number 99"),
    "a negative node": (_set("edges", 0, 0, -1), "there is no node number -1"),
    "an operand index": (_set("edges", 0, 2, "0"), "operand index '0' is not an integer"),
    "a cycle": (_backward, "its edges run in a cycle"),
    "unknown names": (_set("nodes", 0, 1, 77), "attributes without names"),
    "too few values": (_set("nodes", 0, ["x", 1]), "0 values for 12 attributes"),
    "an unknown kind": (_set("nodes", 0, 2, "thing"), "kind is 'thing', not one of input,"),
    "a wrong type": (_set("nodes", 0, 6, "first"), "order is 'first', not an integer from 0"),
    "a wrong value": (_set("nodes", 0, 7, "big"), "value is 'big', not a Summary, None"),
    "an unknown summary": (_set("nodes", 0, 7, ["summary", 99]), "no summary number 99"),
    "an unknown tag": (_set("nodes", 0, 7, ["pickle", "x"]), "no value is tagged 'pickle'"),
    "an object": (_set("nodes", 0, 7, {}), "a value is an object"),
    "no tag": (_set("nodes", 0, 7, []), "a value is an empty list"),
    "a number": (_set("nodes", 0, 7, ["float", "nano"]), "'nano' is no number"),
    "parts that differ": (_set("nodes", 0, 7, ["tuple"]), "differ in parts"),
    "an unknown array": (_set("summaries", 0, 3, "array.99"), "there is no array 'array.99'"),
    "a real complex": (_set("summaries", 0, 3, "summaries"), "an array of shape .2, .*, 7. in"),
    "another shape": (_set("summaries", 0, 0, [2, 3]), r"array of shape \(2, 2\) in a summary"),
    "an absurd shape": (_set("summaries", 0, 0, [2**62, 4]), "has too many elements"),
    "a huge axis": (_set("summaries", 0, 0, [10**30]), "is no shape"),
    "too many axes": (_set("summaries", 0, 0, [1] * 99), "is no shape"),
    "a negative axis": (_set("summaries", 0, 0, [-1]), "is no shape"),
    "a flag as an axis": (_set("summaries", 0, 0, [True]), "is no shape"),
    "a dtype": (_set("summaries", 0, 1, 4), "a dtype is 4, not text"),
    "a summary more": (_append("summaries", [[], "float64", "cpu", None]), "the numbers of its"),
    "a short summary": (_set("summaries", 0, []), "ValueError"),
    "a structure": (_set("derivatives", 0, 0, "magic"), "'magic' is no structure"),
    "another structure": (_set("derivatives", 0, 0, "identity"), "identity derivative .* with arr"),
    "an operand": (_set("derivatives", 0, 2, [3]), "a dense derivative .* with array"),
    "no array": (_set("derivatives", 0, 3, None), "a dense derivative .* with array None"),
    "a reason": (_set("derivatives", 0, 5, 1), "a reason is 1, not text"),
    "a source": (_set("sources", 0, 1, "one"), "a line of a source is no number"),
    "deep nesting": (_set("nodes", 0, 7, json.loads("[" * 900 + "]" * 900)), "no value is tagged"),
}


@pytest.mark.parametrize(("change", "message"), FORGERIES.values(), ids=FORGERIES)
def test_a_forged_file(change: Callable[[Any], None], message: str, tmp_path: Path) -> None:
    path = example().save(tmp_path / "graph")
    rewrite(path, change)
    with pytest.raises(FileError, match=message) as caught:
        load(path)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("text", ["", "null", "[]", "{", "[" * 100_000, '{"version": 1e999}'])
def test_a_document_that_is_none(text: str, tmp_path: Path) -> None:
    save_file({"a": np.zeros(1)}, tmp_path / "graph", metadata={"gradtrace": text})
    with pytest.raises(FileError, match="is damaged or forged"):
        load(tmp_path / "graph")


def test_counts_that_count_nothing(tmp_path: Path) -> None:
    path = example().save(tmp_path / "graph")
    with safe_open(path, framework="numpy") as file:
        metadata = file.metadata()
    arrays = load_file(path)
    for wrong in (math.nan, -1.0, 0.5, math.inf):
        arrays["summaries"][0, 0, 5] = wrong
        save_file(arrays, path, metadata=metadata)
        with pytest.raises(FileError, match="counts no elements"):
            load(path)


class Saved:
    """The bytes of one small file, and how much of them describes the rest."""

    def __init__(self, folder: Path) -> None:
        self.path = example(keep="small").save(folder / "graph")
        self.whole = self.path.read_bytes()
        self.header = 8 + int.from_bytes(self.whole[:8], "little")


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Saved:
    return Saved(tmp_path_factory.mktemp("fuzz"))


def loads_or_refuses(path: Path) -> None:
    try:
        graph = load(path)
    except FileError:
        return
    assert nx.is_directed_acyclic_graph(graph)
    graph.check()


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_damage_is_loaded_or_refused(saved: Saved, data: st.DataObject) -> None:
    damaged = bytearray(saved.whole)
    within = data.draw(st.sampled_from([saved.header, len(damaged)]))
    places = st.tuples(st.integers(0, within - 1), st.integers(0, 255))
    for place, byte in data.draw(st.lists(places, min_size=1, max_size=4)):
        damaged[place] = byte
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(damaged))) :]
    path = saved.path.with_name("damaged")
    path.write_bytes(damaged)
    loads_or_refuses(path)


junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=5,
)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_any_forgery_is_loaded_or_refused(saved: Saved, data: st.DataObject) -> None:
    def change(document: Any) -> None:
        place = document[data.draw(st.sampled_from(sorted(document.keys() - {"version"})))]
        while True:
            index = data.draw(st.integers(0, len(place) - 1))
            if not isinstance(place[index], list) or not place[index] or data.draw(st.booleans()):
                place[index] = data.draw(junk)
                return
            place = place[index]

    path = saved.path.with_name("forged")
    path.write_bytes(saved.whole)
    rewrite(path, change)
    loads_or_refuses(path)
