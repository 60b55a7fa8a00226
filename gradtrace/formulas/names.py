"""How the names in formulas are written."""

from __future__ import annotations

import re
from collections.abc import Mapping

__all__ = ["Names", "subscript", "superscript", "written_name"]

Names = Mapping[str, tuple[str, str]]
"""How a name of a formula is written: as text, in LaTeX."""

GREEK = dict(
    zip(
        "alpha beta gamma delta epsilon lambda_ mu pi rho sigma tau".split(),
        "α β γ δ ε λ μ π ρ σ τ".split(),
        strict=True,
    )
)

SUPERSCRIPTS = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
SUBSCRIPTS = str.maketrans("0123456789", "₀₁₂₃₄₅₆₇₈₉")


def subscript(number: int) -> str:
    """Write a number as a subscript.

    >>> subscript(12)
    '₁₂'
    """
    return str(number).translate(SUBSCRIPTS)


def superscript(number: int | str) -> str:
    """Write a number as an exponent.

    >>> superscript(-12)
    '⁻¹²'
    """
    return str(number).translate(SUPERSCRIPTS)


def written_name(name: str) -> tuple[str, str]:
    r"""Return `name` as text and in LaTeX.

    >>> written_name("alpha"), written_name("w1"), written_name("mask")
    (('α', '\\alpha'), ('w₁', 'w_{1}'), ('mask', '\\mathit{mask}'))
    """
    if name in GREEK:
        return GREEK[name], rf"\{name.rstrip('_')}"
    stem, digits = re.fullmatch(r"(.*?)_?(\d*)", name).groups()  # type: ignore[union-attr]
    plain = stem.replace("_", r"\_")
    base = GREEK.get(stem, stem), rf"\{stem}" if stem in GREEK else plain
    latex = base[1] if len(stem) < 2 or stem in GREEK else rf"\mathit{{{plain}}}"
    return base[0] + digits.translate(SUBSCRIPTS), latex + (f"_{{{digits}}}" if digits else "")
