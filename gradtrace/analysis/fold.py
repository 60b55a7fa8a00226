"""Make one node of some calls, with edges for what enters and leaves them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import networkx as nx

from gradtrace.analysis.chain import accumulate, through
from gradtrace.analysis.parts import DIFFERENTIABLE, joined_shape, summed
from gradtrace.analysis.product import select
from gradtrace.analysis.scopes import Key
from gradtrace.derivative import LocalDerivative
from gradtrace.summary import Summary
from gradtrace.tape import EdgeRecord, NodeRecord

__all__ = ["Fold"]


class Fold:
    """Calls and items that become one node; `name` makes an id unique.

    Those of them that are used outside, or from which a backward pass began, are its border: one
    value, or several with an item each.
    """

    def __init__(
        self,
        graph: nx.MultiDiGraph[str],
        members: Sequence[str],
        key: Key,
        name: Callable[[str], str],
    ) -> None:
        self.members = members
        self._graph = graph
        self._inside = frozenset(members)
        self._scope, self._invocations = key
        self._id = name(self._scope)
        used = [member for member in members if self._is_border(member)]
        self._border = used or [member for member in members if not graph.out_degree(member)]
        self._several = len(used) > 1
        self.holders = {
            member: name(f"{self._id}[{number}]") if self._several else self._id
            for number, member in enumerate(used)
        }
        """The node of the folded graph that holds each value of the border."""

    def nodes(self) -> Iterator[NodeRecord]:
        """Yield the node of the fold, then its items."""
        border = [self._data(member) for member in self._border]
        values = [part for data in border for part in _parts(data["value"])]
        upstreams = [part for member in self._border for part in self._upstreams(member)]
        single = len(values) == 1
        yield (
            self._id,
            self._common(self.members[0])
            | {
                "kind": "call",
                "op": self._op(),
                "value": values[0] if single else tuple(values),
                "upstream_gradient": upstreams[0] if single else tuple(upstreams),
                "seed": border[0]["seed"] if single else None,
                "differentiable": any(data["differentiable"] for data in border),
                "note": border[0]["note"] if single else None,
                "folded": sum(self._data(call).get("folded") or 1 for call in self._calls()),
            },
        )
        if self._several:
            yield from (self._item(member, item) for member, item in self.holders.items())

    def edges(self, holders: Mapping[str, str]) -> Iterator[EdgeRecord]:
        """Yield the uses of outside values, then the edges to the items.

        `holders` names the node that holds each border value of any fold.
        """
        shapes = self._shapes()
        found = accumulate(self._graph, self.members, shapes)
        result = joined_shape(list(shapes.values()))
        norm = self._upstream_norm()
        exact = False
        for index, (operand, member, data) in enumerate(self._uses()):
            data["operand"] = self._prefix(member) + data["operand"]
            if data["local_derivative"] is not None:
                derivative = through(found.get(member), data, result)
                data["local_derivative"] = _measured(derivative, data, norm)
                exact |= derivative is not None and derivative.exact
            yield holders.get(operand, operand), self._id, index, data
        if self._several:
            for number, (member, item) in enumerate(self.holders.items()):
                derivative = self._selection(member, shapes, exact=exact)
                yield self._id, item, number, self._item_edge(number, member, derivative)

    def _item(self, member: str, item: str) -> NodeRecord:
        own = self._data(member)
        kept = {name: own[name] for name in ("value", "seed", "differentiable", "note")}
        special = {"kind": "item", "op": "item", "upstream_gradient": self._upstreams(member)[0]}
        return item, self._common(member) | special | kept

    def _item_edge(
        self, number: int, member: str, derivative: LocalDerivative | None
    ) -> dict[str, Any]:
        return {
            "operand": str(number),
            "local_derivative": derivative,
            "downstream_gradient": self._upstreams(member)[0],
        }

    def _selection(
        self, member: str, shapes: Mapping[str, tuple[int, ...]], *, exact: bool
    ) -> LocalDerivative | None:
        """Return the derivative of one border value by all that are differentiable, joined."""
        if not self._data(member)["differentiable"] or member not in shapes:
            return None
        before = itertools.takewhile(lambda other: other != member, shapes)
        offset = sum(math.prod(shapes[other]) for other in before)
        total, own = joined_shape(list(shapes.values())), shapes[member]
        upstream = self._upstreams(member)[0]
        gain = 1.0 if upstream is not None and upstream.norm else None
        if not exact and own != total:
            return LocalDerivative("operator", own, total, gain=gain)
        return replace(select(own, total, offset), gain=gain)

    def _common(self, member: str) -> dict[str, Any]:
        own = self._data(member)
        return {
            "scope": self._scope,
            "source": own["source"],
            "order": own["order"],
            "names": (),
            "invocations": self._invocations,
        }

    def _shapes(self) -> dict[str, tuple[int, ...]]:
        """Return the shapes of the border values with a gradient, or of all if there are none."""
        values = {member: self._data(member)["value"] for member in self._border}
        tensors = {member: value for member, value in values.items() if isinstance(value, Summary)}
        carrying = {
            member: value.shape
            for member, value in tensors.items()
            if self._data(member)["differentiable"] and value.dtype.startswith(DIFFERENTIABLE)
        }
        return carrying or {member: value.shape for member, value in tensors.items()} or {"": ()}

    def _uses(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield each use of an outside value: its node, the member that uses it, its edge."""
        for member in self.members:
            uses = self._graph.in_edges(member, keys=True, data=True)
            for operand, _, _, data in sorted(uses, key=lambda use: use[2]):
                if operand not in self._inside:
                    yield operand, member, dict(data)

    def _upstreams(self, member: str) -> tuple[Summary | None, ...]:
        """Return the upstream gradients of a border value: of those, what comes from outside."""
        data = self._data(member)
        whole = _parts(data["upstream_gradient"])
        uses = list(self._graph.out_edges(member, data="downstream_gradient"))
        inner = [share for _, user, share in uses if user in self._inside and share is not None]
        if all(share.norm == 0 for share in inner) or isinstance(data["value"], tuple):
            return whole
        outer = [share for _, user, share in uses if user not in self._inside]
        return (summed([share for share in (*outer, data["seed"]) if share is not None]),)

    def _upstream_norm(self) -> float | None:
        """Return the norm of the upstream gradients of all border values together."""
        parts = [part for member in self._border for part in self._upstreams(member)]
        norms = [part.norm for part in parts if part is not None]
        known = [norm for norm in norms if norm is not None]
        return math.hypot(*known) if known and len(known) == len(norms) else None

    def _is_border(self, member: str) -> bool:
        users = self._graph.successors(member)
        seeded = self._data(member)["seed"] is not None
        return seeded or any(user not in self._inside for user in users)

    def _data(self, member: str) -> dict[str, Any]:
        data: dict[str, Any] = self._graph.nodes[member]
        return data

    def _calls(self) -> list[str]:
        return [member for member in self.members if self._data(member)["kind"] == "call"]

    def _op(self) -> str:
        calls = self._calls()
        last = self._scope.rpartition(".")[2]
        return str(self._data(calls[0])["op"]) if len(calls) == 1 else last

    def _prefix(self, member: str) -> str:
        """Return what tells an operand's member: the part of its id inside the scope."""
        inside = "" if member == self._scope else member.removeprefix(f"{self._scope}.")
        return f"{inside}." if inside else ""


def _parts(value: Any) -> tuple[Summary | None, ...]:
    return value if isinstance(value, tuple) else (value,)


def _measured(
    derivative: LocalDerivative | None, edge: Mapping[str, Any], upstream: float | None
) -> LocalDerivative | None:
    """Return `derivative` with the gain measured at the border of the fold."""
    share = edge["downstream_gradient"]
    known = share is not None and share.norm is not None and upstream
    gain = share.norm / upstream if known else None
    return None if derivative is None else replace(derivative, gain=gain)
