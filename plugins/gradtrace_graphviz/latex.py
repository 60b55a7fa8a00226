"""Words for a LaTeX document, whatever characters they have."""

from __future__ import annotations

import unicodedata

__all__ = ["words"]

SPECIAL = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedbl{}",
    "'": r"\textquotesingle{}",
    "`": r"\textasciigrave{}",
    "-": r"{-}",
    "×": r"\texttimes{}",
    "·": r"\textperiodcentered{}",
    "−": r"\textminus{}",
    "–": r"\textendash{}",
    "‖": r"\textbardbl{}",
    "…": r"\textellipsis{}",
    "→": r"\textrightarrow{}",
    "←": r"\textleftarrow{}",
    **{character: rf"\{character}" for character in "&%$#_{}"},
}

MATHEMATICS = {
    "∂": r"\partial",
    "√": r"\surd",
    "Σ": r"\Sigma",
    "≈": r"\approx",
    "≠": r"\ne",
    "≤": r"\le",
    "≥": r"\ge",
    "∞": r"\infty",
    "⊙": r"\odot",
    "ᵀ": r"^{\top}",
    "¹": "^{1}",
    "²": "^{2}",
    "³": "^{3}",
    "⁻": "^{-}",
    "ε": r"\varepsilon",
    "ℓ": r"\ell",
    **{chr(0x2080 + digit): f"_{{{digit}}}" for digit in range(10)},
}

GREEK = (
    "alpha beta gamma delta zeta eta theta iota kappa mu nu xi pi rho sigma tau phi chi psi omega"
)
CAPITAL = "Gamma Delta Theta Xi Pi Sigma Phi Psi Omega"

LETTERS = {
    unicodedata.lookup(f"GREEK {size} LETTER {name.upper()}"): rf"\{name}"
    for size, names in (("SMALL", GREEK), ("CAPITAL", CAPITAL))
    for name in names.split()
}


def words(text: str) -> str:
    r"""Return `text` such that LaTeX prints it as it is, in T1 encoding.

    A character for which the usual fonts have no sign is written as its number.

    >>> print(words("a_b < 5 % × β é 中"))
    a\_b \textless{} 5 \% \texttimes{} $\beta$ é {\small U+4E2D}
    """
    return "".join(map(_character, text))


def _character(character: str) -> str:
    if character in SPECIAL:
        return SPECIAL[character]
    signs = MATHEMATICS.get(character) or LETTERS.get(character)
    if signs is not None:
        return f"${signs}$"
    if " " <= character <= "~" or "\u00c0" <= character <= "\u017f":
        return character
    return rf"{{\small U+{ord(character):04X}}}"
