"""The array that NumPy code is traced by."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from gradtrace_numpy.backward import backward
from gradtrace_numpy.dispatch import FREE, WRITING, call, functions, lookup, overwrites, spelled
from gradtrace_numpy.errors import InPlaceError, LeavesTraceError
from gradtrace_numpy.leaving import leaves_unseen
from gradtrace_numpy.listening import followers
from gradtrace_numpy.operators import Operators

if TYPE_CHECKING:
    from gradtrace_numpy.calls import Call

__all__ = ["Array", "NDArray", "plain"]

NDArray = npt.NDArray[Any]

_serials = itertools.count()


class Array(Operators):
    """An ndarray that remembers how it was made, so that gradients can be found for it.

    It speaks NumPy's own protocols: NumPy's operators and functions take it like an ndarray,
    and return arrays that remember in turn. Elements never change; `data` is read-only.

    >>> import gradtrace_numpy as gn
    >>> x = gn.array([1.0, 2.0, 3.0])
    >>> loss = np.sum(x**2)
    >>> loss.backward()
    >>> x.grad
    array([2., 4., 6.])
    """

    __slots__ = (
        "__weakref__",
        "_elements",
        "call",
        "differentiable",
        "grad",
        "kind",
        "name",
        "serial",
    )

    def __init__(
        self,
        data: NDArray,
        *,
        differentiable: bool,
        call: Call | None = None,
        kind: str = "input",
        name: str | None = None,
    ) -> None:
        self.call = call
        self.differentiable = differentiable
        self.grad: Any = None
        self.kind = kind
        self.name = name
        self.serial = next(_serials)
        self._elements = data.view()  # whose flag is ours; the ndarray may be somebody else's
        self._elements.flags.writeable = False

    # -- what it holds -------------------------------------------------------------------

    @property
    def data(self) -> NDArray:
        """The ndarray inside, read-only: a step is x.data = x.data - step, not x.data -= step."""
        return self._elements

    @data.setter
    def data(self, new: npt.ArrayLike) -> None:
        elements = np.array(new, dtype=self._elements.dtype)
        if elements.shape != self._elements.shape:
            raise InPlaceError(
                f"{self.label} cannot take elements of shape {elements.shape}; "
                f"it keeps its shape {self._elements.shape}"
            )
        elements.flags.writeable = False
        self._elements = elements

    shape: Any = property(lambda self: self._elements.shape)
    dtype: Any = property(lambda self: self._elements.dtype)
    ndim: Any = property(lambda self: self._elements.ndim)
    size: Any = property(lambda self: self._elements.size)

    @property
    def label(self) -> str:
        """What an error calls this array."""
        return f"{self.name or 'an Array'} of shape {self.shape}"

    def numpy(self) -> NDArray:
        """Return a copy of the elements, outside the trace."""
        return self._elements.copy()

    def detach(self) -> Array:
        """Return an array of the same elements through which no gradient flows."""
        return Array(self._elements, differentiable=False, kind="constant", name=self.name)

    def item(self, *index: int) -> Any:
        """Return one element as a Python number."""
        return self._elements.item(*index)

    def tolist(self) -> Any:
        """Return the elements in nested lists of Python numbers."""
        return self._elements.tolist()

    # -- gradients -----------------------------------------------------------------------

    def backward(
        self,
        seed: npt.ArrayLike | None = None,
        *,
        keep_graph: bool = False,
        create_graph: bool = False,
    ) -> None:
        """Add the gradient of this array to `grad` of every array that it was made from.

        Args:
            seed: The upstream gradient given here; 1 for a scalar unless told.
            keep_graph: Keep what was saved for the backward pass, so that it can run again.
            create_graph: Trace the backward pass itself: the gradients then are arrays that
                have gradients.
        """
        found = backward([(self, seed)], keep_graph=keep_graph, create_graph=create_graph)
        for array, gradient in found:
            own = gradient if create_graph else np.array(gradient)
            array.grad = own if array.grad is None else array.grad + own
        for each in followers():
            each.accumulated()

    def __reduce__(self) -> Any:
        return _leaf, (self._elements.copy(), self.differentiable, self.kind, self.name)

    # -- NumPy's protocols ---------------------------------------------------------------

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        name = spelled(ufunc)
        if any(out is not None for out in kwargs.pop("out", ())):
            raise overwrites(f"{name}(…, out=…), or an operator such as out += x,")
        if method == "at":
            raise overwrites(f"{name}.at")
        if method == "__call__":
            return lookup(ufunc, name)(*inputs, **kwargs)
        if method == "outer":
            left, right = inputs
            return ufunc(np.reshape(left, np.shape(left) + (1,) * np.ndim(right)), right, **kwargs)
        return call(lookup(getattr(ufunc, method), f"{name}.{method}"), name, inputs, kwargs)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        name = spelled(function)
        if kwargs.pop("out", None) is not None:
            raise overwrites(f"{name}(…, out=…)")
        if function in WRITING:
            raise overwrites(name)
        if function in FREE:
            return function(*plain(args), **plain(kwargs))
        return call(lookup(function, name), name, args, kwargs)

    def __array__(self, *args: Any, **kwargs: Any) -> Any:
        raise self._drops_out("a function asked for a plain ndarray")

    def _drops_out(self, why: str) -> LeavesTraceError:
        lost = ", and its gradient with it" if self.differentiable else ""
        return LeavesTraceError(
            f"{self.label} would drop out of the trace here{lost}: {why}. Use "
            "NumPy functions on the array itself (np.stack to put several into one), or x.data "
            "where the trace is meant to end"
        )

    __hash__ = object.__hash__

    def __getitem__(self, key: Any) -> Any:
        return functions[operator.getitem](self, key)

    def astype(self, dtype: npt.DTypeLike, *, copy: bool = True) -> Any:
        """Return the array with its elements in another type; `copy` makes no difference."""
        return functions[np.ndarray.astype](self, dtype=np.dtype(dtype))

    def __setitem__(self, key: Any, value: Any) -> None:
        raise InPlaceError(
            f"elements of {self.label} cannot be overwritten, for the backward pass may need them; "
            "make a new array with np.where(mask, new, x) or np.concatenate"
        )

    def __iter__(self) -> Iterator[Any]:
        if self.ndim == 0:
            raise TypeError(f"{self.label} is a single number, which has no elements to go through")
        return (self[index] for index in range(len(self)))

    def __len__(self) -> int:
        return len(self._elements)

    def __bool__(self) -> bool:
        return bool(self._elements)

    def __float__(self) -> float:
        if self.differentiable and (why := leaves_unseen(sys._getframe(1))):
            raise self._drops_out(why)
        return float(self._elements)

    def __int__(self) -> int:
        return int(self._elements)

    def __index__(self) -> int:
        return operator.index(self._elements)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_") or not hasattr(np.ndarray, name):
            raise AttributeError(f"an Array has no attribute {name!r}")
        raise AttributeError(
            f"an ndarray has {name!r}, an Array has not; use a function of NumPy that has a rule "
            f"in gradtrace_numpy, or x.data.{name} where the trace is meant to end"
        )

    def __format__(self, spec: str) -> str:
        return format(self._elements if self.ndim else self._elements.item(), spec)

    def __repr__(self) -> str:
        shown = np.array2string(self._elements, separator=", ", prefix="Array(", threshold=20)
        named = f", name={self.name!r}" if self.name else ""
        return (
            f"Array({shown}{named}, op={self.call.primitive.name!r})"
            if self.call
            else (f"Array({shown}{named})")
        )


def _leaf(data: NDArray, differentiable: bool, kind: str, name: str | None) -> Array:
    """Return what `copy.copy` and `copy.deepcopy` make of an array: one of the same elements."""
    return Array(data, differentiable=differentiable, kind=kind, name=name)


def plain(value: Any) -> Any:
    """Return `value` with the ndarray inside in place of every `Array`."""
    if isinstance(value, Array):
        return value.data
    if isinstance(value, list | tuple) and not hasattr(value, "_fields"):
        return type(value)(plain(each) for each in value)
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items()}
    return value
