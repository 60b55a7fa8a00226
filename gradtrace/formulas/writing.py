"""Write formulas for people to read: as a line of text, or in LaTeX."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from typing import ClassVar

from gradtrace.formulas.names import Names, superscript, written_name
from gradtrace.formulas.notation import is_number

__all__ = ["write"]

SUM, PRODUCT, SIGN, POWER, ATOM = range(5)
"""How tightly an expression binds."""

Written = tuple[str, int]
"""A piece of output with how tightly it binds."""


def write(expression: ast.expr, names: Names, *, latex: bool = False, scalar: bool = False) -> str:
    r"""Write `expression` for people to read; `scalar` where no value is a tensor.

    >>> from gradtrace.formulas.notation import parse
    >>> write(parse("delta @ W * (1 - y**2) / n"), {})
    'δ W ⊙ (1 − y²)/n'
    >>> write(parse("sum(delta.T @ x) / sqrt(n)"), {}, latex=True)
    '\\frac{\\sum\\left(\\delta^{\\top} \\, x\\right)}{\\sqrt{n}}'
    >>> write(parse("2*(y - t)*Piecewise((exp(x), x > 0), (-1, True))"), {}, scalar=True)
    '2(y − t) {e^x if x > 0, −1 else}'
    """
    writer = (_Latex if latex else _Text)(names, scalar)
    return writer.write(expression)[0]


class _Text:
    """Writes expressions as text of one line."""

    index = 0
    minus, times, apart = "−", " ⊙ ", " "
    functions: ClassVar[Mapping[str, str]] = {"sum": "Σ", "log": "ln", "sigma": "σ"}
    suffixes: ClassVar[Mapping[str, str]] = {"T": "ᵀ", "inv": "⁻¹"}
    comparisons: ClassVar[Mapping[type, str]] = {
        ast.Gt: ">",
        ast.Lt: "<",
        ast.GtE: "≥",
        ast.LtE: "≤",
        ast.Eq: "=",
        ast.NotEq: "≠",
        ast.And: "and",
        ast.Or: "or",
    }

    def __init__(self, names: Names, scalar: bool) -> None:
        self.names = names
        self.scalar = scalar

    def write(self, node: ast.expr) -> Written:
        method = getattr(self, f"on_{type(node).__name__.lower()}")
        result: Written = method(node)
        return result

    def inside(self, node: ast.expr, binding: int) -> str:
        """Write `node` with parentheses where it binds less tightly than `binding`."""
        text, found = self.write(node)
        return text if found >= binding else self.parentheses(text)

    def on_name(self, node: ast.Name) -> Written:
        known = self.names.get(node.id)
        text = known[self.index] if known else self.name(node.id)
        return text, ATOM if re.fullmatch(r"[^ −+/·]+", text) else SUM

    def on_constant(self, node: ast.Constant) -> Written:
        value = node.value
        return f"{value:.5g}" if isinstance(value, float) else str(value), ATOM

    def on_unaryop(self, node: ast.UnaryOp) -> Written:
        if isinstance(node.op, ast.Not | ast.Invert):
            return f"not {self.inside(node.operand, ATOM)}", SIGN
        return self.minus + self.inside(node.operand, PRODUCT), SUM

    def on_binop(self, node: ast.BinOp) -> Written:
        positive = _without_minus(node)
        if positive is not None:
            return self.minus + self.inside(positive, PRODUCT), SUM
        match node.op:
            case ast.Add() | ast.Sub():
                sign = "+" if isinstance(node.op, ast.Add) else self.minus
                right = self.inside(node.right, PRODUCT)
                return f"{self.inside(node.left, SUM)} {sign} {right}", SUM
            case ast.Div():
                return self.fraction(node)
            case ast.Pow():
                return self.power(node)
            case ast.MatMult():
                return self.product(node.left, node.right, self.apart), PRODUCT
        return self.elements(node), PRODUCT

    def elements(self, node: ast.BinOp) -> str:
        """Write a product of elements, or of numbers, which come first."""
        left, right = node.left, node.right
        if is_number(right) and not is_number(left) and not self.scalar:
            left, right = right, left
        if not (self.scalar or is_number(left)):
            return self.product(left, right, self.times)
        first, second = self.factor(left), self.inside(right, SIGN)
        near = re.fullmatch(r"[\d.]+", first) and not second[0].isdigit()
        return first + ("" if near else self.apart) + second

    def product(self, left: ast.expr, right: ast.expr, sign: str) -> str:
        matrices = isinstance(right, ast.BinOp) and isinstance(right.op, ast.MatMult)
        bound = PRODUCT if matrices and sign == self.times else SIGN
        kept = sign == self.apart and _is_elementwise(left)
        return self.inside(left, SIGN if kept else PRODUCT) + sign + self.inside(right, bound)

    def on_call(self, node: ast.Call) -> Written:
        assert isinstance(node.func, ast.Name)
        name = node.func.id
        special = getattr(self, f"write_{name.lower()}", None)
        if special is not None:
            written: Written = special(node)
            return written
        arguments = ", ".join(self.write(each)[0] for each in node.args)
        known = self.names.get(name)
        function = known[self.index] if known else self.function(name)
        return function + self.parentheses(arguments), ATOM

    def factor(self, number: ast.expr) -> str:
        """Write a number that stands before what it multiplies."""
        text, found = self.write(number)
        apart = isinstance(number, ast.BinOp) and isinstance(number.op, ast.Div)
        return self.parentheses(text) if found < PRODUCT or apart else text

    def on_attribute(self, node: ast.Attribute) -> Written:
        return self.inside(node.value, ATOM) + self.suffixes[node.attr], POWER

    def on_subscript(self, node: ast.Subscript) -> Written:
        return f"{self.inside(node.value, ATOM)}[{self.write(node.slice)[0]}]", ATOM

    def on_compare(self, node: ast.Compare) -> Written:
        sign = self.comparisons[type(node.ops[0])]
        left, right = self.write(node.left)[0], self.write(node.comparators[0])[0]
        return f"{left} {sign} {right}", SUM

    def on_tuple(self, node: ast.Tuple) -> Written:
        return ", ".join(self.write(each)[0] for each in node.elts), SUM

    def write_piecewise(self, node: ast.Call) -> Written:
        rows = [each for each in node.args if isinstance(each, ast.Tuple)]
        return self.cases([self.case(*row.elts) for row in rows]), ATOM

    def case(self, value: ast.expr, condition: ast.expr) -> tuple[str, str]:
        """Write a value with when it holds."""
        if isinstance(condition, ast.Constant):
            return self.write(value)[0], self.word("else")
        return self.write(value)[0], f"{self.word('if')} {self.condition(condition)}"

    def condition(self, node: ast.expr) -> str:
        if isinstance(node, ast.BinOp):
            sign = "or" if isinstance(node.op, ast.BitOr) else "and"
            return f"{self.condition(node.left)} {self.word(sign)} {self.condition(node.right)}"
        return self.write(node)[0]

    # what differs between text and LaTeX

    def word(self, word: str) -> str:
        return word

    def name(self, name: str) -> str:
        return written_name(name)[0]

    def function(self, name: str) -> str:
        return self.functions.get(name, name)

    def parentheses(self, text: str) -> str:
        return f"({text})"

    def fraction(self, node: ast.BinOp) -> Written:
        return f"{self.inside(node.left, PRODUCT)}/{self.inside(node.right, SIGN)}", PRODUCT

    def power(self, node: ast.BinOp) -> Written:
        base, exponent = self.inside(node.left, ATOM), self.write(node.right)[0]
        if re.fullmatch(r"[−]?\d+", exponent):
            return base + superscript(exponent.replace("−", "-")), POWER
        plain = re.fullmatch(r"\w+", exponent)
        return f"{base}^{exponent if plain else self.parentheses(exponent)}", POWER

    def cases(self, rows: list[tuple[str, str]]) -> str:
        return "{" + ", ".join(f"{value} {condition}" for value, condition in rows) + "}"

    def write_sum(self, node: ast.Call) -> Written:
        text, found = self.write(node.args[0])
        sign = self.functions["sum"]
        return f"{sign} {text}" if found == ATOM else sign + self.parentheses(text), ATOM

    def write_exp(self, node: ast.Call) -> Written:
        return self.power(ast.BinOp(ast.Name("e"), ast.Pow(), node.args[0]))

    def write_sqrt(self, node: ast.Call) -> Written:
        return f"√{self.inside(node.args[0], ATOM)}", POWER

    def write_abs(self, node: ast.Call) -> Written:
        return f"|{self.write(node.args[0])[0]}|", ATOM

    def write_norm(self, node: ast.Call) -> Written:
        return f"‖{self.write(node.args[0])[0]}‖", ATOM


class _Latex(_Text):
    """Writes expressions in LaTeX, for mathematics mode."""

    index = 1
    minus, times, apart = "-", r" \odot ", r" \, "
    functions: ClassVar[Mapping[str, str]] = {
        "sum": r"\sum",
        "sigma": r"\sigma ",
        "log": r"\ln ",
        **{name: rf"\{name} " for name in "sin cos tan sinh cosh tanh det max min".split()},
    }
    suffixes: ClassVar[Mapping[str, str]] = {"T": r"^{\top}", "inv": "^{-1}"}
    comparisons: ClassVar[Mapping[type, str]] = {
        **_Text.comparisons,
        ast.GtE: r"\ge",
        ast.LtE: r"\le",
        ast.NotEq: r"\ne",
    }

    def on_name(self, node: ast.Name) -> Written:
        known = self.names.get(node.id)
        text = known[1] if known else self.name(node.id)
        return text, ATOM

    def on_attribute(self, node: ast.Attribute) -> Written:
        inner, binding = self.write(node.value)
        base = inner if binding >= ATOM else self.parentheses(inner)
        return base + self.suffixes[node.attr], POWER

    def name(self, name: str) -> str:
        return written_name(name)[1]

    def function(self, name: str) -> str:
        return self.functions.get(name, rf"\operatorname{{{name}}}".replace("_", r"\_"))

    def parentheses(self, text: str) -> str:
        return rf"\left({text}\right)"

    def fraction(self, node: ast.BinOp) -> Written:
        return rf"\frac{{{self.write(node.left)[0]}}}{{{self.write(node.right)[0]}}}", SIGN

    def power(self, node: ast.BinOp) -> Written:
        return f"{{{self.inside(node.left, ATOM)}}}^{{{self.write(node.right)[0]}}}", POWER

    def word(self, word: str) -> str:
        return rf"\text{{ {word} }}"

    def factor(self, number: ast.expr) -> str:
        return self.inside(number, PRODUCT)

    def cases(self, rows: list[tuple[str, str]]) -> str:
        lines = r" \\ ".join(f"{value} & {condition}" for value, condition in rows)
        return rf"\begin{{cases}} {lines} \end{{cases}}"

    def write_sqrt(self, node: ast.Call) -> Written:
        return rf"\sqrt{{{self.write(node.args[0])[0]}}}", ATOM

    def write_abs(self, node: ast.Call) -> Written:
        return rf"\left|{self.write(node.args[0])[0]}\right|", ATOM

    def write_norm(self, node: ast.Call) -> Written:
        return rf"\left\lVert {self.write(node.args[0])[0]} \right\rVert", ATOM


def _is_elementwise(node: ast.expr) -> bool:
    """Tell whether `node` is a product of elements."""
    return (
        isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult) and not is_number(node.left)
    )


def _without_minus(node: ast.expr) -> ast.expr | None:
    """Return a product without the sign of its first factor, None if that has none."""
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return node.operand
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Mult | ast.Div | ast.MatMult):
        left = _without_minus(node.left)
        return None if left is None else ast.BinOp(left, node.op, node.right)
    return None
