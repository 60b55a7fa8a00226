"""Programs of the NumPy engine: layers to build from, with random ones drawn by hypothesis."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from gradtrace.graph import Graph
from tests.tapes import Run, Var

__all__ = ["dense_layer", "finish", "runs", "weights"]

SCOPES = ("", "a", "b", "a.c", "a.c.d", "b.0", "b.1")
OPS = ("add", "sub", "mul", "halve", "relu", "tanh", "matmul", "transpose", "split", "forget")


@st.composite
def runs(draw: st.DrawFn, /, **options: Any) -> Run:
    """Draw a run of square matrices in random scopes, with a backward pass from their sum."""
    run = Run(**options)
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    values: list[Var] = [
        run.leaf(f"w{i}", rng.normal(size=(2, 2)), differentiable=i != 1) for i in range(3)
    ]
    for _ in range(draw(st.integers(1, 14))):
        run.scope = draw(st.sampled_from(SCOPES))
        serials = st.integers(1, 2)
        run.invocations = tuple(draw(serials) * 10 + n for n in range(len(run.scope.split("."))))
        op = draw(st.sampled_from(OPS))
        some = [draw(st.sampled_from(values)) for _ in range(2)]
        values += _apply(run, op, some)
    run.scope, run.invocations = "", ()
    total = run.call("add", values[-1], draw(st.sampled_from(values)))
    loss = run.call("sum", total)
    if loss.differentiable:
        run.backward(loss)
    return run


def _apply(run: Run, op: str, operands: list[Var]) -> list[Var]:
    one = ("halve", "relu", "tanh", "transpose", "split")
    found = run.call(op, *operands[: 1 if op in one else 2])
    if op == "split":  # two rows: joined again, so that all values are square
        return [run.call("matmul", run.call("transpose", found[0]), found[1])]
    return [found]


def dense_layer(run: Run, x: Var, w: Var, scope: str, *serials: int) -> Var:
    """tanh(x @ w) + x, in a scope of its own."""
    run.scope, run.invocations = scope, serials
    found = run.call("add", run.call("tanh", run.call("matmul", x, w)), x)
    run.scope, run.invocations = "", ()
    return found  # type: ignore[no-any-return]


def weights(run: Run, count: int, size: int = 3) -> list[Var]:
    rng = np.random.default_rng(1)
    return [run.leaf(f"w{i}", rng.normal(size=(size, size))) for i in range(count)]


def finish(run: Run, output: Var) -> Graph:
    run.scope, run.invocations = "", ()
    run.backward(run.call("sum", output))
    return run.graph()
