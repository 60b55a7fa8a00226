"""Broadcasting undone, for every operation of two operands, over every pattern up to rank 3."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

import gradtrace_numpy as gn
from gradtrace_numpy import broadcasting
from tests.numpy.domains import PAIRS
from tests.numpy.draws import spread

WHOLE = (2, 3, 2)

PATTERNS = [
    tuple(1 if one else size for size, one in zip(WHOLE[start:], ones, strict=True))
    for start in range(4)
    for ones in itertools.product([False, True], repeat=3 - start)
]
"""Every shape that broadcasts with the whole: axes left out, or of length 1."""

BOTH = list(itertools.product(PATTERNS, repeat=2))


def test_the_patterns_are_all_there_are() -> None:
    assert len(PATTERNS) == 8 + 4 + 2 + 1
    assert len(BOTH) == 225


def test_every_elementwise_row_of_two_operands_has_domains() -> None:
    binary = {
        name
        for name, row in gn.table.items()
        if row.pullbacks and row.operands == ("x1", "x2") and row.structure
    }
    assert binary == set(PAIRS)


def mismatches(name: str, left: tuple[int, ...], right: tuple[int, ...]) -> list[str]:
    """Return the operands whose gradient differs from that of operands broadcast beforehand."""
    rng = np.random.default_rng(0)
    (low, high), second = PAIRS[name]
    a, b = spread(rng, left, low, high), spread(rng, right, *second)
    arrays = gn.array(a), gn.array(b)
    result = gn.table[name](*arrays)
    seed = rng.standard_normal(result.shape)
    result.backward(seed)
    wide = [gn.array(np.broadcast_to(x, result.shape)) for x in (a, b)]
    gn.table[name](*wide).backward(seed)
    return [
        operand
        for operand, array, each in zip(("x1", "x2"), arrays, wide, strict=True)
        if not _same(array.grad, each.grad, array.shape)
    ]


def _same(found: Any, wide: Any, shape: tuple[int, ...]) -> bool:
    """Tell whether `found` is `wide`, added up over the axes along which it was repeated."""
    added = wide.ndim - len(shape)
    summed = wide.sum(axis=tuple(range(added)))
    axes = tuple(i for i, size in enumerate(shape) if size == 1)
    summed = summed.sum(axis=axes, keepdims=True)
    return found.shape == shape and np.allclose(found, summed, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("name", sorted(PAIRS))
def test_broadcasting_is_undone(name: str) -> None:
    wrong = [(left, right) for left, right in BOTH if mismatches(name, left, right)]
    assert not wrong


@pytest.mark.parametrize("pattern", BOTH, ids=str)
def test_where_broadcasts_three_operands(pattern: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(0)
    x, y = (gn.array(spread(rng, shape)) for shape in pattern)
    condition = rng.random((2, 3, 2)) > 0.5
    result = np.where(condition, x, y)
    result.backward(np.ones(result.shape))
    assert x.grad.shape == x.shape
    assert float(x.grad.sum()) == condition.sum()
    assert float(y.grad.sum()) == (~condition).sum()


def test_a_fault_in_undoing_it_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def forgets_to_sum(share: Any, shape: tuple[int, ...]) -> Any:
        if np.shape(share) == shape:
            return share
        added = np.ndim(share) - len(shape)
        return share[(0,) * added][tuple(slice(0, size) for size in shape)]

    broken = forgets_to_sum
    monkeypatch.setattr("gradtrace_numpy.calls.undo_broadcast", broken)
    assert mismatches("add", (3, 1), (2, 3, 2)) == ["x1"]
    monkeypatch.undo()
    assert mismatches("add", (3, 1), (2, 3, 2)) == []
    assert broadcasting.undo_broadcast(np.ones((2, 3)), ()).shape == ()
