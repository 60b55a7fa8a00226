"""See what the gradient did: trace a run into a graph with the chain rule on every edge.

Names are imported when they are first used, so that `import gradtrace` costs a program nothing.

>>> import gradtrace
>>> sorted(gradtrace.__all__)[:3]
['BackendError', 'Check', 'DerivativeError']
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gradtrace.analysis.check import Check, Verdict
    from gradtrace.capture import trace
    from gradtrace.derivative import LocalDerivative
    from gradtrace.errors import (
        BackendError,
        DerivativeError,
        FileError,
        GradtraceError,
        GradtraceWarning,
        GraphNotReadyError,
        OptionError,
        RendererError,
        RenderError,
        TraceError,
    )
    from gradtrace.graph import Graph, load
    from gradtrace.summary import Summary
    from gradtrace.tape import Source

_HOMES = {
    "analysis.check": ("Check", "Verdict"),
    "capture": ("trace",),
    "derivative": ("LocalDerivative",),
    "errors": (
        "BackendError",
        "DerivativeError",
        "FileError",
        "GradtraceError",
        "GradtraceWarning",
        "GraphNotReadyError",
        "OptionError",
        "RenderError",
        "RendererError",
        "TraceError",
    ),
    "graph": ("Graph", "load"),
    "summary": ("Summary",),
    "tape": ("Source",),
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names}

__all__ = [
    "BackendError",
    "Check",
    "DerivativeError",
    "FileError",
    "GradtraceError",
    "GradtraceWarning",
    "Graph",
    "GraphNotReadyError",
    "LocalDerivative",
    "OptionError",
    "RenderError",
    "RendererError",
    "Source",
    "Summary",
    "TraceError",
    "Verdict",
    "load",
    "trace",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME_OF:
        raise AttributeError(f"module 'gradtrace' has no attribute {name!r}")
    value = globals()[name] = getattr(import_module(f"gradtrace.{_HOME_OF[name]}"), name)
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
