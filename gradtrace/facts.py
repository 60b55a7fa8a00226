"""What there is to say of a graph in plain data, for the command line as for other programs."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

from gradtrace.graph import Graph
from gradtrace.render.numbers import number, single
from gradtrace.summary import Summary
from gradtrace.tape import KINDS

__all__ = ["Overview", "Passage", "overview", "plain", "records"]


@dataclass(frozen=True, slots=True)
class Passage:
    """An edge as the gradient takes it, from the result back to the operand."""

    result: str
    operand: str
    gain: float

    def __str__(self) -> str:
        return f"× {number(self.gain)} from {self.result} back to {self.operand}"


@dataclass(frozen=True, slots=True)
class Overview:
    """A graph in few numbers."""

    nodes: int
    edges: int
    kinds: dict[str, int]
    outputs: dict[str, float | complex | None]
    """Nodes at which a backward pass began, the loss as a rule, with the value of a scalar."""
    largest: Passage | None
    smallest: Passage | None
    nonfinite: int
    """Number of edges whose gain is NaN or infinite; they are neither largest nor smallest."""

    def __str__(self) -> str:
        counts = ", ".join(
            f"{count:,} {kind}{'s' if count != 1 else ''}" for kind, count in self.kinds.items()
        )
        outputs = ", ".join(f"{node} = {number(value)}" for node, value in self.outputs.items())
        lines = {
            "nodes": f"{self.nodes:,} ({counts})",
            "edges": f"{self.edges:,}",
            "gradients from": outputs or "nowhere: no backward pass ran in the block",
            "largest gain": self.largest or "not computed",
            "smallest gain": self.smallest or "not computed",
        }
        if self.nonfinite:
            lines["gains not finite"] = f"{self.nonfinite:,}"
        return "\n".join(f"{name:16}  {line}" for name, line in lines.items())


def overview(graph: Graph) -> Overview:
    """Return how much there is of what, where gradients begin, where they grow and shrink most."""
    kinds = Counter(kind for _, kind in graph.nodes(data="kind"))
    passages = [
        Passage(result, operand, derivative.gain)
        for operand, result, derivative in graph.edges(data="local_derivative")
        if derivative is not None and derivative.gain is not None
    ]
    finite = [passage for passage in passages if math.isfinite(passage.gain)]
    return Overview(
        nodes=len(graph),
        edges=graph.number_of_edges(),
        kinds={kind: kinds[kind] for kind in KINDS if kinds[kind]},
        outputs={
            node: _scalar(data["value"])
            for node, data in graph.nodes(data=True)
            if data["seed"] is not None
        },
        largest=max(finite, key=lambda passage: passage.gain, default=None),
        smallest=min(finite, key=lambda passage: passage.gain, default=None),
        nonfinite=len(passages) - len(finite),
    )


def records(graph: Graph) -> dict[str, Any]:
    """Return everything a graph holds, save the elements of arrays, as data for JSON."""
    nodes = [{"id": node, **data} for node, data in graph.nodes(data=True)]
    edges = [
        {"source": source, "result": result, "key": key, **data}
        for source, result, key, data in graph.edges(keys=True, data=True)
    ]
    return {"graph": plain(graph.graph), "nodes": plain(nodes), "edges": plain(edges)}


def plain(value: Any) -> Any:
    """Return `value` as what JSON can hold; a number that JSON cannot hold becomes its name.

    >>> plain({"gains": (1.0, float("nan"), float("-inf"), None)})
    {'gains': [1.0, 'NaN', '-Infinity', None]}
    """
    if isinstance(value, float):
        return _finite_or_name(value)
    if value is None or isinstance(value, str | int):
        return value
    if is_dataclass(value):
        names = [field.name for field in fields(value) if field.name != "array"]
        return {name: plain(getattr(value, name)) for name in names}
    if isinstance(value, Mapping):
        return {str(key): plain(each) for key, each in value.items()}
    if hasattr(value, "_asdict"):
        return plain(value._asdict())
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    return str(value)


def _scalar(value: object) -> float | complex | None:
    return single(value) if isinstance(value, Summary) else None


def _finite_or_name(value: float) -> float | str:
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    return value
