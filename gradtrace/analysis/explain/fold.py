"""Fold the factors of a long path, so that it can be read."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby

from gradtrace.analysis.explain.results import Factor, Meaning, Written

__all__ = ["READABLE", "Fold", "folded"]

READABLE = 12
"""Factors of a path that are written one by one."""


@dataclass(frozen=True, slots=True)
class Fold:
    """Consecutive factors taken as one."""

    name: Written
    calls: int
    scope: str
    gain: float | None
    """The product of their gains."""
    share: float | None
    """The product of their shares."""


def folded(
    factors: Sequence[Factor], legend: Sequence[Meaning], *, limit: int = READABLE
) -> list[Factor | Fold]:
    """Return the factors of a path, those of a scope as one where there are more than `limit`.

    Scopes are folded as deep inside as suffices; where that does not, the middle is left out.
    """
    if len(factors) <= limit:
        return list(factors)
    scopes = {meaning.node: meaning.scope for meaning in legend}
    depths = max(scope.count(".") + 1 for scope in scopes.values())
    for depth in range(depths, 0, -1):
        parts = _by_scope(factors, scopes, depth)
        if len(parts) <= limit:
            return parts
    parts = _by_scope(factors, scopes, 1)
    half = limit // 2
    middle = _fold([*_flat(factors, parts[half:-half])], "")
    return [*parts[:half], middle, *parts[-half:]]


def _by_scope(factors: Sequence[Factor], scopes: dict[str, str], depth: int) -> list[Factor | Fold]:
    parts: list[Factor | Fold] = []
    for scope, group in groupby(factors, lambda factor: _outer(scopes[factor.result], depth)):
        members = list(group)
        if len(members) == 1 or not scope:
            parts += members
        else:
            parts.append(_fold(members, scope))
    return parts


def _outer(scope: str, depth: int) -> str:
    return ".".join(scope.split(".")[:depth])


def _fold(members: Sequence[Factor], scope: str) -> Fold:
    first, last = members[0].name, members[-1].name
    name = Written(
        f"{first.text.partition('/')[0]}/{last.text.partition('/')[2]}",
        rf"{first.latex.partition('}{')[0]}}}{{{last.latex.partition('}{')[2]}",
    )
    gains = [member.gain for member in members]
    shares = [member.share for member in members]
    return Fold(name, len(members), scope, _product(gains), _product(shares))


def _product(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return math.prod(known) if len(known) == len(numbers) else None


def _flat(factors: Sequence[Factor], parts: Sequence[Factor | Fold]) -> list[Factor]:
    """Return the factors that `parts`, which are consecutive, were made of."""
    if not parts:
        return []
    names = [factor.name.text.split("/") for factor in factors]
    above, below = parts[0].name.text.split("/")[0], parts[-1].name.text.split("/")[1]
    begin = next(index for index, (result, _) in enumerate(names) if result == above)
    end = next(index for index, (_, operand) in enumerate(names) if operand == below)
    return list(factors[begin : end + 1])
