"""Every formula gives the local derivative that PyTorch has, and a wrong one is caught."""

from __future__ import annotations

import builtins
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import mpmath
import numpy as np
import pytest
import torch

import gradtrace
from gradtrace.derivative import LocalDerivative
from gradtrace.formulas import ROWS, Row, derivative, find, formula
from gradtrace.formulas.glossary import GLOSSARY
from gradtrace.formulas.notation import names_in, parse
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Tape, Use, Value
from tests.analysis.formula_cases import CASES, Case, Matrix

Array = Any

COMMON: dict[str, Any] = {
    **{name: getattr(np, name) for name in "exp log sqrt sign clip outer trace tril triu".split()},
    "Abs": np.abs,
    "det": np.linalg.det,
    "norm": np.linalg.norm,
    "diag": np.diag,
    "diagonal": np.diagonal,
    "cross": np.cross,
    "I": np.eye(3),
    "pi": np.pi,
    "copy": lambda a: a,
    "sum": lambda a: a.sum(0),
    "sigma": lambda a: 1 / (1 + np.exp(-a)),
}
"""What names mean unless a case says otherwise."""

IDS = [row.ops[0] for row in ROWS]


def _traced(row: Row, case: Case) -> tuple[dict[str, Any], Array]:
    """Run a case; return the local derivative of each symbol, with the result."""
    tensors = {
        name: torch.tensor(array, requires_grad=True) for name, array in case.operands.items()
    }
    torch.manual_seed(0)
    with gradtrace.trace(keep="all", derivatives="exact") as graph:
        found = case.call(*tensors.values())
        results = [found] if isinstance(found, torch.Tensor) else [*found]
        sum(each.double().sum() for each in results if each.is_floating_point()).backward()
    node = next(n for n, op in graph.nodes(data="op") if op is not None and find(op) is row)
    derivatives = {
        row.symbol(data["operand"]): data["local_derivative"]
        for _, _, data in graph.in_edges(node, data=True)
        if data["local_derivative"] is not None
    }
    return derivatives, results[0].detach().numpy()


def _names(case: Case, result: Array) -> dict[str, Any]:
    arrays = {name: np.asarray(array).view(Matrix) for name, array in case.operands.items()}
    wide = case.names.get("wide")
    if wide:  # weights stand along one axis of x
        for name in {"g", "b"} & set(arrays):
            arrays[name] = arrays[name].reshape(wide)
    given = {**COMMON, **case.names, **arrays}
    if "y" not in arrays:
        given.setdefault("y", np.asarray(result).view(Matrix))
    return {**given, **case.lazy(**{**arrays, "y": given["y"]})}


def _evaluate(text: str, names: Mapping[str, Any]) -> Array:
    return eval(compile(text, text, "eval"), {"__builtins__": {}}, dict(names))


def _pulled_back(row: Row, symbol: str, case: Case, delta: Array, result: Array) -> Array:
    """Return what the row says that the operand gets of `delta`."""
    names = _names(case, result)
    if row.pullbacks is None:
        share = delta * _slope(row, symbol, names, delta.shape)
        axes = case.operands[symbol].shape
        return share if share.shape == axes else share.sum().reshape(axes)
    if "axes" in names:
        names["sum"] = lambda a: a.sum(names["axes"][symbol])
    return _evaluate(row.pullbacks[symbol], {**names, "delta": delta.view(Matrix)})


def _slope(row: Row, symbol: str, names: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    """Evaluate the derivative at each element by mpmath."""
    import sympy

    slope = derivative(row, symbol)
    symbols = sorted(slope.free_symbols, key=str)
    compiled = sympy.lambdify(symbols, slope, "mpmath")
    columns = [np.broadcast_to(names[str(each)], shape).ravel().tolist() for each in symbols]
    values = [float(compiled(*point)) for point in zip(*columns, strict=True)] if columns else []
    return np.array(values or [float(compiled())] * int(np.prod(shape))).reshape(shape)


def _worst(row: Row, case: Case) -> float:
    """Return the largest relative error of a row over its operands."""
    derivatives, result = _traced(row, case)
    assert set(case.operands) <= set(derivatives), "an operand of the case was not traced"
    errors = []
    for symbol in case.operands:
        local = derivatives[symbol]
        delta = np.random.default_rng(12345).normal(size=local.result_shape)
        expected = local.pullback(delta)
        found = np.asarray(_pulled_back(row, symbol, case, delta, result))
        assert found.shape == expected.shape, f"{symbol}: {found.shape} for {expected.shape}"
        errors.append(np.abs(found - expected).max() / max(1e-12, np.abs(expected).max()))
    return max(errors)


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_the_formula_is_the_traced_local_derivative(row: Row) -> None:
    assert row.ops[0] in CASES, "add a case for this row"
    case = CASES[row.ops[0]]

    assert _worst(row, case) < (1e-5 if "loose" in case.names else 1e-9)


@pytest.mark.parametrize(
    "row",
    [row for row in ROWS if "value" not in getattr(CASES.get(row.ops[0]), "names", ())],
    ids=lambda r: r.ops[0],
)
def test_the_value_of_the_row_is_the_result(row: Row) -> None:
    case = CASES[row.ops[0]]
    _, result = _traced(row, case)
    names = _names(case, result)
    if row.pullbacks is None:
        found = _elementwise_value(row, names, np.shape(result))
    else:
        found = _evaluate(row.value, names)

    if row.ops[0] != "atan2":  # its formula is that of one branch
        np.testing.assert_allclose(found, result, rtol=1e-5 if "loose" in case.names else 1e-9)


def _elementwise_value(row: Row, names: Mapping[str, Any], shape: tuple[int, ...]) -> Array:
    import sympy

    free = names_in(parse(row.value)) - {"pi", "True"}
    value = sympy.sympify(row.value, locals={name: sympy.Symbol(name) for name in free})
    symbols = sorted(value.free_symbols, key=str)
    compiled = sympy.lambdify(symbols, value, "mpmath")
    columns = [np.broadcast_to(names[str(each)], shape).ravel().tolist() for each in symbols]
    points = zip(*columns, strict=True)
    return np.array([float(mpmath.re(compiled(*p))) for p in points]).reshape(shape)


@pytest.mark.parametrize(
    ("op", "changed"),
    [
        ("linear", {"pullbacks": {"x": "delta @ W", "W": "2 * delta.T @ x", "b": "sum(delta)"}}),
        ("softmax", {"pullbacks": {"x": "y * (delta - sum(delta))"}}),
        ("tanh", {"value": "tanh(x)**2"}),
        (
            "layer_norm",
            {"pullbacks": {"x": "g * delta / std", "g": "sum(delta * z)", "b": "sum(delta)"}},
        ),
        (
            "mse_loss",
            {"pullbacks": {"x": "1 / n * delta * (x - t)", "t": "2 / n * delta * (t - x)"}},
        ),
    ],
)
def test_a_wrong_row_is_caught(op: str, changed: dict[str, Any]) -> None:
    row = find(op)
    assert row is not None
    case = CASES[row.ops[0]]
    derivatives, result = _traced(row, case)
    wrong = replace(row, **changed)
    errors = []
    for symbol in case.operands:
        delta = np.random.default_rng(12345).normal(size=derivatives[symbol].result_shape)
        found = _pulled_back(wrong, symbol, case, delta, result)
        right = derivatives[symbol].pullback(delta)
        errors.append(np.abs(found - right).max() / np.abs(right).max())

    assert max(errors) > 0.1


def test_there_are_formulas_of_at_least_150_operations() -> None:
    assert len({row.ops[0] for row in ROWS}) == len(ROWS) >= 150
    assert set(CASES) == {row.ops[0] for row in ROWS}, "a case without a row"


def test_no_operation_has_two_rows() -> None:
    ops = [op for row in ROWS for op in row.ops]

    assert len(ops) == len(set(ops))


def test_a_row_that_is_not_elementwise_names_its_source() -> None:
    assert [row.ops[0] for row in ROWS if row.pullbacks is not None and not row.reference] == []


def test_every_function_in_a_formula_is_explained() -> None:
    import ast

    used = {
        node.func.id
        for row in ROWS
        for text in (row.pullbacks or {}).values()
        for node in ast.walk(parse(text))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    }

    assert used <= set(GLOSSARY), sorted(used - set(GLOSSARY))


def test_primitives_have_the_formulas_of_their_operands() -> None:
    torch.manual_seed(0)
    model, x = torch.nn.Linear(3, 2).double(), torch.randn(4, 3).double().requires_grad_()
    with gradtrace.trace(model, detail="primitive", keep="all", derivatives="exact") as graph:
        model(x).pow(2).sum().backward()
    found = {
        graph.nodes[operand]["kind"]: data["local_derivative"].formula
        for operand, _, data in graph.in_edges("addmm", data=True)
    }

    weight = graph.nodes["weight"]["value"].array
    assert found["input"] == formula("addmm", "mat1")
    np.testing.assert_allclose(
        graph.edges["input", "addmm", 1]["local_derivative"].pullback(np.ones((4, 2))),
        np.ones((4, 2)) @ weight,
    )
    assert found["parameter"] == formula("addmm", "self")
    assert found["call"] == formula("addmm", "mat2")


def test_a_formula_is_saved_with_its_derivative(tmp_path: Path) -> None:
    x = Value(Summary.of(3.0), differentiable=True)
    y, own = Value(Summary.of(9.0), differentiable=True), Value(differentiable=True)
    slope = LocalDerivative("scaled", (), (), np.array(6.0))
    said = LocalDerivative("scaled", (), (), np.array(6.0), rule=r"2 \cdot x")
    calls = [Call("square", [y], [Use("x", x, slope)]), Call("mine", [own], [Use("x", x, said)])]
    graph = Graph.from_tape(Tape([Leaf("input", ("x",), x), *calls]))
    loaded = gradtrace.load(graph.save(tmp_path / "formulas.gradtrace"))

    for each in (graph, loaded):
        derivatives = {v: d["local_derivative"].formula for _, v, d in each.edges(data=True)}
        assert str(derivatives["square"]) == "2*x"
        assert derivatives["mine"] == r"2 \cdot x"


@pytest.mark.parametrize("row", ROWS, ids=IDS)
def test_every_name_in_a_formula_is_an_operand_or_explained(row: Row) -> None:
    if row.pullbacks is None:
        names = {str(s) for each in row.operands for s in derivative(row, each).free_symbols}
    else:
        names = set().union(*(names_in(parse(text)) for text in row.pullbacks.values()))
    told = {name for name in names if re.search(rf"\b{name}\b", row.where)}

    assert names <= {*row.operands, *told, "delta", "y", "pi"}


def test_in_place_and_unknown_operations() -> None:
    assert formula("relu_", "input") == formula("relu", "self")
    assert formula("unheard_of", "self") is None
    assert formula(None, "self") is None
    assert formula("linear", "nonsense") is None
    assert builtins.str(formula("pow", "self")) == "p*x**(p - 1)"
