"""Short symbols for the nodes of an explanation, as one would choose them at a board."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import networkx as nx

from gradtrace.formulas import activations, find, losses, networks
from gradtrace.formulas.names import subscript, written_name
from gradtrace.summary import Summary

__all__ = ["Symbols"]

PARAMETERS = {"weight": "W", "bias": "b", "kernel": "W", "embedding": "E", "scale": "γ"}
NORMALIZERS = {"weight": "γ", "bias": "β"}
LEAVES = {"parameter": "θ", "input": "x", "buffer": "u", "constant": "c"}
TARGETS = frozenset("target targets label labels".split())
INPUTS = frozenset("input inputs data image images".split())

LETTERS = {
    "z": "linear addmm matmul mm bmm baddbmm mv einsum bilinear conv1d conv2d conv3d convolution"
    " conv_transpose1d conv_transpose2d conv_transpose3d add radd dot",
    "h": " ".join(op for row in activations.ROWS for op in row.ops) + " tanh",
    "p": "softmax log_softmax softmin",
    "ℓ": " ".join(op for row in losses.ROWS for op in row.ops if "softm" not in op),
    "n": " ".join(op for row in networks.ROWS for op in row.ops if "norm" in op),
    "a": "scaled_dot_product_attention",
    "e": "embedding embedding_bag",
    "s": "sum",
    "m": "mean",
    "d": "sub rsub subtract",
    "q": "mul div multiply divide pow square",
    "v": "view reshape flatten transpose permute squeeze unsqueeze contiguous clone T t getitem",
    "c": "cat stack concat",
}
"""Letters of results, with the operations that make them."""

_LETTER = {op: letter for letter, ops in LETTERS.items() for op in ops.split()}

GREEK = {"θ": r"\theta", "γ": r"\gamma", "β": r"\beta", "ℓ": r"\ell"}


class Symbols:
    """Gives each node a symbol that no other has."""

    def __init__(
        self,
        graph: nx.MultiDiGraph[str],
        nodes: Iterable[str],
        *,
        output: str | None,
        prediction: str | None,
    ) -> None:
        self._graph = graph
        self._written: dict[str, tuple[str, str]] = {}
        ordered = sorted(set(nodes), key=lambda node: graph.nodes[node]["order"])
        own = {node: name for node in ordered if (name := _own_name(graph.nodes[node], node))}
        taken: set[str] = set()
        for node, name in own.items():
            if name not in taken:
                taken.add(name)
                self._written[node] = written_name(name)
        special = {output: "L", prediction: "y"} if output else {}
        letters = {
            node: self._letter(node, special, taken)
            for node in ordered
            if node not in self._written
        }
        self._number(letters, taken)

    def __getitem__(self, node: str) -> tuple[str, str]:
        """Return the symbol of `node` as text and in LaTeX."""
        return self._written[node]

    def __contains__(self, node: str) -> bool:
        return node in self._written

    def nodes(self) -> list[str]:
        """Return the nodes in the order of the graph."""
        return sorted(self._written, key=lambda node: self._graph.nodes[node]["order"])

    def _letter(self, node: str, special: Mapping[str | None, str], taken: set[str]) -> str:
        if node in special and special[node] not in taken:
            taken.add(special[node])
            return special[node]
        data = self._graph.nodes[node]
        if data["kind"] not in ("call", "item"):
            return self._leaf_letter(node, data)
        row = find(data["op"])
        return _LETTER.get(data["op"] or "", _LETTER.get(row.ops[0], "u") if row else "u")

    def _leaf_letter(self, node: str, data: Mapping[str, Any]) -> str:
        last = re.sub(r"_\d+$", "", node).rpartition(".")[2]
        uses = {use["operand"] for _, _, use in self._graph.out_edges(node, data=True)}
        if last in TARGETS or "target" in uses:
            return "t"
        if last in INPUTS:
            return "x"
        users = {self._graph.nodes[user]["op"] or "" for user in self._graph.successors(node)}
        if any("norm" in op for op in users) and last in NORMALIZERS:
            return NORMALIZERS[last]
        if any("embedding" in op for op in users) and data["kind"] == "parameter":
            return "E"
        return PARAMETERS.get(last, LEAVES[data["kind"]])

    def _number(self, letters: Mapping[str, str], taken: set[str]) -> None:
        """Number the nodes that share a letter, in the order in which they came to be."""
        counts = Counter(letters.values())
        serial: Counter[str] = Counter()
        for node, letter in letters.items():
            latex = GREEK.get(letter, letter)
            alone = counts[letter] == 1 and (letter not in taken or letter in "Ly")
            if alone:
                self._written[node] = letter, latex
                continue
            serial[letter] += 1
            while f"{letter}{serial[letter]}" in taken:
                serial[letter] += 1
            number = serial[letter]
            self._written[node] = f"{letter}{subscript(number)}", f"{latex}_{{{number}}}"


def _own_name(data: Mapping[str, Any], node: str) -> str | None:
    """Return the user's own name of a leaf where it is short enough for a formula: `w1`."""
    if data["kind"] in ("call", "item") or not isinstance(data["value"], Summary):
        return None
    return node if re.fullmatch(r"[A-Za-z]{1,2}_?\d{0,2}", node) else None
