"""Group the nodes of a graph by module call, so that folding each group makes no cycle."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from gradtrace.errors import GradtraceError

__all__ = ["Key", "blocks", "in_order", "key_of", "placed"]

Key = tuple[str, tuple[int, ...]]
"""A scope, and the serial numbers of the module calls down to it."""


def in_order(graph: nx.MultiDiGraph[str]) -> list[str]:
    """Return the nodes from operands to results, as far as possible in the order of the run."""
    try:
        return list(
            nx.lexicographical_topological_sort(graph, key=lambda v: graph.nodes[v]["order"])
        )
    except nx.NetworkXUnfeasible:
        raise GradtraceError(
            "a graph with a cycle cannot be folded; graph.check() names the nodes on the cycle"
        ) from None


def placed(nodes: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """Return for each module call how many parts its scope has, as far as calls in it tell.

    A call's scope is that of the innermost module call around it.

    >>> placed([{"scope": "net.fc", "invocations": (1, 2)}])
    {2: 2}
    """
    return {
        node["invocations"][-1]: len(_parts(node["scope"])) for node in nodes if node["invocations"]
    }


def key_of(node: Mapping[str, Any], depth: int | None, known: Mapping[int, int]) -> Key | None:
    """Return the group that `node` is folded into, None if it stays.

    `known` comes from `placed`. A module that was called has a serial number, a mere container of
    modules has none; which is which is told by the number of both, and by the names of members.

    >>> node = {"kind": "call", "scope": "layers.0.fc", "invocations": (1, 2)}
    >>> key_of(node, 2, {2: 3}), key_of(node, 1, {2: 3}), key_of(node, 4, {2: 3})
    (('layers.0', (1,)), ('layers', ()), None)
    """
    parts, serials = _parts(node["scope"]), tuple(node["invocations"])
    length = len(parts) if depth is None else depth
    if node["kind"] not in ("call", "item") or not parts or len(parts) < length:
        return None
    lengths = _lengths(parts, serials, known)
    around = tuple(serial for serial, at in zip(serials, lengths, strict=True) if at <= length)
    return ".".join(parts[:length]), around


def _lengths(parts: list[str], serials: tuple[int, ...], known: Mapping[int, int]) -> list[int]:
    """Return how many parts the scope of each module call around one call has."""
    lengths: list[int] = []
    waiting = 0
    for serial in serials:
        if serial not in known:
            waiting += 1
            continue
        before = lengths[-1] if lengths else -1
        lengths += _between(parts, before, known[serial], waiting)
        lengths.append(known[serial])
        waiting = 0
    return lengths + [len(parts)] * waiting


def _between(parts: list[str], before: int, after: int, count: int) -> list[int]:
    """Return `count` lengths between two known ones, passing over what looks like a container."""
    open_lengths = list(range(before + 1, after))
    if len(open_lengths) < count:  # a module called from outside the one that owns it
        open_lengths = list(range(after))
    containers = [n for n in open_lengths if n < len(parts) and parts[n].isdigit()]
    for length in (*containers, *open_lengths):
        if len(open_lengths) > count and length in open_lengths:
            open_lengths.remove(length)
    return open_lengths + [after] * (count - len(open_lengths))


def _parts(scope: str) -> list[str]:
    return scope.split(".") if scope else []


def blocks(
    graph: nx.MultiDiGraph[str], order: list[str], keys: Mapping[str, Key]
) -> list[list[str]]:
    """Return the nodes in blocks: each group as few as possible, every other node one of its own.

    Nodes join the latest block of their group unless that would close a cycle among blocks; then
    a new one begins. An item stays with the call of which it is a part.
    """
    quotient = _Quotient()
    latest: dict[Key, int] = {}
    for node in order:
        before = {quotient.block_of[operand] for operand in graph.predecessors(node)}
        key = keys.get(node)
        call = _call_of(graph, node)
        if key is not None and call is not None and keys.get(call) == key:
            block = quotient.block_of[call]
        elif key is not None and key in latest and quotient.accepts(latest[key], before):
            block = latest[key]
        else:
            block = quotient.begin(before)
        if key is not None:
            latest.setdefault(key, block)
            latest[key] = max(latest[key], block)
        quotient.put(node, block, before)
    return quotient.members


def _call_of(graph: nx.MultiDiGraph[str], node: str) -> str | None:
    """Return the call of which an item is a part."""
    if graph.nodes[node]["kind"] != "item":
        return None
    return next(iter(graph.predecessors(node)), None)


class _Quotient:
    """The graph of blocks, acyclic at any time: every edge leads to a higher rank."""

    def __init__(self) -> None:
        self.members: list[list[str]] = []
        self.block_of: dict[str, int] = {}
        self._after: list[set[int]] = []
        self._rank: list[int] = []

    def begin(self, before: set[int]) -> int:
        """Begin a block that edges from the blocks `before` lead to."""
        self.members.append([])
        self._after.append(set())
        self._rank.append(1 + max((self._rank[block] for block in before), default=-1))
        return len(self.members) - 1

    def put(self, node: str, block: int, before: set[int]) -> None:
        """Put a node into a block."""
        self.members[block].append(node)
        self.block_of[node] = block
        for other in before - {block}:
            self._after[other].add(block)

    def accepts(self, block: int, before: set[int]) -> bool:
        """Tell whether edges from `before` to `block` close no cycle, with its rank made fit."""
        higher = {b for b in before - {block} if self._rank[b] >= self._rank[block]}
        if not higher:
            return True
        highest = max(self._rank[b] for b in higher)
        if self._reaches(block, higher, highest):
            return False
        self._lift(block, highest + 1)
        return True

    def _reaches(self, block: int, targets: set[int], highest: int) -> bool:
        seen, waiting = {block}, [block]
        while waiting:
            for after in self._after[waiting.pop()]:
                if after in targets:
                    return True
                if after not in seen and self._rank[after] < highest:
                    seen.add(after)
                    waiting.append(after)
        return False

    def _lift(self, block: int, rank: int) -> None:
        """Raise the rank of a block, with those after it where they would not be higher."""
        raised = {block: rank}
        waiting = [(self._rank[block], block)]
        while waiting:
            _, lowest = heapq.heappop(waiting)
            self._rank[lowest] = raised.pop(lowest)
            for after in self._after[lowest]:
                if self._rank[after] > self._rank[lowest]:
                    continue
                if after not in raised:
                    heapq.heappush(waiting, (self._rank[after], after))
                raised[after] = max(raised.get(after, 0), self._rank[lowest] + 1)
