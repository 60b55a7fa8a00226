"""The programs that a trace must hold for: PyTorch as people use it, each with its graph.

The graph that each must give is in `golden/graphs.txt`, one line a node: kind and id of a leaf, or
the call with its operands.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from gradtrace import Graph

__all__ = ["CASES", "Case", "Program", "case", "spelled"]


@dataclass(frozen=True)
class Program:
    """Something to trace, freshly made."""

    run: Callable[[], object]
    model: nn.Module | None = None
    leaves: Mapping[str, Tensor] = field(default_factory=dict)
    """Tensors of the program that gather a gradient, besides the parameters of the model."""

    def gathering(self) -> dict[str, Tensor]:
        """Return every tensor that may gather a gradient, by its name."""
        named = {} if self.model is None else dict(self.model.named_parameters())
        return {**named, **self.leaves}

    def gradients(self) -> dict[str, Tensor]:
        """Return the gradients that a run left, by the names of their tensors."""
        gathered = self.gathering().items()
        return {name: t.grad.detach() for name, t in gathered if t.grad is not None}


@dataclass(frozen=True)
class Case:
    """One row of the table."""

    name: str
    build: Callable[[], Program]
    unverifiable: frozenset[str]
    """Nodes that get a gradient, of which even an exact trace cannot say whether it is right."""
    gathers: bool
    """Whether it leaves gradients in `.grad`."""
    bugs: Mapping[str, str]
    """What does not hold yet, with the reason: `graph`, or a value of `derivatives=`."""

    def program(self) -> Program:
        torch.manual_seed(0)
        return self.build()


CASES: dict[str, Case] = {}


def case(
    *, unverifiable: str = "", gathers: bool = True, **bugs: str
) -> Callable[[Callable[[], Program]], Callable[[], Program]]:
    """Put the program that the decorated function makes into the table."""

    def add(build: Callable[[], Program]) -> Callable[[], Program]:
        name = build.__name__
        CASES[name] = Case(name, build, frozenset(unverifiable.split()), gathers, bugs)
        return build

    return add


def spelled(graph: Graph) -> list[str]:
    """Return one line a node: `kind id`, or `id = op(operand=id, …)`."""
    lines = []
    for node, data in graph.nodes(data=True):
        if data["kind"] not in ("call", "item"):
            made = f" by {data['op']}" if data["op"] else ""
            lines.append(f"{data['kind']} {node}{made}")
            continue
        edges = sorted(graph.in_edges(node, keys=True, data=True), key=lambda edge: edge[2])
        operands = ", ".join(f"{edge['operand']}={operand}" for operand, _, _, edge in edges)
        lines.append(f"{node} = {data['op']}({operands})")
    return lines
