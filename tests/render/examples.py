"""Small graphs made by hand, with NumPy, for the tests of renderers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from gradtrace.derivative import LocalDerivative
from gradtrace.graph import Graph
from gradtrace.summary import Summary
from gradtrace.tape import Call, Leaf, Source, Tape, Use, Value

__all__ = ["Pencil", "chain", "hostile", "mlp", "oddities", "residual", "scalars", "stack"]

Array = np.ndarray[Any, Any]
Pullback = Callable[[Array], Array]


@dataclass
class Pencil:
    """Writes a tape by hand, then fills in its gradients."""

    tape: Tape = field(default_factory=lambda: Tape(backend="hand"))
    arrays: dict[int, Array] = field(default_factory=dict)
    pullbacks: list[tuple[Call, list[Pullback | None]]] = field(default_factory=list)
    serial: int = 0

    def value(self, array: Any, *, differentiable: bool = True) -> Value:
        array = np.asarray(array)
        keep = array.size == 1
        value = Value(_summary(array, keep=keep), differentiable=differentiable)
        self.arrays[id(value)] = array
        return value

    def leaf(self, kind: str, name: str, array: Any, *, differentiable: bool = True) -> Value:
        value = self.value(array, differentiable=differentiable)
        self.tape.steps.append(Leaf(kind, (name,), value))
        return value

    def enter(self) -> int:
        """Return the serial number of a new module call."""
        self.serial += 1
        return self.serial

    def call(
        self,
        op: str,
        result: Any,
        *operands: tuple[Value, str, Pullback | None],
        scope: str = "",
        invocations: tuple[int, ...] = (),
    ) -> Value:
        """Write a call: each operand with the structure of its derivative, and its pullback."""
        value = self.value(result, differentiable=any(p for _, _, p in operands))
        uses = [Use(str(i), operand) for i, (operand, _, _) in enumerate(operands)]
        source = Source("model.py", 10 + len(self.tape.steps), "forward")
        call = Call(op, [value], uses, scope, invocations, source)
        for use, (operand, structure, pullback) in zip(uses, operands, strict=True):
            if pullback is not None:
                shapes = np.shape(result), self.arrays[id(operand)].shape
                use.derivative = LocalDerivative(structure, *shapes)
        self.tape.steps.append(call)
        self.pullbacks.append((call, [pullback for _, _, pullback in operands]))
        return value

    def linear(self, x: Value, weight: Value, bias: Value, scope: str, around: Any = ()) -> Value:
        a, w = self.arrays[id(x)], self.arrays[id(weight)]
        return self.call(
            "linear",
            a @ w.T + self.arrays[id(bias)],
            (x, "operator", lambda g: g @ w),
            (weight, "operator", lambda g: g.T @ a),
            (bias, "operator", lambda g: g.sum(0)),
            scope=scope,
            invocations=(*around, self.enter()),
        )

    def relu(self, x: Value, scope: str = "", around: Any = ()) -> Value:
        a = self.arrays[id(x)]
        step = (x, "diagonal", lambda g: g * (a > 0))
        inside = (*around, self.enter()) if scope else around
        return self.call("relu", np.maximum(a, 0), step, scope=scope, invocations=inside)

    def add(self, x: Value, y: Value, scope: str = "", around: Any = ()) -> Value:
        total = self.arrays[id(x)] + self.arrays[id(y)]
        both = (x, "identity", np.copy), (y, "identity", np.copy)
        return self.call("add", total, *both, scope=scope, invocations=around)

    def cross_entropy(self, logits: Value, target: Value) -> Value:
        z, t = self.arrays[id(logits)], self.arrays[id(target)]
        shifted = z - z.max(1, keepdims=True)
        logs = shifted - np.log(np.exp(shifted).sum(1, keepdims=True))
        loss = -logs[np.arange(len(t)), t].mean()
        slope = (np.exp(logs) - np.eye(z.shape[1])[t]) / len(t)
        return self.call(
            "cross_entropy", loss, (logits, "operator", lambda g: g * slope), (target, "", None)
        )

    def backward(self, output: Value) -> Graph:
        """Fill in the gradients of `output`; return the graph."""
        self.tape.gradients = True
        upstream = {id(output): np.ones_like(self.arrays[id(output)])}
        output.seed = _summary(upstream[id(output)], keep=True)
        for call, pullbacks in reversed(self.pullbacks):
            gradient = upstream.get(id(call.results[0]))
            if gradient is None:
                continue
            for use, pullback in zip(call.uses, pullbacks, strict=True):
                if pullback is not None:
                    share = pullback(gradient)
                    self.note(use, gradient, share)
                    key = id(use.value)
                    upstream[key] = upstream[key] + share if key in upstream else share
        for step in self.tape.steps:
            for value in [step.value] if isinstance(step, Leaf) else step.results:
                if value.differentiable and id(value) in upstream:
                    gradient = upstream[id(value)]
                    value.upstream = _summary(gradient, keep=gradient.size == 1)
        return self.graph()

    def note(self, use: Use, upstream: Array, downstream: Array) -> None:
        """Write the gradient of one use on the tape."""
        use.downstream = _summary(downstream)
        old, norm = use.derivative, float(np.linalg.norm(upstream))
        assert old is not None
        gain = float(np.linalg.norm(downstream)) / norm if norm else None
        exact = downstream if np.size(downstream) == np.size(upstream) == 1 else None
        structure = "dense" if exact is not None and old.structure == "operator" else old.structure
        shapes = old.result_shape, old.operand_shape
        array = None if exact is None or not norm else np.asarray(exact / upstream)
        use.derivative = LocalDerivative(structure, *shapes, array=array, gain=gain)

    def graph(self) -> Graph:
        return Graph.from_tape(self.tape)


def _summary(array: Any, *, keep: bool = False) -> Summary:
    """Return a summary without the last digits, in which processors differ."""
    summary = Summary.of(array, keep=keep)
    return summary if summary.mean is None else replace(summary, mean=round(summary.mean, 9) + 0.0)


def _layer(pencil: Pencil, random: Any, name: str, wide: int, out: int) -> tuple[Value, Value]:
    scale = 1 / np.sqrt(wide)
    weight = pencil.leaf("parameter", f"{name}.weight", random.normal(0, scale, (out, wide)))
    bias = pencil.leaf("parameter", f"{name}.bias", random.normal(0, 0.1, out))
    return weight, bias


def mlp() -> Graph:
    """Return a network of two layers with its loss."""
    pencil, random = Pencil(), np.random.default_rng(0)
    x = pencil.leaf("input", "x", random.normal(size=(32, 64)), differentiable=False)
    hidden = pencil.linear(x, *_layer(pencil, random, "fc1", 64, 16), "fc1")
    logits = pencil.linear(pencil.relu(hidden), *_layer(pencil, random, "fc2", 16, 10), "fc2")
    target = pencil.leaf("input", "target", random.integers(0, 10, 32), differentiable=False)
    return pencil.backward(pencil.cross_entropy(logits, target))


def residual(blocks: int = 2) -> Graph:
    """Return residual blocks in nested scopes, with a loss."""
    pencil, random = Pencil(), np.random.default_rng(1)
    x = pencil.leaf("input", "x", random.normal(size=(8, 12)))
    value, encoder = x, pencil.enter()
    for index in range(blocks):
        scope, around = f"encoder.{index}", (encoder, pencil.enter())
        up = _layer(pencil, random, f"{scope}.up", 12, 24)
        inner = pencil.linear(value, *up, f"{scope}.up", around)
        inner = pencil.relu(inner, f"{scope}.act", around)
        down = _layer(pencil, random, f"{scope}.down", 24, 12)
        inner = pencil.linear(inner, *down, f"{scope}.down", around)
        value = pencil.add(value, inner, scope, around)
    logits = pencil.linear(value, *_layer(pencil, random, "head", 12, 5), "head")
    target = pencil.leaf("input", "target", random.integers(0, 5, 8), differentiable=False)
    return pencil.backward(pencil.cross_entropy(logits, target))


def stack(layers: int = 40) -> Graph:
    """Return a deep stack of layers, in which gradients vanish."""
    pencil, random = Pencil(), np.random.default_rng(2)
    value = pencil.leaf("input", "x", random.normal(size=(8, 12)), differentiable=False)
    for index in range(layers):
        around = (pencil.enter(),)
        scope = f"layers.{index}"
        weights = _layer(pencil, random, f"{scope}.fc", 12, 12)
        value = pencil.linear(value, *weights, f"{scope}.fc", around)
        value = pencil.relu(value, f"{scope}.act", around)
    target = pencil.leaf("input", "target", random.integers(0, 12, 8), differentiable=False)
    return pencil.backward(pencil.cross_entropy(value, target))


def scalars() -> Graph:
    """Return x·x + sin(x)·c: a value used several times, all of it numbers."""
    pencil = Pencil()
    x, c = pencil.leaf("input", "x", 1.5), pencil.leaf("constant", "c", 0.25, differentiable=False)
    square = pencil.call(
        "mul", 1.5**2, (x, "scaled", lambda g: g * 1.5), (x, "scaled", lambda g: g * 1.5)
    )
    sine = pencil.call("sin", np.sin(1.5), (x, "diagonal", lambda g: g * np.cos(1.5)))
    product = pencil.call("mul", np.sin(1.5) / 4, (sine, "scaled", lambda g: g / 4), (c, "", None))
    return pencil.backward(pencil.add(square, product))


def hostile(names: list[str]) -> Graph:
    """Return a graph whose leaves, operation and scope carry these names."""
    pencil = Pencil()
    values = [pencil.leaf("parameter", name, 1.0) for name in names]
    total = values[0]
    for value, name in zip(values, names, strict=True):
        both = (total, "identity", np.copy), (value, "identity", np.copy)
        total = pencil.call(name, 1.0, *both, scope=name)
    return pencil.backward(total)


def oddities() -> Graph:
    """Return what is rare: several results, buffers, NaN, dead and missing gradients, notes."""

    def value(shape: tuple[int, ...], dtype: str = "float32", **known: Any) -> Value:
        differentiable = known.pop("differentiable", True)
        return Value(Summary(shape, dtype, **known), differentiable=differentiable)

    def use(
        operand: str, used: Value, structure: str, result: tuple[int, ...], **known: Any
    ) -> Use:
        downstream, gain = known.get("downstream"), known.get("gain")
        assert used.summary is not None
        derivative = LocalDerivative(structure, result, used.summary.shape, gain=gain)
        share = None if downstream is None else Summary((), "float32", norm=downstream)
        return Use(operand, used, derivative if structure else None, share)

    shape = (8, 4)
    x = value(shape, norm=5.5)
    leaves = {
        name: value((4,), norm=norm, differentiable=kind == "parameter")
        for name, kind, norm in (
            ("weight", "parameter", 2.0),
            ("bias", "parameter", 0.1),
            ("running_mean", "buffer", 0.3),
            ("running_var", "buffer", 1.9),
        )
    }
    normed = value(shape, norm=5.6, nonfinite=2)
    normed.upstream = Summary(shape, "float32", norm=float("nan"), nonfinite=8)
    x.upstream = Summary(shape, "float32", norm=float("nan"), nonfinite=8)
    nan = {"downstream": float("nan"), "gain": float("nan")}
    batch_norm = Call(
        "batch_norm",
        [normed],
        [
            use("0", x, "operator", shape, **nan),
            use("1", leaves["weight"], "operator", shape, **nan),
            use("2", leaves["bias"], "operator", shape, downstream=0.0, gain=0.0),
            use("running_mean", leaves["running_mean"], "", shape),
            use("running_var", leaves["running_var"], "", shape),
        ],
        "net.norm",
        (1, 2),
    )
    mask = value(shape, "bool", differentiable=False)
    greater = Call("gt", [mask], [Use("0", normed)], "net", (1,))
    largest = value((8,), "bfloat16", norm=3.0)
    indices = value((8,), "int64", norm=4.0, differentiable=False)
    largest.upstream = Summary((8,), "float32", norm=0.0)
    largest.note = "its derivative at ties is shared"
    found = use("0", normed, "operator", (8,), downstream=0.0)
    best = Call("max", [largest, indices], [found], "net", (1,))
    total = value((), mean=-1.25e-5, norm=1.25e-5)
    total.seed = total.upstream = Summary((), "float32", mean=1.0, norm=1.0)
    uses = [
        use("0", largest, "dense", (), downstream=0.0, gain=0.0),
        use("index", indices, "", ()),
        use("mask", mask, "", ()),
        use("1", normed, "diagonal", ()),
    ]
    tape = Tape(backend="hand", gradients=True)
    tape.steps.append(Leaf("input", ("x",), x))
    for name, leaf in leaves.items():
        kind = "buffer" if name.startswith("running") else "parameter"
        tied = ("net.norm." + name, "twin." + name) if name == "weight" else ("net.norm." + name,)
        tape.steps.append(Leaf(kind, tied, leaf))
    tape.steps += [batch_norm, greater, best, Call("Custom", [total], uses)]
    return Graph.from_tape(tape)


def chain(calls: int) -> Graph:
    """Return a chain of calls without scopes, without gradients."""
    tape = Tape(backend="hand")
    value = Value(Summary((), "float32"), differentiable=True)
    tape.steps.append(Leaf("input", ("x",), value))
    for _ in range(calls):
        result = Value(Summary((), "float32"), differentiable=True)
        tape.steps.append(Call("sin", [result], [Use("0", value)]))
        value = result
    return Graph.from_tape(tape)
