"""A problem for each row of the table."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from gradtrace_numpy import table
from tests.numpy.domains import PAIRS, UNARY
from tests.numpy.draws import (
    MATRICES,
    SHAPES,
    SIDES,
    Draw,
    Problem,
    axes_of,
    of_shape,
    pair,
    pairs_of_shapes,
    spread,
    unary,
    with_arguments,
)

__all__ = ["CONSTANT", "DRAWS", "Problem", "problems"]

CONSTANT = sorted(name for name, row in table.items() if not row.pullbacks)
"""Rows without derivative: they have other tests."""

# -- elementwise ---------------------------------------------------------------------------------


def _where(draw: Any, rng: np.random.Generator) -> Problem:
    x, y = draw(pairs_of_shapes())
    condition = rng.random(np.broadcast_shapes(x, y)) > 0.5
    return Problem((condition, spread(rng, x), spread(rng, y)))


def _clip(draw: Any, rng: np.random.Generator) -> Problem:
    return Problem((spread(rng, draw(SHAPES)), np.array(-0.913), np.array(0.877)))


def _dropout(draw: Any, rng: np.random.Generator) -> Problem:
    x = spread(rng, draw(SHAPES))
    return Problem((x,), {"mask": (rng.random(x.shape) > 0.4) / 0.6})


# -- reductions, shapes ----------------------------------------------------------------------------


def _reduce(draw: Any, rng: np.random.Generator) -> Problem:
    x = spread(rng, draw(SHAPES), 0.3, 2.0)
    return Problem((x,), axes_of(draw, x.ndim))


def _deviation(draw: Any, rng: np.random.Generator) -> Problem:
    x = spread(rng, (3, draw(st.integers(2, 3)), 2))
    axis = draw(st.sampled_from([None, 0, 1, -1, (0, 2)]))
    return Problem((x,), {"axis": axis, "ddof": draw(st.integers(0, 1)), "keepdims": False})


def _running(draw: Any, rng: np.random.Generator) -> Problem:
    x = spread(rng, draw(MATRICES))
    x.flat[0] = draw(st.sampled_from([0.0, x.flat[0]]))
    return Problem((x,), {"axis": draw(st.sampled_from([None, 0, -1]))})


def _softmax(draw: Any, rng: np.random.Generator) -> Problem:
    return Problem((spread(rng, draw(MATRICES)),), {"axis": draw(st.sampled_from([0, 1, -1]))})


def _joined(draw: Any, rng: np.random.Generator) -> Problem:
    axis = draw(st.sampled_from([0, 1, -1]))
    shapes = [[2, 3] for _ in range(draw(st.integers(1, 3)))]
    for shape in shapes:
        shape[axis] = draw(SIDES)
    return Problem(tuple(spread(rng, tuple(shape)) for shape in shapes), {"axis": axis})


def _stacked(draw: Any, rng: np.random.Generator) -> Problem:
    shape, count = draw(SHAPES), draw(st.integers(1, 3))
    axis = draw(st.integers(-len(shape) - 1, len(shape)))
    return Problem(tuple(spread(rng, shape) for _ in range(count)), {"axis": axis})


KEYS: list[Any] = [
    0, -1, slice(None), slice(0, 3, 2), (slice(None), 1), (..., None, slice(1, None)),
    (slice(None, None, -1), slice(None)), None, (1, 2), ..., [0, 0, 2],
    ([0, 1, 1], [2, 3, 3]), (slice(None), [1, 1]),
]  # fmt: skip


def _getitem(draw: Any, rng: np.random.Generator) -> Problem:
    return Problem((spread(rng, (3, 4)),), {"key": draw(st.sampled_from(KEYS))})


def _scatter(draw: Any, rng: np.random.Generator) -> Problem:
    key = draw(st.sampled_from(KEYS))
    return Problem((spread(rng, np.zeros((3, 4))[key].shape),), {"key": key, "shape": (3, 4)})


def _windows(draw: Any, rng: np.random.Generator) -> Problem:
    two = st.tuples(st.integers(1, 2), st.integers(1, 2))
    return Problem(
        (spread(rng, (2, 5, 4)),), {"window": draw(two), "stride": draw(two), "dilation": draw(two)}
    )


def _fold(draw: Any, rng: np.random.Generator) -> Problem:
    taken = _windows(draw, rng)
    shape = table["windows"].forward(*taken.operands, **taken.arguments).shape
    return Problem((spread(rng, shape),), {"size": (5, 4), **taken.arguments})


# -- products --------------------------------------------------------------------------------------


def _matmul(draw: Any, rng: np.random.Generator) -> Problem:
    rows, inner, columns = draw(SIDES), draw(SIDES), draw(SIDES)
    batches = draw(pairs_of_shapes())
    left = draw(st.sampled_from([(inner,), (*batches[0][:2], rows, inner)]))
    right = draw(st.sampled_from([(inner,), (*batches[1][:2], inner, columns)]))
    if len(batches[0]) > 2 or len(batches[1]) > 2:
        left, right = (rows, inner), (inner, columns)
    return Problem((spread(rng, left), spread(rng, right)))


EINSUMS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("ij,jk->ik", [(2, 3), (3, 2)]), ("ij,jk", [(2, 3), (3, 2)]), ("i,i->", [(3,), (3,)]),
    ("ij->ji", [(2, 3)]), ("ij->", [(2, 3)]), ("ii->i", [(3, 3)]), ("ii", [(3, 3)]),
    ("...ij,...jk->...ik", [(2, 2, 3), (3, 2)]), ("bij,bjk->bik", [(2, 2, 3), (2, 3, 1)]),
    ("ij,j,k->ik", [(2, 3), (3,), (2,)]), ("i,j->ij", [(2,), (3,)]), ("...->...", [(2, 3)]),
    ("ij,ij->j", [(2, 3), (2, 3)]), ("iij,j->i", [(2, 2, 3), (3,)]),
]  # fmt: skip


def _einsum(draw: Any, rng: np.random.Generator) -> Problem:
    subscripts, shapes = draw(st.sampled_from(EINSUMS))
    return Problem(tuple(spread(rng, shape) for shape in shapes), {"subscripts": subscripts})


def _tensordot(draw: Any, rng: np.random.Generator) -> Problem:
    axes, a, b = draw(
        st.sampled_from(
            [
                (0, (2,), (3, 2)), (1, (2, 3), (3, 2)), (2, (2, 3, 2), (3, 2)),
                ((0, 1), (3, 2), (2, 3)), (([0, 2], [1, 0]), (2, 3, 2), (2, 2, 3)),
            ]
        )
    )  # fmt: skip
    return Problem((spread(rng, a), spread(rng, b)), {"axes": axes})


def _either(*shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> Draw:
    def make(draw: Any, rng: np.random.Generator) -> Problem:
        a, b = draw(st.sampled_from(shapes))
        return Problem((spread(rng, a), spread(rng, b)))

    return make


def _regular(rng: np.random.Generator, shape: tuple[int, ...]) -> Any:
    """Return matrices that have an inverse."""
    return spread(rng, shape) + 4 * np.eye(shape[-1])


def _square(draw: Any, rng: np.random.Generator) -> Problem:
    side = draw(st.integers(1, 3))
    return Problem((_regular(rng, (*draw(st.sampled_from([(), (2,)])), side, side)),))


def _solve(draw: Any, rng: np.random.Generator) -> Problem:
    right = draw(st.sampled_from([(3,), (3, 1), (3, 2)]))
    return Problem((_regular(rng, (3, 3)), spread(rng, right)))


# -- layers, losses --------------------------------------------------------------------------------


def _linear(draw: Any, rng: np.random.Generator) -> Problem:
    into, out, before = draw(SIDES), draw(SIDES), draw(st.sampled_from([(), (2,), (2, 3)]))
    x, w, b = spread(rng, (*before, into)), spread(rng, (out, into)), spread(rng, (out,))
    return Problem((x, w, b) if draw(st.booleans()) else (x, w))


def _embedding(draw: Any, rng: np.random.Generator) -> Problem:
    return Problem((rng.integers(0, 4, draw(SHAPES)), spread(rng, (4, 2))))


def _layer_norm(draw: Any, rng: np.random.Generator) -> Problem:
    axes, inner = draw(st.sampled_from([((2,), (4,)), ((1, 2), (3, 4))]))
    operands = spread(rng, (2, 3, 4)), spread(rng, inner), spread(rng, inner)
    count = draw(st.integers(1, 3))
    return Problem(operands[:count], {"axes": axes, "eps": 1e-5})


def _batch_norm(draw: Any, rng: np.random.Generator) -> Problem:
    shape, axes = draw(st.sampled_from([((4, 3), (0,)), ((3, 2, 2, 2), (0, 2, 3))]))
    operands = spread(rng, shape), spread(rng, (shape[1],)), spread(rng, (shape[1],))
    count = draw(st.integers(1, 3))
    return Problem(operands[:count], {"axes": axes, "eps": 1e-5})


def _conv2d(draw: Any, rng: np.random.Generator) -> Problem:
    two, groups = st.tuples(st.integers(1, 2), st.integers(1, 2)), draw(st.integers(1, 2))
    x, w = spread(rng, (2, 2 * groups, 5, 4)), spread(rng, (2 * groups, 2, 3, 2))
    operands = (x, w, spread(rng, (2 * groups,))) if draw(st.booleans()) else (x, w)
    padding = draw(st.tuples(st.integers(0, 1), st.integers(0, 1)))
    how = {"stride": draw(two), "padding": padding, "dilation": draw(two), "groups": groups}
    return Problem(operands, how)


def _pool(draw: Any, rng: np.random.Generator) -> Problem:
    kernel = draw(st.tuples(st.integers(2, 3), st.integers(2, 3)))
    stride, padding = (
        draw(st.sampled_from([(1, 2), (2, 2)])),
        draw(st.sampled_from([(0, 0), (1, 1)])),
    )
    return Problem(
        (spread(rng, (2, 2, 5, 4)),), {"kernel": kernel, "stride": stride, "padding": padding}
    )


REDUCTIONS = st.sampled_from(["mean", "sum", "none"])


def _loss(low: float, high: float) -> Draw:
    def make(draw: Any, rng: np.random.Generator) -> Problem:
        shape = draw(SHAPES)
        operands = spread(rng, shape, low, high), spread(rng, shape, low, high)
        return Problem(operands, {"reduction": draw(REDUCTIONS)})

    return make


def _cross_entropy(draw: Any, rng: np.random.Generator) -> Problem:
    shape = draw(st.sampled_from([(3,), (4, 3), (2, 3, 2)]))
    target = rng.integers(0, 3, (*shape[:1], *shape[2:]) if len(shape) > 1 else ())
    return Problem((spread(rng, shape), target), {"reduction": draw(REDUCTIONS)})


DRAWS: dict[str, Draw] = {
    **{name: unary(*domain) for name, domain in UNARY.items()},
    **{name: pair(*domains) for name, domains in PAIRS.items()},
    **dict.fromkeys(["sum", "mean", "max", "min", "prod", "norm"], _reduce),
    **dict.fromkeys(["var", "std"], _deviation),
    **dict.fromkeys(["cumsum", "cumprod"], _running),
    **dict.fromkeys(["softmax", "log_softmax"], _softmax),
    **dict.fromkeys(["max_pool2d", "avg_pool2d"], _pool),
    **dict.fromkeys(["inv", "det"], _square),
    **dict.fromkeys(["tril", "triu"], with_arguments(k=[-1, 0, 1])),
    "where": _where,
    "clip": _clip,
    "dropout": _dropout,
    "astype": with_arguments(dtype=[np.dtype(float)]),
    "ravel": with_arguments(),
    "reshape": of_shape((2, 6), shape=[(12,), (3, 4), -1, (2, -1, 3)]),
    "expand_dims": with_arguments(axis=[0, -1, (0, 2)]),
    "squeeze": of_shape((1, 3, 1), axis=[None, 0, -1, (0, 2)]),
    "transpose": of_shape((2, 3, 4), axes=[None, (1, 2, 0), (0, -1, 1)]),
    "swapaxes": with_arguments(axis1=[0, -1], axis2=[0, 1]),
    "moveaxis": of_shape((2, 3, 4), source=[0, -1], destination=[1, 0]),
    "flip": with_arguments(axis=[None, 0, -1, (0, 1)]),
    "roll": of_shape((3, 4), shift=[1, -2], axis=[None, 0, 1]),
    "broadcast_to": of_shape((3, 1), shape=[(3, 1), (3, 4), (2, 3, 4)]),
    "repeat": of_shape((2, 3), repeats=[1, 3], axis=[None, 0, -1]),
    "tile": of_shape((2, 3), reps=[2, (2,), (2, 1), (2, 1, 3)]),
    "pad": of_shape((2, 3), pad_width=[1, (1, 2), ((0, 1), (2, 0))]),
    "concatenate": _joined,
    "stack": _stacked,
    "split": of_shape((4, 4), indices_or_sections=[2, 3, [1, 3]], axis=[0, -1]),
    "getitem": _getitem,
    "scatter": _scatter,
    "windows": _windows,
    "fold": _fold,
    "matmul": _matmul,
    "einsum": _einsum,
    "tensordot": _tensordot,
    "dot": _either(((3,), (3,)), ((2, 3), (3,)), ((2, 3), (3, 2)), ((3,), (2, 3, 2))),
    "inner": _either(((3,), (3,)), ((2, 3), (3,)), ((2, 3), (4, 3))),
    "outer": _either(((3,), (2,)), ((1,), (3,))),
    "solve": _solve,
    "linear": _linear,
    "embedding": _embedding,
    "layer_norm": _layer_norm,
    "batch_norm": _batch_norm,
    "conv2d": _conv2d,
    "mse_loss": _loss(-2.0, 2.0),
    "binary_cross_entropy": _loss(0.1, 0.9),
    "cross_entropy": _cross_entropy,
}


@st.composite
def problems(draw: Any, name: str) -> Problem:
    """Draw a problem for the row `name`."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return DRAWS[name](draw, rng)
