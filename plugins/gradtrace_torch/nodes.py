"""Which call owns which autograd nodes, and through which slots gradients leave a call."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch.autograd.graph import Node

from gradtrace_torch.edges import GATHERS
from gradtrace_torch.live import Edge, LiveCall, LiveUse, LiveValue
from gradtrace_torch.ops import node_op

__all__ = ["Ownership", "in_backward_order"]

Border = tuple[Node, int, LiveValue]
"""A slot of a node, with the value that its gradient goes to."""


class Ownership:
    """The autograd nodes of the run, each owned by the call that made it.

    A slot is one position in a node's `next_functions`. A slot that points to a value known to
    the graph is a border of the call: through it the gradient leaves the call.
    """

    def __init__(
        self,
        leaf_at: Callable[[Edge], LiveValue],
        on_change: Callable[[LiveCall, list[LiveCall]], None],
    ) -> None:
        self.values: dict[Edge, LiveValue] = {}
        self.owners: dict[Node, LiveCall] = {}
        self._leaf_at = leaf_at
        self._on_change = on_change

    def forget(self) -> list[Node]:
        """Let go of autograd's graph, and return the nodes, in order, for others to let go of."""
        for value in self.values.values():
            value.edge = value.call = None
        self.values.clear()
        nodes = list(self.owners)
        self.owners.clear()
        del self._leaf_at, self._on_change
        return nodes

    def bind(self, value: LiveValue, edge: Edge) -> None:
        """Let gradients that arrive at `edge` be those of `value`."""
        value.edge = edge
        value.differentiable = True
        self.values[edge] = value

    def claim(self, call: LiveCall, roots: list[Node]) -> bool:
        """Give `call` the nodes from `roots` down to known values, with a use for each border.

        Return whether the call must be split, for one of its results is made from another.
        """
        stack: list[Node | Border] = list(reversed(roots))
        borders: list[Border] = []
        call.nodes = nodes = []
        while stack:
            step = stack.pop()
            if isinstance(step, tuple):
                borders.append(step)
            elif step not in self.owners:
                self.owners[step] = call
                nodes.append(step)
                stack.extend(self._below(step, call))
        self._attach(call, borders)
        return any(value.call is call for _, _, value in borders)

    def claim_one(self, call: LiveCall, node: Node) -> list[LiveUse | None] | None:
        """Claim the only node of `call` if each slot fits one use and no use is left over.

        Return the use of each slot, None where the call is not as simple: most calls are, and
        this runs inside the training step.
        """
        values, uses = self.values, call.uses
        matched: list[LiveUse | None] = []
        for slot, edge in enumerate(node.next_functions):
            found = None
            if edge[0] is not None:
                value = values.get(edge) or self._leaf(edge)
                for use in uses:
                    if use.value is value and not use.slots:
                        found = use
                        use.slots = ((node, slot),)
                        break
                else:
                    break
            matched.append(found)
        else:
            if not any(not use.slots for use in uses) or not _merged(uses):
                self.owners[node] = call
                call.nodes = (node,)
                for use in uses:
                    if use.slots:
                        use.flow_through(use.slots)
                return matched
        for use in uses:
            use.slots = ()
        return None

    def _below(self, node: Node, call: LiveCall) -> list[Node | Border]:
        """Return what the slots of `node` lead to, last slot first."""
        found: list[Node | Border] = []
        for slot, edge in enumerate(node.next_functions):
            if edge[0] is None:
                continue
            value = self.values.get(edge) or self._known(edge, call)
            found.append(edge[0] if value is None else (node, slot, value))
        found.reverse()
        return found

    def _known(self, edge: Edge, call: LiveCall) -> LiveValue | None:
        """Return the value at `edge`: a leaf not met before, or the inside of another call."""
        node = edge[0]
        owner = self.owners.get(node)
        if owner is call:
            return None
        if owner is not None:
            return self.inside(edge)
        return self._leaf(edge)

    def _leaf(self, edge: Edge) -> LiveValue | None:
        """Return the leaf that gathers at `edge`, None if no leaf does."""
        return self._leaf_at(edge) if edge[0].name() == GATHERS else None

    def inside(self, edge: Edge) -> LiveValue:
        """Return the value at `edge` of an owned node; the call is split where it was inside."""
        node = edge[0]
        owner = self.owners[node]
        if len(owner.nodes) > 1 and not any(r.edge and r.edge[0] is node for r in owner.results):
            self.split(owner)
        if edge not in self.values:
            owner = self.owners[node]
            value = _unseen(node, edge[1])
            value.call = owner
            owner.results.append(value)
            self.bind(value, edge)
            self._on_change(owner, [owner])
        return self.values[edge]

    def _attach(self, call: LiveCall, borders: list[Border]) -> None:
        """Match the borders of `call` with its operands."""
        slots: dict[LiveValue, list[tuple[Node, int]]] = {}
        for node, slot, value in borders:
            slots.setdefault(value, []).append((node, slot))
        by_value: dict[LiveValue, list[LiveUse]] = {}
        for use in call.uses:
            by_value.setdefault(use.value, []).append(use)
        for value, places in slots.items():
            uses = by_value.get(value)
            if uses is None:
                use = LiveUse(value, (f"inner{len(call.uses)}",))
                call.uses.append(use)
                uses = [use]
            self._share(call, uses, places)

    def _share(self, call: LiveCall, uses: list[LiveUse], places: list[tuple[Node, int]]) -> None:
        """Give the slots of one value to its uses, one each where autograd tells them apart."""
        if len(uses) > 1 and len(places) == len(uses):
            for use, place in zip(uses, places, strict=True):
                use.flow_through((place,))
        else:
            uses[0].flow_through(tuple(places))
            for extra in uses[1:]:  # one gradient for several positions: one edge that says so
                uses[0].also += (extra.path,)
                call.uses.remove(extra)

    def split(self, call: LiveCall) -> None:
        """Take `call` apart into its autograd nodes, for what is inside it is used outside.

        The node of its last result stays the call; every other node becomes a call of its own.
        """
        nodes = in_backward_order(call.nodes)
        keep = next(n for n in nodes if any(r.edge and r.edge[0] is n for r in call.results))
        parts: list[LiveCall] = []
        for node in reversed(nodes):
            if node is not keep:
                part = LiveCall(node_op(node.name()), call.scope, call.invocations, call.place, [])
                part.nodes = (node,)
                parts.append(part)
                self.owners[node] = part
        call.nodes, call.memory = (keep,), None
        self._move_results(call, keep)
        self._move_uses(call, nodes)
        self._on_change(call, [*parts, call])

    def _move_results(self, call: LiveCall, keep: Node) -> None:
        for value in list(call.results):
            if value.edge is not None and value.edge[0] is not keep:
                call.results.remove(value)
                value.call = self.owners[value.edge[0]]
                value.call.results.append(value)

    def _move_uses(self, call: LiveCall, nodes: list[Node]) -> None:
        old = [use for use in call.uses if use.slots]
        paths = {place: use.path for use in old for place in use.slots}
        for use in old:
            call.uses.remove(use)
            use.value.uses.remove(use)
        for node in nodes:
            owner = self.owners[node]
            for slot, edge in enumerate(node.next_functions):
                if edge[0] is None or (edge not in self.values and edge[0] not in self.owners):
                    continue
                value = self.values.get(edge)
                if value is None:
                    value = _unseen(edge[0], edge[1])
                    value.call = self.owners[edge[0]]
                    value.call.results.append(value)
                    self.bind(value, edge)
                known = paths.get((node, slot)) if owner is call else None
                use = LiveUse(value, known or (str(slot),))
                use.flow_through(((node, slot),))
                owner.uses.append(use)


def _merged(uses: list[LiveUse]) -> bool:
    """Tell whether autograd has one slot for two uses of the same value."""
    matched = [use.value for use in uses if use.slots]
    return any(use.value in matched for use in uses if not use.slots)


def _unseen(node: Node, number: int) -> LiveValue:
    """Return the value at one output of `node`, of which only shape and type are known."""
    value = LiveValue()
    value.describe(node._input_metadata[number])
    value.unseen = True
    return value


def in_backward_order(nodes: Sequence[Node]) -> list[Node]:
    """Return the nodes of a call such that each comes before those its gradient goes on to."""
    inner = dict.fromkeys(nodes, 0)
    for node in nodes:
        for below, _ in node.next_functions:
            if below in inner:
                inner[below] += 1
    ordered = [node for node in nodes if inner[node] == 0]
    for node in ordered:
        for below, _ in node.next_functions:
            if below in inner:
                inner[below] -= 1
                if inner[below] == 0:
                    ordered.append(below)
    return ordered
