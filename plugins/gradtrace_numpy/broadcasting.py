"""Broadcasting, undone: the one place where a share takes the shape of its operand."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["undo_broadcast"]


def undo_broadcast(share: Any, shape: tuple[int, ...]) -> Any:
    """Sum `share`, of a shape that `shape` was broadcast to, over the axes that were repeated.

    An element used n times in the forward pass gets the sum of n gradients back.

    >>> undo_broadcast(np.ones((2, 3)), (3,))
    array([2., 2., 2.])
    >>> undo_broadcast(np.ones((2, 3)), (2, 1))
    array([[3.],
           [3.]])
    """
    given = np.shape(share)
    if given == shape:
        return share
    added = len(given) - len(shape)
    if added < 0:
        return np.broadcast_to(share, shape)
    stretched = [
        added + axis for axis, size in enumerate(shape) if size == 1 and given[added + axis] != 1
    ]
    axes = (*range(added), *stretched)
    summed = np.sum(share, axis=axes, keepdims=True) if axes else share
    fitting = np.reshape(summed, np.shape(summed)[added:]) if added else summed
    return fitting if np.shape(fitting) == shape else np.broadcast_to(fitting, shape)
