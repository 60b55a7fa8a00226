"""Products of matrices, and sums of products in general."""

from __future__ import annotations

import string
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from gradtrace_numpy.dispatch import functions
from gradtrace_numpy.errors import NoDerivativeError
from gradtrace_numpy.rules.making import general, multilinear

__all__ = ["EINSUM"]

# -- matmul ---------------------------------------------------------------------------------------


def _left_of_matmul(u: Any, y: Any, a: Any, b: Any) -> Any:
    """Return upstream · bᵀ."""
    if np.ndim(b) == 1:
        return np.expand_dims(u, -1) * b
    if np.ndim(a) == 1:
        return np.squeeze(np.matmul(b, np.expand_dims(u, -1)), -1)
    return np.matmul(u, np.swapaxes(b, -1, -2))


def _right_of_matmul(u: Any, y: Any, a: Any, b: Any) -> Any:
    """Return aᵀ · upstream."""
    if np.ndim(b) == 1:
        return a * np.expand_dims(u, -1)
    if np.ndim(a) == 1:
        return np.expand_dims(a, -1) * np.expand_dims(u, -2)
    return np.matmul(np.swapaxes(a, -1, -2), u)


multilinear("matmul", np.matmul, _left_of_matmul, _right_of_matmul, replaces=[np.matmul])

# -- einsum: its own pullback, with the operand and the result changing places --------------------


def _einsum(*operands: Any, subscripts: str) -> Any:
    return np.einsum(subscripts, *operands, optimize=len(operands) > 1)


def _einsum_back(u: Any, y: Any, *operands: Any, position: int, subscripts: str) -> Any:
    terms, output = _spelled(subscripts, [np.ndim(x) for x in operands])
    wanted = terms[position]
    others = [x for i, x in enumerate(operands) if i != position]
    factors = [output, *(term for i, term in enumerate(terms) if i != position)]
    fresh = iter(sorted(set(string.ascii_letters) - set("".join((*terms, output)))))
    unique = ""
    for axis, letter in enumerate(wanted):
        size = np.shape(operands[position])[axis]
        if letter in unique:  # a diagonal was read: what comes back lies on it again
            other = next(fresh)
            others.append(np.eye(size))
            factors.append(letter + other)
            letter = other
        elif letter not in "".join(factors):  # it was summed alone: each element gets the same
            others.append(np.ones(size))
            factors.append(letter)
        unique += letter
    return np.einsum(f"{','.join(factors)}->{unique}", u, *others)


def _spelled(subscripts: str, ranks: Sequence[int]) -> tuple[list[str], str]:
    """Return a term for each operand, and that of the result, all with letters for `...`."""
    left, arrow, right = subscripts.replace(" ", "").partition("->")
    terms = left.split(",")
    free = [letter for letter in string.ascii_uppercase if letter not in subscripts]
    rests = [rank - len(t.replace("...", "")) for rank, t in zip(ranks, terms, strict=True)]
    most = max((n for n, t in zip(rests, terms, strict=True) if "..." in t), default=0)
    dots = "".join(free[:most])
    spelled = [
        t.replace("...", dots[most - n :] if n else "") for n, t in zip(rests, terms, strict=True)
    ]
    if arrow:
        return spelled, right.replace("...", dots)
    every = left.replace(",", "").replace("...", "")
    return spelled, dots + "".join(sorted({x for x in every if every.count(x) == 1}))


def _push_einsum(t: Any, y: Any, *operands: Any, position: int, subscripts: str) -> Any:
    return _einsum(*operands[:position], t, *operands[position + 1 :], subscripts=subscripts)


EINSUM = general("einsum", _einsum, _einsum_back, pushforwards=[_push_einsum],
                 variadic=True, operands=["operands"])  # fmt: skip


def einsum(subscripts: str, *operands: Any, optimize: Any = None) -> Any:
    """Return `np.einsum` of subscripts in letters."""
    if not isinstance(subscripts, str):
        raise NoDerivativeError("np.einsum has a rule for letters only, such as 'ij,jk->ik'")
    return EINSUM(*operands, subscripts=subscripts)


functions[np.einsum] = einsum

# -- contractions of two operands, each a case of einsum ------------------------------------------


def _contraction(
    name: str, forward: Callable[..., Any], letters: Callable[..., str]
) -> Callable[..., Any]:
    def back(position: int) -> Callable[..., Any]:
        def pull(u: Any, y: Any, a: Any, b: Any, **how: Any) -> Any:
            subscripts = letters(np.ndim(a), np.ndim(b), **how)
            return _einsum_back(u, y, a, b, position=position, subscripts=subscripts)

        return pull

    return multilinear(name, forward, back(0), back(1))


def _names(a: int, b: int, pairs: Sequence[tuple[int, int]]) -> str:
    """Return the subscripts that sum over each pair of an axis of a and one of b."""
    left, right = list(string.ascii_letters[:a]), list(string.ascii_letters[a : a + b])
    for i, j in pairs:
        right[j] = left[i]
    summed = {left[i] for i, _ in pairs}
    kept = "".join(letter for letter in (*left, *right) if letter not in summed)
    return f"{''.join(left)},{''.join(right)}->{kept}"


def _tensordot(a: Any, b: Any, *, axes: Any = 2) -> Any:
    return np.tensordot(a, b, axes)


def _dot(a: Any, b: Any) -> Any:
    return np.dot(a, b)


def _inner(a: Any, b: Any) -> Any:
    return np.inner(a, b)


def _outer(a: Any, b: Any) -> Any:
    return np.outer(a, b)


def _tensordot_letters(a: int, b: int, axes: Any = 2) -> str:
    if isinstance(axes, int):
        return _names(a, b, [(a - axes + i, i) for i in range(axes)])
    left, right = ([side] if isinstance(side, int) else list(side) for side in axes)
    return _names(a, b, list(zip(left, right, strict=True)))


# fmt: off
TENSORDOT = _contraction("tensordot", _tensordot, _tensordot_letters)
DOT       = _contraction("dot",   _dot,   lambda a, b: _names(a, b, [(-1, -2 if b > 1 else -1)]))
INNER     = _contraction("inner", _inner, lambda a, b: _names(a, b, [(-1, -1)]))
OUTER     = _contraction("outer", _outer, lambda a, b: "a,b->ab")
# fmt: on


def _unless_scalar(row: Callable[..., Any]) -> Callable[..., Any]:
    def product(a: Any, b: Any) -> Any:
        return row(a, b) if np.ndim(a) and np.ndim(b) else a * b

    return product


functions[np.tensordot] = TENSORDOT
functions[np.dot], functions[np.inner] = _unless_scalar(DOT), _unless_scalar(INNER)
functions[np.outer] = lambda a, b: OUTER(np.ravel(a), np.ravel(b))
functions[np.vdot] = lambda a, b: DOT(np.ravel(a), np.ravel(b))

# -- inverse, solution, determinant ---------------------------------------------------------------


def _t(a: Any) -> Any:
    return np.swapaxes(a, -1, -2)


def _inv(a: Any) -> Any:
    return np.linalg.inv(a)


def _solve(a: Any, b: Any) -> Any:
    return np.linalg.solve(a, b)


def _det(a: Any) -> Any:
    return np.linalg.det(a)


def _solve_left(u: Any, y: Any, a: Any, b: Any) -> Any:
    share = np.linalg.solve(_t(a), u)
    if np.ndim(b) == 1:
        return -np.expand_dims(share, -1) * np.expand_dims(y, -2)
    return -np.matmul(share, _t(y))


def _solve_push(t: Any, y: Any, a: Any, b: Any) -> Any:
    return -np.linalg.solve(a, np.matmul(t, y))


def _adjugate(y: Any, a: Any) -> Any:
    return np.expand_dims(y, (-1, -2)) * _t(np.linalg.inv(a))


general("inv", _inv, lambda u, y, a: -np.matmul(np.matmul(_t(y), u), _t(y)),
        pushforwards=[lambda t, y, a: -np.matmul(np.matmul(y, t), y)],
        replaces=[np.linalg.inv])  # fmt: skip
general("solve", _solve, _solve_left, lambda u, y, a, b: np.linalg.solve(_t(a), u),
        pushforwards=[_solve_push, lambda t, y, a, b: np.linalg.solve(a, t)],
        replaces=[np.linalg.solve])  # fmt: skip
general("det", _det, lambda u, y, a: np.expand_dims(u, (-1, -2)) * _adjugate(y, a),
        pushforwards=[lambda t, y, a: np.sum(t * _adjugate(y, a), axis=(-1, -2))],
        replaces=[np.linalg.det])  # fmt: skip
