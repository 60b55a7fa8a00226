"""The notation in which formulas are written down, once for reading and for checking.

A formula is a Python expression. `@` multiplies matrices, `*` elements, `.T` transposes, `.inv`
inverts; `delta` is the upstream gradient of the result `y`. What is printed is what tests evaluate.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import lru_cache

__all__ = ["is_number", "names_in", "parse", "put"]

NUMBERS = frozenset("alpha beta epsilon lambda_ pi n p c s lower upper eps margin".split())
"""Names that stand for one number, so that `*` with them is no product of elements."""


@lru_cache(maxsize=1024)
def parse(text: str) -> ast.expr:
    """Return the expression that `text` is."""
    return ast.parse(text, mode="eval").body


def names_in(expression: ast.expr) -> set[str]:
    """Return the names of values in `expression`, without those of functions.

    >>> sorted(names_in(parse("delta.T @ conv(x)")))
    ['delta', 'x']
    """
    called = {id(node.func) for node in ast.walk(expression) if isinstance(node, ast.Call)}
    return {
        node.id
        for node in ast.walk(expression)
        if isinstance(node, ast.Name) and id(node) not in called
    }


def is_number(expression: ast.expr) -> bool:
    """Tell whether `expression` stands for one number, whatever the shapes."""
    if isinstance(expression, ast.Call):
        return bool(expression.args) and all(map(is_number, expression.args))
    numbers = all(name in NUMBERS for name in names_in(expression))
    return numbers and not any(isinstance(node, ast.Call) for node in ast.walk(expression))


class _Put(ast.NodeTransformer):
    def __init__(self, parts: Mapping[str, ast.expr]) -> None:
        self.parts = parts

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self.parts.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.expr:
        return ast.Call(node.func, [self.visit(each) for each in node.args], [])


def put(expression: ast.expr, parts: Mapping[str, ast.expr]) -> ast.expr:
    """Return `expression` with `parts` in the place of names.

    >>> ast.unparse(put(parse("delta.T @ x"), {"delta": parse("delta * s")}))
    '(delta * s).T @ x'
    """
    copied: ast.expr = ast.parse(ast.unparse(expression), mode="eval").body
    result: ast.expr = _Put(parts).visit(copied)
    return result
