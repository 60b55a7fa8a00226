"""A drawing as a LaTeX document of its own, drawn with TikZ: formulas are LaTeX source."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrace_graphviz.latex import words
from gradtrace_graphviz.scene import Formula, Group, Page, Segment, Shape, Text, cubic

__all__ = ["to_tikz"]

PREAMBLE = r"""\documentclass[border=0pt]{standalone}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb,textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\usepackage{helvet}}
\IfFileExists{tgheros.sty}{\usepackage{tgheros}}{}% as wide as the font of the SVG and the PDF
\renewcommand{\familydefault}{\sfdefault}
\usepackage{tikz}"""

STYLES = (
    "inner sep=0pt",
    "outer sep=0pt",
    "words/.style={anchor=base west}",
    "symbols/.style={anchor=base}",
)


def to_tikz(page: Page) -> bytes:
    """Return `page` as LaTeX, encoded as UTF-8, to be compiled as it is or put into a paper.

    Each box, arrow and frame follows a comment that says what it is.
    """
    options = (f"x={page.scale:.4f}bp", f"y=-{page.scale:.4f}bp", *STYLES)
    lines = [PREAMBLE, *map(_definition, sorted(_colours(page))), r"\begin{document}"]
    lines += [rf"\begin{{tikzpicture}}[{', '.join(options)}]"]
    corner = rf"(0,0) rectangle {_point((page.width, page.height))};"
    lines.append(rf"\useasboundingbox {corner}")
    if page.background:
        lines.append(rf"\fill[{_colour(page.background)}] {corner}")
    for group in page.groups:
        lines += _group(group, page.scale)
    return "\n".join([*lines, r"\end{tikzpicture}", r"\end{document}", ""]).encode()


def _group(group: Group, scale: float) -> Iterator[str]:
    told = group.tooltip.partition("\n")[0].replace("→", "->")
    told = "".join(c if " " <= c <= "~" else "?" for c in told)
    yield f"% {group.kind} {told}".rstrip()
    if group.opacity < 1:
        yield rf"\begin{{scope}}[opacity={group.opacity:g}]"
    for part in group.parts:
        yield _drawn(part, scale) if isinstance(part, Shape) else _written(part, scale)
    if group.opacity < 1:
        yield r"\end{scope}"


def _drawn(shape: Shape, scale: float) -> str:
    options = [f"fill={_colour(shape.fill)}"] if shape.fill else []
    if shape.stroke:
        options += [f"draw={_colour(shape.stroke)}", f"line width={_n(shape.width * scale)}bp"]
    if shape.dash:
        lengths = [f"{_n(length * scale)}bp" for length in shape.dash]
        steps = " ".join(f"{word} {length}" for word, length in zip(("on", "off"), lengths))  # noqa: B905
        options.append(f"dash pattern={steps}")
    return rf"\path[{', '.join(options)}] {''.join(map(_segment, cubic(shape.path)))};"


def _segment(segment: Segment) -> str:
    r"""Write one step of a path.

    >>> _segment(("L", (1.0, 2.5))), _segment(("Z", ()))
    (' -- (1,2.5)', ' -- cycle')
    """
    name, values = segment
    points = [_point(values[i : i + 2]) for i in range(0, len(values), 2)]
    if name == "C":
        return " .. controls {} and {} .. {}".format(*points)
    return {"M": "{}", "L": " -- {}", "Z": " -- cycle"}[name].format(*points)


def _written(part: Text | Formula, scale: float) -> str:
    size = part.size * scale
    font = rf"\fontsize{{{_n(size)}bp}}{{{_n(1.2 * size)}bp}}\selectfont"
    if isinstance(part, Formula):
        style, at = "symbols", (part.x + part.wide / 2, part.y)
        inner = rf"$\displaystyle {part.latex}$"
    else:
        style, at, inner = "words", (part.x, part.y), words(part.content)
        inner = rf"\bfseries {inner}" if part.bold else inner
    return rf"\node[{style}, text={_colour(part.colour)}] at {_point(at)} {{{font} {inner}}};"


def _colours(page: Page) -> set[str]:
    """Return the colours of a page."""
    found = {page.background}
    for group in page.groups:
        for part in group.parts:
            found |= {part.fill, part.stroke} if isinstance(part, Shape) else {part.colour}
    return {colour for colour in found if colour}


def _definition(colour: str) -> str:
    return rf"\definecolor{{{_colour(colour)}}}{{HTML}}{{{colour[1:].upper()}}}"


def _colour(triple: str) -> str:
    return f"c{triple[1:].upper()}"


def _point(point: tuple[float, ...]) -> str:
    return f"({_n(point[0])},{_n(point[1])})"


def _n(number: float) -> str:
    return f"{round(number, 2) + 0.0:g}"
