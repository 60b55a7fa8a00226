"""Judge one equation of the chain rule: a sum over uses, or a pullback along an edge."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gradtrace.analysis.agreement import (
    TOLERANCES,
    Array,
    Outcome,
    Tolerance,
    close,
    count_nonfinite,
    elements_of,
    finite,
    is_complex,
    judge_elements,
    judge_statistics,
    tolerance_of,
)
from gradtrace.analysis.parts import zeros
from gradtrace.derivative import LocalDerivative
from gradtrace.errors import DerivativeError
from gradtrace.summary import Summary

__all__ = ["judge_gain", "judge_pullback", "judge_sum"]

TF32 = 2e-3
"""Relative tolerance of float32 on an accelerator, which may multiply mantissas of 10 bits."""


def judge_sum(total: Summary, terms: Sequence[Summary]) -> Outcome:
    """Judge whether `total` is the sum of `terms`.

    >>> half = Summary.of([1.0, -2.0])
    >>> judge_sum(Summary.of([2.0, -4.0]), [half, half]).verdict
    'pass'
    >>> judge_sum(Summary.of([2.0, -3.0]), [half, half]).verdict
    'fail'
    """
    for term in terms:
        if term.shape != total.shape:
            return Outcome("fail", f"a share of shape {term.shape} in a sum of {total.shape}")
    tolerance = tolerance_of(total, *terms)
    whole, shares = elements_of(total), [elements_of(term) for term in terms]
    known = [share for share in shares if share is not None]
    if whole is not None and len(known) == len(terms):
        zero: Array = np.zeros(total.shape)
        expected = sum((_wide(share) for share in known), zero)
        scale = sum((np.abs(_wide(share)) for share in known), zero)
        return judge_elements(_wide(whole), expected, np.abs(scale), tolerance)
    if len(terms) == 1:
        return judge_statistics(total, terms[0], tolerance)
    if not terms:
        return judge_statistics(total, zeros(total), tolerance)
    return _judge_sum_of_statistics(total, terms, tolerance)


def judge_pullback(
    derivative: LocalDerivative, upstream: Summary, downstream: Summary, *, calls: int = 1
) -> Outcome:
    """Judge whether `derivative` pulls `upstream` back to `downstream`.

    `calls` is the number of calls along which the derivative is a product: their errors add up.
    """
    if is_complex(upstream) or is_complex(downstream):
        return Outcome("unverifiable", "the local derivative of complex numbers is not recorded")
    if not derivative.exact:
        why = derivative.reason or "it was traced for its gain only"
        return Outcome("unverifiable", f"the local derivative is not known exactly: {why}")
    for name, summary, shape in (
        ("upstream", upstream, derivative.result_shape),
        ("downstream", downstream, derivative.operand_shape),
    ):
        if summary.shape != shape:
            what = f"the {name} gradient has shape {summary.shape}"
            return Outcome("fail", f"{what}, the local derivative takes {shape}")
    tolerance = tolerance_of(upstream, downstream)
    rounded = upstream.device != "cpu" and tolerance == TOLERANCES["float32"]
    relative = TF32 if rounded else tolerance.relative
    noise = tolerance.noise * (finite(upstream.norm) or 0.0)
    tolerance = tolerance._replace(
        relative=min(0.5, relative * calls),
        floor=max(tolerance.floor, noise),
        statistic_floor=max(tolerance.statistic_floor, noise),
    )
    try:
        return _judge_exact(derivative, upstream, downstream, tolerance)
    except (DerivativeError, ValueError, AssertionError) as error:
        return Outcome("fail", f"the local derivative cannot be applied: {error}")


def judge_gain(derivative: LocalDerivative, upstream: Summary, downstream: Summary) -> Outcome:
    """Judge whether the recorded gain is ‖downstream‖ / ‖upstream‖."""
    norms = (finite(upstream.norm), finite(downstream.norm), finite(derivative.gain))
    before, after, gain = norms
    if before is None or after is None or gain is None:
        return Outcome("unverifiable", "no gain was recorded")
    tolerance = tolerance_of(upstream, downstream)
    gap = abs(gain * before - after)
    if gap <= tolerance.relative * (gain * before + after) + tolerance.statistic_floor:
        return Outcome("pass")
    return Outcome("fail", f"its gain {gain:.4g} is not {after:.4g} / {before:.4g}")


def _judge_exact(
    derivative: LocalDerivative, upstream: Summary, downstream: Summary, tolerance: Tolerance
) -> Outcome:
    incoming, outgoing = elements_of(upstream), elements_of(downstream)
    if incoming is None and derivative.structure != "zero":
        return _judge_by_structure(derivative, upstream, downstream, tolerance)
    if incoming is None:
        return judge_statistics(downstream, zeros(downstream), tolerance)
    expected, scale, poisoned = _pull_back(derivative, _wide(incoming))
    if outgoing is not None:
        return judge_elements(_wide(outgoing), expected, scale, tolerance, poisoned)
    if poisoned is not None:
        return Outcome("unverifiable", "it holds NaN or infinity, and is kept as a summary only")
    summary = Summary.of(expected, dtype=downstream.dtype)
    return judge_statistics(downstream, summary, tolerance, Summary.of(scale).norm)


def _judge_by_structure(
    derivative: LocalDerivative, upstream: Summary, downstream: Summary, tolerance: Tolerance
) -> Outcome:
    """Judge by statistics alone: what the structure does to them, else a bound on the norm."""
    if derivative.structure == "identity":
        return judge_statistics(downstream, _scaled(upstream, 1.0), tolerance)
    if derivative.structure == "scaled" and derivative.array is not None:
        factor = float(derivative.array.reshape(()).item())
        return judge_statistics(downstream, _scaled(upstream, factor), tolerance)
    before, after = finite(upstream.norm), finite(downstream.norm)
    bound = None if derivative.array is None else finite(_norm(derivative))
    if before is not None and after is not None and bound is not None:
        excess = after - bound * before
        if excess > tolerance.relative * bound * before + tolerance.statistic_floor:
            return Outcome("fail", "it is larger than the local derivative can make it")
    return Outcome(
        "unverifiable", "gradients are kept as summaries only; trace with keep='all' to compare"
    )


def _norm(derivative: LocalDerivative) -> float:
    """Return a bound on how much the derivative can lengthen a gradient."""
    magnitudes = np.abs(_wide(np.asarray(derivative.array)))
    if not magnitudes.size:
        return 0.0
    if derivative.structure == "diagonal":
        return float(magnitudes.max())
    return Summary.of(magnitudes).norm or 0.0


def _pull_back(derivative: LocalDerivative, upstream: Array) -> tuple[Array, Array, Array | None]:
    """Return the expected downstream, the magnitudes that it sums, and where it is not finite.

    The last is None where nothing is NaN or infinite. It is counted by position instead of by
    multiplication, because 0 · NaN is NaN in one kernel and 0 in another.
    """
    jacobian = None if derivative.array is None else _wide(derivative.array)
    sound_part = _only_finite(upstream)
    known = None if jacobian is None else _only_finite(jacobian)
    expected = replace(derivative, array=known).pullback(sound_part)
    sizes = replace(derivative, array=None if known is None else np.abs(known))
    scale = sizes.pullback(np.abs(sound_part))
    sound = jacobian is None or bool(np.isfinite(jacobian).all())
    if sound and bool(np.isfinite(upstream).all()):
        return expected, scale, None
    couples = replace(derivative, array=None if jacobian is None else _flags(jacobian != 0))
    poisoned: Array = couples.pullback(_flags(~np.isfinite(upstream)))
    if not sound and jacobian is not None:
        broken = replace(derivative, array=_flags(~np.isfinite(jacobian)))
        poisoned = poisoned + broken.pullback(_flags(upstream != 0))
    return expected, scale, poisoned > 0


def _judge_sum_of_statistics(
    total: Summary, terms: Sequence[Summary], tolerance: Tolerance
) -> Outcome:
    """Judge by what is linear in a gradient, its sum, with the bounds on norm and extremes."""
    counts = [count_nonfinite(term) for term in terms]
    largest = sum(abs(finite(x) or 0.0) for term in terms for x in (term.min, term.max))
    most = sum(counts) if largest < tolerance.largest else total.size
    if any(counts) or count_nonfinite(total):
        if max(counts) <= count_nonfinite(total) <= most:
            return Outcome("pass")
        found = f"{count_nonfinite(total)} here, {counts} in the uses"
        return Outcome("fail", f"NaN or infinity on one side only: {found}")
    norms = [finite(term.norm) for term in terms]
    lengths = [norm for norm in norms if norm is not None]
    whole = finite(total.norm)
    scale = sum(lengths) + (whole or 0.0)
    gaps: list[float] = []
    if whole is not None and len(lengths) == len(terms):
        longest = max(lengths)
        gaps += [whole - sum(lengths), longest - (sum(lengths) - longest) - whole]
    if is_complex(total) or any(is_complex(term) for term in terms):
        bound = close(max(gaps, default=0.0), scale, tolerance.relative, tolerance.statistic_floor)
        reason = "statistics of complex gradients do not add up; trace with keep='all' to compare"
        return bound if bound.verdict == "fail" else Outcome("unverifiable", reason)
    means = [finite(summary.mean) for summary in (total, *terms)]
    known = [mean for mean in means if mean is not None]
    if len(known) < len(means):
        return Outcome("unverifiable", "no numbers were kept of its gradients")
    root = math.sqrt(total.size)
    gaps.append(abs(known[0] - sum(known[1:])) * root)
    scale = max(scale, sum(map(abs, known)) * root)
    return close(max(gaps), scale, tolerance.relative, tolerance.statistic_floor * root)


def _scaled(summary: Summary, factor: float) -> Summary:
    """Return the summary of `factor` times a gradient."""
    low, high = summary.min, summary.max
    ends = sorted(factor * end for end in (low, high) if end is not None)
    return replace(
        summary,
        norm=None if summary.norm is None else abs(factor) * summary.norm,
        mean=None if summary.mean is None else factor * summary.mean,
        min=ends[0] if len(ends) == 2 else None,
        max=ends[1] if len(ends) == 2 else None,
        array=None,
    )


def _wide(array: Array) -> Array:
    return array.astype(np.result_type(array.dtype, np.float64), copy=False)


def _only_finite(array: Array) -> Array:
    return np.where(np.isfinite(array), array, 0.0)


def _flags(mask: Array) -> Array:
    return mask.astype(np.float64)
