"""The contract of a renderer, with the way to find one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, runtime_checkable

from gradtrace.backends import Plugin, plugins
from gradtrace.errors import RendererError
from gradtrace.render.formats import FORMATS
from gradtrace.render.parts import Figure

__all__ = ["Renderer", "find_renderer"]

GROUP = "gradtrace.renderers"

INSTALL = "pip install 'gradtrace[graphviz]' installs one for svg, pdf, png, tex and dot"


@runtime_checkable
class Renderer(Protocol):
    """Turns a figure into text or bytes.

    Declared as an entry point in the group `gradtrace.renderers` that names a class, or a
    function, which makes a renderer when called without arguments.
    """

    name: str
    formats: tuple[str, ...]
    """The formats it draws, as file endings without the dot."""

    def render(self, figure: Figure, format: str) -> bytes:
        """Draw `figure`; text is encoded as UTF-8."""
        ...


def find_renderer(format: str) -> Renderer:
    """Return the first renderer, by name, that draws `format`.

    Raises `RendererError`, which names the formats that can be drawn and the broken renderers.
    """
    found = plugins(GROUP)
    working = [plugin.loaded for plugin in found if isinstance(plugin.loaded, Renderer)]
    for renderer in working:
        if format in renderer.formats:
            return renderer
    raise RendererError(_why_none(format, working, _faults(found)))


def _faults(found: Sequence[Plugin]) -> list[str]:
    """Return what is wrong with each renderer that cannot be used."""
    faults = [f"{p.name} of {p.origin} is broken ({p.error})" for p in found if p.error]
    strange = [p for p in found if not p.error and not isinstance(p.loaded, Renderer)]
    faults += [
        f"{p.name} of {p.origin} is no renderer (it lacks name, formats or render)" for p in strange
    ]
    return faults


def _why_none(format: str, working: Sequence[Renderer], faults: Sequence[str]) -> str:
    formats = sorted({*FORMATS, *(each for renderer in working for each in renderer.formats)})
    broken = "".join(f"; {fault}" for fault in faults)
    legal = ", ".join(map(repr, formats))
    if not working:
        return (
            f"no working renderer draws {format!r}: none is installed; {INSTALL}; "
            f"without one, use one of {legal}{broken}"
        )
    return f"no renderer draws format={format!r}; use one of {legal}{broken}"
