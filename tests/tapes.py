"""Runs of a tiny NumPy engine as tapes, so that the core is tested without a framework.

Values, downstream gradients and local derivatives come from three separate pieces of code: a
rule's `forward`, its `vjp`, and its `derivatives`.

>>> run = Run()
>>> x = run.leaf("x", [1.0, 2.0], kind="input")
>>> loss = run.call("sum", run.call("mul", x, x))
>>> run.backward(loss)
>>> x.upstream
array([2., 4.])
>>> [step.op for step in run.tape().steps]
[None, 'mul', 'sum']
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace.graph import Graph
from gradtrace.summary import SMALL, Summary
from gradtrace.tape import Call, Leaf, Source, Tape, Use, Value

__all__ = ["RULES", "Run", "Var", "example"]

Array = np.ndarray[Any, Any]


class Rule(NamedTuple):
    """One operation: its results, its downstream gradients, its local derivatives."""

    forward: Callable[..., list[Array]]
    vjp: Callable[..., list[Array]]
    """(operands, results, upstreams) → a gradient for each operand."""
    derivatives: Callable[..., list[tuple[str, Any]]]
    """(operands, results) → structure and array for each operand."""


def _permutation(x: Array) -> Array:
    rows = np.arange(x.size).reshape(x.shape).T.ravel()
    return np.eye(x.size)[rows].reshape(*x.T.shape, *x.shape)


RULES = {
    "add": Rule(
        lambda a, b: [a + b],
        lambda ops, res, up: [up[0], up[0]],
        lambda ops, res: [("identity", None)] * 2,
    ),
    "sub": Rule(
        lambda a, b: [a - b],
        lambda ops, res, up: [up[0], -up[0]],
        lambda ops, res: [("identity", None), ("scaled", -1.0)],
    ),
    "mul": Rule(
        lambda a, b: [a * b],
        lambda ops, res, up: [up[0] * ops[1], up[0] * ops[0]],
        lambda ops, res: [("diagonal", ops[1]), ("diagonal", ops[0])],
    ),
    "halve": Rule(
        lambda a: [a / 2],
        lambda ops, res, up: [up[0] / 2],
        lambda ops, res: [("scaled", 0.5)],
    ),
    "relu": Rule(
        lambda a: [np.maximum(a, 0)],
        lambda ops, res, up: [np.where(ops[0] > 0, up[0], 0)],
        lambda ops, res: [("diagonal", (ops[0] > 0).astype(ops[0].dtype))],
    ),
    "tanh": Rule(
        lambda a: [np.tanh(a)],
        lambda ops, res, up: [up[0] * (1 - res[0] ** 2)],
        lambda ops, res: [("diagonal", 1 - res[0] ** 2)],
    ),
    "reciprocal": Rule(
        lambda a: [1 / a],
        lambda ops, res, up: [-up[0] * res[0] ** 2],
        lambda ops, res: [("diagonal", -(res[0] ** 2))],
    ),
    "matmul": Rule(
        lambda a, b: [a @ b],
        lambda ops, res, up: [up[0] @ ops[1].T, ops[0].T @ up[0]],
        lambda ops, res: [
            ("dense", np.einsum("ik,lj->ijkl", np.eye(len(ops[0])), ops[1])),
            ("dense", np.einsum("ik,jl->ijkl", ops[0], np.eye(ops[1].shape[1]))),
        ],
    ),
    "transpose": Rule(
        lambda a: [a.T],
        lambda ops, res, up: [up[0].T],
        lambda ops, res: [("dense", _permutation(ops[0]))],
    ),
    "reshape": Rule(
        lambda a: [a.reshape(-1)],
        lambda ops, res, up: [up[0].reshape(ops[0].shape)],
        lambda ops, res: [("identity", None)],
    ),
    "sum": Rule(
        lambda a: [a.sum()],
        lambda ops, res, up: [np.full_like(ops[0], up[0])],
        lambda ops, res: [("dense", np.ones_like(ops[0]))],
    ),
    "split": Rule(
        lambda a: [part.copy() for part in np.split(a, 2)],
        lambda ops, res, up: [np.concatenate(up)],
        lambda ops, res: [("dense", np.eye(ops[0].size).reshape(-1, *ops[0].shape))],
    ),
    "forget": Rule(  # depends on its second operand, but not on its value
        lambda a, b: [a + 0 * b],
        lambda ops, res, up: [up[0], np.zeros_like(ops[1])],
        lambda ops, res: [("identity", None), ("zero", None)],
    ),
}


@dataclass(eq=False)
class Var:
    """One array of a run."""

    array: Array
    value: Value
    differentiable: bool = True
    upstream: Array | None = None
    seed: Array | None = None

    def receive(self, gradient: Array) -> None:
        self.upstream = gradient if self.upstream is None else self.upstream + gradient


@dataclass(eq=False)
class Step:
    """One call of a run."""

    record: Call
    operands: list[Var]
    results: list[Var]


@dataclass
class Run:
    """A run that is written down as it goes: leaves and calls, then at most one `backward`."""

    keep: str = "all"
    derivatives: str = "exact"
    dtype: str = "float64"
    steps: list[Step | tuple[Leaf, Var]] = field(default_factory=list)
    scope: str = ""
    invocations: tuple[int, ...] = ()
    ended: bool = False

    def leaf(
        self, name: str, array: Any, *, kind: str = "parameter", differentiable: bool = True
    ) -> Var:
        """Add a leaf."""
        var = self._var(np.asarray(array, self.dtype), differentiable)
        self.steps.append((Leaf(kind, (name,), var.value), var))
        return var

    def call(self, op: str, *operands: Var, names: Sequence[str] = ("input", "other")) -> Any:
        """Apply an operation; return its result, or a list of them."""
        with np.errstate(all="ignore"):
            arrays = RULES[op].forward(*(operand.array for operand in operands))
        differentiable = any(operand.differentiable for operand in operands)
        results = [self._var(np.asarray(array, self.dtype), differentiable) for array in arrays]
        uses = [Use(name, operand.value) for name, operand in zip(names, operands, strict=False)]
        record = Call(op, [result.value for result in results], uses, self.scope, self.invocations)
        record.source = Source("model.py", len(self.steps) + 1, "forward")
        step = Step(record, list(operands), results)
        with np.errstate(all="ignore"):
            self._derive(step)
        self.steps.append(step)
        return results if len(results) > 1 else results[0]

    def backward(self, output: Var, seed: Any = 1.0) -> None:
        """Pull `seed` back from `output` to every value."""
        output.seed = np.broadcast_to(np.asarray(seed, self.dtype), output.array.shape)
        output.receive(output.seed)
        for step in reversed(self.steps):
            if isinstance(step, Step) and any(r.upstream is not None for r in step.results):
                with np.errstate(all="ignore"):
                    self._pull_back(step)
        self.ended = True

    def tape(self) -> Tape:
        """Return the finished tape."""
        tape = Tape(backend="tests", gradients=self.ended)
        for step in self.steps:
            record, found = step if isinstance(step, tuple) else (step.record, None)
            for var in [found] if found is not None else step.results:  # type: ignore[union-attr]
                var.value.upstream = self._summary(var.upstream)
                var.value.seed = self._summary(var.seed)
            tape.steps.append(record)
        return tape

    def graph(self) -> Graph:
        """Return the graph of the finished tape."""
        return Graph.from_tape(self.tape())

    def _var(self, array: Array, differentiable: bool) -> Var:
        value = Value(self._summary(array), differentiable=differentiable)
        return Var(array, value, differentiable)

    def _summary(self, array: Array | None) -> Summary | None:
        if array is None:
            return None
        small = self.keep == "small" and array.size <= SMALL
        return Summary.of(array, keep=self.keep == "all" or small)

    def _derive(self, step: Step) -> None:
        operands = [operand.array for operand in step.operands]
        results = [result.array for result in step.results]
        shape = results[0].shape if len(results) == 1 else (sum(r.size for r in results),)
        found = RULES[step.record.op].derivatives(operands, results)
        for use, operand, (structure, array) in zip(
            step.record.uses, step.operands, found, strict=True
        ):
            if not operand.differentiable:
                continue
            if self.derivatives != "exact":
                structure, array = "operator", None
            kept = None if array is None else np.asarray(array, self.dtype)
            use.derivative = LocalDerivative(structure, shape, operand.array.shape, array=kept)

    def _pull_back(self, step: Step) -> None:
        operands = [operand.array for operand in step.operands]
        results = [result.array for result in step.results]
        arrived = [
            np.zeros_like(result.array) if result.upstream is None else result.upstream
            for result in step.results
        ]
        for result, upstream in zip(step.results, arrived, strict=True):
            result.upstream = upstream
        shares = RULES[step.record.op].vjp(operands, results, arrived)
        for use, operand, share in zip(step.record.uses, step.operands, shares, strict=True):
            if operand.differentiable:
                operand.receive(np.asarray(share, self.dtype))
                use.downstream = self._summary(np.asarray(share, self.dtype))
                use.derivative = _measured(use.derivative, share, arrived)


def _measured(derivative: Any, share: Array, arrived: list[Array]) -> LocalDerivative:
    before = Summary.of(np.concatenate([part.ravel() for part in arrived])).norm
    after = Summary.of(share).norm
    gain = after / before if before and after is not None else None
    fields = ("structure", "result_shape", "operand_shape", "array", "norm")
    return LocalDerivative(**{name: getattr(derivative, name) for name in fields}, gain=gain)


def example(**options: Any) -> Graph:
    """Return the graph of a small run with a module in it, and a call with two results."""
    run = Run(**options)
    x = run.leaf("x", [[1.0, 2.0], [0.0, -1.0]], kind="input")
    w = run.leaf("net.w", [[0.5, 1.5], [-1.0, 2.0]])
    run.scope, run.invocations = "net", (1,)
    hidden = run.call("tanh", run.call("matmul", x, w))
    first, second = run.call("split", hidden)
    run.scope, run.invocations = "", ()
    run.backward(run.call("sum", run.call("mul", first, run.call("relu", second))))
    return run.graph()
