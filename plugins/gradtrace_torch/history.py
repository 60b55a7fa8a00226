"""What a tensor was made from, read from the graph that autograd built."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gradtrace.errors import OptionError
from gradtrace.familiar import Ancestor

__all__ = ["history"]

SAVED = "_saved_"
"""What the attributes begin with in which an autograd node saves what its backward needs."""


def history(
    outputs: Sequence[Any],
    names: Mapping[str, Any],
    *,
    attributes: bool,
    saved: bool,
    limit: int,
) -> list[Ancestor]:
    """Return the ancestors of `outputs`, operands before results.

    Raises `OptionError` where `names` gives a name to what is no tensor.
    """
    for name, tensor in names.items():
        if not isinstance(tensor, Tensor):
            raise OptionError(f"params[{name!r}] is a {type(tensor).__name__}; give it a tensor")
    reader = _Reader(names, attributes=attributes, saved=saved, limit=limit)
    for output in outputs:
        reader.read(output)
    return reader.found


class _Reader:
    """Walks autograd's graph from results to operands, each node once."""

    def __init__(
        self, names: Mapping[str, Any], *, attributes: bool, saved: bool, limit: int
    ) -> None:
        self.names = {id(tensor): name for name, tensor in names.items()}
        self.attributes, self.saved, self.limit = attributes, saved, limit
        self.found: list[Ancestor] = []
        self.ids: dict[Any, str] = {}
        """Ids of autograd nodes, and of tensors by themselves; it keeps them alive."""

    def read(self, output: Tensor) -> None:
        node = output.grad_fn
        if node is not None:
            self.walk(node)
        self.add(
            output,
            Ancestor(
                self.fresh("output"),
                "output",
                self.names.get(id(output), "output"),
                (_shape(output),),
                () if node is None else (self.ids[node],),
            ),
        )

    def walk(self, root: Any) -> None:
        """Add what lies below `root`, then `root`, without recursion: graphs are deep."""
        stack = [(root, False)]
        while stack:
            node, ready = stack.pop()
            if node in self.ids:
                continue
            if ready:
                self.add_node(node)
                continue
            stack.append((node, True))
            below = [each for each, _ in node.next_functions if each is not None]
            stack += [(each, False) for each in reversed(below) if each not in self.ids]

    def add_node(self, node: Any) -> None:
        operands = [self.ids[each] for each, _ in node.next_functions if each is not None]
        if hasattr(node, "variable"):
            operands.append(self.leaf(node.variable))
        kept = dict(_kept(node)) if self.attributes or self.saved else {}
        if self.saved:
            tensors = [(name, each) for name, value in kept.items() for each in _tensors(value)]
            operands += [self.kept(name, tensor) for name, tensor in tensors]
        lines = tuple(self.lines(kept)) if self.attributes else ()
        name = type(node).__name__
        self.add(node, Ancestor(self.fresh("call"), "call", name, lines, tuple(operands)))

    def leaf(self, tensor: Tensor) -> str:
        known = self.ids.get(_Held(tensor))
        if known is not None:
            return known
        title = self.names.get(id(tensor), "leaf")
        leaf = Ancestor(self.fresh("leaf"), "parameter", title, (_shape(tensor),))
        return self.add(_Held(tensor), leaf)

    def kept(self, name: str, tensor: Tensor) -> str:
        """Return the id of a tensor that a call saved: a leaf is the one that is already there."""
        if _Held(tensor) in self.ids:
            return self.ids[_Held(tensor)]
        title = self.names.get(id(tensor), f"saved {name}")
        saved = Ancestor(self.fresh("saved"), "constant", title, (_shape(tensor),))
        return self.add(_Held(tensor), saved)

    def add(self, key: Any, ancestor: Ancestor) -> str:
        self.ids[key] = ancestor.id
        self.found.append(ancestor)
        return ancestor.id

    def fresh(self, word: str) -> str:
        return f"{word}{len(self.found)}"

    def lines(self, kept: Mapping[str, Any]) -> Iterator[str]:
        for name, value in kept.items():
            text = "saved tensor" if _tensors(value) else str(value)
            yield f"{name}: {text if len(text) <= self.limit else text[: self.limit - 3] + '...'}"


class _Held:
    """A tensor as a key, by itself and not by its elements."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    def __hash__(self) -> int:
        return id(self.tensor)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Held) and self.tensor is other.tensor


def _kept(node: Any) -> Iterator[tuple[str, Any]]:
    """Yield what a node saved by its name; what was freed by a backward pass says so."""
    for name in dir(node):
        if name.startswith(SAVED):
            try:
                value = getattr(node, name)
            except RuntimeError:
                value = "freed"
            yield name.removeprefix(SAVED), value
    if isinstance(node, torch.autograd.function.BackwardCFunction):
        try:
            yield "tensors", tuple(node.saved_tensors)
        except RuntimeError:
            yield "tensors", "freed"


def _tensors(value: Any) -> list[Tensor]:
    values = value if isinstance(value, tuple | list) else (value,)
    return [each for each in values if isinstance(each, Tensor)]


def _shape(tensor: Tensor) -> str:
    return " × ".join(map(str, tensor.shape)) or "scalar"
