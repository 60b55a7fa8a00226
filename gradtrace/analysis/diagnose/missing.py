"""Find parameters that got no gradient, with the reason."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import networkx as nx

from gradtrace.analysis.diagnose.findings import Finding, Report, Undetermined
from gradtrace.analysis.diagnose.thresholds import Thresholds
from gradtrace.analysis.diagnose.trunk import is_leaf
from gradtrace.analysis.flow import Edge, parts_of

__all__ = ["find_missing_gradients"]

RULE = "no_gradient"

DISCRETE = ("int", "uint", "bool")


def find_missing_gradients(graph: nx.MultiDiGraph[str], thresholds: Thresholds) -> Iterator[Report]:
    """Report parameters without gradient: detached and where, not used, or frozen."""
    if not graph.graph.get("gradients", True):
        yield Undetermined(RULE, "no backward pass ran in the trace block")
        return
    some = any(_arrived(data) for _, data in graph.nodes(data=True) if is_leaf(data))
    for node, data in graph.nodes(data=True):
        if not is_leaf(data) or _arrived(data):
            continue
        if data.get("kind") == "parameter" and not data.get("differentiable", True):
            yield _finding(node, data, "note", *FROZEN)
        elif data.get("differentiable"):
            yield from _explained(graph, node, data, some=some)
    yield from _unseen(graph)


FROZEN = ("it is frozen: it asks for no gradient", "nothing, if that is meant so")

UNUSED = (
    "it was not used in the forward pass that the gradient came back through",
    "use it in forward(), or remove it from the model",
)

DEAD_END = (
    "what it made was not used for the output of the backward pass",
    "use the result, or leave out the calls that make it",
)

UNASKED = (
    "the backward pass reached the calls that use it, but asked for no gradient of it",
    "nothing, if the pass was given inputs=, as torch.autograd.grad is",
)


def _arrived(data: dict[str, Any]) -> bool:
    return bool(parts_of(data.get("upstream_gradient")))


def _explained(
    graph: nx.MultiDiGraph[str], node: str, data: dict[str, Any], *, some: bool
) -> Iterator[Report]:
    if data.get("note"):
        yield Undetermined(RULE, str(data["note"]), (node,))
        return
    if any(
        parts_of(graph.nodes[result].get("upstream_gradient")) for result in graph.successors(node)
    ):
        shares = graph.out_edges(node, data="local_derivative")
        if any(derivative is not None for _, _, derivative in shares):
            yield _finding(node, data, "note" if some else "warning", *UNASKED)
            return
    cut = _cut(graph, node)
    if cut is None:
        yield _finding(node, data, "warning", *DEAD_END)
        return
    yield _finding(node, data, "warning", *_why_cut(graph, cut), edge=cut)


def _cut(graph: nx.MultiDiGraph[str], start: str) -> Edge | None:
    """Return the first edge at which what depends on `start` stops to be differentiable."""
    seen, waiting = {start}, [start]
    for node in waiting:  # grows while it is walked: nearest first
        for operand, result, key, derivative in graph.out_edges(
            node, keys=True, data="local_derivative"
        ):
            target = graph.nodes[result]
            if not target.get("differentiable") and derivative is None:
                return operand, result, key
            if result not in seen and not parts_of(target.get("upstream_gradient")):
                seen.add(result)
                waiting.append(result)
    return None


def _why_cut(graph: nx.MultiDiGraph[str], cut: Edge) -> tuple[str, str]:
    call = graph.nodes[cut[1]]
    op, source = str(call.get("op")), call.get("source")
    scope = f" in {call['scope']}" if call.get("scope") else ""
    place = f"{op}{scope} ({source.file}:{source.line})" if source else cut[1]
    if op in ("detach", "detach_", "data"):
        return f"it is detached at {place}", "remove the detach, or freeze what lies below it"
    kinds = [part.dtype for part in parts_of(call.get("value"))]
    if kinds and all(kind.startswith(DISCRETE) for kind in kinds):
        cause = f"it is cut off at {place}: {op} gives whole numbers, which have no derivative"
        return cause, "use a differentiable form, such as softmax instead of argmax"
    cause = f"it is cut off at {place}: this ran where gradients are turned off, as in no_grad()"
    return cause, "leave the no_grad() block, or freeze what lies below it"


def _unseen(graph: nx.MultiDiGraph[str]) -> Iterator[Report]:
    """Yield parameters of the model that are in no call of the graph."""
    parameters = graph.graph.get("parameters", {})
    seen = {name for _, names in graph.nodes(data="names") for name in names or ()}
    if parameters and not seen & set(parameters):
        yield Undetermined(RULE, "no call used a parameter of the model itself, only stand-ins")
        return
    for name, wants in parameters.items():
        if name not in seen:
            cause, remedy = UNUSED if wants else FROZEN
            severity = "warning" if wants else "note"
            yield Finding(RULE, severity, name, None, {"in_graph": False}, cause, remedy)


def _finding(
    node: str,
    data: dict[str, Any],
    severity: str,
    cause: str,
    remedy: str,
    *,
    edge: Edge | None = None,
) -> Finding:
    sizes = [part.size for part in parts_of(data.get("value"))]
    return Finding(RULE, severity, node, edge, {"elements": sum(sizes)}, cause, remedy)
