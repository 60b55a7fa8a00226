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

TARGET = "nothing, if it makes a target, as a teacher does; else leave the no_grad() block"

FOREIGN = "nothing, if this other model is not to be trained here"

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
    end, cut = _end(graph, node)
    cause, remedy = _why_ended(graph, end) if cut is None else _why_cut(graph, cut)
    severity = "warning"
    if _is_foreign(graph, data):
        severity, remedy = "note", FOREIGN
    elif cut is not None and cut[0] == node and _makes_target(graph, cut):
        severity, remedy = "note", TARGET
    yield _finding(node, data, severity, cause, remedy, edge=cut)


def _is_foreign(graph: nx.MultiDiGraph[str], data: dict[str, Any]) -> bool:
    """Tell whether a parameter belongs to another model than the one that was traced."""
    own, names = graph.graph.get("parameters", {}), data.get("names") or ()
    return bool(own and names and not set(names) & set(own))


def _makes_target(graph: nx.MultiDiGraph[str], cut: Edge) -> bool:
    """Tell whether a cut call only goes into a loss: no parameter above it gets a gradient."""
    if _is_detach(graph, cut) or _is_discrete(graph, cut):
        return False
    above = nx.descendants(graph, cut[1])
    return not any(
        is_leaf(graph.nodes[operand]) and _arrived(graph.nodes[operand])
        for call in above
        for operand in graph.predecessors(call)
    )


def _end(graph: nx.MultiDiGraph[str], start: str) -> tuple[str, Edge | None]:
    """Return where what depends on `start` ends, and the edge that stops to be differentiable."""
    seen, waiting = {start}, [start]
    for node in waiting:  # grows while it is walked: nearest first
        for operand, result, key, derivative in graph.out_edges(
            node, keys=True, data="local_derivative"
        ):
            target = graph.nodes[result]
            if not target.get("differentiable") and derivative is None:
                return result, (operand, result, key)
            if result not in seen and not parts_of(target.get("upstream_gradient")):
                seen.add(result)
                waiting.append(result)
    return waiting[-1], None


def _why_ended(graph: nx.MultiDiGraph[str], end: str) -> tuple[str, str]:
    source = graph.nodes[end].get("source")
    place = f"{end} ({source.file}:{source.line})" if source else end
    cause = (
        f"what it made ends at {place}: it was not used for the output of the backward pass, "
        "or went on as numbers that have no gradient, as of numpy(), item() and tolist()"
    )
    return cause, "use the result, stay with tensors, or leave out the calls that make it"


def _is_detach(graph: nx.MultiDiGraph[str], cut: Edge) -> bool:
    return str(graph.nodes[cut[1]].get("op")) in ("detach", "detach_", "data")


def _is_discrete(graph: nx.MultiDiGraph[str], cut: Edge) -> bool:
    kinds = [part.dtype for part in parts_of(graph.nodes[cut[1]].get("value"))]
    return bool(kinds) and all(kind.startswith(DISCRETE) for kind in kinds)


def _why_cut(graph: nx.MultiDiGraph[str], cut: Edge) -> tuple[str, str]:
    call = graph.nodes[cut[1]]
    op, source = str(call.get("op")), call.get("source")
    scope = f" in {call['scope']}" if call.get("scope") else ""
    place = f"{op}{scope} ({source.file}:{source.line})" if source else cut[1]
    if _is_detach(graph, cut):
        return f"it is detached at {place}", "remove the detach, or freeze what lies below it"
    if _is_discrete(graph, cut):
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
