"""SVG as text, with everything that is not ours escaped."""

from __future__ import annotations

import base64
import struct
import zlib
from html import escape

import numpy as np
import numpy.typing as npt

from gradtrace_dashboard.charts.theme import Theme

__all__ = ["document", "line", "picture", "rect", "tag", "text"]

FONT = "'Source Sans','Source Sans 3',Helvetica,Arial,sans-serif"


def tag(name: str, *children: str, **attributes: object) -> str:
    """Return an element; `children` are SVG already, attributes are escaped.

    >>> tag("g", text("<b>", x=1), data_key='a"b')
    '<g data-key="a&quot;b"><text x="1">&lt;b&gt;</text></g>'
    """
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(_short(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    inner = "".join(children)
    return f"<{name}{written}>{inner}</{name}>" if inner else f"<{name}{written}/>"


def text(content: str, **attributes: object) -> str:
    """Return a text, escaped, without characters that XML does not know."""
    shown = "".join(each if each.isprintable() else "\N{REPLACEMENT CHARACTER}" for each in content)
    return tag("text", escape(shown), **attributes)


def line(x1: float, y1: float, x2: float, y2: float, **attributes: object) -> str:
    """Return a straight line."""
    return tag("line", x1=x1, y1=y1, x2=x2, y2=y2, **attributes)


def rect(x: float, y: float, width: float, height: float, *children: str, **more: object) -> str:
    """Return a rectangle."""
    return tag("rect", *children, x=x, y=y, width=width, height=height, **more)


def document(
    width: float, height: float, *children: str, theme: Theme, label: str, fixed: bool = False
) -> str:
    """Return a whole drawing, which says in words what it shows; `fixed` ones do not grow."""
    return tag(
        "svg",
        tag("title", escape(label)),
        *children,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {_short(width)} {_short(height)}",
        width=width if fixed else None,
        font_family=FONT,
        font_size=12,
        fill=theme.ink,
        role="img",
        style=f"background:{theme.paper};max-width:100%;height:auto;display:block",
    )


def picture(pixels: npt.NDArray[np.uint8], **attributes: object) -> str:
    """Return an array of shape (height, width, 3) as an image within SVG."""
    height, width, _ = pixels.shape
    flat = np.zeros((height, width * 3 + 1), np.uint8)
    flat[:, 1:] = pixels.reshape(height, width * 3)
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        (
            _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)),
            _chunk(b"IDAT", zlib.compress(flat.tobytes(), 6)),
            _chunk(b"IEND", b""),
        )
    )
    address = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    return tag(
        "image",
        href=address,
        preserveAspectRatio="none",
        style="image-rendering:pixelated",
        **attributes,
    )


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def _short(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)
