"""Write words and numbers so that LaTeX, and what shows LaTeX in notebooks, can read them."""

from __future__ import annotations

import re

__all__ = ["mathematics", "words"]

SPECIAL = {
    "\\": r"\textbackslash ",
    "{": r"\{",
    "}": r"\}",
    "~": r"\textasciitilde ",
    "^": r"\textasciicircum ",
    **{character: rf"\{character}" for character in "&%$#_"},
}

SIGNS = {
    "−": "-",
    "·": r"\cdot",
    "×": r"\times",
    "√": r"\surd",
    "ᵀ": r"^{\top}",
    "⁻": "^{-}",
    **{sign: f"^{{{digit}}}" for digit, sign in enumerate("⁰¹²³⁴⁵⁶⁷⁸⁹")},
    "Σ": r"\Sigma",
    "δ": r"\delta",
    "α": r"\alpha",
    "β": r"\beta",
    "ε": r"\varepsilon",
    "‖": r"\|",
    "⌊": r"\lfloor",
    "⌋": r"\rfloor",
    "≠": r"\ne",
    "≈": r"\approx",
    "∂": r"\partial",
}
"""Characters that a document without further packages has no letters for."""


def words(text: str) -> str:
    r"""Write `text` for mathematics mode, letter by letter.

    >>> words("a_b is 5 % of √x")
    '\\text{a\\_b is 5 \\% of $\\surd$x}'
    """
    return rf"\text{{{''.join(map(_character, text))}}}"


def mathematics(number: str) -> str:
    r"""Write a number, or sizes, for mathematics mode.

    >>> mathematics("−1.5e−3"), mathematics("5×3 · 3×4"), mathematics("norm 0.25")
    ('-1.5 \\cdot 10^{-3}', '5 \\times 3 \\cdot 3 \\times 4', '\\text{norm }0.25')
    """
    plain = number.replace("−", "-").replace("×", r" \times ").replace("·", r"\cdot")
    plain = plain.replace("%", r"\%").replace("≈", r"\approx ")
    plain = re.sub(r"e(-?\d+)", r" \\cdot 10^{\1}", plain)
    return re.sub(r"(?<![\\a-z])([A-Za-z]{2,} ?)+", lambda found: rf"\text{{{found[0]}}}", plain)


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    if character in SIGNS:
        return f"${SIGNS[character]}$"
    return character if character.isascii() else "?"
