"""Title and legend in TikZ."""

from __future__ import annotations

from collections.abc import Iterator

from gradtrace.render.latex import words
from gradtrace.render.layout import Layout
from gradtrace.render.parts import Figure, Legend
from gradtrace.render.tikz.signs import colour_name, font

__all__ = ["captions", "extent"]


def extent(layout: Layout) -> float:
    """Return the width of a layout in points."""
    spots = [*layout.nodes.values(), *layout.frames.values()]
    left = min((spot.x - spot.width / 2 for spot in spots), default=0.0)
    return max((spot.x + spot.width / 2 for spot in spots), default=0.0) - left


def captions(figure: Figure, layout: Layout) -> Iterator[str]:
    """Yield title and legend, above the figure."""
    spots = [*layout.nodes.values(), *layout.frames.values()]
    if not spots:
        return
    left = min(spot.x - spot.width / 2 for spot in spots)
    top = min(spot.y - spot.height / 2 for spot in spots) - 10
    lines = []
    if figure.title:
        lines.append(font(figure.theme.sizes["title"]) + rf"\bfseries {words(figure.title)}")
    if figure.legend:
        lines += _legend(figure.legend, figure)
    if figure.note:
        lines.append(font(figure.theme.sizes["detail"]) + words(figure.note))
    if lines:
        body = r" \\[3pt] ".join(f"{{{line}}}" for line in lines)
        wide = max(extent(layout), 240.0)
        yield (
            rf"\node[anchor=south west, align=left, text width={wide:.0f}pt] "
            rf"at ({left:.1f},{top:.1f}) {{{body}}};"
        )


def _legend(legend: Legend, figure: Figure) -> Iterator[str]:
    small = font(figure.theme.sizes["detail"]) + rf"\color{{{colour_name(figure.theme.grey)}}}"
    looks = [
        rf"\mbox{{\fcolorbox{{{colour_name(look.line)}}}{{{colour_name(look.fill)}}}"
        rf"{{\rule{{0pt}}{{3pt}}\rule{{6pt}}{{0pt}}}}~{words(look.meaning)}}}"
        for look in legend.looks
    ]
    if looks:
        yield small + r"\quad ".join(looks)
    samples = [
        rf"\mbox{{\textcolor{{{colour_name(sample.colour)}}}"
        rf"{{\rule[1.5pt]{{12pt}}{{{sample.width:g}pt}}}}~{words(sample.text)}}}"
        for sample in legend.scale
    ]
    if samples:
        yield small + r"$\|$downstream gradient$\|$\quad " + r"\quad ".join(samples)
    if legend.remarks:
        yield small + words("  ·  ".join(legend.remarks))
