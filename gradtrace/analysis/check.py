"""Check the chain rule at every node of a graph."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, overload

import networkx as nx

from gradtrace.analysis.agreement import Outcome
from gradtrace.analysis.equations import judge_gain, judge_pullback, judge_sum
from gradtrace.analysis.numeric import judge_differences
from gradtrace.analysis.parts import differentiable_parts, joined
from gradtrace.analysis.report import Report
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import Replay, Source

__all__ = ["VERDICTS", "Check", "Verdict", "check"]

VERDICTS = ("pass", "fail", "unverifiable")

SHOWN = 4
"""Nodes that `str(check)` names for each reason why something is unverifiable."""

NOT_KEPT = (
    "only what was traced with keep='all' and detail='call' can be, in the process that traced it"
)

NOT_SEEN = "it ran out of sight: scripted, in a backward pass, or through a view"

_Edge = tuple[str, dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the chain rule holds at one node."""

    node: str
    verdict: str
    reason: str | None = None
    error: float | None = None
    """The largest relative error of what was compared."""
    source: Source | None = None

    def __str__(self) -> str:
        where = f" ({self.source.file}:{self.source.line})" if self.source else ""
        error = "" if self.error is None else f" (relative error {self.error:.2g})"
        reason = f": {self.reason}" if self.reason else ""
        return f"{self.node}{where}{reason}{error}"


@dataclass(frozen=True, repr=False)
class Check(Report, Sequence[Verdict]):
    """The verdicts on all nodes, in the order of the graph."""

    verdicts: tuple[Verdict, ...]

    @property
    def passed(self) -> tuple[Verdict, ...]:
        """Nodes at which something could be verified, none of it wrong."""
        return self._of("pass")

    @property
    def failed(self) -> tuple[Verdict, ...]:
        """Nodes at which the chain rule is broken."""
        return self._of("fail")

    @property
    def unverifiable(self) -> tuple[Verdict, ...]:
        """Nodes of which too little is recorded, each with the reason."""
        return self._of("unverifiable")

    @property
    def ok(self) -> bool:
        """Whether no node failed."""
        return not self.failed

    def _of(self, verdict: str) -> tuple[Verdict, ...]:
        return tuple(each for each in self.verdicts if each.verdict == verdict)

    @overload
    def __getitem__(self, index: int) -> Verdict: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Verdict, ...]: ...
    def __getitem__(self, index: int | slice) -> Verdict | tuple[Verdict, ...]:
        return self.verdicts[index]

    def __len__(self) -> int:
        return len(self.verdicts)

    def __str__(self) -> str:
        lines = [f"chain rule: {self._counts()}"]
        lines += [f"  fail  {verdict}" for verdict in self.failed]
        reasons = Counter(verdict.reason or "" for verdict in self.unverifiable)
        for reason, count in reasons.most_common():
            nodes = [verdict.node for verdict in self.unverifiable if verdict.reason == reason]
            more = f" and {count - SHOWN:,} more" if count > SHOWN else ""
            lines.append(f"  unverifiable  {count:,} × {reason}: {', '.join(nodes[:SHOWN])}{more}")
        return "\n".join(lines)

    def _counts(self) -> str:
        return ", ".join(f"{len(self._of(verdict)):,} {verdict}" for verdict in VERDICTS)


def check(graph: nx.MultiDiGraph[str], *, numeric: bool = False) -> Check:
    """Check that every gradient is what the chain rule says, as far as the record tells.

    A node fails if it lies on a cycle, if its upstream gradient is not the sum of what its uses
    pass back, or if a call does not pass back what its local derivatives say. Arrays are compared
    element by element, summaries by what is linear in them. A node at which nothing could be
    compared is unverifiable.

    With `numeric`, the function of each call is run again to difference it in float64; a call that
    cannot be run again, as in a graph from a file, is unverifiable.

    >>> seed, share = Summary.of(1.0), Summary.of(2.0)
    >>> graph = nx.MultiDiGraph(gradients=True)
    >>> graph.add_node("x", upstream_gradient=Summary.of(5.0))
    >>> graph.add_node("y", upstream_gradient=seed, seed=seed)
    >>> _ = graph.add_edge("x", "y", 0, operand="input", downstream_gradient=share)
    >>> print(check(graph))
    chain rule: 1 pass, 1 fail, 0 unverifiable
      fail  x: its upstream gradient is not the sum of what its uses pass back (y.input) \
(relative error 1.5)
    """
    cycles = _cycles(graph)
    verdicts = [_verdict(graph, node, cycles.get(node)) for node in graph]
    if numeric:
        replays: Mapping[str, Replay | str] = getattr(graph, "replays", {})
        missing = NOT_SEEN if replays else NOT_KEPT
        verdicts = [_differenced(graph, each, replays.get(each.node, missing)) for each in verdicts]
    return Check(tuple(verdicts))


def _differenced(graph: nx.MultiDiGraph[str], verdict: Verdict, replay: Replay | str) -> Verdict:
    """Return the verdict on a node with what differences of its function add to it."""
    data = graph.nodes[verdict.node]
    if verdict.verdict == "fail" or data.get("kind") != "call" or data.get("note"):
        return verdict
    outcomes = list(judge_differences(graph, verdict.node, replay))
    for worst in ("fail", "unverifiable", "pass"):
        fitting = [outcome for outcome in outcomes if outcome.verdict == worst]
        if fitting:
            reasons = dict.fromkeys(outcome.reason for outcome in fitting if outcome.reason)
            errors = [outcome.error for outcome in fitting if outcome.error is not None]
            error = max(errors, default=verdict.error)
            return Verdict(verdict.node, worst, "; ".join(reasons) or None, error, verdict.source)
    return verdict


def _verdict(graph: nx.MultiDiGraph[str], node: str, cycle: str | None) -> Verdict:
    data = graph.nodes[node]
    source = data.get("source")
    if cycle is not None:
        return Verdict(node, "fail", cycle, source=source)
    if data.get("note"):
        return Verdict(node, "unverifiable", str(data["note"]), source=source)
    outcomes = [*_judge_sums(graph, node), *_judge_pullbacks(graph, node)]
    for verdict in ("fail", "pass"):
        fitting = [outcome for outcome in outcomes if outcome.verdict == verdict]
        if fitting:
            reasons = dict.fromkeys(outcome.reason for outcome in fitting if outcome.reason)
            errors = [outcome.error for outcome in fitting if outcome.error is not None]
            reason = "; ".join(reasons) if verdict == "fail" else None
            return Verdict(node, verdict, reason, max(errors, default=None), source)
    reason = outcomes[0].reason if outcomes else _why_nothing(graph, data)
    return Verdict(node, "unverifiable", reason, source=source)


def _why_nothing(graph: nx.MultiDiGraph[str], data: dict[str, Any]) -> str:
    if not graph.graph.get("gradients", True):
        return "no backward pass ran in the trace block"
    if not data.get("differentiable", True):
        return "no gradient can flow back to it"
    return "no backward pass reached it"


def _cycles(graph: nx.MultiDiGraph[str]) -> dict[str, str]:
    """Return for each node on a cycle the reason why it fails."""
    reasons: dict[str, str] = {}
    for component in nx.strongly_connected_components(graph):
        node = next(iter(component))
        if len(component) == 1 and not graph.has_edge(node, node):
            continue
        named = ", ".join(sorted(map(str, component))[:SHOWN])
        reason = f"it lies on a cycle, but values flow one way only: {named}"
        reasons.update(dict.fromkeys(component, reason))
    return reasons


def _judge_sums(graph: nx.MultiDiGraph[str], node: str) -> Iterator[Outcome]:
    """Yield, for each result, whether its upstream gradient is the sum over its uses."""
    data = graph.nodes[node]
    upstream = data.get("upstream_gradient")
    uses = list(graph.out_edges(node, keys=True, data=True))
    if not isinstance(upstream, tuple):
        edges = [(result, use) for _, result, _, use in uses]
        yield from _judge_uses(graph, upstream, data.get("seed"), edges)
        return
    for number, part in enumerate(upstream):
        edges = [(result, use) for _, result, key, use in uses if key == number]
        yield from _judge_uses(graph, part, None, edges)


def _judge_uses(
    graph: nx.MultiDiGraph[str], total: Summary | None, seed: Summary | None, uses: list[_Edge]
) -> Iterator[Outcome]:
    shares = [use.get("downstream_gradient") for _, use in uses]
    known = [share for share in (seed, *shares) if share is not None]
    if total is None:
        if any(share.norm for share in known):
            yield Outcome("unverifiable", "gradients come back to it, but its own is not recorded")
        return
    outcome = judge_sum(total, known)
    if outcome.verdict == "pass":
        yield outcome
        return
    missing = list(_unrecorded(graph, uses))
    if outcome.verdict == "fail" and missing:
        reason = f"what it gets back from {', '.join(missing)} is not recorded"
        yield Outcome("unverifiable", reason)
    elif outcome.verdict == "fail":
        names = [f"{result}.{use.get('operand')}" for result, use in uses] + ["seed"] * bool(seed)
        what = f"the sum of what its uses pass back ({', '.join(names)})" if names else "zero"
        reason = f"its upstream gradient is not {what}"
        yield replace(outcome, reason=f"{reason}: {outcome.reason}" if outcome.reason else reason)
    else:
        yield outcome


def _unrecorded(graph: nx.MultiDiGraph[str], uses: list[_Edge]) -> Iterator[str]:
    """Yield the uses that may have passed back a gradient which nobody recorded."""
    for result, use in uses:
        upstream = graph.nodes[result].get("upstream_gradient")
        parts = upstream if isinstance(upstream, tuple) else (upstream,)
        arrived = any(part is not None for part in parts)
        derivative: LocalDerivative | None = use.get("local_derivative")
        zero = derivative is not None and derivative.structure == "zero"
        if use.get("downstream_gradient") is None and arrived and not zero:
            yield f"{result}.{use.get('operand')}"


def _judge_pullbacks(graph: nx.MultiDiGraph[str], node: str) -> Iterator[Outcome]:
    """Yield, for each operand, whether the call passes back what its local derivative says."""
    uses = [
        (data.get("operand"), data["local_derivative"], data["downstream_gradient"])
        for _, _, data in graph.in_edges(node, data=True)
        if data.get("local_derivative") is not None and data.get("downstream_gradient") is not None
    ]
    upstream = _upstream(graph, node) if uses else None
    if upstream is None:
        return
    if graph.nodes[node].get("kind") == "item":
        yield from _judge_item(upstream, [downstream for _, _, downstream in uses])
        return
    several = isinstance(graph.nodes[node]["upstream_gradient"], tuple)
    calls = graph.nodes[node].get("folded") or 1
    for operand, derivative, downstream in uses:
        if several and derivative.result_shape != upstream.shape:
            yield Outcome("unverifiable", "not all of its results with a gradient are recorded")
            continue
        outcomes = [judge_pullback(derivative, upstream, downstream, calls=calls)]
        gain = judge_gain(derivative, upstream, downstream)
        outcomes += [gain] if gain.verdict == "fail" else []
        for outcome in outcomes:
            reason = outcome.reason or "it is not what its local derivative says"
            named = f"downstream gradient of {operand}: {reason}"
            yield replace(outcome, reason=named) if outcome.verdict == "fail" else outcome


def _judge_item(upstream: Summary, downstreams: list[Summary]) -> Iterator[Outcome]:
    """Yield whether an item passes on what it gets; its share has the shape of its part only."""
    outcome = judge_sum(upstream, downstreams)
    failed = outcome.verdict == "fail"
    reason = "the gradient of its part is not its own" if failed else outcome.reason
    yield replace(outcome, reason=reason)


def _upstream(graph: nx.MultiDiGraph[str], node: str) -> Summary | None:
    """Return the upstream gradient of a call, several results taken as one."""
    data = graph.nodes[node]
    upstream: Summary | tuple[Summary | None, ...] | None = data.get("upstream_gradient")
    if not isinstance(upstream, tuple):
        return upstream
    numbers = differentiable_parts(graph, node)
    gradients = [upstream[number] for number in numbers]
    if all(gradient is None for gradient in gradients):
        return None
    return joined([data["value"][number] for number in numbers], gradients)
