"""Names that break the writers of figures that do not escape them."""

from __future__ import annotations

__all__ = ["HOSTILE"]

HOSTILE = [
    "<b>bold</b>",
    "</script><script>document.title='owned'</script>",
    "<!-- comment",
    'quo"te',
    "single'quote",
    "co:lon",
    "new\nline",
    "tab\tstop",
    "back\\slash \\N \\n",
    "100% %%{init: {}}%%",
    "$$x$$ $y$ #35; #",
    "`code` *star* __under__",
    "1. one",
    "- dash",
    "a|b&amp;c",
    "~^{}[]",
    "end",
    "\\end{document}",
    "{{data}}",
    "zero\x00byte",
    "par\u2028ted \ud7ff",
    "中文 β é 🦊",
    "x" * 200,
]
