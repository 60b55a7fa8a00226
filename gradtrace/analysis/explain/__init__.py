"""Explain a gradient: the chain rule from an output back to a node, factor by factor."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from itertools import islice
from typing import NamedTuple

import networkx as nx
import numpy as np

from gradtrace.analysis.explain.amounts import WORK, Amounts, gradient_at, seed_at
from gradtrace.analysis.explain.compose import Composer
from gradtrace.analysis.explain.explanation import FORMS, Explanation
from gradtrace.analysis.explain.results import Factor, Meaning, Path, Rest, Written
from gradtrace.analysis.explain.ways import Step, Ways, ways_between
from gradtrace.errors import OptionError, require_choice
from gradtrace.summary import Summary

__all__ = ["Explanation", "Factor", "Meaning", "Path", "Rest", "Written", "explain"]

FOLLOWED = 64
"""Paths that are followed to learn which of them carry most."""


def explain(
    graph: nx.MultiDiGraph[str],
    target: str,
    output: str | None = None,
    *,
    form: str = "text",
    top: int = 3,
) -> Explanation:
    """Explain the gradient at `target` as the chain rule from `output`, factor by factor.

    Args:
        graph: A traced graph.
        target: The node whose gradient is explained, such as `"fc1.weight"`.
        output: The node that the explanation begins at; where the backward pass began, unless
            told. At a number from which none began, the seed is 1.
        form: How it writes itself: `"text"`, `"markdown"` or `"latex"`.
        top: Paths that are shown one by one; the rest is summed.

    Several paths add up, the largest first. Where every factor is known (`derivatives="exact"`,
    or numbers), what each path carries is computed, for the 64 that weigh most at the fan-outs;
    else its share is the product of what came back along each use at the fan-outs.

    Raises `OptionError` for a node that the graph does not have.
    """
    require_choice("form", form, FORMS)
    if type(top) is not int or top < 1:
        raise OptionError(f"top={top!r} is not a number of paths; use an integer from 1")
    target = _found(graph, "target", target)
    output = None if output is None else _found(graph, "output", output)
    outputs = _outputs(graph, target, output)
    ways = ways_between(graph, target, outputs)
    amounts = Amounts(graph, ways)
    found = _largest(ways, amounts, top)
    composer = Composer(graph, ways, [each.steps for each in found], [target, *outputs])
    value = _value(graph, ways, amounts, output)
    paths = tuple(_path(composer, amounts, ways, each, value) for each in found)
    return Explanation(
        target=target,
        output=outputs[0] if len(outputs) == 1 else None,
        name=composer.derivative(outputs[0] if len(outputs) == 1 else None, target),
        value=value,
        seed=seed_at(graph, outputs[0]) if len(outputs) == 1 else None,
        paths=paths,
        rest=_rest(ways.count() - len(paths), paths, value) if paths else None,
        legend=composer.legend(),
        notes=composer.notes(),
        reason=_reason(graph, ways, target, outputs, exact=amounts.exact),
        form=form,
    )


class _Followed(NamedTuple):
    steps: tuple[Step, ...]
    contribution: np.ndarray[tuple[int, ...], np.dtype[np.float64]] | None


def _found(graph: nx.MultiDiGraph[str], option: str, node: str) -> str:
    """Return the id of `node`, which may be another name of a leaf."""
    if node in graph:
        return node
    named: list[str] = [each for each, names in graph.nodes(data="names") if node in names]
    if named:
        return named[0]
    close = difflib.get_close_matches(str(node), list(graph), n=3, cutoff=0.4)
    hint = f"; did you mean {' or '.join(map(repr, close))}?" if close else ""
    raise OptionError(f"{option}={node!r} is no node of the graph{hint}")


def _outputs(graph: nx.MultiDiGraph[str], target: str, output: str | None) -> list[str]:
    if output is not None:
        return [output]
    seeded = [node for node, seed in graph.nodes(data="seed") if seed is not None]
    if seeded:
        return seeded
    last = [
        node
        for node, data in graph.nodes(data=True)
        if data["differentiable"] and not any(True for _ in graph.successors(node))
    ]
    return last[-1:] or [target]


def _largest(ways: Ways, amounts: Amounts, top: int) -> list[_Followed]:
    """Return the paths to show, the one that carries most first."""
    if not any(ways.steps.values()):
        return []
    count = FOLLOWED if amounts.exact and amounts.work * FOLLOWED < WORK else top
    candidates = islice(ways.largest(), max(top, count))
    if not amounts.exact:
        return [_Followed(steps, None) for steps in islice(candidates, top)]
    found = [_Followed(steps, amounts.along(steps)) for steps in candidates]
    found.sort(key=lambda each: -_size(each.contribution))
    return found[:top]


def _size(array: object) -> float:
    norm = 0.0 if array is None else float(np.linalg.norm(np.asarray(array).ravel()))
    return norm if np.isfinite(norm) else np.inf


def _value(
    graph: nx.MultiDiGraph[str], ways: Ways, amounts: Amounts, output: str | None
) -> Summary | None:
    """Return what all paths add up to: recorded, or computed from an output in between."""
    recorded = gradient_at(graph, ways.target)
    seeded = [node for node, seed in graph.nodes(data="seed") if seed is not None]
    if recorded is not None and (output is None or seeded == [output]):
        return recorded
    total = amounts.total(ways) if amounts.exact and ways.outputs else None
    return None if total is None else Summary.of(total, keep=True)


def _path(
    composer: Composer, amounts: Amounts, ways: Ways, found: _Followed, value: Summary | None
) -> Path:
    factors = composer.factors(found.steps)
    alone = ways.count() == 1
    contribution = None
    if found.contribution is not None:
        contribution = Summary.of(found.contribution, keep=True)
    elif alone:
        contribution = value
    share = 1.0 if alone else _share(contribution, value)
    exact = share is not None
    if not exact:
        share = _fork_share(ways, found.steps)
    nodes = (found.steps[0].result, *(step.operand for step in found.steps))
    return Path(nodes, factors, composer.equation(found.steps), contribution, share, exact)


def _share(contribution: Summary | None, value: Summary | None) -> float | None:
    """Return the signed projection of a contribution on the whole, in parts of the whole."""
    if contribution is None or value is None:
        return None
    whole = value.array
    if whole is None or contribution.array is None:
        if value.size != 1 or not value.mean or contribution.mean is None:
            return None
        return contribution.mean / value.mean
    wide = np.asarray(whole, np.float64).ravel()
    square = float(wide @ wide)
    if not square or not np.isfinite(square):
        return None
    return float(wide @ np.asarray(contribution.array, np.float64).ravel()) / square


def _fork_share(ways: Ways, steps: Sequence[Step]) -> float | None:
    shares = [ways.share(step) for step in steps if len(ways.steps[step.operand]) > 1]
    known = [share for share in shares if share is not None]
    return float(np.prod(known)) if len(known) == len(shares) else None


def _rest(count: int, paths: Sequence[Path], value: Summary | None) -> Rest | None:
    if count < 1:
        return None
    shares = [path.share for path in paths if path.share is not None]
    share = 1.0 - sum(shares) if len(shares) == len(paths) else None
    arrays = [
        path.contribution.array
        for path in paths
        if path.contribution is not None and path.contribution.array is not None
    ]
    contribution = None
    if value is not None and value.array is not None and len(arrays) == len(paths):
        left = np.asarray(value.array, np.float64) - np.sum(arrays, axis=0).reshape(value.shape)
        contribution = Summary.of(left, keep=True)
    return Rest(count, contribution, share)


def _reason(
    graph: nx.MultiDiGraph[str], ways: Ways, target: str, outputs: Sequence[str], *, exact: bool
) -> str | None:
    if not any(ways.steps.values()):
        if target in outputs:
            return "it is the output itself"
        if not graph.nodes[target]["differentiable"]:
            return f"{target} has no gradient: it does not require one, or was detached"
        return f"no gradient comes back from {', '.join(outputs)} to {target}"
    if exact or ways.count() == 1:
        return None
    return (
        "shares are products of what came back along each use at the fan-outs; "
        "trace with derivatives='exact', keep='all' to know what each path carries"
    )
