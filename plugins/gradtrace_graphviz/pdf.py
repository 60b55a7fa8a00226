"""A drawing as PDF: vectors, and text in embedded fonts that can be selected."""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

from gradtrace.errors import RendererError
from gradtrace_graphviz.fonts import FAMILY, font_file
from gradtrace_graphviz.foreign import outlined
from gradtrace_graphviz.scene import Group, Page, Shape, Text, cubic, flat

if TYPE_CHECKING:
    from reportlab.pdfgen.canvas import Canvas

__all__ = ["to_pdf", "to_png"]

DPI = 200
"""Pixels of a bitmap for an inch of the page."""

LARGEST = 12_000
"""Pixels of the longer side of a bitmap."""


def to_pdf(page: Page) -> bytes:
    """Return `page` as a PDF of one page, the same for the same drawing."""
    _register()
    from reportlab.pdfgen.canvas import Canvas

    file = io.BytesIO()
    size = page.width * page.scale, page.height * page.scale
    canvas = Canvas(
        file, pagesize=size, invariant=1, pageCompression=1, initialFontName=_name(False)
    )
    canvas.setTitle(page.title)
    canvas.setCreator("gradtrace")
    canvas.transform(page.scale, 0, 0, -page.scale, 0, size[1])
    if page.background:
        canvas.setFillColor(_colour(page.background))
        canvas.rect(0, 0, page.width, page.height, stroke=0, fill=1)
    for group in outlined(page):
        _group(canvas, group)
    canvas.showPage()
    canvas.save()
    return file.getvalue()


def to_png(page: Page) -> bytes:
    """Return `page` as a bitmap of `DPI` pixels an inch, transparent where nothing is drawn."""
    try:
        import pypdfium2
    except ImportError as error:
        raise RendererError(_missing("png", "pypdfium2")) from error
    document = pypdfium2.PdfDocument(to_pdf(page))
    try:
        longest = max(page.width, page.height) * page.scale
        scale = min(DPI / 72, LARGEST / longest)
        bitmap = document[0].render(scale=scale, fill_color=(0, 0, 0, 0), rev_byteorder=True)
        file = io.BytesIO()
        bitmap.to_pil().save(file, format="png", dpi=(72 * scale, 72 * scale))
        return file.getvalue()
    finally:
        document.close()


@cache
def _register() -> None:
    """Make the fonts known to reportlab."""
    try:
        from reportlab.pdfbase import pdfmetrics
        from reportlab.pdfbase.ttfonts import TTFont
    except ImportError as error:
        raise RendererError(_missing("pdf", "reportlab")) from error
    for bold in (False, True):
        pdfmetrics.registerFont(TTFont(_name(bold), str(font_file(bold=bold))))


def _missing(format: str, package: str) -> str:
    return (
        f"format={format!r} needs the package {package!r}, which is not installed; "
        "pip install 'gradtrace[graphviz]', or use format='svg'"
    )


def _name(bold: bool) -> str:
    return f"{FAMILY}-Bold" if bold else FAMILY


def _group(canvas: Canvas, group: Group) -> None:
    canvas.saveState()
    if group.opacity < 1:
        canvas.setFillAlpha(group.opacity)
        canvas.setStrokeAlpha(group.opacity)
    for part in flat(group.parts):
        if isinstance(part, Text):
            _write(canvas, part)
        else:
            _draw(canvas, part)
    canvas.restoreState()


def _write(canvas: Canvas, text: Text) -> None:
    canvas.saveState()
    canvas.transform(1, 0, 0, -1, text.x, text.y)
    canvas.setFillColor(_colour(text.colour))
    canvas.setFont(_name(text.bold), text.size)
    canvas.drawString(0, 0, text.content.encode("utf-8", "replace").decode())
    canvas.restoreState()


def _draw(canvas: Canvas, shape: Shape) -> None:
    path = canvas.beginPath()
    for name, values in cubic(shape.path):
        {"M": path.moveTo, "L": path.lineTo, "C": path.curveTo, "Z": path.close}[name](*values)
    if shape.fill:
        canvas.setFillColor(_colour(shape.fill))
    if shape.stroke:
        canvas.setStrokeColor(_colour(shape.stroke))
        canvas.setLineWidth(shape.width)
        canvas.setDash(*([list(shape.dash)] if shape.dash else [[]]))
    canvas.drawPath(path, stroke=int(bool(shape.stroke)), fill=int(bool(shape.fill)))


@cache
def _colour(triple: str) -> Any:
    from reportlab.lib.colors import HexColor

    return HexColor(triple)
