"""Problems of arrays: broadcasting, reductions, products, indexing, joining, reordering."""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.problems.problem import labels, normal, positive, problem

__all__: list[str] = []


@problem(normal(3, 4), normal(4))
def broadcast_rows(xp: Any, x: Any, b: Any) -> Any:
    return xp.sum(xp.tanh(x + b))


@problem(normal(3, 4), normal(3, 1))
def broadcast_columns(xp: Any, x: Any, b: Any) -> Any:
    return xp.sum((x * b) ** 2)


@problem(normal(5), normal(5, 1))
def broadcast_both(xp: Any, x: Any, y: Any) -> Any:
    return xp.mean((x - y) ** 2)


@problem(normal(2, 3, 4), normal())
def broadcast_scalar(xp: Any, x: Any, c: Any) -> Any:
    return xp.sum(xp.exp(x * c) / (c + 3.0))


@problem(normal(2, 1, 4), normal(3, 1), positive(1, 1, 4))
def broadcast_three(xp: Any, x: Any, y: Any, z: Any) -> Any:
    return xp.sum((x - y) / z)


@problem(normal(3, 4))
def sums(xp: Any, x: Any) -> Any:
    rows, columns = xp.sum(x, axis=1), xp.sum(x, axis=0, keepdims=True)
    return xp.sum(rows**2) + xp.sum(columns**3)


@problem(normal(2, 3, 4))
def means(xp: Any, x: Any) -> Any:
    centred = x - xp.mean(x, axis=(0, 2), keepdims=True)
    return xp.mean(centred**2)


@problem(normal(3, 4))
def largest(xp: Any, x: Any) -> Any:
    return xp.sum(xp.max(x, axis=1) ** 2) + xp.min(x)


@problem(positive(3, 4))
def product_of_all(xp: Any, x: Any) -> Any:
    return xp.prod(x) + xp.sum(xp.cumsum(x, axis=1) ** 2)


@problem(normal(3, 4))
def spread(xp: Any, x: Any) -> Any:
    variance = xp.mean((x - xp.mean(x, axis=1, keepdims=True)) ** 2, axis=1)
    return xp.sum(xp.sqrt(variance + 1e-5))


@problem(normal(3, 4), normal(4, 2))
def matrix_product(xp: Any, a: Any, b: Any) -> Any:
    return xp.sum((a @ b) ** 2)


@problem(normal(3, 4), normal(4))
def matrix_by_vector(xp: Any, w: Any, x: Any) -> Any:
    return xp.sum(xp.sin(w @ x))


@problem(normal(4), normal(4))
def inner_product(xp: Any, x: Any, y: Any) -> Any:
    return (x @ y) ** 2


@problem(normal(2, 3, 4), normal(4, 2))
def batched_product(xp: Any, a: Any, b: Any) -> Any:
    return xp.sum(xp.tanh(a @ b))


@problem(normal(2, 1, 3, 4), normal(5, 4, 2))
def broadcast_product(xp: Any, a: Any, b: Any) -> Any:
    return xp.sum((a @ b) ** 2)


@problem(normal(3), normal(4))
def outer_product(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.outer(x, y) ** 3)


@problem(normal(3, 4), normal(4, 2))
def einsum_product(xp: Any, a: Any, b: Any) -> Any:
    return xp.sum(xp.einsum("ij,jk->ik", a, b) ** 2)


@problem(normal(2, 3), normal(2, 4), normal(3, 4))
def einsum_bilinear(xp: Any, x: Any, y: Any, w: Any) -> Any:
    return xp.sum(xp.tanh(xp.einsum("bi,ij,bj->b", x, w, y)))


@problem(normal(4, 4))
def einsum_trace(xp: Any, a: Any) -> Any:
    return xp.einsum("ii->", a) * xp.sum(xp.einsum("ij->ji", a) ** 2)


@problem(normal(5, 4))
def slices(xp: Any, x: Any) -> Any:
    return xp.sum(x[1:4, ::2] ** 2) + xp.sum(x[-1] * x[0])


@problem(normal(5, 4))
def fancy_indices(xp: Any, x: Any) -> Any:
    return xp.sum(x[np.array([0, 2, 2, 4])] ** 3)


@problem(normal(5, 4), labels(5, classes=4))
def picked_elements(xp: Any, x: Any, chosen: Any) -> Any:
    return xp.sum(x[np.arange(5), chosen] ** 2)


@problem(normal(6))
def masked_elements(xp: Any, x: Any) -> Any:
    return xp.sum(x[np.array([True, False, True, True, False, False])] ** 2)


@problem(normal(4))
def new_axes(xp: Any, x: Any) -> Any:
    return xp.sum((x[:, None] - x[None, :]) ** 2)


@problem(normal(2, 3), normal(1, 3))
def concatenated(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.concatenate([x, y, x], axis=0) ** 3)


@problem(normal(2, 3), normal(2, 3))
def stacked(xp: Any, x: Any, y: Any) -> Any:
    return xp.sum(xp.prod(xp.stack([x, y, y], axis=1), axis=1))


@problem(normal(6, 2))
def split_parts(xp: Any, x: Any) -> Any:
    a, b, c = xp.split(x, 3)
    return xp.sum(a * b) + xp.sum(c**2)


@problem(normal(7))
def uneven_parts(xp: Any, x: Any) -> Any:
    a, _, c = xp.split(x, [2, 4])
    return xp.sum(a**2) + xp.sum(c**3)


@problem(normal(2, 3, 4))
def reordered(xp: Any, x: Any) -> Any:
    y = xp.reshape(xp.transpose(x, (2, 0, 1)), (4, 6))
    return xp.sum((y @ xp.transpose(y, (1, 0))) ** 2)


@problem(normal(2, 3), normal(3, 3))
def two_outputs(xp: Any, x: Any, w: Any) -> Any:
    y = xp.tanh(x @ w)
    return y * y, xp.sum(y, axis=0)


@problem(normal(3, 4))
def output_with_seed(xp: Any, x: Any) -> Any:
    return xp.exp(xp.sin(x))


@problem(normal(3, 3))
def shared_matrix(xp: Any, w: Any) -> Any:
    return xp.sum(w @ w @ w)
