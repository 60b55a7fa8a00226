"""What ran again and again, drawn once: the blocks of a network, or the steps of a recurrence.

A run is found in the sequence of calls: the same operations on the same shapes, in scopes that
differ in numbers only, each repetition wired as the one before it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import networkx as nx

from gradtrace.render.boxes import calls_of
from gradtrace.render.pieces import place_of
from gradtrace.render.runs import Carried, Run, common
from gradtrace.render.stretches import Stretch, find_stretches
from gradtrace.render.wiring import Descriptor, is_private, operands_of

__all__ = ["fold_repeats"]


def fold_repeats(graph: nx.MultiDiGraph[str]) -> nx.MultiDiGraph[str]:
    """Return `graph` with one node for all repetitions of a call.

    The node is that of the first repetition, or of the second where the first has less, such as
    no state yet. `repeated` holds the attributes in each of them, and `run` says what is
    repeated. Without repetitions, `graph` itself is returned.
    """
    calls = calls_of(graph)
    stretches = find_stretches(graph, calls)
    return _Folder(graph, calls).fold(stretches) if stretches else graph


@dataclass
class _Folder:
    """Folds runs of one graph."""

    graph: nx.MultiDiGraph[str]
    calls: Sequence[str]

    def fold(self, stretches: Sequence[Stretch]) -> nx.MultiDiGraph[str]:
        """Return the graph with these runs folded."""
        runs = [self.run(index, stretch) for index, stretch in enumerate(stretches)]
        standing: dict[str, str] = {}
        folded: nx.MultiDiGraph[str] = nx.MultiDiGraph()
        folded.graph.update(self.graph.graph)
        special: dict[str, dict[str, Any]] = {}
        leads: set[str] = set()
        for (run, columns), stretch in zip(runs, stretches, strict=True):
            leads |= {call for _, call in stretch.lead}
            for node, column in columns:
                standing |= dict.fromkeys(column, node)
                repeated = tuple(self.graph.nodes[each] for each in column)
                special[node] = {"repeated": repeated, "run": run}
        for node, data in self.graph.nodes(data=True):
            if standing.get(node, node) == node:
                folded.add_node(node, **data, **special.get(node, {}))
        place = {call: index for index, call in enumerate(self.calls)}
        for tail, head, key, data in self.graph.edges(keys=True, data=True):
            inner = (
                tail in leads and special.get(head, {}).get("run") is special[standing[tail]]["run"]
            )
            if standing.get(head, head) != head or inner:
                continue
            if standing.get(tail, tail) == tail or place.get(head, 0) > place.get(tail, 0):
                folded.add_edge(standing.get(tail, tail), head, key, **data)
        for tail, head, key, data in self.graph.in_edges(leads, keys=True, data=True):
            if tail not in standing and not folded.has_edge(tail, standing[head]):
                folded.add_edge(tail, standing[head], f"first {key}", **data)
        return folded

    def run(self, index: int, stretch: Stretch) -> tuple[Run, list[tuple[str, tuple[str, ...]]]]:
        """Return a run, with the nodes of all repetitions that become one node."""
        begin, period, length, lead = stretch
        count = length // period
        rows = [self.calls[begin + i * period : begin + (i + 1) * period] for i in range(count)]
        first = dict(lead)
        columns = [
            (column[0], ((first[at],) if at in first else ()) + column)
            for at, column in enumerate(zip(*rows, strict=True))
        ]
        leaves = self.leaves(rows, first)
        carried: dict[tuple[str, str], Carried] = {}
        where = {call: index for index, call in enumerate(rows[0])}
        for call, user in zip(rows[0], rows[1], strict=True):
            for operand, _, data in operands_of(self.graph, user):
                if operand in where:
                    carried.setdefault((operand, call), Carried(operand, call, data))
        scopes = [[place_of(self.graph.nodes[call]).scope for call in row] for row in rows]
        shared = any(
            self.graph.nodes[operand]["kind"] == "parameter" and operand not in where
            for call in rows[1]
            for operand, _, _ in operands_of(self.graph, call)
            if not is_private(self.graph, operand, dict.fromkeys(rows[1], 0))
        )
        outer = common(scope for row in scopes for scope in row)
        inner = [common(self.graph.nodes[call]["scope"] for call in row) for row in rows]
        numbers = [scope.removeprefix(outer).lstrip(".").split(".")[0] for scope in inner]
        numbered = all(numbers) and all(one != other for one, other in pairwise(numbers))
        run = Run(
            index,
            count + bool(lead),
            period,
            outer,
            (numbers[0], numbers[-1]) if numbered else ("", ""),
            tuple(carried.values()) if shared or not numbered else (),
        )
        return run, columns + leaves

    def leaves(
        self, rows: Sequence[Sequence[str]], first: Mapping[int, str]
    ) -> list[tuple[str, tuple[str, ...]]]:
        """Return the private leaves of all repetitions, those of one place together."""
        found = [self.private(dict(enumerate(row))) for row in rows]
        before = self.private(first)
        places = [place for place in found[0] if all(place in own for own in found)]
        columns = [
            (found[0][place], (*filter(None, [before.get(place)]), *(own[place] for own in found)))
            for place in places
        ]
        return list(dict.fromkeys(columns))

    def private(self, calls: Mapping[int, str]) -> dict[Descriptor, str]:
        """Return the leaves that are used by these calls alone, by the place of their use."""
        users = {call: index for index, call in calls.items()}
        return {
            (index, key): operand
            for index, call in calls.items()
            for operand, key, _ in operands_of(self.graph, call)
            if is_private(self.graph, operand, users)
        }
