"""How numbers are written for people to read."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gradtrace.summary import Summary

__all__ = ["NOT_COMPUTED", "measure", "middle", "number", "printable", "shape", "single"]

NOT_COMPUTED = "not computed"


def number(value: float | complex | None) -> str:
    """Write a number with 3 significant digits.

    >>> [number(x) for x in (0.123456, 1234.5, 1.0, 12345.0, 0.00001234, 0.0)]
    ['0.123', '1234', '1', '1.23e4', '1.23e-5', '0']
    >>> [number(x) for x in (None, float("nan"), float("-inf"), 1 - 2j)]
    ['not computed', 'NaN', '-Inf', '1-2j']
    """
    if value is None:
        return NOT_COMPUTED
    if isinstance(value, complex):
        sign = "-" if value.imag < 0 else "+"
        return f"{number(value.real)}{sign}{number(abs(value.imag))}j"
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    if value == 0 or 1e-3 <= abs(value) < 9999.5:
        return f"{value:.0f}" if abs(value) >= 999.5 else f"{value:.3g}"
    mantissa, exponent = f"{value:.2e}".split("e")
    mantissa = mantissa.rstrip("0").rstrip(".")
    return f"{mantissa}e{int(exponent)}"


def shape(sizes: Sequence[int]) -> str:
    """Write the shape of a tensor.

    >>> shape((32, 10)), shape((7,)), shape(())
    ('32 × 10', '7', 'scalar')
    """
    return " × ".join(map(str, sizes)) or "scalar"


def single(summary: Summary) -> complex | float | None:
    """Return the one element that `summary` is of, or None where it is not known.

    >>> single(Summary((), "float32", mean=0.5)), single(Summary((2,), "float32", mean=0.5))
    (0.5, None)
    """
    if summary.size != 1:
        return None
    if summary.array is not None:
        element = summary.array.reshape(-1)[0].item()
        return element if isinstance(element, complex) else float(element)
    return None if summary.dtype.startswith("complex") else summary.mean


def measure(summary: Summary | None) -> tuple[str, bool]:
    """Write a tensor as one number; tell whether that is its norm, not its element.

    >>> measure(Summary((), "float32", mean=0.5)), measure(Summary((2,), "float32", norm=5.0))
    (('0.5', False), ('5', True))
    >>> measure(None)
    ('not computed', False)
    """
    if summary is None:
        return NOT_COMPUTED, False
    element = single(summary)
    if element is not None:
        return number(element), False
    return number(summary.norm), summary.norm is not None


def middle(text: str, limit: int) -> str:
    """Shorten `text` to `limit` characters, leaving out its middle.

    >>> middle("encoder.layers.11.attention.weight", 21)
    'encoder.la…ion.weight'
    """
    if len(text) <= limit:
        return text
    tail = (limit - 1) // 2
    return text[: limit - 1 - tail] + "…" + text[len(text) - tail :]


def printable(text: str) -> str:
    r"""Write characters that cannot be seen as escapes, so that `text` stays on its line.

    >>> printable("a\nb")
    'a\\nb'
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
