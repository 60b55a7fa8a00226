"""Say what each path from the output back to a value contributes to its upstream gradient."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import Array
from gradtrace.analysis.contributions import along, altogether, begin, unresolved
from gradtrace.analysis.flow import Edge, find, norm_of, outputs, shown
from gradtrace.analysis.report import Report
from gradtrace.analysis.routes import Region
from gradtrace.analysis.splits import Split, split
from gradtrace.analysis.tables import columns, percent
from gradtrace.errors import OptionError

__all__ = ["Path", "Paths", "Rest", "paths", "told"]

CANDIDATES = 64
"""Paths at least that are tried, since the strongest by gains need not contribute most."""

FANOUTS = 40
"""Fan-outs in the printed table."""

CALLS = 7
"""Calls of a path that are printed."""


@dataclass(frozen=True, slots=True)
class Path:
    """One way that a gradient comes back."""

    edges: tuple[Edge, ...]
    """From the source to the target."""
    gain: float | None
    """Product of the gains along it."""
    share: float | None
    """Signed projection of its contribution on the whole; the shares of all paths add to 1."""
    norm: float | None = None
    """Norm of its contribution, None where that is not resolved."""
    array: Array | None = field(default=None, compare=False, repr=False)
    """Its contribution: the upstream gradient of the target, pulled back edge by edge."""

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes on it, from the source to the target."""
        return (*(edge[0] for edge in self.edges), *(edge[1] for edge in self.edges[-1:]))

    def __str__(self) -> str:
        nodes = self.nodes
        if len(nodes) > CALLS:
            half = CALLS // 2
            left = f"… {len(nodes) - 2 * half} calls …"
            nodes = (*nodes[:half], left, *nodes[-half:])
        return " → ".join(nodes)


@dataclass(frozen=True, slots=True)
class Rest:
    """The paths that are not told apart, together."""

    count: int
    share: float | None
    norm: float | None = None
    array: Array | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, repr=False)
class Paths(Report):
    """What came back from `target` to `source`, by path and by fan-out."""

    source: str
    target: str
    count: int
    """Number of all paths."""
    norm: float | None
    """Norm of what came back in all."""
    resolved: bool
    """Whether contributions are products of exact derivatives, not estimated from the splits."""
    reason: str | None
    """Why they are not."""
    paths: tuple[Path, ...]
    """The paths told apart, that with the largest contribution first."""
    rest: Rest
    splits: tuple[Split, ...]
    """Every fan-out between the two, from the target's side to the source."""

    def __str__(self) -> str:
        if not self.count:
            return f"{self._counts()}; no gradient comes back"
        return "\n".join([self._counts(), "", *self._paths(), *self._splits()])

    def _counts(self) -> str:
        counts = f"{_counted(self.count, 'path')}, {_counted(len(self.splits), 'fan-out')}"
        return f"from {self.target} back to {self.source}: {counts}"

    def _paths(self) -> list[str]:
        rows = [["share", "norm", "gain", "path"]]
        rows += [
            [percent(path.share), _dash(path.norm), _dash(path.gain), told(path, self.paths[0])]
            for path in self.paths
        ]
        if self.rest.count:
            others = f"the other {_counted(self.rest.count, 'path')}, together"
            rows.append([percent(self.rest.share), _dash(self.rest.norm), "", others])
        if len(self.paths) + bool(self.rest.count) > 1:
            rows.append(["100.0 %" if self._adds_up() else "?", _dash(self.norm), "", "the sum"])
        notes = (
            []
            if self.resolved or len(self.paths) == 1
            else [f"  Shares are estimated from the fan-outs: {self.reason}."]
        )
        return columns(rows, align="rrrl") + notes

    def _adds_up(self) -> bool:
        shares = [self.rest.share, *(path.share for path in self.paths)]
        return all(share is not None for share in shares) and bool(
            abs(sum(share or 0.0 for share in shares) - 1) < 1e-6
        )

    def _splits(self) -> list[str]:
        if not self.splits:
            return []
        rows = [["fan-out", "came back along", "norm", "share", ""]]
        for each in self.splits[:FANOUTS]:
            for number, share in enumerate(each.shares):
                skip = "" if share.skips is None else f"skips {_counted(share.skips, 'call')}"
                name = each.node if not number else ""
                rows.append([name, share.name, _dash(share.norm), percent(share.share), skip])
        more = len(self.splits) - FANOUTS
        lines = ["", *columns(rows, align="llrrl")]
        if more > 0:
            lines.append(f"  … and {_counted(more, 'fan-out')} more; .splits holds them all")
        reasons = dict.fromkeys(each.reason for each in self.splits if each.reason)
        return lines + [f"  Where the share is ?: {reason}." for reason in reasons]


def paths(
    graph: nx.MultiDiGraph[str], source: str, target: str | None = None, *, top: int = 10
) -> Paths:
    """Return what each path contributes to the gradient that comes back from `target` to `source`.

    Where all local derivatives between are exact, contributions are their products, and those of
    the `top` paths and of the rest add up to the whole. Else the share of a path is estimated: at
    each fan-out on it, what arrived is split as the upstream gradient was. `target` is the output
    of the backward pass unless told.

    Raises `OptionError` for a node that is not there, or where there are several outputs.

    >>> from gradtrace.derivative import LocalDerivative
    >>> from gradtrace.summary import Summary
    >>> three = LocalDerivative("scaled", (), (), array=np.array(3.0), gain=3.0)
    >>> graph = nx.MultiDiGraph()  # y = x · x at 3
    >>> graph.add_node("x", upstream_gradient=Summary.of(6.0))
    >>> graph.add_node("y", upstream_gradient=Summary.of(1.0), seed=Summary.of(1.0))
    >>> for key, operand in enumerate(("left", "right")):
    ...     share = {"local_derivative": three, "downstream_gradient": Summary.of(3.0)}
    ...     _ = graph.add_edge("x", "y", key, operand=operand, **share)
    >>> print(paths(graph, "x"))
    from y back to x: 2 paths, 1 fan-out
    <BLANKLINE>
        share  norm  gain  path
       50.0 %     3     3  x → y
       50.0 %     3     3  x → y
      100.0 %     6        the sum
    <BLANKLINE>
      fan-out  came back along  norm   share
      x        y.left              3  50.0 %
               y.right             3  50.0 %
    """
    if not isinstance(top, int) or top < 1:
        raise OptionError(f"top={top!r} is not a number of paths; use an integer from 1")
    source = find(graph, source)
    target = _only_output(graph) if target is None else find(graph, target)
    region = Region.between(graph, source, target)
    splits = {
        node: split(graph, node)
        for node in region.order
        if node != target and (graph.out_degree(node) > 1 or graph.nodes[node].get("seed"))
    }
    count = region.count()
    reason = unresolved(graph, region) if count else "no gradient comes back"
    wanted = max(CANDIDATES, 4 * top) if reason is None else 2 * top
    tried = list(islice(region.strongest(), wanted)) if count else []
    upstream = begin(graph, target)
    if reason is None and upstream is not None:
        whole = altogether(region, upstream)
        found = [_resolved(graph, edges, upstream, whole) for edges in tried]
        found.sort(key=lambda path: -(path.norm or 0.0))
        told = tuple(found[:top])
        rest = _resolved_rest(whole, told, count)
        norm: float | None = float(np.linalg.norm(whole))
    else:
        parts = {share.edge: share.share for each in splits.values() for share in each.shares}
        found = [_estimated(graph, edges, parts) for edges in tried]
        found.sort(key=lambda path: -abs(path.share or 0.0))
        told = tuple(found[:top])
        rest = _estimated_rest(graph, told, count, target)
        norm = norm_of(graph.nodes[source].get("upstream_gradient"))
    fans = tuple(s for node, s in reversed(splits.items()) if len(s.shares) > 1)
    return Paths(source, target, count, norm, reason is None, reason, told, rest, fans)


def _only_output(graph: nx.MultiDiGraph[str]) -> str:
    found = outputs(graph)
    if len(found) == 1:
        return found[0]
    if not found:
        raise OptionError("no backward pass began in this graph; give a target")
    listed = ", ".join(repr(node) for node in found)
    raise OptionError(f"several backward passes began in this graph; give a target of {listed}")


def _resolved(
    graph: nx.MultiDiGraph[str], edges: tuple[Edge, ...], upstream: Array, whole: Array
) -> Path:
    array = along(graph, edges, upstream)
    gain = _gain(graph, edges)
    return Path(edges, gain, _projection(array, whole), float(np.linalg.norm(array)), array)


def _resolved_rest(whole: Array, told: tuple[Path, ...], count: int) -> Rest:
    if count == len(told):
        return Rest(0, 0.0, 0.0)
    known = [path.array for path in told if path.array is not None]
    array = whole - sum(known[1:], known[0])
    return Rest(count - len(told), _projection(array, whole), float(np.linalg.norm(array)), array)


def _estimated(
    graph: nx.MultiDiGraph[str], edges: tuple[Edge, ...], parts: dict[Edge | None, float | None]
) -> Path:
    shares = [parts.get(edge, 1.0) for edge in edges]
    known = [share for share in shares if share is not None]
    share = math.prod(known) if len(known) == len(shares) else None
    only = edges and all(graph.out_degree(operand) == 1 for operand, _, _ in edges)
    upstream = graph.nodes[edges[0][0]].get("upstream_gradient") if only else None
    return Path(edges, _gain(graph, edges), share, norm_of(upstream))


def _estimated_rest(
    graph: nx.MultiDiGraph[str], told: tuple[Path, ...], count: int, target: str
) -> Rest:
    shares = [path.share for path in told]
    if count == len(told):
        return Rest(0, 0.0)
    alone = outputs(graph) == [target]
    known = [share for share in shares if share is not None]
    complete = alone and len(known) == len(shares)
    return Rest(count - len(told), 1 - sum(known) if complete else None)


def _gain(graph: nx.MultiDiGraph[str], edges: tuple[Edge, ...]) -> float | None:
    gains = [_gain_of(graph.edges[edge]) for edge in edges]
    known = [gain for gain in gains if gain is not None]
    return math.prod(known) if len(known) == len(gains) else None


def _gain_of(data: dict[str, Any]) -> float | None:
    derivative = data.get("local_derivative")
    return None if derivative is None else derivative.gain


def _projection(part: Array, whole: Array) -> float | None:
    scale = float(np.abs(whole).max(initial=0.0))
    if not scale or not math.isfinite(scale):
        return None
    unit = whole / scale
    with np.errstate(all="ignore"):
        return float(np.vdot(unit, part / scale).real / np.vdot(unit, unit).real)


def told(path: Path, first: Path) -> str:
    """Write a long path by where it leaves the first one."""
    if path is first or len(path.nodes) <= CALLS:
        return str(path)
    known, passed = set(first.edges), set(first.nodes)
    leaves = [edge[1] for edge in path.edges if edge not in known and edge[0] in passed]
    return f"as the first, but through {', '.join(leaves)}"


def _dash(number: float | None) -> str:
    return "–" if number is None else shown(number)


def _counted(count: int, noun: str) -> str:
    """Write a number of things; beyond a trillion by its digits.

    >>> _counted(1, "path"), _counted(10**30, "path")
    ('1 path', '1e30 paths')
    """
    digits = len(str(count))
    text = f"{count:,}" if digits < 13 else f"{str(count)[0]}e{digits - 1}"
    return f"{text} {noun}{'s' * (count != 1)}"
