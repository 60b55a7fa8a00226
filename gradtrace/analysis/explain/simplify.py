"""Simplify expressions: factors of 1 and copies of one number go, numbers come first."""

from __future__ import annotations

import ast

from gradtrace.formulas.notation import is_number

__all__ = ["of_numbers", "simplified", "times"]

SAME = frozenset("spread sum mean reshape copy convert swap".split())
"""Functions that leave a number what it is."""


def of_numbers(expression: ast.expr) -> ast.expr:
    """Return what `expression` is where every value is one number.

    >>> from gradtrace.formulas.notation import parse
    >>> ast.unparse(of_numbers(parse("2 / 1 * 1 * (x - t) + spread(1)")))
    '2 * (x - t) + 1'
    """
    copied = ast.parse(ast.unparse(expression), mode="eval").body
    return simplified(_OfNumbers().visit(copied))


class _OfNumbers(ast.NodeTransformer):
    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        same = isinstance(node.func, ast.Name) and node.func.id in SAME
        return node.args[0] if same else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        self.generic_visit(node)
        return node.value if node.attr == "T" else node

    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        return ast.BinOp(node.left, ast.Mult(), node.right) if _is_matrices(node) else node


def _is_matrices(node: ast.BinOp) -> bool:
    return isinstance(node.op, ast.MatMult)


def times(delta: ast.expr, slope: ast.expr) -> ast.expr:
    """Return the product of a gradient with a derivative, numbers first."""
    if isinstance(slope, ast.BinOp) and isinstance(slope.op, ast.Mult) and is_number(slope.left):
        delta, slope = ast.BinOp(slope.left, ast.Mult(), delta), slope.right
    return simplified(ast.BinOp(delta, ast.Mult(), slope))


def _spread_number(node: ast.expr) -> ast.expr | None:
    """Return the number that `node` is a copy of in every element."""
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div) and is_number(node.right):
        inner = _spread_number(node.left)
        return None if inner is None else ast.BinOp(inner, ast.Div(), node.right)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and is_number(node.left):
        inner = _spread_number(node.right)
        return None if inner is None else _product(node.left, inner)
    spread = isinstance(node, ast.Call) and getattr(node.func, "id", "") == "spread"
    return node.args[0] if spread and is_number(node.args[0]) else None  # type: ignore[attr-defined]


def _product(left: ast.expr, right: ast.expr) -> ast.expr:
    """Return the product of two numbers as one fraction."""
    if isinstance(right, ast.BinOp) and isinstance(right.op, ast.Div):
        return ast.BinOp(_product(left, right.left), ast.Div(), right.right)
    if isinstance(left, ast.Constant) and isinstance(right, ast.Constant):
        return ast.Constant(left.value * right.value)  # type: ignore[operator]
    return ast.BinOp(left, ast.Mult(), right)


class _Simplify(ast.NodeTransformer):
    def visit_BinOp(self, node: ast.BinOp) -> ast.expr:
        self.generic_visit(node)
        left, right, op = node.left, node.right, node.op
        if isinstance(op, ast.Mult) and not is_number(right):
            left = _spread_number(left) or left
            node = ast.BinOp(left, op, right)
        if isinstance(op, ast.Mult) and _is(left, 1):
            return right
        if isinstance(op, ast.Mult | ast.Div | ast.Pow) and _is(right, 1):
            return left
        if isinstance(op, ast.Mult) and (_is(left, -1) or _is(right, -1)):
            return ast.UnaryOp(ast.USub(), right if _is(left, -1) else left)
        if isinstance(op, ast.Add | ast.Sub) and _is(right, 0):
            return left
        if isinstance(op, ast.Sub) and isinstance(left, ast.Constant):
            return _difference(node)
        return node


def _difference(node: ast.BinOp) -> ast.expr:
    numbers = [getattr(side, "value", None) for side in (node.left, node.right)]
    if all(isinstance(number, int | float) for number in numbers):
        return ast.Constant(numbers[0] - numbers[1])  # type: ignore[operator]
    return node


def _is(node: ast.expr, number: int) -> bool:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return _is(node.operand, -number)
    return isinstance(node, ast.Constant) and node.value == number


def simplified(expression: ast.expr) -> ast.expr:
    """Return `expression` without factors of 1."""
    result: ast.expr = _Simplify().visit(ast.parse(ast.unparse(expression), mode="eval").body)
    return result
