"""Problems of one number at a time, and of arrays element by element."""

from __future__ import annotations

from typing import Any

from tests.problems.problem import given, normal, positive, problem

__all__: list[str] = []


@problem(normal())
def composite(xp: Any, x: Any) -> Any:
    return (x**2 + 1.0) ** 3


@problem(normal(), normal(), normal(), normal(), normal(), given())
def scalar_network(xp: Any, x: Any, w1: Any, b1: Any, w2: Any, b2: Any, t: Any) -> Any:
    h = xp.sigmoid(w1 * x + b1)
    return (w2 * h + b2 - t) ** 2


@problem(positive())
def logistic(xp: Any, x: Any) -> Any:
    return 1.0 / (1.0 + xp.exp(-x))


@problem(positive())
def logarithms(xp: Any, x: Any) -> Any:
    return xp.log(x) * xp.sqrt(x) + xp.log1p(x) - xp.expm1(x)


@problem(normal())
def trigonometry(xp: Any, x: Any) -> Any:
    return xp.sin(x) * xp.cos(x) + xp.tan(xp.tanh(x))


@problem(normal(), normal())
def quotient(xp: Any, x: Any, y: Any) -> Any:
    return (x - y) / (x * x + y * y + 1.0)


@problem(positive(), normal())
def powers(xp: Any, x: Any, y: Any) -> Any:
    return x**y + 2.0**y - x**3


@problem(normal())
def fan_out(xp: Any, x: Any) -> Any:
    a = x * x
    return a * x + a * a + xp.exp(a) - x


@problem(normal())
def doubling(xp: Any, x: Any) -> Any:
    for _ in range(20):
        x = (x + x) * 0.5
    return x * x


@problem(normal(scale=0.5))
def newton(xp: Any, x: Any) -> Any:
    """Take ten steps towards the root of y² = x² + 2, with a control flow that looks at values."""
    target, y = x * x + 2.0, x * 0.0 + 1.0
    steps = 0
    while abs(y.item() ** 2 - target.item()) > 1e-3 and steps < 10:
        y = (y + target / y) * 0.5
        steps += 1
    return y


@problem(normal(7))
def branches(xp: Any, x: Any) -> Any:
    total = xp.sum(x) * 0.0
    for i in range(7):
        total = total + (x[i] * 3.0 if x[i].item() > 0 else x[i] ** 2)
    return total


@problem(normal(3, 4))
def elementwise(xp: Any, x: Any) -> Any:
    return xp.sum(xp.abs(x) + xp.square(x) - xp.exp(-x))


@problem(normal(3, 4), normal(3, 4))
def extremes(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.maximum(x, y) * xp.minimum(x, y) * y)


@problem(normal(3, 4), normal(3, 4))
def choice(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.where(x > y, x * x, y * x))


@problem(normal(10))
def leaky_by_hand(xp: Any, x: Any) -> Any:
    return xp.sum(xp.where(x > 0, x, 0.1 * x) ** 2)


@problem(normal(10))
def clipped(xp: Any, x: Any) -> Any:
    return xp.sum(xp.clip(x, -0.5, 0.5) * x)


@problem(normal(4, 5))
def activations(xp: Any, x: Any) -> Any:
    y = xp.sigmoid(x) + xp.tanh(x) + xp.relu(x) + xp.leaky_relu(x, 0.2)
    return xp.sum(y * xp.softplus(x) + xp.gelu(x))
