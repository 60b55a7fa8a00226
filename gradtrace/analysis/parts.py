"""Take the several results of a call as one, flat and joined."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import networkx as nx
import numpy as np

from gradtrace.analysis.agreement import elements_of
from gradtrace.summary import Summary

__all__ = ["differentiable_parts", "joined", "joined_shape", "summed", "zeros"]

DIFFERENTIABLE = ("float", "bfloat", "complex")


def differentiable_parts(graph: nx.MultiDiGraph[str], node: str) -> list[int]:
    """Return the numbers of the results of a call through which a gradient can come back."""
    hanging = {key: graph.nodes[item] for _, item, key in graph.out_edges(node, keys=True)}
    return [
        number
        for number, value in enumerate(graph.nodes[node]["value"])
        if value is not None
        and value.dtype.startswith(DIFFERENTIABLE)
        and hanging.get(number, {}).get("differentiable", True)
    ]


def joined_shape(shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape of several results taken as one.

    >>> joined_shape([(2, 3), (4,)]), joined_shape([(2, 3)])
    ((10,), (2, 3))
    """
    return shapes[0] if len(shapes) == 1 else (sum(map(math.prod, shapes)),)


def zeros(like: Summary) -> Summary:
    """Return the summary of a gradient of zeros, whose elements nobody has to make.

    >>> zeros(Summary((1000, 1000), "float32"))
    Summary(shape=(1000, 1000), dtype='float32', norm=0, mean=0, min=0, max=0)
    """
    return Summary(like.shape, like.dtype, like.device, 0.0, 0.0, 0.0, 0.0, 0.0, 0, like.size)


def joined(values: Sequence[Summary], gradients: Sequence[Summary | None]) -> Summary:
    """Return the summary of the gradients of several results taken as one.

    A result to which no gradient came has a gradient of zeros, of the shape of its value.

    >>> joined([Summary((1,), "float64")] * 2, [Summary.of([3.0], keep=True), None])
    Summary(shape=(2,), dtype='float64', norm=3, mean=1.5, min=0, max=3)
    """
    if len(values) == 1 and gradients[0] is not None:
        return gradients[0]
    parts = [
        zeros(value) if gradient is None else gradient
        for value, gradient in zip(values, gradients, strict=True)
    ]
    arrived = next(gradient for gradient in gradients if gradient is not None)
    arrays = [elements for part in parts if (elements := elements_of(part)) is not None]
    if len(arrays) == len(parts):
        whole = np.concatenate([array.ravel() for array in arrays])
        return Summary.of(whole, keep=True, dtype=arrived.dtype, device=arrived.device)
    return replace(_joined_statistics(parts), dtype=arrived.dtype, device=arrived.device)


def summed(shares: Sequence[Summary]) -> Summary | None:
    """Return the summary of a sum of gradients, with no more than can be known of it.

    >>> summed([Summary.of([1.0, 2.0]), Summary.of([3.0, 4.0])])
    Summary(shape=(2,), dtype='float64', mean=5)
    """
    if len(shares) < 2:
        return shares[0] if shares else None
    first = shares[0]
    arrays = [share.array for share in shares if share.array is not None]
    if len(arrays) == len(shares):
        whole = np.sum(np.stack(arrays), axis=0)
        return Summary.of(whole, keep=True, dtype=first.dtype, device=first.device)
    means = [share.mean for share in shares if share.mean is not None]
    complete = len(means) == len(shares) and not first.dtype.startswith("complex")
    mean = sum(means) if complete else None
    return Summary(first.shape, first.dtype, first.device, mean=mean)


def _joined_statistics(parts: Sequence[Summary]) -> Summary:
    filled = [part for part in parts if part.size]
    shape = (sum(part.size for part in filled),)
    norms = [part.norm for part in filled if part.norm is not None]
    means = [part.mean * part.size for part in filled if part.mean is not None]
    lowest = [part.min for part in filled if part.min is not None]
    highest = [part.max for part in filled if part.max is not None]
    lost = [part.nonfinite for part in filled if part.nonfinite is not None]
    count = len(filled)
    return Summary(
        shape,
        "float64",
        norm=math.hypot(*norms) if len(norms) == count else None,
        mean=sum(means) / shape[0] if means and len(means) == count else None,
        min=min(lowest) if lowest and len(lowest) == count else None,
        max=max(highest) if highest and len(highest) == count else None,
        nonfinite=sum(lost) if len(lost) == count else None,
    )
