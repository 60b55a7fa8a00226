"""A figure as a LaTeX document of its own, drawn with TikZ."""

from __future__ import annotations

from gradtrace.render.layout import lay_out
from gradtrace.render.parts import Figure
from gradtrace.render.tikz.arrows import arrows
from gradtrace.render.tikz.boxes import box_size, boxes, frames, style
from gradtrace.render.tikz.captions import captions, extent
from gradtrace.render.tikz.signs import colour_name

__all__ = ["write"]

PREAMBLE = r"""\documentclass[border=4pt]{standalone}
\usepackage[T1]{fontenc}
\usepackage[utf8]{inputenc}
\usepackage{amsmath,amssymb,textcomp}
\IfFileExists{lmodern.sty}{\usepackage{lmodern}}{\usepackage{helvet}}
\usepackage{tikz}
\usetikzlibrary{arrows.meta,backgrounds}
\renewcommand{\familydefault}{\sfdefault}"""


def write(figure: Figure) -> str:
    """Return `figure` as LaTeX, to be compiled as it is or put into a paper with `standalone`.

    Formulas are LaTeX source. A figure wider than its page is scaled down to it.
    """
    sizes = {node.id: box_size(node, figure) for node in figure.nodes}
    layout = lay_out(figure, sizes)
    picture = [
        rf"\begin{{tikzpicture}}[{_options(figure)}]",
        *frames(figure, layout),
        *boxes(figure, layout),
        *arrows(figure, layout),
        *captions(figure, layout),
        r"\end{tikzpicture}",
    ]
    wide = figure.width is not None and extent(layout) > 72.27 * figure.width
    if wide:
        picture = [rf"\resizebox{{{figure.width:g}in}}{{!}}{{%", *picture, "}"]
    body = "\n".join(picture)
    colours = "\n".join(_definition(colour) for colour in _colours(figure))
    return "\n".join([PREAMBLE, colours, r"\begin{document}", body, r"\end{document}", ""])


def _options(figure: Figure) -> str:
    options = ["x=1pt", "y=-1pt", "line width=0.8pt", "inner sep=0pt", "outer sep=0.6pt"]
    options.append(f"text={colour_name(figure.theme.ink)}")
    options.append("tip/.style={-{Stealth[length=4pt,width=3.4pt]}}")
    if figure.theme.background:
        fill = colour_name(figure.theme.background)
        options.append(f"show background rectangle, background rectangle/.style={{fill={fill}}}")
        options.append("inner frame sep=6pt")
    looks = {node.look.role: node.look for node in figure.nodes}
    options += [f"{role}/.style={{{style(look)}}}" for role, look in looks.items()]
    return ",\n  ".join(options)


def _colours(figure: Figure) -> list[str]:
    """Return the colours of the figure, as they are named in it."""
    theme = figure.theme
    used = {theme.ink, theme.grey, theme.alarm, theme.accent, theme.frame, theme.ground}
    used |= {*theme.frames, *([theme.background] if theme.background else [])}
    used |= {colour for node in figure.nodes for colour in (node.look.line, node.look.fill)}
    used |= {edge.colour for edge in figure.edges}
    grids = [*(g for node in figure.nodes for g in node.grids), *(e.grid for e in figure.edges)]
    used |= {colour for grid in grids if grid for line in grid.cells for colour in line}
    if figure.legend:
        used |= {sample.colour for sample in figure.legend.scale}
        used |= {c for look in figure.legend.looks for c in (look.line, look.fill)}
    return sorted(used)


def _definition(colour: str) -> str:
    return rf"\definecolor{{{colour_name(colour)}}}{{HTML}}{{{colour[1:].upper()}}}"
