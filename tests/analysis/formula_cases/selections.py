"""Calls for the formulas of operations that select elements, or put them somewhere."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F  # noqa: N812

from tests.analysis.formula_cases.cases import CASES, GRID, Array, Case, M, random


def _selected(op: str, call: Callable[..., Any], operand: Array = M) -> None:
    """What goes where is read off a call with the positions themselves as elements."""
    positions = torch.arange(operand.size).reshape(operand.shape).double()
    found = call(positions)
    chosen = (found[0] if isinstance(found, tuple) else found).numpy().astype(int)
    if op in ("sort", "topk"):
        chosen = np.arange(operand.size).reshape(operand.shape)
        order = np.argsort(operand if op == "sort" else -operand, axis=1)
        chosen = np.take_along_axis(chosen, order, 1)[:, : 2 if op == "topk" else None]

    def put_back(d: Array) -> Array:
        whole = np.zeros(operand.size)
        np.add.at(whole, chosen.ravel(), d.ravel())
        return whole.reshape(operand.shape)

    names = {"select": lambda x: x.ravel()[chosen], "put_back": put_back}
    CASES[op] = Case(call, {"x": operand}, names)


INDEX = torch.tensor([[0, 2], [1, 1], [3, 0]])
ROWS_TWICE = torch.tensor([2, 0, 2])
_selected("getitem", lambda x: x[ROWS_TWICE])
_selected("select", lambda x: x.select(1, 2))
_selected("narrow", lambda x: x.narrow(1, 1, 2))
_selected("gather", lambda x: x.gather(1, INDEX))
_selected("index_select", lambda x: x.index_select(0, ROWS_TWICE))
_selected("take", lambda x: x.take(torch.tensor([0, 5, 5])))
_selected("take_along_dim", lambda x: x.take_along_dim(INDEX, 1))
_selected("masked_select", lambda x: x.masked_select(torch.tensor(GRID)))
_selected("embedding", lambda x: F.embedding(ROWS_TWICE, x))
_selected("sort", lambda x: x.sort(1)[0])
_selected("topk", lambda x: x.topk(2, 1)[0])
CASES["embedding_bag"] = Case(
    lambda x: F.embedding_bag(torch.tensor([[0, 2], [2, 2]]), x, mode="sum"),
    {"x": M},
    {
        "select": lambda x: x[[[0, 2], [2, 2]]],
        "sum": lambda a: a.sum(1),
        "spread": lambda d: np.repeat(d[:, None], 2, 1),
        "put_back": lambda d: np.stack([d[0, 0], 0 * d[0, 0], d[0, 1] + d[1, 0] + d[1, 1]]),
    },
)
FIRST_ROW = np.array([1.0, 0.0, 0.0])[:, None]
ONE_ROW = {
    "m": FIRST_ROW,
    "put": lambda v: FIRST_ROW * v,
    "select": lambda d: d[0],
}


def _setitem(x: Any, v: Any) -> Any:
    x = x.clone()
    x[0] = v
    return x


CASES["setitem"] = Case(_setitem, {"x": M, "v": random(4)}, ONE_ROW)
CASES["select_scatter"] = Case(
    lambda x, v: x.select_scatter(v, 0, 0), {"x": M, "v": random(4)}, ONE_ROW
)
FIRST = torch.tensor([0])
WIDE = {**ONE_ROW, "select": lambda d: d[:1]}
ONE = {"x": M, "v": random(1, 4)}
ZEROS = torch.zeros(1, 4, dtype=torch.long)
CASES["scatter"] = Case(lambda x, v: x.scatter(0, ZEROS, v), ONE, WIDE)
CASES["scatter_add"] = Case(lambda x, v: x.scatter_add(0, ZEROS, v), ONE, WIDE)
CASES["index_copy"] = Case(lambda x, v: x.index_copy(0, FIRST, v), ONE, WIDE)
CASES["index_add"] = Case(lambda x, v: x.index_add(0, FIRST, v), ONE, WIDE)
CASES["index_put"] = Case(lambda x, v: x.index_put((FIRST,), v), ONE, WIDE)
CASES["masked_scatter"] = Case(
    lambda x, v: x.masked_scatter(torch.tensor(FIRST_ROW > 0).expand(3, 4), v), ONE, WIDE
)
CASES["index_fill"] = Case(
    lambda x, c: x.index_fill(0, FIRST, c),
    {"x": M, "c": np.array(0.7)},
    {"m": FIRST_ROW, "sum": np.sum},
)
