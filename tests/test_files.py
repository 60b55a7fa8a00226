"""A saved graph comes back whole; a file that is not one gives a clear error."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from gradtrace import files
from gradtrace.derivative import LocalDerivative
from gradtrace.errors import FileError, OptionError
from gradtrace.graph import Graph, load
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Source, Tape, Use, Value
from tests.analysis.networks import runs
from tests.tapes import Run, example

anywhere = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def plain(value: Any) -> Any:
    """Return a value with all that it holds, comparable, NaN equal to NaN."""
    if isinstance(value, np.ndarray):
        return (value.dtype.str, value.shape, value.tobytes())
    if isinstance(value, Summary | LocalDerivative):
        fields = type(value).__dataclass_fields__
        return (type(value), *(plain(getattr(value, name)) for name in fields))
    if isinstance(value, float):
        return ("float", value.hex())
    if isinstance(value, tuple | list):
        return (type(value), *map(plain, value))
    if isinstance(value, dict):
        return {key: plain(part) for key, part in value.items()}
    return (type(value), value)


def content(graph: nx.MultiDiGraph[str]) -> Any:
    nodes = [(node, plain(data)) for node, data in graph.nodes(data=True)]
    edges = [(u, v, key, plain(data)) for u, v, key, data in graph.edges(keys=True, data=True)]
    return plain(graph.graph), nodes, edges


def with_value(summary: Summary) -> Graph:
    return Graph.from_tape(Tape([Call("op", [Value(summary)], [])]))


def round_trip(graph: Graph, folder: Path) -> Graph:
    return load(graph.save(folder / "graph.gradtrace"))


@pytest.mark.parametrize("keep", ["all", "small", "summary"])
@pytest.mark.parametrize("dtype", ["float64", "float32", "float16"])
def test_a_graph_comes_back_whole(keep: str, dtype: str, tmp_path: Path) -> None:
    graph = example(keep=keep, dtype=dtype)
    again = round_trip(graph, tmp_path)
    assert content(again) == content(graph)
    assert isinstance(again, Graph)
    assert nx.is_frozen(again)
    assert again.check().passed == graph.check().passed


@anywhere
@given(runs())
def test_random_graphs_come_back_whole(tmp_path: Path, run: Run) -> None:
    graph = run.graph()
    assert content(round_trip(graph, tmp_path)) == content(graph)
    folded = graph.collapse(depth=1)
    assert content(round_trip(folded, tmp_path)) == content(folded)


ARRAYS = [
    np.array(3.0),
    np.zeros((0, 3), np.float32),
    np.array([True, False]),
    np.array([1 + 2j, complex(math.nan, -0.0)]),
    np.array(1 - 1j, np.complex64),
    np.zeros((2, 0), np.complex128),
    np.arange(6, dtype=np.float16).reshape(2, 3),
    np.arange(12, dtype=np.int64).reshape(3, 4)[::-2, 1:].T,
    np.broadcast_to(np.float32(2), (2, 2)),
    np.array([1, 2, 3], ">i4"),
    np.array([np.nan, np.inf, -np.inf, -0.0]),
    np.array([2**64 - 1], np.uint64),
]


@pytest.mark.parametrize("array", ARRAYS, ids=lambda a: f"{a.dtype}-{a.shape}")
def test_any_array_comes_back_whole(array: Any, tmp_path: Path) -> None:
    again = round_trip(with_value(Summary.of(array, keep=True)), tmp_path)
    found = again.nodes["op"]["value"].array
    assert found.dtype == array.dtype.newbyteorder("=")
    assert found.shape == array.shape
    np.testing.assert_array_equal(found, array)


numbers = st.none() | st.floats()
counts = st.none() | st.integers(0, 2**50)


@anywhere
@given(st.lists(numbers, min_size=5, max_size=5), counts, counts)
def test_statistics_come_back_exactly(
    tmp_path: Path, values: list[float | None], nonfinite: int | None, zeros: int | None
) -> None:
    norm, mean, std, low, high = values
    summary = Summary((4,), "float32", "cuda:0", norm, mean, std, low, high, nonfinite, zeros)
    graph = with_value(summary)
    assert content(round_trip(graph, tmp_path)) == content(graph)


def test_what_is_shared_stays_one(tmp_path: Path) -> None:
    array = np.array([1 + 1j, 2.0])
    shared = Summary.of(array, keep=True)
    value = Value(shared, upstream=shared)
    use = Use("input", value, LocalDerivative("identity", (2,), (2,)), downstream=shared)
    other = Value(Summary.of(array, keep=True), upstream=shared)
    tape = Tape([Leaf("input", ("x",), value), Call("op", [other], [use, use])], gradients=True)
    graph = round_trip(Graph.from_tape(tape), tmp_path)
    node, first, second = graph.nodes["x"], graph.edges["x", "op", 0], graph.edges["x", "op", 1]
    assert node["value"] is node["upstream_gradient"] is first["downstream_gradient"]
    assert first["local_derivative"] is second["local_derivative"]
    assert graph.nodes["op"]["value"].array is node["value"].array


def test_attributes_of_ones_own_come_back_too(tmp_path: Path) -> None:
    own = {"text": "\ud800 ü", "list": [1, (2.5, None)], "n": math.nan, "d": {"a": [], "b": {}}}
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(example())
    graph.nodes["x"]["own"] = own
    graph.graph["step"] = 10**20
    again = files.load(files.save(graph, tmp_path / "own"))
    assert plain(dict(again[1])["x"]["own"]) == plain(own)
    assert again[0]["step"] == 10**20


def test_an_empty_graph_can_be_kept(tmp_path: Path) -> None:
    assert len(round_trip(Graph.from_tape(Tape()), tmp_path)) == 0


def test_a_path_may_be_text_and_is_returned(tmp_path: Path) -> None:
    graph = example()
    assert graph.save(str(tmp_path / "a")) == tmp_path / "a"
    graph.save(tmp_path / "a")
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def _foreign(graph: Any) -> None:
    graph.nodes["x"]["own"] = object()


def _foreign_name(graph: Any) -> None:
    graph.nodes["x"][1] = 1


def _foreign_array(graph: Any) -> None:
    graph.nodes["x"]["value"] = Summary.of(np.array([1.0], np.longdouble), keep=True)


def _foreign_node(graph: Any) -> None:
    graph.add_node("new")


def _foreign_id(graph: Any) -> None:
    graph.add_node(7)


def _cycle(graph: Any) -> None:
    graph.add_edge("sum", "net.tanh", 1, **graph.edges["mul", "sum", 0])


REFUSED: list[tuple[Callable[[Any], None], str]] = [
    (_foreign, "node 'x': own is of type 'object', which a file cannot keep; use numbers"),
    (_foreign_name, "node 'x' has an attribute whose name is not text"),
    (_foreign_array, "a summary has an array of type .*, no type of a tensor"),
    (_foreign_node, "node 'new' has no attribute 'kind'"),
    (_foreign_id, "the node id 7 is not text"),
    (_cycle, "its edges run in a cycle"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED, ids=lambda c: getattr(c, "__name__", ""))
def test_what_a_file_cannot_keep_is_refused(
    change: Callable[[Any], None], message: str, tmp_path: Path
) -> None:
    graph: nx.MultiDiGraph[str] = nx.MultiDiGraph(example())
    change(graph)
    with pytest.raises(OptionError, match=f"the graph cannot be saved: {message}"):
        files.save(graph, tmp_path / "graph")
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    graph = example()
    with pytest.raises(FileError, match=r"cannot be written: there is no folder .*missing"):
        graph.save(tmp_path / "missing" / "graph")
    with pytest.raises(FileError, match="is a folder; give the name of a file in it"):
        graph.save(tmp_path)


def test_a_save_that_fails_leaves_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = example().save(tmp_path / "graph")
    before = path.read_bytes()

    def fail(unfinished: Path, data: bytes) -> int:
        with unfinished.open("wb") as file:
            file.write(data[:4])
        raise OSError("disk full")

    monkeypatch.setattr(Path, "write_bytes", fail)
    with pytest.raises(FileError, match="cannot be written: disk full"):
        example(keep="summary").save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_description_that_safetensors_would_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(files, "HEADER", 1000)
    with pytest.raises(OptionError, match=r"over the 1,000 bytes .* graph\.collapse\(depth"):
        example().save(tmp_path / "graph")


def test_what_is_no_file_of_ours(tmp_path: Path) -> None:
    with pytest.raises(FileError, match=r"there is no file .*nothing"):
        load(tmp_path / "nothing")
    with pytest.raises(FileError, match=r"is a folder; .* saved by graph\.save\(\)"):
        load(tmp_path)
    for text in (b"", b"hello", b"\x80\x04K\x01.", os.urandom(1000)):
        (tmp_path / "text").write_bytes(text)
        with pytest.raises(FileError, match="is not a whole safetensors file"):
            load(tmp_path / "text")
    save_file({"weight": np.zeros(3)}, tmp_path / "model")
    with pytest.raises(FileError, match="not a graph: its metadata has no entry 'gradtrace'"):
        load(tmp_path / "model")


def test_a_file_cut_short(tmp_path: Path) -> None:
    path = example().save(tmp_path / "graph")
    whole = path.read_bytes()
    for length in (7, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(FileError, match="is not a whole safetensors file"):
            load(path)


def test_sources_come_back_as_sources(tmp_path: Path) -> None:
    node = round_trip(example(), tmp_path).nodes["sum"]
    assert isinstance(node["source"], Source)
    assert node["source"].file == "model.py"
