"""See what the gradient did: trace a run into a graph with the chain rule on every edge.

>>> import gradtrace
>>> sorted(gradtrace.__all__)[:3]
['BackendError', 'Check', 'DerivativeError']
"""

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
